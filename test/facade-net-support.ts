// What the tests of sockets share: a kernel with a loopback interface, and a process in it.

import { Kernel } from "../src/index.ts";
import type { BootOptions, Process } from "../src/index.ts";
import { net } from "../src/net/index.ts";

export interface SocketsHost {
  readonly kernel: Kernel;
  readonly process: Process;
}

/** A kernel of the profile "full" whose loopback interface is up. */
export async function loopback(options: BootOptions = {}): Promise<SocketsHost> {
  const kernel = await Kernel.boot({ image: "full", memoryMiB: 256, ...options });
  await using network = net(kernel);
  await network.up("lo");
  return { kernel, process: await kernel.process() };
}
