// List the root directory of a disk image: node examples/list-image.ts disk.img

import { attachDisk, listVolumes, mount, readDirectory } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/index.ts";

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error("which image?");
using disk = new FileDisk(path, { readOnly: true });
await using kernel = await Kernel.boot({ image: "fs" });
await using device = await attachDisk(kernel, disk);

// The whole disk, or its partitions.
for (const volume of await listVolumes(kernel, device)) {
  const { type = "nothing known", kind, label = "" } = volume.content ?? {};
  console.log(`${volume.path}: ${type} ${label}`);
  if (kind !== "filesystem") continue;
  await using mounted = await mount(kernel, { source: volume.path, readOnly: true });
  for (const entry of await readDirectory(kernel.init, mounted.target))
    console.log(`  ${entry.name}${entry.type === "directory" ? "/" : ""}`);
}
