// Links, addresses, routes, rules and neighbours: what is configured, the kernel has and does.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import * as fc from "fast-check";

import { SIOCGIFINDEX, SIOCGIFMTU } from "../src/abi/constants/ioctl.ts";
import { AF_INET, SOCK_DGRAM } from "../src/abi/constants/socket.ts";
import { Ifreq } from "../src/abi/structs/socket.ts";
import { Kernel } from "../src/index.ts";
import { DumpInterruptedError, UnknownDeviceError, net } from "../src/net/index.ts";
import type { LinkSpec, MonitorEvent, Network, NextHopSpec } from "../src/net/index.ts";
import { IFNAMSIZ } from "../src/net/link-kinds.ts";
import { list } from "./kernel.ts";
import { carry, connect, end, host, listen, pair, ping, reaches } from "./net-support.ts";
import type { Host } from "./net-support.ts";

let kernel: Kernel;
let one: Host;
let network: Network;

before(async () => {
  kernel = await Kernel.boot({ image: "full", memoryMiB: 128 });
  one = await host(kernel);
  network = one.net;
});
after(async () => {
  await end(one);
  await kernel.halt();
});

const byText = (a: unknown, b: unknown): number => String(a).localeCompare(String(b));

/** What the kernel says by the older way: ioctl(2). */
async function ask(command: number, name: string): Promise<number> {
  const fd = await one.process.socket(AF_INET, SOCK_DGRAM, 0);
  const request = Ifreq.alloc();
  request.bytes.set(new TextEncoder().encode(name));
  await one.process.ioctl(fd, command, request.bytes);
  await one.process.close(fd);
  return new DataView(request.bytes.buffer).getInt32(IFNAMSIZ, true);
}

