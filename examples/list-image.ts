// List the root directories of a disk image's volumes: node examples/list-image.ts disk.img

import { openImage } from "../src/index.ts";

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error("which image?");

await using image = await openImage(path, { readOnly: true });
for (const volume of image.volumes) {
  console.log(`${volume.toString()}: ${volume.sizeBytes} bytes`);
  if (volume.content?.kind !== "filesystem") continue;
  await using mounted = await volume.mount({ readOnly: true });
  for (const entry of await mounted.fs.promises.readdir("/", { withFileTypes: true }))
    console.log(`  ${entry.name}${entry.isDirectory() ? "/" : ""}`);
}
