// Two kernels in one process know nothing of each other: node examples/two-kernels.ts

import { AT_FDCWD, O_CREAT, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { readDirectory, readText } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";

// Compiled once; each has its own memory, processes, files and log.
await using left = await Kernel.boot({ image: "fs", memoryMiB: 32 });
await using right = await Kernel.boot({ image: "fs", memoryMiB: 32 });

await left.init.sethostname("left", 4);
await right.init.sethostname("right", 5);
await left.init.close(await left.init.openat(AT_FDCWD, "/tmp/mine", O_CREAT | O_WRONLY, 0o600));

for (const kernel of [left, right]) {
  const host = (await readText(kernel.init, "/proc/sys/kernel/hostname")).trim();
  const files = (await readDirectory(kernel.init, "/tmp")).map(({ name }) => name);
  console.log(
    `${host}: booted in ${kernel.bootMs.toFixed(0)} ms, has ${files.length} files in /tmp`,
  );
}

// One goes as if its power failed; the other stays.
left.dispose();
console.log(`left runs: ${left.running}, right runs: ${right.running}`);