suite("links", () => {
  test("lo is the first, and down in a new namespace", async () => {
    const [lo] = await network.link.list();
    assert.equal(lo?.name, "lo");
    assert.equal(lo?.index, 1);
    assert.equal(lo?.type, "loopback");
    assert.equal(lo?.up, false);
    await network.up("lo");
    assert.equal((await network.link.get("lo")).up, true);
    assert.equal(await ping(one.process, "127.0.0.1"), true);
  });

  test("every kind that can be made is read back", async () => {
    await network.link.add({ name: "base", kind: "dummy", address: "02:00:00:00:00:01" });
    await network.link.add({ name: "base2", kind: "dummy" });
    const specs: readonly LinkSpec[] = [
      { name: "t-ifb", kind: "ifb" },
      { name: "t-nlmon", kind: "nlmon" },
      { name: "t-wg", kind: "wireguard" },
      { name: "t-vrf", kind: "vrf", vrf: { table: 77 } },
      {
        name: "t-bridge",
        kind: "bridge",
        bridge: { stp: true, forwardDelaySeconds: 4, ageingTimeSeconds: 60, vlanFiltering: true },
      },
      {
        name: "t-vlan",
        kind: "vlan",
        link: "base",
        vlan: {
          id: 5,
          protocol: "802.1ad",
          flags: ["reorderHeader", "looseBinding"],
          egressQos: [{ from: 1, to: 3 }],
          ingressQos: [{ from: 2, to: 4 }],
        },
      },
      {
        name: "t-vxlan",
        kind: "vxlan",
        vxlan: {
          id: 7,
          remote: "10.5.0.2",
          local: "10.5.0.1",
          port: 4789,
          learning: false,
          ttl: 9,
        },
      },
      {
        name: "t-vxlan6",
        kind: "vxlan",
        vxlan: { id: 8, remote: "fd05::2", local: "fd05::1", port: 4790 },
      },
      { name: "t-geneve", kind: "geneve", geneve: { id: 9, remote: "10.5.0.2", port: 6081 } },
      {
        name: "t-bond",
        kind: "bond",
        bond: { mode: "active-backup", miimonMs: 100, upDelayMs: 200, hashPolicy: "layer3+4" },
      },
      { name: "t-macvlan", kind: "macvlan", link: "base", macvlan: { mode: "bridge" } },
      { name: "t-macvtap", kind: "macvtap", link: "base", macvtap: { mode: "vepa" } },
      {
        name: "t-ipvlan",
        kind: "ipvlan",
        link: "base2",
        ipvlan: { mode: "l3", flags: ["private"] },
      },
      {
        name: "t-gre",
        kind: "gre",
        gre: {
          local: "10.5.0.1",
          remote: "10.5.0.2",
          inputFlags: ["key"],
          outputFlags: ["key"],
          inputKey: 1,
          outputKey: 2,
        },
      },
      {
        name: "t-gretap",
        kind: "gretap",
        gretap: { local: "10.5.0.1", remote: "10.5.0.3", ttl: 5 },
      },
      { name: "t-ipip", kind: "ipip", ipip: { local: "10.5.0.1", remote: "10.5.0.2", ttl: 33 } },
      { name: "t-sit", kind: "sit", sit: { local: "10.5.0.1", remote: "10.5.0.2" } },
      { name: "t-ip6tnl", kind: "ip6tnl", ip6tnl: { local: "fd05::1", remote: "fd05::2" } },
      { name: "t-ip6gre", kind: "ip6gre", ip6gre: { local: "fd05::1", remote: "fd05::2" } },
    ];
    for (const spec of specs) {
      await network.link.add(spec);
      const { name, kind, link: below, ...rest } = spec;
      const link = await network.link.get(name);
      assert.equal(link.kind, kind);
      if (below !== undefined) assert.equal(link.link, below);
      assert.equal(await ask(SIOCGIFINDEX, name), link.index);
      // What was asked for is among what there is; tunnels turn keys into flags of their own.
      const got = link[kind as keyof typeof link] as Record<string, unknown> | undefined;
      for (const [key, value] of Object.entries(rest[kind as keyof typeof rest] ?? {}))
        assert.deepEqual(got?.[key], value, `${name} ${key}`);
    }
    for (const { name } of specs.toReversed()) {
      await network.link.delete(name);
      await assert.rejects(network.link.get(name), UnknownDeviceError);
    }
    for (const name of ["base", "base2"]) await network.link.delete(name);
  });

  test("what all links have is changed and read back", async () => {
    await network.link.add({ name: "x0", kind: "dummy", txQueues: 2 });
    await network.link.set("x0", {
      name: "x1",
      address: "02:00:5e:10:00:01",
      mtu: 1400,
      txQueueLength: 77,
      alias: "the first",
      group: 9,
      promiscuous: true,
      allMulticast: true,
      multicast: false,
      arp: true,
      inet6: { addressGeneration: "none" },
      up: true,
    });
    const link = await network.link.get("x1");
    assert.equal(link.address, "02:00:5e:10:00:01");
    assert.equal(link.mtu, 1400);
    assert.equal(link.txQueueLength, 77);
    assert.equal(link.alias, "the first");
    assert.equal(link.group, 9);
    assert.equal(link.txQueues, 2);
    assert.equal(link.inet6?.addressGeneration, "none");
    for (const flag of ["up", "promiscuous", "all-multicast"] as const)
      assert.ok(link.flags.includes(flag), flag);
    for (const flag of ["multicast", "no-arp"] as const)
      assert.ok(!link.flags.includes(flag), flag);
    assert.equal(await ask(SIOCGIFMTU, "x1"), 1400);
    assert.deepEqual([link.promiscuity, link.allMulticasts, link.dormant], [1, 1, false]);
    await network.link.addNames("x1", ["the-first-of-all", "x1-too"]);
    assert.deepEqual((await network.link.get("x1")).otherNames, ["the-first-of-all", "x1-too"]);
    await assert.rejects(network.link.addNames("x1", ["x1-too"]), { code: "EEXIST" });
    await network.link.deleteNames("x1", ["x1-too"]);
    assert.deepEqual((await network.link.get("x1")).otherNames, ["the-first-of-all"]);
    await assert.rejects(network.link.addNames("nobody", ["y"]), UnknownDeviceError);
    await network.down("x1");
    assert.equal((await network.link.get(link.index)).up, false);
    await network.link.delete("x1");
  });

  test("a bridge has ports, which have options", async () => {
    await network.link.add({ name: "br0", kind: "bridge" });
    await network.link.add({ name: "p0", kind: "dummy", master: "br0" });
    await network.link.set("p0", { bridgePort: { cost: 42, isolated: true, learning: false } });
    const port = await network.link.get("p0");
    assert.equal(port.master, "br0");
    assert.equal(port.portKind, "bridge");
    assert.equal(port.bridgePort?.cost, 42);
    assert.equal(port.bridgePort?.isolated, true);
    assert.equal(port.bridgePort?.learning, false);
    await network.link.set("p0", { master: null });
    assert.equal((await network.link.get("p0")).master, undefined);
    for (const name of ["p0", "br0"]) await network.link.delete(name);
  });

  test("a bond has ports, of which one is in use", async () => {
    const bond = { mode: "active-backup", miimonMs: 50 } as const;
    await network.link.add({ name: "bond0", kind: "bond", bond });
    for (const name of ["q0", "q1"])
      await network.link.add({ name, kind: "dummy", master: "bond0" });
    await network.up("bond0", "10.13.0.1/24");
    const ports = [await network.link.get("q0"), await network.link.get("q1")];
    assert.deepEqual(
      ports.map(({ portKind, master, bondPort }) => [portKind, master, bondPort?.state]),
      [
        ["bond", "bond0", "active"],
        ["bond", "bond0", "backup"],
      ],
    );
    assert.equal((await network.link.get("bond0")).bond?.activeIndex, ports[0]?.index);
    await network.link.set("bond0", { bond: { activeIndex: ports[1].index } });
    assert.equal((await network.link.get("q1")).bondPort?.state, "active");
    for (const name of ["bond0", "q0", "q1"]) await network.link.delete(name);
  });

  test("mistakes are named", async () => {
    await network.link.add({ name: "m0", kind: "dummy" });
    await assert.rejects(network.link.add({ name: "m0", kind: "dummy" }), {
      name: "NetlinkError",
      code: "EEXIST",
      request: "add the dummy 'm0'",
    });
    await assert.rejects(network.link.add({ name: "m1", kind: "nonsense" }), {
      code: "EOPNOTSUPP",
      reason: "Unknown device type",
    });
    await assert.rejects(
      network.link.add({ name: "m1", kind: "vlan", link: "m0", vlan: { id: 5000 } }),
      {
        code: "ERANGE",
        reason: "8021q: Invalid VLAN id",
      },
    );
    await assert.rejects(network.link.add({ name: "m1", kind: "vlan", vlan: { id: 5 } }), {
      reason: "8021q: link not specified",
    });
    await network.link.set("lo", { gsoMaxBytes: 524_280, gsoIpv4MaxBytes: 524_280 });
    const { gsoMaxBytes, gsoIpv4MaxBytes } = await network.link.get("lo");
    assert.deepEqual([gsoMaxBytes, gsoIpv4MaxBytes], [524_280, 524_280]);
    await assert.rejects(network.link.set("m0", { gsoMaxBytes: 5 }), {
      code: "ERANGE",
      attribute: "gsoMaxBytes",
    });
    await assert.rejects(network.link.set("m0", { mtu: -5 }), { option: "mtu" });
    await assert.rejects(network.link.set("m0", { address: "02:00" }), { code: "EINVAL" });
    await assert.rejects(network.link.set("m0", { address: "junk" }), { option: "address" });
    await assert.rejects(network.link.set("m0", { nonsense: 1 } as object), { option: "nonsense" });
    await assert.rejects(network.link.set("nobody", { mtu: 1500 }), {
      name: "UnknownDeviceError",
      code: "ENODEV",
      device: "nobody",
    });
    await assert.rejects(network.link.set("m0", { master: "nobody" }), { option: "master" });
    await assert.rejects(network.link.add({ name: "a-name-that-is-too-long", kind: "dummy" }), {
      option: "name",
    });
    await assert.rejects(network.link.delete("lo"), { name: "NetlinkError", code: "EOPNOTSUPP" });
    await network.link.delete("m0");
  });

  test("who has no right is told so", async () => {
    const user = await kernel.process({ uid: 1000, gid: 1000 });
    const mine = net(user);
    assert.ok((await mine.link.list()).length > 0);
    await assert.rejects(mine.link.set("lo", { mtu: 1500 }), { code: "EPERM" });
    await mine[Symbol.asyncDispose]();
    await user.exit();
  });
});

