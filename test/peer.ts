// A kernel that is at a port of a link, and its sockets.

import type { Kernel } from "../src/index.ts";
import type { Port } from "../src/link/index.ts";
import { net } from "../src/net/index.ts";
import { createSockets } from "../src/platform/node/index.ts";
import type { NodeSockets } from "../src/platform/node/index.ts";
import { VirtioNet } from "../src/virtio/index.ts";
import { boot } from "./kernel.ts";

export interface Peer {
  readonly kernel: Kernel;
  readonly sockets: NodeSockets;
}

/** With addresses such as "10.0.0.1/24" that nobody else has. */
export async function peer(port: Port, ...addresses: readonly string[]): Promise<Peer> {
  const kernel = await boot({ image: "full", devices: [new VirtioNet({ port })] });
  await using network = net(kernel);
  await network.sysctl.set("net.ipv6.conf.eth0.accept_dad", 0);
  await network.up("lo");
  await network.up("eth0", ...addresses);
  return { kernel, sockets: createSockets(await kernel.process(), { ownsProcess: true }) };
}
