// Traffic control: what is told, the kernel has, and does.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { SOL_SOCKET, SO_MARK, SO_PRIORITY } from "../src/abi/constants/socket.ts";
import { CLOCK_MONOTONIC } from "../src/abi/constants/time.ts";
import { Kernel } from "../src/index.ts";
import { UnknownDeviceError } from "../src/net/index.ts";
import type { Filter, QdiscSpec } from "../src/net/index.ts";
import { clockNs } from "./kernel.ts";
import { end, host, pair, ping, sendDatagrams } from "./net-support.ts";
import type { Host } from "./net-support.ts";

let kernel: Kernel;
let one: Host;

before(async () => {
  kernel = await Kernel.boot({ image: "full", memoryMiB: 128 });
  one = await host(kernel);
  await one.net.link.add({ name: "d0", kind: "dummy", up: true });
});
after(async () => {
  await end(one);
  await kernel.halt();
});

const root = async (device = "d0") =>
  (await one.net.qdisc.list(device)).find(({ parent }) => parent === "root");

/** Whether what was read is what was asked for, as near as the kernel's numbers come. */
function matches(got: unknown, wanted: unknown, where: string): void {
  if (typeof wanted === "number" && typeof got === "number") {
    const error = Math.abs(got - wanted) / Math.max(Math.abs(wanted), 1e-9);
    assert.ok(error < 0.01, `${where}: ${got}, not ${wanted}`);
  } else if (typeof wanted === "object" && wanted !== null && !Array.isArray(wanted)) {
    const all = got as Record<string, unknown>;
    for (const [key, value] of Object.entries(wanted))
      matches(all?.[key], value, `${where}.${key}`);
  } else assert.deepEqual(got, wanted, where);
}