suite("addresses", () => {
  test("IPv4 and IPv6 are added, listed and removed", async () => {
    await network.link.add({ name: "a0", kind: "dummy", up: true });
    await network.address.add("a0", "10.7.0.1/24", { label: "a0:x", metric: 7 });
    await network.address.add("a0", "fd07::1/64", { validSeconds: 600, preferredSeconds: 300 });
    await network.address.add("a0", "10.7.1.1/32", { peer: "10.7.1.2" });
    const all = await network.address.list("a0");
    const first = all.find(({ address }) => address === "10.7.0.1/24");
    assert.equal(first?.broadcast, "10.7.0.255");
    assert.equal(first?.label, "a0:x");
    assert.equal(first?.device, "a0");
    assert.equal(first?.metric, 7);
    assert.equal(first?.validSeconds, Infinity);
    const second = all.find(({ address }) => address === "fd07::1/64");
    assert.equal(second?.validSeconds, 600);
    assert.equal(second?.preferredSeconds, 300);
    assert.equal(all.find(({ address }) => address === "10.7.1.1/32")?.peer, "10.7.1.2");
    await assert.rejects(network.address.add("a0", "10.7.0.1/24"), { code: "EEXIST" });
    await network.address.replace("a0", "10.7.0.1/24", { validSeconds: 50 });
    await network.address.delete("a0", "10.7.0.1/24");
    await assert.rejects(network.address.delete("a0", "10.7.0.1/24"), { code: "EADDRNOTAVAIL" });
    await assert.rejects(network.address.add("a0", "10.7.0.300/24"), { option: "address" });
    await assert.rejects(network.address.add("nobody", "10.7.0.1/24"), UnknownDeviceError);
    await network.address.add("a0", "10.7.2.1/24", { broadcast: null });
    assert.equal((await network.address.list("a0")).at(0)?.broadcast, undefined);
    await network.address.flush("a0");
    assert.deepEqual(await network.address.list("a0"), []);
    await network.link.delete("a0");
  });
});

