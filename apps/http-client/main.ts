// Get a URL over a kernel's own TCP, and tell what that knows: node main.ts URL [TRACE.pcapng]

import { HttpClient } from "../../src/http/index.ts";
import { Kernel } from "../../src/index.ts";
import { Capture } from "../../src/link/index.ts";
import { net } from "../../src/net/index.ts";
import { createSockets, CaptureFile, hostNat } from "../../src/platform/node/index.ts";
import { VirtioNet } from "../../src/virtio/index.ts";

const [url, trace] = process.argv.slice(2);
if (url === undefined) throw new Error("which URL?");

await using stack = new AsyncDisposableStack();

// The way out: this process's own sockets. No root, no devices.
const nat = hostNat();
stack.defer(() => nat.close());
if (trace !== undefined) {
  const capture = new Capture(new CaptureFile(trace), { comment: url });
  stack.defer(() => capture.close());
  capture.add(nat.port, { name: "eth0" });
}

const device = new VirtioNet({ port: nat.port });
const kernel = stack.use(await Kernel.boot({ image: "full", devices: [device] }));
const network = stack.use(net(kernel));
await network.up("lo");
await network.up("eth0", "10.0.2.15/24");
await network.route.add({ destination: "default", gateway: nat.gateway });
await network.resolver.set({ nameservers: [nat.dns] });

const sockets = stack.use(createSockets(await kernel.process(), { ownsProcess: true }));
const client = stack.use(
  new HttpClient(sockets, {
    congestion: "bbr",
    // To the kernel, "localhost" is the kernel. This machine's is behind the NAT's gateway.
    resolve: (host) => (host === "localhost" ? [nat.gateway] : undefined),
  }),
);

const response = await client.request(url, { maxRedirects: 10, decompress: true });
const bytes = await response.bytes();
const { status, version, timing, connection } = response;
console.log(`${response.url}: ${status}, ${bytes.length} bytes by HTTP/${version}`);
const phases = Object.entries(timing).map(([name, ms]) => `${name} ${(ms as number).toFixed(1)}`);
console.log(phases.join(", "));
const info = await response.tcpInfo();
console.log(
  `${connection.congestion}: round trip ${info?.rttUs} µs, ${info?.totalRetransmits} sent again`,
);
