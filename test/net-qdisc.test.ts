// Traffic control: what is told, the kernel has, and does.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { SOL_SOCKET, SO_PRIORITY } from "../src/abi/constants/socket.ts";
import { CLOCK_MONOTONIC } from "../src/abi/constants/time.ts";
import { Kernel } from "../src/index.ts";
import { UnknownDeviceError } from "../src/net/index.ts";
import type { QdiscSpec } from "../src/net/index.ts";
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