suite("routes", () => {
  before(async () => {
    await network.link.add({ name: "r0", kind: "dummy", arp: true });
    await network.link.add({ name: "r1", kind: "dummy" });
    await network.up("r0", "10.8.0.1/24", "fd08::1/64");
    await network.up("r1", "10.9.0.1/24");
  });
  after(async () => {
    for (const name of ["r0", "r1"]) await network.link.delete(name);
  });

  const find = async (destination: string, table: string | number = "main") =>
    (await network.route.list({ table })).find((route) => route.destination === destination);

  test("with a gateway, metrics, a table of its own", async () => {
    const metrics = { mtu: 1400, congestionControl: "bbr", initialCongestionWindow: 20 };
    await network.route.add({
      destination: "10.20.0.0/16",
      gateway: "10.8.0.2",
      metric: 5,
      metrics,
    });
    const route = await find("10.20.0.0/16");
    assert.equal(route?.gateway, "10.8.0.2");
    assert.equal(route?.device, "r0");
    assert.equal(route?.metric, 5);
    assert.equal(route?.protocol, "static");
    assert.deepEqual(route?.metrics, metrics);
    await network.route.add({ destination: "default", gateway: "10.8.0.2", table: 1000 });
    assert.equal((await find("default", 1000))?.table, 1000);
    assert.equal(await find("default"), undefined);
    const found = await network.route.get("10.20.5.5");
    assert.equal(found.gateway, "10.8.0.2");
    assert.equal(found.preferredSource, "10.8.0.1");
    // What was read can be given again.
    await network.route.delete(route);
    assert.equal(await find("10.20.0.0/16"), undefined);
    await network.route.delete({ destination: "default", gateway: "10.8.0.2", table: 1000 });
  });

  test("several ways, of which each has a weight", async () => {
    const nextHops = [
      { gateway: "10.8.0.2", device: "r0", weight: 3, flags: [] },
      { gateway: "10.9.0.2", device: "r1", weight: 200, flags: [] },
    ];
    await network.route.add({ destination: "10.21.0.0/16", nextHops });
    assert.deepEqual((await find("10.21.0.0/16"))?.nextHops, nextHops);
    await network.route.replace({ destination: "10.21.0.0/16", device: "r1" });
    const replaced = await find("10.21.0.0/16");
    assert.equal(replaced?.device, "r1");
    assert.equal(replaced?.scope, "link");
    await network.route.delete({ destination: "10.21.0.0/16" });
  });

  test("next-hop objects, of which routes follow the changes", async () => {
    await network.up("lo");
    await network.nextHop.add({ id: 1, gateway: "10.8.0.2", device: "r0" });
    await network.nextHop.add({ id: 2, gateway: "10.9.0.2", device: "r1" });
    await network.nextHop.add({ id: 3, group: [{ id: 1 }, { id: 2, weight: 5 }] });
    await network.nextHop.add({ id: 4, blackhole: true, family: "ipv6" });
    const resilient = { buckets: 16, idleSeconds: 2, unbalancedSeconds: 0 };
    await network.nextHop.add({ id: 5, group: [{ id: 1 }], groupType: "resilient", resilient });
    const hops = await network.nextHop.list();
    assert.deepEqual(
      hops.map(({ id, gateway, device, group, blackhole }) => [
        id,
        gateway ?? group,
        device,
        blackhole,
      ]),
      [
        [1, "10.8.0.2", "r0", undefined],
        [2, "10.9.0.2", "r1", undefined],
        [
          3,
          [
            { id: 1, weight: 1 },
            { id: 2, weight: 5 },
          ],
          undefined,
          undefined,
        ],
        [4, undefined, undefined, true],
        [5, [{ id: 1, weight: 1 }], undefined, undefined],
      ],
    );
    assert.deepEqual(hops[4]?.resilient, resilient);
    assert.equal(hops[3]?.family, "ipv6");
    await network.route.add({ destination: "10.22.0.0/16", nextHopId: 3 });
    const ways = async () => (await find("10.22.0.0/16"))?.nextHops?.map(({ gateway }) => gateway);
    assert.deepEqual(await ways(), ["10.8.0.2", "10.9.0.2"]);
    // What was listed can be added again as it is.
    const listed = await find("10.22.0.0/16");
    assert.ok(listed);
    await network.route.delete(listed);
    await network.route.add(listed);
    await network.nextHop.replace({ id: 2, gateway: "10.9.0.3", device: "r1" });
    assert.deepEqual(await ways(), ["10.8.0.2", "10.9.0.3"]);
    await network.nextHop.delete(1);
    assert.equal((await find("10.22.0.0/16"))?.gateway, "10.9.0.3");
    const add = (hop: NextHopSpec) => network.nextHop.add(hop);
    await assert.rejects(add({ id: 2, blackhole: true }), { code: "EEXIST" });
    await assert.rejects(add({ id: 9, group: [{ id: 99 }] }), { reason: "Invalid nexthop id" });
    await assert.rejects(add({ group: [{ id: 2, weight: 300 }] }), { code: "ERR_INVALID_OPTION" });
    await assert.rejects(network.nextHop.replace({ blackhole: true }), { option: "id" });
    await assert.rejects(network.nextHop.delete(99), { code: "ENOENT" });
    for (const { id } of (await network.nextHop.list()).toReversed())
      await network.nextHop.delete(id);
    assert.equal(await find("10.22.0.0/16"), undefined);
  });

  test("IPv6, and IPv4 by a gateway of IPv6", async () => {
    await network.route.add({ destination: "fd21::/32", gateway: "fd08::2" });
    assert.equal((await find("fd21::/32"))?.gateway, "fd08::2");
    await network.route.add({ destination: "default", gateway: "fe80::5%r0" });
    const viaLink = (await network.route.list({ family: "ipv6" })).find(
      (r) => r.destination === "default",
    );
    assert.equal(viaLink?.gateway, "fe80::5");
    assert.equal(viaLink?.device, "r0");
    await network.route.add({ destination: "10.22.0.0/16", gateway: "fd08::9", device: "r0" });
    assert.equal((await find("10.22.0.0/16"))?.gateway, "fd08::9");
    await network.route.add({ destination: "fd23::/32", type: "unreachable" });
    await assert.rejects(network.route.get("fd23::1"), { code: "EHOSTUNREACH" });
  });

  test("mistakes are named", async () => {
    const destination = "10.30.0.0/16";
    await assert.rejects(network.route.add({ destination, gateway: "99.0.0.1" }), {
      code: "ENETUNREACH",
      reason: "Nexthop has invalid gateway",
    });
    await assert.rejects(
      network.route.add({ destination, device: "r0", metrics: { congestionControl: "nonsense" } }),
      { reason: "Unknown tcp congestion algorithm" },
    );
    await assert.rejects(network.route.add({ destination: "10.0.0.0/40", device: "r0" }), {
      option: "destination",
    });
    await assert.rejects(network.route.add({ destination, device: "r0", type: "odd" }), {
      option: "type",
    });
    await assert.rejects(network.route.add({ destination, device: "nobody" }), UnknownDeviceError);
    await assert.rejects(network.route.delete({ destination }), { code: "ESRCH" });
    await assert.rejects(network.route.get("203.0.113.1"), { code: "ENETUNREACH" });
    await network.route.add({ destination, device: "r0" });
    await assert.rejects(network.route.add({ destination, device: "r0" }), { code: "EEXIST" });
  });

  test("a thousand of them are listed, in several datagrams", async () => {
    const table = 3000;
    for (let i = 0; i < 1000; i++)
      await network.route.add({
        destination: `10.${40 + (i >> 8)}.${i & 255}.0/24`,
        device: "r0",
        table,
      });
    const routes = await network.route.list({ table });
    assert.equal(new Set(routes.map(({ destination }) => destination)).size, 1000);
  });
});

