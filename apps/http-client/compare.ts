// The same upload with each congestion control, over a link that loses frames, to a server on another
// kernel in this process: node compare.ts [LOSS [MEGABYTES]]

import { once } from "node:events";
import { createServer } from "node:http";

import { HttpClient } from "../../src/http/index.ts";
import { Kernel } from "../../src/index.ts";
import { EmulatedLink } from "../../src/link/index.ts";
import type { Port } from "../../src/link/index.ts";
import { net } from "../../src/net/index.ts";
import { createSockets } from "../../src/platform/node/index.ts";
import { VirtioNet } from "../../src/virtio/index.ts";

const [loss = "0.005", megabytes = "2"] = process.argv.slice(2);
const content = new Uint8Array(Number(megabytes) * 1e6);

/** A kernel at one end of a link, and its sockets. */
async function host(stack: AsyncDisposableStack, port: Port, address: string) {
  const devices = [new VirtioNet({ port })];
  const kernel = stack.use(await Kernel.boot({ image: "full", devices }));
  const network = stack.use(net(kernel));
  await network.up("lo");
  await network.up("eth0", address);
  const sockets = stack.use(createSockets(await kernel.process(), { ownsProcess: true }));
  return { network, sockets };
}

await using stack = new AsyncDisposableStack();
const link = new EmulatedLink({ rateMbps: 50, delayMs: 5, loss: Number(loss), seed: 1 });
const [here, there] = await Promise.all([
  host(stack, link.a, "10.0.0.1/24"),
  host(stack, link.b, "10.0.0.2/24"),
]);

// Node's own server, whose connections are the other kernel's.
const web = createServer((request, response) => {
  request.resume().once("end", () => response.end());
});
const listener = there.sockets.net.createServer((socket) => web.emit("connection", socket));
stack.use(listener);
listener.listen(80, "10.0.0.2");
await once(listener, "listening");

const known = await here.network.sysctl.get("net.ipv4.tcp_available_congestion_control");
for (const congestion of known.split(/\s+/).toSorted()) {
  await using client = new HttpClient(here.sockets, { congestion });
  const response = await client.request("http://10.0.0.2/", { method: "PUT", body: content });
  await response.bytes();
  const { totalMs } = response.timing;
  const info = await response.tcpInfo();
  const rate = ((content.length * 8) / totalMs / 1000).toFixed(1);
  console.log(
    `${congestion.padEnd(9)} ${rate.padStart(6)} Mbit/s, ${info?.totalRetransmits} segments again`,
  );
}
