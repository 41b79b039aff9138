// Frames that say anything of themselves, into every kind of port: bridges, VLANs, tunnels, bonds, NAT,
// filters of two kernels; and through the links themselves, back ends and captures. All go on.

import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { join } from "node:path";
import { suite, test } from "node:test";

import { IFF_UP } from "../../src/abi/constants/if_link.ts";
import { Kernel, VirtualClock } from "../../src/index.ts";
import type { Process } from "../../src/index.ts";
import { MIN_FRAME_BYTES } from "../../src/link/frame.ts";
import { Capture, EmulatedLink, Hub, Switch, patch } from "../../src/link/index.ts";
import type { Frame } from "../../src/link/index.ts";
import { Sockets, ipEndpoint } from "../../src/net/facade/index.ts";
import type { Connection } from "../../src/net/facade/index.ts";
import { net } from "../../src/net/index.ts";
import type { LinkSpec, Network } from "../../src/net/index.ts";
import {
  CaptureFile,
  SocketLink,
  SocketLinkServer,
  UdpLink,
} from "../../src/platform/node/index.ts";
import { VirtioNet } from "../../src/virtio/index.ts";
import { noise, run, temporaryFolder } from "../images/native.ts";
import { repeats } from "../kernel.ts";
import { Host, Listener, connected, nonsense, pattern } from "../link-support.ts";
import { pass } from "./support/pass.ts";

const FRAMES = repeats(1_000_000, 10_000);
/** Frames between turns of the event loop, in which the kernels look at them. */
const BURST = 64;
const SECOND_NS = 1e9;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** What is at each end of seven wires: `n` is 1 at the one end, and 2 at the other. */
const DEVICES = 7;

const other = (n: number) => 3 - n;

/** X25519 keys from a seed, as WireGuard has them: the private one, and the public one. */
function keys(n: number): { privateKey: string; publicKey: string } {
  const seed = noise(32, n);
  const head = Buffer.from("302e020100300506032b656e04220420", "hex");
  const key = createPrivateKey({ key: Buffer.concat([head, seed]), format: "der", type: "pkcs8" });
  const publicKey = createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32);
  return { privateKey: seed.toString("base64"), publicKey: publicKey.toString("base64") };
}

/** Everything that stands on another device, with the address that it gets. */
function linksOf(n: number): readonly (readonly [spec: LinkSpec, address: string | null])[] {
  const ends = { local: `10.20.5.${n}`, remote: `10.20.5.${other(n)}` };
  const ends6 = { local: `fd25::${n}`, remote: `fd25::${other(n)}` };
  const at = (net: number) => `10.20.${net}.${n}/24`;
  return [
    [
      {
        name: "br0",
        kind: "bridge",
        bridge: { stp: true, forwardDelaySeconds: 2, vlanFiltering: true },
      },
      at(1),
    ],
    [{ name: "d1", kind: "dummy", master: "br0" }, null],
    [{ name: "v5", kind: "vlan", link: "eth2", vlan: { id: 5 } }, at(2)],
    [{ name: "ad7", kind: "vlan", link: "eth2", vlan: { id: 7, protocol: "802.1ad" } }, at(3)],
    [{ name: "q9", kind: "vlan", link: "ad7", vlan: { id: 9 } }, at(4)],
    [{ name: "vx", kind: "vxlan", vxlan: { id: 42, port: 4789, ...ends } }, at(6)],
    [{ name: "ge", kind: "geneve", geneve: { id: 9, remote: ends.remote, port: 6081 } }, at(7)],
    [{ name: "g4", kind: "gre", gre: ends }, at(8)],
    [{ name: "gt", kind: "gretap", gretap: ends }, at(9)],
    [{ name: "ii", kind: "ipip", ipip: ends }, at(10)],
    [{ name: "st", kind: "sit", sit: ends }, `fd2b::${n}/64`],
    [{ name: "i6", kind: "ip6tnl", ip6tnl: ends6 }, `fd2c::${n}/64`],
    [{ name: "g6", kind: "ip6gre", ip6gre: ends6 }, at(13)],
    [{ name: "wg", kind: "wireguard" }, at(14)],
    [{ name: "mv", kind: "macvlan", link: "eth4", macvlan: { mode: "bridge" } }, at(15)],
    [{ name: "bd", kind: "bond", bond: { mode: "active-backup", miimonMs: 100 } }, at(16)],
  ];
}