test("rules are added, listed and removed", async () => {
  const rule = {
    priority: 50,
    from: "10.0.0.0/8",
    inputDevice: "lo",
    mark: 5,
    markMask: 0xff,
    table: 1234,
    ipProtocol: 6,
    destinationPorts: { start: 80, end: 90 },
    not: true,
    protocol: "static",
  };
  await network.rule.add(rule);
  const found = (await network.rule.list()).find(({ priority }) => priority === 50);
  assert.deepEqual(found, { ...rule, family: "ipv4", action: "table" });
  await assert.rejects(network.rule.add(rule), { code: "EEXIST" });
  await network.rule.delete(found);
  assert.ok((await network.rule.list()).every(({ priority }) => priority !== 50));
  await network.rule.add({ family: "ipv6", priority: 60, to: "fd00::/8", action: "prohibit" });
  const six = (await network.rule.list("ipv6")).find(({ priority }) => priority === 60);
  assert.equal(six?.action, "prohibit");
  await network.rule.delete({ family: "ipv6", priority: 60 });
  await assert.rejects(network.rule.delete({ priority: 61 }), { code: "ENOENT" });
  await assert.rejects(network.rule.add({ from: "10.0.0.0/8", to: "fd00::/8" }), {
    option: "family",
  });
});

test("neighbours and forwarding entries are added, listed and removed", async () => {
  await network.link.add({ name: "n0", kind: "dummy", arp: true });
  await network.up("n0", "10.10.0.1/24");
  const neighbour = { device: "n0", address: "10.10.0.9", hardwareAddress: "02:00:00:00:00:09" };
  await network.neighbour.add(neighbour);
  const found = (await network.neighbour.list("n0")).find(({ address }) => address === "10.10.0.9");
  assert.deepEqual(found, { ...neighbour, state: "permanent", flags: [] });
  await assert.rejects(network.neighbour.add(neighbour), { code: "EEXIST" });
  await network.neighbour.delete(neighbour);
  await assert.rejects(network.neighbour.add({ ...neighbour, state: "asleep" }), {
    option: "state",
  });
  await network.link.add({ name: "nbr", kind: "bridge" });
  await network.link.set("n0", { master: "nbr" });
  const entry = { device: "n0", hardwareAddress: "02:00:00:00:00:77" };
  await network.neighbour.addForwarding(entry);
  const first = (await network.neighbour.forwarding("n0")).find(
    ({ hardwareAddress }) => hardwareAddress === entry.hardwareAddress,
  );
  assert.equal(first?.state, "permanent");
  await network.neighbour.deleteForwarding(entry);
  for (const name of ["n0", "nbr"]) await network.link.delete(name);
});

test("a bridge that filters VLANs lets those pass that its ports are in", async () => {
  const [left, middle, right] = [await host(kernel), await host(kernel), await host(kernel)];
  const { link, bridgeVlan } = middle.net;
  await link.add({ name: "br0", kind: "bridge", bridge: { vlanFiltering: true } });
  await link.set("br0", { up: true });
  for (const [index, end] of [left, right].entries()) {
    const peer = { name: "eth0", namespacePid: end.process.pid };
    await link.add({ name: `p${index}`, kind: "veth", veth: { peer } });
    await link.set(`p${index}`, { master: "br0", up: true });
    await end.net.up("eth0");
    await end.net.link.add({ name: "v5", kind: "vlan", link: "eth0", vlan: { id: 5 } });
    await end.net.up("v5", `10.12.0.${index + 1}/24`);
  }
  assert.equal(await ping(left.process, "10.12.0.2", 50), false);
  for (const port of ["p0", "p1"]) await bridgeVlan.add(port, { id: 5 });
  assert.equal(await reaches(left.process, "10.12.0.2"), true);
  await bridgeVlan.add("p0", { id: 10, to: 20 });
  await bridgeVlan.add("p0", { id: 30, pvid: true, untagged: true });
  await bridgeVlan.add("br0", { id: 40 });
  assert.deepEqual(await bridgeVlan.list("p0"), [
    { device: "p0", id: 1, untagged: true },
    { device: "p0", id: 5 },
    { device: "p0", id: 10, to: 20 },
    { device: "p0", id: 30, pvid: true, untagged: true },
  ]);
  assert.ok((await bridgeVlan.list("br0")).some(({ id }) => id === 40));
  await bridgeVlan.delete("p0", { id: 10, to: 20 });
  await bridgeVlan.delete("br0", { id: 40 });
  assert.ok((await bridgeVlan.list()).every(({ id }) => id !== 10 && id !== 40));
  await assert.rejects(bridgeVlan.add("p0", { id: 5000 }), { option: "id" });
  await assert.rejects(bridgeVlan.add("p0", { id: 9, to: 8 }), { option: "to" });
  await assert.rejects(bridgeVlan.add("lo", { id: 5 }), { name: "NetlinkError" });
  await end(left, right, middle);
});