suite("disciplines", () => {
  const specs: readonly QdiscSpec[] = [
    { kind: "pfifo", pfifo: { limit: 77 } },
    { kind: "bfifo", bfifo: { limit: 7777 } },
    { kind: "pfifo_head_drop", pfifoHeadDrop: { limit: 5 } },
    { kind: "pfifo_fast" },
    { kind: "fq", fq: { limitPackets: 500, quantumBytes: 3000, pacing: true, horizonMs: 5000 } },
    {
      kind: "fq_codel",
      fqCodel: { targetMs: 3, intervalMs: 60, ecn: true, flows: 64, memoryLimitBytes: 1048576 },
    },
    { kind: "codel", codel: { targetMs: 4, intervalMs: 50, ecn: false, limitPackets: 99 } },
    { kind: "pie", pie: { targetMs: 20, limitPackets: 500, ecn: true } },
    {
      kind: "cake",
      cake: {
        rateBytesPerSecond: 1250000,
        diffserv: "diffserv4",
        flowMode: "dual-srchost",
        nat: true,
        rttMs: 50,
      },
    },
    { kind: "sfq", sfq: { perturbSeconds: 10, limitPackets: 100 } },
    {
      kind: "prio",
      prio: { bands: 4, priorityMap: [3, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1] },
    },
    { kind: "tbf", tbf: { rateBytesPerSecond: 125000, burstBytes: 5000, limitBytes: 20000 } },
    {
      kind: "tbf",
      tbf: {
        rateBytesPerSecond: 125000,
        burstBytes: 50000,
        limitBytes: 20000,
        peakRateBytesPerSecond: 250000,
        mtuBytes: 3000,
      },
    },
    { kind: "tbf", tbf: { rateBytesPerSecond: 1e10, burstBytes: 10000000, limitBytes: 20000000 } },
    { kind: "htb", handle: "1:", htb: { defaultClass: 0x20, rateToQuantum: 5 } },
    {
      kind: "netem",
      netem: {
        delayMs: 12.5,
        jitterMs: 2,
        delayCorrelation: 0.25,
        loss: 0.1,
        lossCorrelation: 0.2,
        duplicate: 0.05,
        reorder: 0.3,
        reorderCorrelation: 0.5,
        gapPackets: 5,
        corrupt: 0.01,
        rateBytesPerSecond: 125000,
        overheadBytes: 14,
        limitPackets: 5000,
        ecn: true,
        seed: 42,
      },
    },
    { kind: "netem", netem: { rateBytesPerSecond: 1e10 } },
    {
      kind: "netem",
      netem: {
        lossBursts: {
          gilbertElliott: { toBad: 0.1, toGood: 0.5, lossInBad: 0.9, lossInGood: 0.01 },
        },
      },
    },
    { kind: "red", red: { limitBytes: 400_000 } },
    {
      kind: "red",
      red: {
        limitBytes: 400_000,
        minBytes: 30_000,
        maxBytes: 90_000,
        probability: 0.1,
        ecn: true,
        noDrop: true,
        adaptive: true,
      },
    },
    { kind: "hfsc", hfsc: { defaultClass: 0x10 } },
    {
      kind: "ets",
      ets: {
        bands: 4,
        strict: 2,
        quantaBytes: [3000, 2000],
        priorityMap: [3, 3, 2, 2, 1, 1, 0, 0, 3, 3, 3, 3, 3, 3, 3, 3],
      },
    },
    { kind: "ingress" },
    { kind: "clsact" },
  ];

  for (const spec of specs)
    test(`${spec.kind} ${JSON.stringify(Object.values(spec)[1] ?? {})}`, async () => {
      const { handle: _handle, kind, ...options } = spec;
      await one.net.qdisc.add("d0", spec);
      const parent = kind === "ingress" || kind === "clsact" ? "ingress" : "root";
      const found = (await one.net.qdisc.list("d0")).find((qdisc) => qdisc.parent === parent);
      assert.equal(found?.kind, kind);
      assert.equal(found?.device, "d0");
      matches(found, options, kind);
      await assert.rejects(one.net.qdisc.add("d0", spec), { name: "NetlinkError", code: "EEXIST" });
      await one.net.qdisc.delete("d0", { parent });
      const after = (await one.net.qdisc.list("d0")).find((qdisc) => qdisc.parent === parent);
      assert.notEqual(after?.kind === kind && after.handle !== "0:", true);
    });

  test("is changed and replaced", async () => {
    await one.net.qdisc.replace("d0", { kind: "fq", fq: { limitPackets: 10 } });
    await one.net.qdisc.change("d0", { kind: "fq", fq: { limitPackets: 20 } });
    assert.equal((await root())?.fq?.limitPackets, 20);
    await one.net.qdisc.replace("d0", { kind: "codel" });
    assert.equal((await root())?.kind, "codel");
    await one.net.qdisc.delete("d0");
  });

  test("mistakes are named", async () => {
    const add = (spec: QdiscSpec) => one.net.qdisc.add("d0", spec);
    await assert.rejects(add({ kind: "nonsense" }), {
      name: "NetlinkError",
      code: "ENOENT",
      reason: "Specified qdisc kind is unknown",
    });
    await assert.rejects(add({ kind: "fq", fq: { nonsense: 1 } as object }), {
      code: "ERR_INVALID_OPTION",
      option: "fq.nonsense",
    });
    await assert.rejects(add({ kind: "netem", netem: { los: 1 } as object }), {
      option: "netem.los",
    });
    await assert.rejects(add({ kind: "netem", netem: { loss: 10 } }), { option: "netem.loss" });
    await assert.rejects(
      add({ kind: "pfifo", pfifo: { limit: 5, more: 1 } as { limit: number } }),
      {
        option: "pfifo.more",
      },
    );
    await assert.rejects(add({ kind: "fq", codel: {} }), { option: "codel" });
    await assert.rejects(
      add({ kind: "tbf", tbf: { rateBytesPerSecond: 0, burstBytes: 1, limitBytes: 1 } }),
      {
        option: "tbf.rateBytesPerSecond",
      },
    );
    await assert.rejects(add({ kind: "red", red: { limitBytes: 400_000, burstPackets: 1 } }), {
      option: "red.burstPackets",
    });
    await assert.rejects(add({ kind: "red", red: { limitBytes: 9, minBytes: 5, maxBytes: 4 } }), {
      option: "red.minBytes",
    });
    await assert.rejects(add({ kind: "ets", ets: { bands: 17 } }), {
      name: "NetlinkError",
      code: "EINVAL",
    });
    await assert.rejects(add({ kind: "fq", parent: "nowhere" }), { option: "parent" });
    await assert.rejects(add({ kind: "fq", fq: { initialQuantumBytes: 2 ** 31 } }), {
      code: "ERANGE",
      request: "add fq at 'd0'",
    });
    await assert.rejects(one.net.qdisc.add("nobody", { kind: "fq" }), UnknownDeviceError);
    await assert.rejects(one.net.qdisc.delete("d0", { parent: "ingress" }), {
      name: "NetlinkError",
    });
  });
});