/** The addresses at an end. */
const addressesOf = (n: number): readonly string[] => [
  `10.20.0.${n}`,
  `fd20::${n}`,
  `10.20.5.${n}`,
  `fd25::${n}`,
  `10.20.17.${n}`,
  ...linksOf(n).flatMap(([, address]) => (address === null ? [] : [address.split("/")[0]])),
];

async function furnish(network: Network, n: number): Promise<void> {
  await network.sysctl.set("net.ipv4.ip_forward", 1);
  for (const [name, value] of [
    ["all.keep_addr_on_down", 1],
    ["default.accept_dad", 0],
    ...Array.from({ length: DEVICES }, (_, i) => [`eth${i}.accept_dad`, 0] as const),
  ] as const)
    await network.sysctl.set(`net.ipv6.conf.${name}`, value);
  await network.up("lo");
  await network.up("eth0", `10.20.0.${n}/24`, `fd20::${n}/64`);
  await network.up("eth3", `10.20.5.${n}/24`, `fd25::${n}/64`);
  for (const device of ["eth2", "eth4"]) await network.up(device);
  for (const [spec, address] of linksOf(n)) {
    await network.link.add(spec);
    if (spec.name === "wg")
      await network.wireguard.set("wg", {
        privateKey: keys(n).privateKey,
        listenPort: 51820,
        peers: [
          {
            publicKey: keys(other(n)).publicKey,
            endpoint: `10.20.5.${other(n)}:51820`,
            allowedIps: ["0.0.0.0/0"],
          },
        ],
      });
    await network.up(spec.name, ...(address === null ? [] : [address]));
  }
  await network.link.set("eth1", { master: "br0", up: true });
  await network.link.set("eth5", { master: "bd" });
  // A wire with traffic control at both ends of the kernel's way.
  await network.up("eth6", `10.20.17.${n}/24`);
  await network.qdisc.replace("eth6", { kind: "fq_codel" });
  await network.qdisc.add("eth6", { kind: "clsact" });
  await network.filter.add("eth6", {
    kind: "flower",
    parent: "ingress",
    protocol: "ip",
    priority: 1,
    match: { transport: "udp", destinationPort: 9 },
    actions: ["drop"],
  });
  await network.filter.add("eth6", {
    kind: "matchall",
    parent: "ingress",
    priority: 2,
    actions: [{ mirror: "d1" }],
  });
  // Connections are tracked, and translated where they are forwarded.
  const filter = { family: "inet", table: "fuzzed" } as const;
  await network.nft
    .batch()
    .addTable("inet", "fuzzed")
    .addChain({ ...filter, name: "input", hook: "input" })
    .addChain({ ...filter, name: "out", hook: "postrouting", type: "nat", priority: 100 })
    .addRule({
      ...filter,
      chain: "input",
      match: { state: ["invalid"] },
      counter: true,
      action: "accept",
    })
    .addRule({
      ...filter,
      chain: "input",
      match: { family: "ipv4", protocol: "tcp", destinationPort: { from: 1, to: 1023 } },
      counter: true,
      action: { reject: "tcp-reset" },
    })
    .addRule({ ...filter, chain: "out", match: { outputDevice: "eth0" }, action: "masquerade" })
    .commit();
}

/** A kernel with all of that, and what is done with it. */
class End implements AsyncDisposable {
  readonly kernel: Kernel;
  readonly devices: readonly VirtioNet[];
  readonly network: Network;
  readonly sockets: Sockets;
  readonly n: number;

  constructor(kernel: Kernel, devices: readonly VirtioNet[], n: number, process: Process) {
    this.kernel = kernel;
    this.devices = devices;
    this.network = net(kernel);
    this.sockets = new Sockets(process, { ownsProcess: true });
    this.n = n;
  }

  static async make(clock: VirtualClock, hubs: readonly Hub[], n: number): Promise<End> {
    // One of the wires has an end that takes frames as they are on a wire only.
    const devices = hubs.map(
      (hub, i) => new VirtioNet({ port: hub.port(), offload: i !== 3 || n === 1 }),
    );
    const kernel = await Kernel.boot({ clock, memoryMiB: 96, random: n, devices });
    const end = new End(kernel, devices, n, await kernel.process());
    await furnish(end.network, n);
    return end;
  }

