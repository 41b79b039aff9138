// A day in the kernel, in a moment: node examples/virtual-clock.ts

import { CLOCK_MONOTONIC } from "../src/abi/constants/time.ts";
import { KernelTimespec } from "../src/abi/structs/time.ts";
import { Kernel, VirtualClock } from "../src/index.ts";

// Time stands still until it is told to move. With the same seed, every run is the same.
const clock = new VirtualClock({ epochMs: Date.UTC(2030, 0, 1) });
await using kernel = await Kernel.boot({ image: "fs", clock, random: 1 });

async function sleep(hours: number): Promise<void> {
  const time = KernelTimespec.alloc();
  time.tv_sec = BigInt(hours * 3600);
  await kernel.init.clock_nanosleep_time64(CLOCK_MONOTONIC, 0, time.bytes, null);
  console.log(`${new Date(clock.wallNs() / 1e6).toISOString()}: ${hours} hours are over`);
}

const sleeps = [sleep(24), sleep(8), sleep(16)];
await clock.advance(24 * 3600 * 1e9 + 1e9);
await Promise.all(sleeps);
