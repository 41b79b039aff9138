// Make a disk image with a partition, and edit it as if it were a folder: node examples/edit-image.ts

import { MemoryDisk, SliceDisk } from "../src/disk/index.ts";
import { mkfs, partition } from "../src/format/index.ts";
import { openImage } from "../src/index.ts";

const disk = new MemoryDisk(64 << 20);
const table = await partition(disk, {
  table: "gpt",
  partitions: [{ type: "linux", name: "root" }],
});
const [{ startBytes: offsetBytes, sizeBytes: lengthBytes }] = table.partitions;
await mkfs(new SliceDisk(disk, { offsetBytes, lengthBytes }), { type: "ext4", label: "root" });

await using image = await openImage(disk);
console.log(`volumes: ${image.volumes.join(", ")}`);
await using root = await image.volume("root").mount();
const fs = root.fs.promises;

await fs.mkdir("/etc/ssh", { recursive: true });
await fs.writeFile("/etc/hostname", "made-without-linux\n");
await fs.chmod("/etc/hostname", 0o600);
await fs.symlink("hostname", "/etc/name");
for (const entry of await fs.readdir("/", { recursive: true, withFileTypes: true }))
  console.log(entry.parentPath, entry.name, entry.isSymbolicLink() ? "(a link)" : "");
console.log(await fs.readFile("/etc/name", "utf8"));
const { usedBytes, totalBytes } = await root.usage();
console.log(`${usedBytes >> 10} of ${totalBytes >> 10} KiB are used`);