  get addresses(): readonly string[] {
    return addressesOf(this.n);
  }

  /** What the fuzz has taught it is not what is there: forget it. */
  async forget(): Promise<void> {
    const { network } = this;
    for (const { name, up } of await network.link.list()) {
      if (!up || name === "lo") continue;
      await network.down(name);
      await network.link.set(name, { up: true });
    }
    await network.connection.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sockets[Symbol.asyncDispose]();
    await this.network[Symbol.asyncDispose]();
    await this.kernel.halt();
  }
}

/** Bytes there and back, from one end to an address of the other's. */
async function talk(from: End, to: End, address: string): Promise<void> {
  const listener = await to.sockets.listen({ local: ipEndpoint(address, 0) });
  const [one, two] = await Promise.all([
    from.sockets.connect({ remote: listener.local! }),
    listener.accept(),
  ]);
  const data = pattern(20_000);
  for (const [a, b] of [
    [one, two],
    [two, one],
  ]) {
    const writing = a.write(data).then(() => a.end());
    const parts: Uint8Array[] = [];
    for await (const part of b) parts.push(part);
    await writing;
    assert.equal(Buffer.compare(Buffer.concat(parts), data), 0, address);
  }
  await Promise.all([one, two, listener].map((one) => one.close()));
}

/** A connection that stays, whose ends read what comes. */
async function leftOpen(from: End, to: End, address: string): Promise<[Connection, Connection]> {
  const listener = await to.sockets.listen({ local: ipEndpoint(address, 0) });
  const pair = await Promise.all([
    from.sockets.connect({ remote: listener.local! }),
    listener.accept(),
  ]);
  await listener.close();
  for (const one of pair) {
    void one.readable.pipeTo(new WritableStream()).catch(() => {});
    await one.write(HELLO);
  }
  return pair;
}

const HELLO = pattern(100);
const bytesOf = (mac: string) => mac.split(":").map((byte) => parseInt(byte, 16));