suite("classes", () => {
  test("of htb are read back, and packets go where their priority says", async () => {
    const { qdisc, trafficClass } = one.net;
    await one.net.link.add({ name: "d1", kind: "dummy", arp: false });
    await one.net.up("d1", "10.4.0.1/24");
    await qdisc.add("d1", { kind: "htb", handle: "1:", htb: { defaultClass: 0x20 } });
    const htb = {
      rateBytesPerSecond: 1250000,
      ceilBytesPerSecond: 2500000,
      burstBytes: 20000,
      priority: 3,
    };
    await trafficClass.add("d1", {
      kind: "htb",
      parent: "1:",
      handle: "1:1",
      htb: { rateBytesPerSecond: 5e9 },
    });
    await trafficClass.add("d1", { kind: "htb", parent: "1:1", handle: "1:10", htb });
    await trafficClass.add("d1", {
      kind: "htb",
      parent: "1:1",
      handle: "1:20",
      htb: { rateBytesPerSecond: 125000 },
    });
    await qdisc.add("d1", { kind: "fq_codel", parent: "1:10", handle: "10:" });
    const find = async (handle: string) =>
      (await trafficClass.list("d1")).find((one) => one.handle === handle);
    const found = await find("1:10");
    matches(found?.htb, htb, "htb");
    assert.equal(found?.parent, "1:1");
    assert.equal(found?.leaf, "10:");
    matches((await find("1:1"))?.htb?.rateBytesPerSecond, 5e9, "rate");
    await sendDatagrams(one.process, "10.4.0.9", 5, async (fd) => {
      const priority = new Uint8Array(Uint32Array.of(0x10010).buffer);
      await one.process.setsockopt(fd, SOL_SOCKET, SO_PRIORITY, priority, priority.length);
    });
    await sendDatagrams(one.process, "10.4.0.9", 3);
    assert.equal((await find("1:10"))?.statistics?.packets, 5);
    // Those of the kernel's own go there, too.
    assert.ok((await find("1:20"))!.statistics!.packets >= 3);
    await assert.rejects(trafficClass.delete("d1", "1:1"), { code: "EBUSY" });
    await trafficClass.replace("d1", { kind: "htb", parent: "1:1", handle: "1:20", htb });
    matches((await find("1:20"))?.htb, htb, "htb");
    await trafficClass.delete("d1", "1:20");
    assert.equal(await find("1:20"), undefined);
    await assert.rejects(
      trafficClass.add("d1", { kind: "htb", parent: "1:1", handle: "20", htb }),
      { option: "handle" },
    );
    await assert.rejects(
      trafficClass.add("d1", {
        kind: "htb",
        parent: "1:1",
        handle: "1:30",
        htb: { ...htb, prio: 1 } as typeof htb,
      }),
      { option: "htb.prio" },
    );
    await one.net.link.delete("d1");
  });
});

test("classes of hfsc and ets are read back", async () => {
  const curve = { firstBytesPerSecond: 250_000, firstMs: 10, bytesPerSecond: 125_000 };
  await one.net.qdisc.add("d0", { kind: "hfsc", handle: "1:", hfsc: { defaultClass: 0x10 } });
  await one.net.trafficClass.add("d0", {
    kind: "hfsc",
    handle: "1:10",
    parent: "1:",
    hfsc: { realTime: curve, linkShare: curve, upperLimit: curve },
  });
  const [, leaf] = await one.net.trafficClass.list("d0");
  assert.deepEqual(leaf?.hfsc, { realTime: curve, linkShare: curve, upperLimit: curve });
  await one.net.qdisc.delete("d0");
  await one.net.qdisc.add("d0", {
    kind: "ets",
    handle: "1:",
    ets: { bands: 2, quantaBytes: [900] },
  });
  const bands = await one.net.trafficClass.list("d0");
  assert.deepEqual(
    bands.map(({ ets }) => ets?.quantumBytes),
    [900, 1514],
  );
  await one.net.qdisc.delete("d0");
});

test("netem delays and loses what goes between two hosts", async () => {
  const [left, right] = await pair(kernel);
  assert.equal(await ping(left.process, "10.0.0.2"), true);
  await left.net.qdisc.add("eth0", { kind: "netem", netem: { delayMs: 30 } });
  await right.net.qdisc.add("eth0", { kind: "netem", netem: { delayMs: 20 } });
  const start = await clockNs(left.process, CLOCK_MONOTONIC);
  assert.equal(await ping(left.process, "10.0.0.2", 5000), true);
  const took = (await clockNs(left.process, CLOCK_MONOTONIC)) - start;
  assert.ok(took >= 50e6, `${took} ns`);
  await left.net.qdisc.change("eth0", { kind: "netem", netem: { loss: 1 } });
  assert.equal(await ping(left.process, "10.0.0.2", 100), false);
  const [counted] = await left.net.qdisc.list("eth0");
  assert.ok(counted.statistics!.dropped >= 1);
  await end(left, right);
});