suite("between namespaces", () => {
  test("a veth carries pings and TCP", async () => {
    const [left, right] = await pair(kernel);
    assert.equal(await ping(left.process, "10.0.0.2"), true);
    assert.equal(await ping(left.process, "10.0.0.3", 50), false);
    const listener = await listen(right.process, "10.0.0.2", 80);
    const client = await connect(left.process, "10.0.0.2", 80);
    const accepted = await right.process.accept4(listener, null, null, 0);
    assert.equal(
      await carry([left.process, client], [right.process, accepted], "over the wire"),
      "over the wire",
    );
    const { hardwareAddress } = (await left.net.neighbour.list("eth0")).find(
      ({ address }) => address === "10.0.0.2",
    )!;
    assert.equal(hardwareAddress, (await right.net.link.get("eth0")).address);
    await end(left, right);
  });

  test("a router forwards, a bridge switches, a VXLAN tunnels", async () => {
    const [left, router, right] = [await host(kernel), await host(kernel), await host(kernel)];
    await router.net.link.add({ name: "br0", kind: "bridge" });
    await router.net.up("br0", "10.1.0.254/24");
    for (const [index, end] of [left, right].entries()) {
      await router.net.link.add({
        name: `p${index}`,
        kind: "veth",
        veth: { peer: { name: "eth0", namespacePid: end.process.pid } },
      });
      await router.net.link.set(`p${index}`, { master: "br0", up: true });
      await end.net.up("eth0", `10.1.0.${index + 1}/24`);
    }
    assert.equal(await reaches(left.process, "10.1.0.2"), true);
    for (const [index, end] of [left, right].entries()) {
      await end.net.link.add({
        name: "vx",
        kind: "vxlan",
        vxlan: { id: 42, local: `10.1.0.${index + 1}`, remote: `10.1.0.${2 - index}`, port: 4789 },
      });
      await end.net.up("vx", `10.2.0.${index + 1}/24`);
    }
    assert.equal(await reaches(left.process, "10.2.0.2"), true);
    await left.net.route.add({ destination: "10.3.0.0/24", gateway: "10.1.0.254" });
    await router.net.link.add({ name: "d0", kind: "dummy" });
    await router.net.up("d0", "10.3.0.1/24");
    assert.equal(await reaches(left.process, "10.3.0.1"), true);
    await end(left, right, router);
  });

  test("a link moves, and comes back with its namespace's end", async () => {
    const other = await host(kernel);
    await network.link.add({ name: "mover", kind: "veth", veth: { peer: { name: "stayer" } } });
    await network.link.set("mover", { namespace: other.process });
    await assert.rejects(network.link.get("mover"), UnknownDeviceError);
    assert.equal((await other.net.link.get("mover")).kind, "veth");
    await end(other);
  });
});

suite("monitor", () => {
  async function take(events: AsyncIterator<MonitorEvent | { type: "overrun" }>, count: number) {
    const taken: (MonitorEvent | { type: "overrun" })[] = [];
    while (taken.length < count) {
      const { value, done } = await events.next();
      if (done) break;
      taken.push(value);
    }
    return taken;
  }

  test("tells of links, addresses and routes as they change", async () => {
    const other = await host(kernel);
    await using events = await other.net.monitor(["link", "address", "route"]);
    await other.net.link.add({ name: "w0", kind: "dummy" });
    await other.net.up("w0", "10.11.0.1/24");
    await other.net.link.delete("w0");
    const seen: string[] = [];
    for await (const event of events) {
      if (event.type === "link") seen.push(`${event.action} ${event.link.name} ${event.link.up}`);
      if (event.type === "address") seen.push(`${event.action} ${event.address.address}`);
      if (event.type === "route") seen.push(`${event.action} ${event.route.destination}`);
      if (seen.at(-1)?.startsWith("delete w0")) break;
    }
    assert.equal(seen[0], "set w0 false");
    for (const one of [
      "set 10.11.0.1/24",
      "set w0 true",
      "set 10.11.0.0/24",
      "delete 10.11.0.1/24",
    ])
      assert.ok(seen.includes(one), `${one} in ${seen.join(", ")}`);
    await end(other);
  });

  test("says so when there was more than it can hold", async () => {
    const other = await host(kernel);
    const events = await other.net.monitor(["link"], { bufferBytes: 4096 });
    for (let i = 0; i < 40; i++) await other.net.link.set("lo", { up: i % 2 === 0 });
    const taken = await take(events, 1);
    const kinds = new Set(taken.map(({ type }) => type));
    while (!kinds.has("overrun")) kinds.add((await take(events, 1))[0].type);
    // It goes on after that.
    await events.return();
    assert.deepEqual(await events.next(), { done: true, value: undefined });
    await end(other);
  });

  test("a signal ends it, also while it waits; leaving ends it, too", async () => {
    const other = await host(kernel);
    const stop = new AbortController();
    const events = await other.net.monitor(["link"], { signal: stop.signal });
    const waiting = events.next();
    const why = new Error("enough");
    stop.abort(why);
    await assert.rejects(waiting, why);
    assert.deepEqual(await events.next(), { done: true, value: undefined });
    const second = await other.net.monitor(["link"]);
    const pending = second.next();
    await second[Symbol.asyncDispose]();
    assert.deepEqual(await pending, { done: true, value: undefined });
    await assert.rejects(other.net.monitor(["weather" as never]), { option: "topics" });
    assert.deepEqual(other.process.callsInFlight, 0);
    await end(other);
  });
});