suite("fuzzed frames", () => {
  test("into bridges, VLANs, tunnels, bonds, filters, NAT: the kernels go on", async (t) => {
    const clock = new VirtualClock();
    const hubs = Array.from({ length: DEVICES }, () => new Hub());
    await using left = await End.make(clock, hubs, 1);
    await using right = await End.make(clock, hubs, 2);
    // What real frames look like on each of the wires.
    const real: Frame[][] = hubs.map(() => []);
    const stops = hubs.flatMap((hub, i) =>
      Array.from(hub.ports, (port) =>
        port.observe((frame, direction) => {
          if (direction === "sent") real[i].push(frame.copy());
        }),
      ),
    );
    await clock.advance(20 * SECOND_NS);
    const all = async () => {
      for (const address of right.addresses) await pass(clock, talk(left, right, address));
    };
    await all();
    // Connections that are open all the while, so that frames with their numbers meet them.
    const open: Connection[] = [];
    for (const address of right.addresses)
      open.push(...(await pass(clock, leftOpen(left, right, address))));
    for (const stop of stops) stop();
    const counts = real.map(({ length }) => length);
    assert.ok(Math.min(...counts) > 10, `${counts.join(", ")} frames`);

    // In what is sent into each wire there is most often what belongs there.
    const every = real.flat();
    const sources = real.map((own, i) =>
      nonsense(100 + i, Infinity, [...Array.from({ length: 3 }, () => own), every].flat()),
    );
    const peers = hubs.map((hub) => new Listener(hub.port("fuzz")));
    let sent = 0;
    for (; sent < FRAMES; sent++) {
      const i = sent % DEVICES;
      const { value: frame } = sources[i].next() as { value: Frame };
      // Most are for one of the two, whatever else they say: others would not be looked at for long.
      const target = [left, right, null][Math.floor(sent / DEVICES) % 3];
      if (target && frame.lengthBytes >= MIN_FRAME_BYTES)
        frame.segments[0].set(bytesOf(target.devices[i].mac));
      peers[i].port.send(frame);
      peers[i].frames.length = 0;
      if (sent % BURST) continue;
      // What the fuzz breaks stays broken.
      if (sent % (BURST * 16) === 0) for (const one of open) one.write(HELLO).catch(() => {});
      await turn();
      await clock.advance(SECOND_NS / 1000);
    }
    for (const { kernel, devices } of [left, right]) {
      assert.ok(kernel.running);
      for (const { broken } of devices) assert.equal(broken, null);
    }
    const received = [left, right].map(({ devices }) =>
      devices.reduce((sum, { counters }) => sum + counters.receivedFrames, 0),
    );
    t.diagnostic(`${sent} frames, of which ${received.join(" and ")} got into the kernels`);
    await pass(clock, Promise.all(open.map((one) => one.reset())));
    for (const end of [left, right]) await end.forget();
    await clock.advance(600 * SECOND_NS);
    await all();
  });

  test("through switches, bad links, sockets and a capture: they pass on what they can", async (t) => {
    using folder = temporaryFolder();
    const file = join(folder.path, "fuzz.pcapng");
    const center = new Switch({ maxStations: 64 });
    const side = new Hub();
    const bad = new EmulatedLink({
      seed: 5,
      jitterMs: 2,
      loss: 0.1,
      duplicate: 0.1,
      corrupt: 0.1,
      reorder: 0.1,
      rateMbps: 10_000,
    });
    patch(center.port("to the hub"), side.port("to the switch"));
    patch(center.port("to the bad link"), bad.a);
    const { promise, resolve } = Promise.withResolvers<SocketLink>();
    await using server = await SocketLinkServer.listen({ port: 0 }, resolve);
    await using one = await SocketLink.connect({ port: server.port! });
    await using two = await promise;
    patch(center.port("to the socket"), one.port);
    await using udp = await UdpLink.open({ remote: { port: 9 } });
    patch(side.port("to UDP"), udp.port);
    const [talker, across, away, near] = [
      new Listener(center.port()),
      new Listener(bad.b),
      new Listener(two.port),
      new Listener(side.port()),
    ];
    const capture = new Capture(new CaptureFile(file), { cut: true, snapBytes: 128 });
    const captured = FRAMES / 10;
    const listened = center.port("captured");
    const ear = new Listener(listened);
    capture.add(listened);
    const [a, b] = await Promise.all([
      Host.boot("10.0.0.1", { port: center.port() }),
      Host.boot("10.0.0.2", { port: side.port() }),
    ]);
    const real: Frame[] = [];
    const stop = listened.observe((frame) => void real.push(frame.copy()));
    const exchange = async (port: number) => {
      const [mine, theirs] = await connected(a, b, port);
      const data = pattern(200_000);
      const [got] = await Promise.all([b.receive(theirs, data.length), a.send(mine, data)]);
      assert.equal(Buffer.compare(got, data), 0);
      await Promise.all([a.init.close(mine), b.init.close(theirs)]);
    };
    await exchange(7000);
    stop();
    assert.ok(real.length > 0);
    const stations = [talker, across, away, near];
    const passed = stations.map(() => 0);
    let sent = 0;
    for (const frame of nonsense(11, FRAMES, real)) {
      stations[sent % stations.length].port.send(frame);
      if (++sent === captured) await capture.close();
      if (sent % BURST) continue;
      await turn();
      for (const [i, { frames }] of stations.entries()) passed[i] += frames.splice(0).length;
      ear.frames.length = 0;
    }
    assert.equal(center.stations.length, 64);
    for (const link of [one, two, udp]) assert.equal(link.error, null);
    for (const host of [a, b]) {
      assert.equal(host.device.broken, null);
      await host.setFlags("eth0", IFF_UP, 0);
      await host.setFlags("eth0", IFF_UP, IFF_UP);
    }
    await exchange(7001);
    const decoded = run("tshark", "-r", file, "-T", "fields", "-e", "frame.number")
      .trimEnd()
      .split("\n").length;
    assert.ok(decoded > captured / 10, `${decoded} frames in the capture`);
    t.diagnostic(`${sent} frames; ${passed.join(", ")} arrived; ${decoded} captured and decoded`);
    await Promise.all([a.kernel.halt(), b.kernel.halt()]);
  });
});