suite("filters", () => {
  test("are read back as they were given", async () => {
    const { qdisc, filter } = one.net;
    await one.net.link.add({ name: "f0", kind: "dummy", up: true });
    await one.net.link.add({ name: "f1", kind: "ifb", up: true });
    await qdisc.add("f0", { kind: "clsact" });
    const specs: readonly Filter[] = [
      {
        kind: "flower",
        parent: "ingress",
        protocol: "ip",
        priority: 1,
        match: {
          source: "10.0.0.0/8",
          destination: "10.1.2.3/32",
          transport: "tcp",
          destinationPort: 80,
        },
        actions: ["drop"],
      },
      {
        kind: "flower",
        parent: "ingress",
        protocol: "ipv6",
        priority: 2,
        match: { source: "fd00::/64", transport: "udp", sourcePort: 53 },
        actions: [{ mark: 7 }, { redirect: "f1" }],
      },
      {
        kind: "flower",
        parent: "egress",
        protocol: "all",
        priority: 3,
        match: { etherSource: "02:00:00:00:00:01", inputDevice: "f1" },
        actions: [{ mirror: "f1", ingress: true }, "pass"],
      },
      {
        kind: "flower",
        parent: "egress",
        protocol: "802.1q",
        priority: 4,
        match: { vlanId: 5 },
        actions: ["pass"],
      },
      {
        kind: "matchall",
        parent: "egress",
        protocol: "all",
        priority: 5,
        actions: [{ priority: "1:10" }],
      },
    ];
    for (const spec of specs) await filter.add("f0", spec);
    const found = [...(await filter.list("f0", "ingress")), ...(await filter.list("f0", "egress"))];
    assert.deepEqual(
      found.map(({ handle: _handle, ...rest }) => rest),
      specs,
    );
    await filter.delete("f0", found[0]);
    assert.equal((await filter.list("f0", "ingress")).length, 1);
    for (const name of ["f0", "f1"]) await one.net.link.delete(name);
  });

  test("let no more pass than a rate", async () => {
    const [left, right] = await pair(kernel);
    const input = { family: "ip", table: "t", chain: "input" } as const;
    await right.net.nft
      .batch()
      .addTable("ip", "t")
      .addChain({ family: "ip", table: "t", name: "input", hook: "input" })
      .addRule({ ...input, match: { protocol: "udp" }, counter: true })
      .commit();
    const passed = async () => (await right.net.nft.rules(input))[0]?.counter?.packets ?? 0;
    await right.net.qdisc.add("eth0", { kind: "clsact" });
    const bound = { rateBytesPerSecond: 1000, burstBytes: 500 };
    const filter: Filter = {
      kind: "matchall",
      parent: "ingress",
      priority: 3,
      actions: [{ police: bound }],
    };
    await right.net.filter.add("eth0", filter);
    const [told] = await right.net.filter.list("eth0", "ingress");
    const [action] = told?.actions ?? [];
    assert.ok(typeof action === "object" && "police" in action);
    matches(action.police, { ...bound, exceed: "drop" }, "police");
    // Datagrams of 142 bytes each: three of them at once, and seven a second.
    await sendDatagrams(left.process, "10.0.0.2", 30);
    const some = await passed();
    assert.ok(some >= 1 && some < 15, String(some));
    assert.ok(told);
    await right.net.filter.delete("eth0", told);
    await sendDatagrams(left.process, "10.0.0.2", 30);
    assert.equal(await passed(), some + 30);
    const add = (police: Partial<typeof bound>) =>
      right.net.filter.add("eth0", { ...filter, actions: [{ police: { ...bound, ...police } }] });
    await assert.rejects(add({ rateBytesPerSecond: 0 }), { code: "ERR_INVALID_OPTION" });
    await assert.rejects(add({ burstBytes: -1 }), { code: "ERR_INVALID_OPTION" });
    await end(left, right);
  });

  test("look at words of packets, wherever they are", async () => {
    const [left, right] = await pair(kernel);
    await right.net.qdisc.add("eth0", { kind: "clsact" });
    const keys = [
      // From 10.0.0.1, and ICMP.
      { value: 0x0a000001, mask: 0xffffffff, offsetBytes: 12 },
      { value: 0x00010000, mask: 0x00ff0000, offsetBytes: 8 },
    ];
    const filter: Filter = {
      kind: "u32",
      parent: "ingress",
      priority: 7,
      protocol: "ip",
      keys,
      actions: ["drop"],
    };
    await right.net.filter.add("eth0", filter);
    const [told, ...more] = await right.net.filter.list("eth0", "ingress");
    assert.deepEqual(more, []);
    assert.deepEqual(told, { ...filter, handle: told?.handle });
    assert.equal(await ping(left.process, "10.0.0.2", 100), false);
    await right.net.filter.delete("eth0", told);
    assert.equal(await ping(left.process, "10.0.0.2"), true);
    const add = (value: Partial<Filter>) => right.net.filter.add("eth0", { ...filter, ...value });
    await assert.rejects(add({ kind: "matchall" }), { option: "keys" });
    await assert.rejects(add({ keys: [] }), { option: "u32.keys" });
    await assert.rejects(add({ keys: [{ value: 2 ** 32, mask: 1, offsetBytes: 0 }] }), {
      option: "u32.keys.0.value",
    });
    await end(left, right);
  });

  test("choose classes, drop, mark and mirror", async () => {
    const { qdisc, trafficClass, filter, link } = one.net;
    await link.add({ name: "g0", kind: "dummy", arp: false });
    await one.net.up("g0", "10.14.0.1/24");
    await qdisc.add("g0", { kind: "htb", handle: "1:", htb: { defaultClass: 0x20 } });
    const htb = { rateBytesPerSecond: 1250000 };
    for (const handle of ["1:10", "1:20", "1:30"])
      await trafficClass.add("g0", { kind: "htb", parent: "1:", handle, htb });
    await filter.add("g0", {
      kind: "flower",
      parent: "1:",
      protocol: "ip",
      priority: 1,
      match: { destination: "10.14.0.8/31" },
      classId: "1:10",
    });
    await filter.add("g0", { kind: "fw", parent: "1:", priority: 2, mark: 6, classId: "1:30" });
    await sendDatagrams(one.process, "10.14.0.9", 4);
    await sendDatagrams(one.process, "10.14.0.77", 2, async (fd) => {
      const mark = new Uint8Array(Uint32Array.of(6).buffer);
      await one.process.setsockopt(fd, SOL_SOCKET, SO_MARK, mark, mark.length);
    });
    const packets = async (handle: string) =>
      (await trafficClass.list("g0")).find((found) => found.handle === handle)?.statistics?.packets;
    assert.equal(await packets("1:10"), 4);
    assert.equal(await packets("1:30"), 2);
    await link.add({ name: "g1", kind: "dummy", up: true });
    await qdisc.add("g0", { kind: "clsact" });
    await filter.add("g0", {
      kind: "matchall",
      parent: "egress",
      priority: 1,
      actions: [{ redirect: "g1" }],
    });
    const before = (await link.get("g1")).statistics!.txPackets;
    await sendDatagrams(one.process, "10.14.0.9", 3);
    assert.equal(await packets("1:10"), 4);
    assert.ok((await link.get("g1")).statistics!.txPackets >= before + 3);
    for (const name of ["g0", "g1"]) await link.delete(name);
  });

  test("mistakes are named", async () => {
    const { filter } = one.net;
    const add = (more: object) => filter.add("d0", { kind: "flower", ...more });
    await assert.rejects(add({ match: { transport: "tcp" } }), { option: "match.transport" });
    await assert.rejects(add({ protocol: "ip", match: { destinationPort: 80 } }), {
      option: "match.destinationPort",
    });
    await assert.rejects(add({ match: { nonsense: 1 } }), { option: "match.nonsense" });
    await assert.rejects(add({ nonsense: 1 }), { option: "nonsense" });
    await assert.rejects(add({ actions: ["explode"] }), { option: "actions.0" });
    await assert.rejects(add({ actions: [{ redirect: "nobody" }] }), UnknownDeviceError);
    await assert.rejects(add({ protocol: "ipx" }), { option: "protocol" });
    await assert.rejects(add({ parent: "sideways" }), { option: "parent" });
    await assert.rejects(filter.add("d0", { kind: "matchall", match: {} }), { option: "match" });
    await assert.rejects(filter.add("d0", { kind: "nonsense", parent: "1:" }), {
      name: "NetlinkError",
    });
  });
});