test("a request can be aborted, and the next one goes on", async () => {
  const stop = AbortSignal.abort(new Error("no"));
  await assert.rejects(network.link.list({ signal: stop }), { message: "no" });
  assert.ok((await network.link.list()).length > 0);
});

test("a list is whole, whatever changes while it is made", async () => {
  const one = await host(kernel);
  await using other = net(one.process);
  await one.net.link.add({ name: "l0", kind: "dummy", up: true });
  const stable = Array.from({ length: 600 }, (_, i) => `10.${100 + (i >> 8)}.${i & 255}.1/24`);
  for (const address of stable) await one.net.address.add("l0", address);
  let changing = true;
  const changes = (async () => {
    for (let i = 0; changing; i++) {
      await other.address.add("l0", `10.200.${i & 255}.1/24`);
      await other.address.delete("l0", `10.200.${i & 255}.1/24`);
    }
  })();
  let whole = 0;
  for (let times = 0; times < 20; times++)
    try {
      const listed = await one.net.address.list("l0");
      const kept = listed
        .map(({ address }) => address)
        .filter((text) => !text.startsWith("10.200."));
      assert.deepEqual(
        kept.filter((text) => !text.includes(":")),
        stable,
      );
      whole++;
    } catch (error) {
      if (!(error instanceof DumpInterruptedError)) throw error;
    }
  changing = false;
  await changes;
  assert.equal(
    (await one.net.address.list("l0")).filter(({ address }) => stable.includes(address)).length,
    600,
  );
  assert.ok(whole > 0);
  await end(one);
});

test("many requests at once are answered each", async () => {
  const results = await Promise.all([
    ...Array.from({ length: 20 }, () => network.link.list()),
    ...Array.from({ length: 20 }, () => network.address.list().then((all) => all as unknown[])),
    ...Array.from({ length: 5 }, () =>
      network.link.get("nobody").catch((error: unknown) => [error]),
    ),
  ]);
  for (const result of results.slice(0, 20)) assert.deepEqual(result, results[0]);
  for (const result of results.slice(40))
    assert.ok(Array.isArray(result) && result[0] instanceof UnknownDeviceError);
});

test("a disposed network takes no requests", async () => {
  const gone = net(one.process);
  await gone.link.list();
  await gone[Symbol.asyncDispose]();
  await assert.rejects(gone.link.list(), { code: "ERR_DISPOSED" });
});

test("IPv6 has several ways, too", async () => {
  await network.link.add({ name: "s0", kind: "dummy" });
  await network.link.add({ name: "s1", kind: "dummy" });
  await network.up("s0", "fd30::1/64");
  await network.up("s1", "fd31::1/64");
  const nextHops = [
    { gateway: "fd30::2", device: "s0", weight: 2, flags: [] },
    { gateway: "fd31::2", device: "s1", weight: 1, flags: [] },
  ];
  await network.route.add({ destination: "fd32::/32", nextHops, metrics: { mtu: 1300 } });
  await network.route.append({ destination: "fd33::/32", gateway: "fd30::2" });
  await network.route.append({ destination: "fd33::/32", gateway: "fd31::2" });
  const routes = await network.route.list({ family: "ipv6" });
  const find = (wanted: string) => routes.find(({ destination }) => destination === wanted);
  assert.deepEqual(find("fd32::/32")?.nextHops, nextHops);
  assert.equal(find("fd32::/32")?.metrics?.mtu, 1300);
  assert.deepEqual(
    find("fd33::/32")?.nextHops?.map(({ gateway }) => gateway),
    ["fd30::2", "fd31::2"],
  );
  await assert.rejects(
    network.route.add({ destination: "fd34::/32", nextHops: [{ gateway: "nope" }] }),
    {
      option: "gateway",
    },
  );
  for (const name of ["s0", "s1"]) await network.link.delete(name);
});

