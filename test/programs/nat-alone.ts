// Run in a network namespace of its own, in which there is not even a loopback: says how connections fail
// that a kernel tries through host NAT.

import { once } from "node:events";
import type nodeNet from "node:net";
import process from "node:process";

import { Kernel } from "../../src/index.ts";
import { net } from "../../src/net/index.ts";
import { createSockets, hostNat } from "../../src/platform/node/index.ts";
import { VirtioNet } from "../../src/virtio/index.ts";

const nat = hostNat();
const kernel = await Kernel.boot({ image: "full", devices: [new VirtioNet({ port: nat.port })] });
const network = net(kernel);
await network.sysctl.set("net.ipv6.conf.eth0.dad_transmits", 0);
await network.sysctl.set("net.ipv6.conf.eth0.router_solicitation_delay", 0);
await network.dhcp("eth0");
await network.slaac("eth0");
const own = createSockets(await kernel.process(), { ownsProcess: true });

async function codeOf(options: nodeNet.TcpNetConnectOpts): Promise<string> {
  const [error] = (await once(own.net.connect(options), "error")) as [
    { code: string; errors?: readonly { code: string }[] },
  ];
  return error.errors?.map(({ code }) => code).join(" ") ?? error.code;
}

const lookup: nodeNet.LookupFunction = (_name, _options, callback) =>
  callback(null, [
    { address: "2001:db8::1", family: 6 },
    { address: "192.0.2.1", family: 4 },
  ]);
const codes: Record<string, string> = {};
for (const host of ["192.0.2.1", "2001:db8::1", "both.example", "10.0.2.2"])
  codes[host] = await codeOf({ host, port: 80, lookup });
process.stdout.write(JSON.stringify(codes));
await own[Symbol.asyncDispose]();
await network[Symbol.asyncDispose]();
await kernel.halt();
await nat.close();
