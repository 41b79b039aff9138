// Boot a kernel and ask it who it is: node examples/boot-and-uname.ts

import { cString } from "../src/abi/struct.ts";
import { NewUtsname } from "../src/abi/structs/process.ts";
import { Kernel } from "../src/index.ts";

await using kernel = await Kernel.boot({ image: "fs", memoryMiB: 32 });

const name = NewUtsname.alloc();
await kernel.init.uname(name.bytes);
console.log(`${cString(name.sysname)} ${cString(name.release)} on ${cString(name.machine)}`);
console.log(
  `booted in ${kernel.bootMs.toFixed(0)} ms; its log ends with: ${kernel.log.tail(1).join()}`,
);