suite("random operations", () => {
  const NAMES = ["a", "b", "c", "d"] as const;
  const ADDRESSES = ["10.90.0.1/24", "10.90.0.2/24", "10.91.0.1/16", "fd90::1/64"] as const;

  /** What there should be: links by their names, with what was set. */
  interface ModelLink {
    mtu: number;
    up: boolean;
    addresses: Set<string>;
  }

  const name = fc.constantFrom(...NAMES);
  const operation = fc.oneof(
    fc.record({ do: fc.constant("add" as const), name, mtu: fc.integer({ min: 1280, max: 9000 }) }),
    fc.record({ do: fc.constant("delete" as const), name }),
    fc.record({ do: fc.constant("rename" as const), name, to: name }),
    fc.record({ do: fc.constant("mtu" as const), name, mtu: fc.integer({ min: 1280, max: 9000 }) }),
    fc.record({ do: fc.constant("up" as const), name, up: fc.boolean() }),
    fc.record({
      do: fc.constant("address" as const),
      name,
      address: fc.constantFrom(...ADDRESSES),
    }),
    fc.record({ do: fc.constant("remove" as const), name, address: fc.constantFrom(...ADDRESSES) }),
  );
  type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

  /** Does to a model what an operation does, or says which error it is. */
  function model(links: Map<string, ModelLink>, op: Operation): string {
    const link = links.get(op.name);
    if (op.do === "add") {
      if (link) return "EEXIST";
      links.set(op.name, { mtu: op.mtu, up: false, addresses: new Set() });
      return "ok";
    }
    if (!link) return "ENODEV";
    switch (op.do) {
      case "delete":
        links.delete(op.name);
        return "ok";
      case "rename":
        if (op.to === op.name) return "ok";
        if (links.has(op.to)) return "EEXIST";
        links.delete(op.name);
        links.set(op.to, link);
        return "ok";
      case "mtu":
        link.mtu = op.mtu;
        return "ok";
      case "up":
        // IPv6 addresses go with the link; those of IPv4 stay.
        if (link.up && !op.up) link.addresses.delete("fd90::1/64");
        link.up = op.up;
        return "ok";
      case "address":
        if (link.addresses.has(op.address)) return "EEXIST";
        link.addresses.add(op.address);
        return "ok";
      case "remove":
      default:
        return link.addresses.delete(op.address) ? "ok" : "EADDRNOTAVAIL";
    }
  }

  async function perform({ net: { link, address } }: Host, op: Operation): Promise<string> {
    const done =
      op.do === "add"
        ? link.add({ name: op.name, kind: "dummy", mtu: op.mtu })
        : op.do === "delete"
          ? link.delete(op.name)
          : op.do === "rename"
            ? link.set(op.name, { name: op.to })
            : op.do === "mtu"
              ? link.set(op.name, { mtu: op.mtu })
              : op.do === "up"
                ? link.set(op.name, { up: op.up })
                : op.do === "address"
                  ? address.add(op.name, op.address, { flags: ["no-dad"] })
                  : address.delete(op.name, op.address);
    return done.then(
      () => "ok",
      (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error),
    );
  }

  test("leave what a model of them leaves, and are all watched", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { minLength: 20, maxLength: 60 }),
        async (operations) => {
          const one = await host(kernel);
          await one.net.sysctl.set("net.ipv4.conf.all.promote_secondaries", 1);
          const events = await one.net.monitor(["link"]);
          const links = new Map<string, ModelLink>();
          for (const op of operations)
            assert.equal(await perform(one, op), model(links, op), JSON.stringify(op));
          const found = (await one.net.link.list()).filter(({ kind }) => kind === "dummy");
          const addresses = await one.net.address.list();
          const told = found.map((link) => [
            link.name,
            link.mtu,
            link.up,
            addresses
              .filter(({ device, scope }) => device === link.name && scope === "global")
              .map(({ address }) => address)
              .toSorted(byText),
          ]);
          const wanted = [...links].map(([of, { mtu, up, addresses: all }]) => [
            of,
            mtu,
            up,
            [...all].toSorted(byText),
          ]);
          assert.deepEqual(told.toSorted(byText), wanted.toSorted(byText));
          // Whoever follows the events knows the same links in the end.
          await one.net.link.add({ name: "last", kind: "dummy" });
          const seen = new Map<number, string>();
          for await (const event of events) {
            if (event.type !== "link") continue;
            if (event.action === "delete") seen.delete(event.link.index);
            else if (event.link.kind === "dummy") seen.set(event.link.index, event.link.name);
            if (event.link.name === "last") break;
          }
          const names = [...seen.values()].filter((of) => of !== "last");
          assert.deepEqual(names.toSorted(byText), found.map((link) => link.name).toSorted(byText));
          await end(one);
        },
      ),
      { numRuns: 15 },
    );
  });
});

suite("the end", () => {
  /** Descriptors that a process has. */
  const descriptors = async ({ process }: Host): Promise<number> =>
    (await list(kernel.init, `/proc/${process.pid}/fd`)).length;

  test("nothing is left open: of networks, monitors, requests that fail or are aborted", async () => {
    const one = await host(kernel);
    const { process } = one;
    const before = await descriptors(one);
    for (let round = 0; round < 30; round++) {
      const network = net(process);
      await network.link.list();
      await network.nft.tables();
      await network.socket.list();
      await assert.rejects(network.wireguard.get("lo"));
      await assert.rejects(network.ethtool.features("nobody"));
      const events = await network.monitor(["link", "route"]);
      const stop = new AbortController();
      const waiting = await network.connection.monitor({ signal: stop.signal });
      const next = waiting.next();
      stop.abort(new Error("enough"));
      await assert.rejects(next, { message: "enough" });
      await events.return();
      const aborting = new AbortController();
      const listing = network.route.list({ table: "all" }, { signal: aborting.signal });
      aborting.abort(new Error("enough"));
      await listing.catch((error: unknown) => assert.equal((error as Error).message, "enough"));
      await network[Symbol.asyncDispose]();
    }
    assert.equal(await descriptors(one), before);
    assert.equal(process.callsInFlight, 0);
    await end(one);
  });

  test("of the process ends what waits in it", async () => {
    const { process, net: network } = await host(kernel);
    const events = await network.monitor(["link"]);
    const waiting = events.next();
    const leaving = assert.rejects(waiting);
    await process.exit();
    await leaving;
    assert.deepEqual(await events.next(), { done: true, value: undefined });
    await assert.rejects(network.link.list());
    await network[Symbol.asyncDispose]();
  });

  test("of the kernel ends what waits in it", async () => {
    const other = await Kernel.boot({ image: "full", memoryMiB: 64 });
    const network = net(other);
    const events = await network.monitor(["link"]);
    const leaving = assert.rejects(events.next(), { code: "ERR_KERNEL_STOPPED" });
    other.dispose();
    await leaving;
    await assert.rejects(network.link.list(), { code: "ERR_KERNEL_STOPPED" });
    await network[Symbol.asyncDispose]();
    await events[Symbol.asyncDispose]();
  });
});
