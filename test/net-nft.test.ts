// nf_tables: what is said, the kernel has, and does to packets.

import assert from "node:assert/strict";
import { after, afterEach, before, suite, test } from "node:test";

import * as fc from "fast-check";

import { Kernel } from "../src/index.ts";
import { formatIp, parseIp } from "../src/net/address.ts";
import { DumpInterruptedError, expr, net } from "../src/net/index.ts";
import type { NftAction, NftMatch, NftRuleSpec } from "../src/net/index.ts";
import {
  carry,
  connect,
  end,
  host,
  inet,
  listen,
  pair,
  ping,
  reaches,
  sendDatagrams,
} from "./net-support.ts";
import type { Host } from "./net-support.ts";

const FILTER = { family: "inet", table: "filter" } as const;
const INPUT = { ...FILTER, chain: "input" } as const;

const byText = (a: unknown, b: unknown): number => String(a).localeCompare(String(b));

let kernel: Kernel;
let left: Host;
let right: Host;

before(async () => {
  kernel = await Kernel.boot({ image: "full", memoryMiB: 128 });
  [left, right] = await pair(kernel);
  await right.net.up("lo");
});
after(async () => {
  await end(left, right);
  await kernel.halt();
});
afterEach(async () => {
  await left.net.nft.flush();
  await right.net.nft.flush();
});

/** The right host's filter of what comes in, with these rules. */
async function filter(...rules: readonly Omit<NftRuleSpec, "family" | "table" | "chain">[]) {
  const batch = right.net.nft
    .batch()
    .addTable("inet", "filter")
    .addChain({ ...FILTER, name: "input", hook: "input", policy: "accept" });
  for (const rule of rules) batch.addRule({ ...INPUT, ...rule });
  await batch.commit();
}

const counts = async (): Promise<(number | undefined)[]> =>
  (await right.net.nft.rules(INPUT)).map(({ counter }) => counter?.packets);

/** Whether the kernel takes a TCP connection. */
async function connects(port: number, address = "10.0.0.2"): Promise<string> {
  try {
    await left.process.close(await connect(left.process, address, port));
    return "ok";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "?";
  }
}

suite("tables and chains", () => {
  test("are added, listed and removed", async () => {
    const { nft } = left.net;
    await nft
      .batch()
      .addTable("inet", "one")
      .addTable("ip6", "two", { dormant: true })
      .addChain({
        family: "inet",
        table: "one",
        name: "in",
        hook: "input",
        priority: "mangle",
        policy: "drop",
      })
      .addChain({
        family: "inet",
        table: "one",
        name: "nat",
        hook: "postrouting",
        type: "nat",
        priority: "srcnat",
      })
      .addChain({ family: "inet", table: "one", name: "plain" })
      .addTable("netdev", "early")
      .addChain({
        family: "netdev",
        table: "early",
        name: "first",
        hook: "ingress",
        device: "eth0",
      })
      .commit();
    const tables = await nft.tables();
    assert.deepEqual(
      tables.map(({ family, name, dormant, use }) => [family, name, dormant, use]).toSorted(byText),
      [
        ["inet", "one", false, 3],
        ["ip6", "two", true, 0],
        ["netdev", "early", false, 1],
      ],
    );
    const chains = await nft.chains({ family: "inet", table: "one" });
    assert.deepEqual(
      chains.map(({ handle: _handle, use: _use, family: _family, table: _table, ...rest }) => rest),
      [
        { name: "in", hook: "input", type: "filter", priority: -150, policy: "drop" },
        { name: "nat", hook: "postrouting", type: "nat", priority: 100, policy: "accept" },
        { name: "plain" },
      ],
    );
    const [first] = await nft.chains({ family: "netdev", table: "early" });
    assert.equal(first?.hook, "ingress");
    assert.equal(first?.device, "eth0");
    await nft
      .batch()
      .deleteChain({ family: "inet", table: "one" }, "plain")
      .deleteTable("ip6", "two")
      .commit();
    assert.equal((await nft.tables()).length, 2);
    await nft.flush();
    assert.deepEqual(await nft.tables(), []);
  });

  test("a batch is done as a whole or not at all", async () => {
    const { nft } = left.net;
    const batch = nft
      .batch()
      .addTable("inet", "good")
      .deleteChain({ family: "inet", table: "good" }, "none");
    await assert.rejects(batch.commit(), {
      name: "NetlinkError",
      code: "ENOENT",
      request: "delete the chain none of good",
    });
    assert.deepEqual(await nft.tables(), []);
    await nft.batch().commit();
    // The socket is good for more.
    await nft.batch().addTable("inet", "good").commit();
    assert.equal((await nft.tables()).length, 1);
  });

  test("a batch may be large, but not larger than the kernel takes", async () => {
    const { nft } = left.net;
    const large = nft
      .batch()
      .addTable("inet", "filter")
      .addChain({ ...FILTER, name: "input" });
    for (let port = 1; port <= 5000; port++)
      large.addRule({ ...INPUT, match: { protocol: "tcp", destinationPort: port }, counter: true });
    await large.commit();
    assert.equal((await nft.rules(INPUT)).length, 5000);
    const huge = nft.batch();
    const value = new Uint8Array(60000);
    for (let i = 0; i < 200; i++)
      huge.addRule({ ...INPUT, expressions: [expr("immediate", { target: 1, data: { value } })] });
    await assert.rejects(huge.commit(), { code: "ERR_INVALID_OPTION", option: "batch" });
    assert.equal((await nft.rules(INPUT)).length, 5000);
  });

  test("mistakes are named", async () => {
    const { nft } = left.net;
    const rule = (more: object) => () => nft.batch().addRule({ ...INPUT, ...more });
    const chain = (more: object) => () => nft.batch().addChain({ ...FILTER, name: "c", ...more });
    const wrong: readonly (readonly [string, () => unknown])[] = [
      ["match.sourcePort", rule({ match: { sourcePort: 80 } })],
      ["match.protocol", rule({ match: { protocol: "tpc" } })],
      ["match.source", rule({ match: { source: "10.0.0.300" } })],
      ["match.destination", rule({ match: { source: "10.0.0.1", destination: "fd00::1" } })],
      ["match.nonsense", rule({ match: { nonsense: 1 } })],
      ["match.state", rule({ match: { state: ["odd"] } })],
      ["match.destinationPort", rule({ match: { protocol: "tcp", destinationPort: 70000 } })],
      ["match.inputDevice", rule({ match: { inputDevice: "a-name-that-is-too-long" } })],
      ["action", rule({ action: "explode" })],
      ["action.reject", rule({ action: { reject: "loudly" } })],
      ["action.dnat", rule({ action: { dnat: "somewhere" } })],
      ["limit.rate", rule({ limit: { rate: -1 } })],
      ["hook", chain({ hook: "somewhere" })],
      ["priority", chain({ hook: "input", priority: "high" })],
      ["policy", chain({ hook: "input", policy: "maybe" })],
      ["family", () => nft.batch().addTable("ipx" as never, "t")],
      ["type", () => nft.batch().addSet({ ...FILTER, name: "s", type: "odd" as never })],
    ];
    for (const [option, make] of wrong) {
      const where = option === "limit.rate" ? /rate/ : undefined;
      assert.throws(
        make,
        (error: Error & { option?: string }) =>
          where ? where.test(error.option ?? "") : error.option === option,
        option,
      );
    }
    await assert.rejects(
      nft
        .batch()
        .addRule({ ...INPUT, action: "accept" })
        .commit(),
      { code: "ENOENT" },
    );
    await assert.rejects(
      nft
        .batch()
        .addTable("inet", "filter")
        .addRule({ ...INPUT, action: { jump: "nowhere" } })
        .commit(),
      { name: "NetlinkError", code: "ENOENT" },
    );
    await assert.rejects(
      nft
        .batch()
        .addTable("inet", "filter")
        .addChain({ ...FILTER, name: "c", hook: "input", type: "route" })
        .commit(),
      { code: "EOPNOTSUPP" },
    );
  });
});

suite("rules", () => {
  test("drop, accept and count what they match", async () => {
    const listener = await listen(right.process, "10.0.0.2", 80);
    const other = await listen(right.process, "10.0.0.2", 81);
    await filter(
      { match: { protocol: "icmp", icmpType: 8 }, counter: true, action: "drop" },
      { match: { state: ["established", "related"] }, counter: true, action: "accept" },
      {
        match: { protocol: "tcp", destinationPort: 81, source: "10.0.0.0/24", inputDevice: "eth0" },
        counter: true,
        action: { reject: "tcp-reset" },
        comment: "not this one",
      },
      {
        match: { protocol: "tcp", destinationPort: { from: 70, to: 80 } },
        counter: true,
        action: "accept",
      },
    );
    assert.equal(await ping(left.process, "10.0.0.2", 50), false);
    assert.equal(await connects(81), "ECONNREFUSED");
    assert.equal(await connects(80), "ok");
    const [pings, established, refused, taken] = await counts();
    assert.equal(pings, 1);
    assert.ok(established! >= 1);
    assert.equal(refused, 1);
    assert.equal(taken, 1);
    const rules = await right.net.nft.rules(INPUT);
    assert.equal(rules[2]?.comment, "not this one");
    assert.deepEqual(rules[2]?.expressions.at(-1), {
      name: "reject",
      reject: { type: "tcp-reset" },
    });
    await right.net.nft.batch().deleteRule(FILTER, "input", rules[2].handle).commit();
    assert.equal(await connects(81), "ok");
    for (const fd of [listener, other]) await right.process.close(fd);
  });

  const matches: readonly (readonly [string, NftRuleSpec["match"], number])[] = [
    ["a source", { source: "10.0.0.1" }, 3],
    ["another source", { source: "10.0.0.9" }, 0],
    ["a network", { source: "10.0.0.0/30" }, 3],
    ["any but a network", { source: { not: "10.0.0.0/30" } }, 0],
    ["a range of sources", { source: { from: "10.0.0.1", to: "10.0.0.5" } }, 3],
    ["a destination", { destination: "10.0.0.2" }, 3],
    ["a device", { inputDevice: "eth0" }, 3],
    ["devices", { inputDevice: "eth*" }, 3],
    ["any but a device", { inputDevice: { not: "eth0" } }, 0],
    ["a protocol", { protocol: "udp" }, 3],
    ["a protocol's number", { protocol: 17 }, 3],
    ["a port", { protocol: "udp", destinationPort: 9 }, 3],
    ["another port", { protocol: "udp", destinationPort: { not: 9 } }, 0],
    ["ports", { protocol: "udp", destinationPort: { from: 5, to: 9 } }, 3],
    ["IPv4", { family: "ipv4" }, 3],
    ["IPv6", { family: "ipv6", source: "fd00::/8" }, 0],
    ["new connections", { state: ["new"], protocol: "udp" }, 3],
    ["connections that there are", { state: ["established"], protocol: "udp" }, 0],
    ["a mark", { mark: 5 }, 0],
  ];
  for (const [name, match, wanted] of matches)
    test(`match ${name}`, async () => {
      await filter({ ...(match && { match: { ...match } }), counter: true });
      // Other packets than ours pass as well: those to port 9 alone are counted.
      await right.net.nft
        .batch()
        .addChain({ ...FILTER, name: "mine" })
        .deleteRule(FILTER, "input")
        .addRule({
          ...INPUT,
          match: { protocol: "udp", destinationPort: 9 },
          action: { jump: "mine" },
        })
        .addRule({ ...FILTER, chain: "mine", ...(match && { match }), counter: true })
        .commit();
      await sendDatagrams(left.process, "10.0.0.2", 3);
      const [rule] = await right.net.nft.rules({ ...FILTER, chain: "mine" });
      assert.equal(rule?.counter?.packets, wanted);
    });

  test("look for one of several, in sets that go with them", async () => {
    await filter(
      {
        match: { protocol: "udp", destinationPort: { anyOf: [7, { from: 9, to: 12 }] } },
        counter: true,
      },
      { match: { source: { not: { anyOf: ["10.1.0.0/16", "10.0.0.1"] } } }, counter: true },
      { match: { inputDevice: { anyOf: ["eth0", "lo"] }, protocol: "udp" }, counter: true },
    );
    await sendDatagrams(left.process, "10.0.0.2", 3);
    assert.deepEqual(await counts(), [3, 0, 3]);
    const sets = await right.net.nft.sets(FILTER);
    assert.equal(sets.length, 3);
    assert.ok(sets.every(({ flags }) => flags.includes("anonymous")));
    const [first] = await right.net.nft.rules(INPUT);
    const ports = first?.says?.match?.destinationPort;
    assert.ok(typeof ports === "object" && "set" in ports);
    assert.deepEqual(await right.net.nft.elements(FILTER, ports.set), [
      { key: 7 },
      { key: 9, to: 12 },
    ]);
    await right.net.nft.batch().deleteRule(FILTER, "input").commit();
    assert.deepEqual(await right.net.nft.sets(FILTER), []);
    await assert.rejects(filter({ match: { mark: { anyOf: [] } } }), { option: "match.mark" });
  });

  test("go where they are told", async () => {
    await filter({ comment: "a" }, { comment: "d" });
    const [a, d] = await right.net.nft.rules(INPUT);
    await right.net.nft
      .batch()
      .addRule({ ...INPUT, comment: "b", after: a.handle })
      .addRule({ ...INPUT, comment: "c", before: d.handle })
      .commit();
    const rules = await right.net.nft.rules(INPUT);
    assert.deepEqual(
      rules.map(({ comment }) => comment),
      ["a", "b", "c", "d"],
    );
  });

  test("limit, mark, count by name, and what only the kernel has words for", async () => {
    await right.net.nft
      .batch()
      .addTable("inet", "filter")
      .addChain({ ...FILTER, name: "input", hook: "input" })
      .addCounter(FILTER, "datagrams")
      .addRule({ ...INPUT, match: { protocol: "udp" }, counter: "datagrams" })
      .addRule({
        ...INPUT,
        match: { protocol: "udp" },
        limit: { rate: 1, perSeconds: 3600, burst: 2 },
        setMark: 7,
      })
      .addRule({ ...INPUT, match: { protocol: "udp", mark: 7 }, counter: true })
      .addRule({
        ...INPUT,
        match: { protocol: "udp" },
        expressions: [
          expr("meta", { key: "length", target: 1 }),
          expr("cmp", { source: 1, operator: ">", data: { value: Uint8Array.of(0xff, 0, 0, 0) } }),
        ],
        counter: true,
      })
      .commit();
    await sendDatagrams(left.process, "10.0.0.2", 5);
    const [counter] = await right.net.nft.counters(FILTER);
    assert.deepEqual(counter, { ...FILTER, name: "datagrams", packets: 5, bytes: 5 * 128, use: 1 });
    const rules = await right.net.nft.rules(INPUT);
    // Two and one more: the bucket is full at first.
    assert.ok([2, 3].includes(rules[2].counter!.packets), String(rules[2].counter!.packets));
    assert.equal(rules[3]?.counter?.packets, 0);
    await assert.rejects(right.net.nft.batch().addCounter(FILTER, "datagrams").commit(), {
      code: "EEXIST",
    });
    await assert.rejects(right.net.nft.batch().deleteCounter(FILTER, "datagrams").commit(), {
      code: "EBUSY",
    });
  });
});

test("a list that changes while it is made is made anew", async () => {
  const { nft } = left.net;
  await using other = net(left.process);
  const batch = nft
    .batch()
    .addTable("inet", "filter")
    .addChain({ ...FILTER, name: "input" });
  for (let port = 0; port < 1000; port++)
    batch.addRule({ ...INPUT, match: { protocol: "tcp", destinationPort: port } });
  await batch.commit();
  let changing = true;
  const changes = (async () => {
    while (changing) {
      await other.nft.batch().addTable("inet", "other").commit();
      await other.nft.batch().deleteTable("inet", "other").commit();
    }
  })();
  let whole = 0;
  for (let times = 0; times < 5; times++)
    try {
      const rules = await nft.rules(INPUT);
      assert.deepEqual(
        rules.map(({ says }) => says?.match?.destinationPort),
        Array.from({ length: 1000 }, (_, port) => port),
      );
      whole++;
    } catch (error) {
      assert.ok(error instanceof DumpInterruptedError, String(error));
    }
  changing = false;
  await changes;
  assert.ok(whole > 0);
});

suite("rules in words", () => {
  const address = fc.ipV4();
  const prefix = fc
    .tuple(fc.nat(0xffffffff), fc.integer({ min: 1, max: 31 }))
    .map(([bits, length]) => {
      const network = ((bits >>> (32 - length)) << (32 - length)) >>> 0;
      const bytes = Uint8Array.of(network >>> 24, network >>> 16, network >>> 8, network);
      return `${formatIp(bytes)}/${length}`;
    });
  const matched = <T>(value: fc.Arbitrary<T>) => {
    const plain = fc.oneof(value, fc.constant({ set: "s" }));
    return fc.oneof(
      plain,
      plain.map((not) => ({ not })),
    );
  };
  const port = fc.oneof(
    fc.nat(0xffff),
    fc.tuple(fc.nat(0x7fff), fc.nat(0x7fff)).map(([from, more]) => ({ from, to: from + more + 1 })),
    fc.nat(0xffff).map((not) => ({ not })),
  );
  const device = fc
    .constantFrom("eth0", "eth*", "lo")
    .chain((name) => fc.constantFrom<NonNullable<NftMatch["inputDevice"]>>(name, { not: name }));
  const number = fc.nat(0xffffffff);
  /** Any of these fields, or all. */
  const some = <T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
    fc.record<T, never>(fields, { requiredKeys: [], noNullPrototype: true });
  const all = <T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
    fc.record<T>(fields, { noNullPrototype: true });
  const common = {
    inputDevice: device,
    state: fc.subarray(["invalid", "established", "related", "new", "untracked"] as const, {
      minLength: 1,
    }),
    mark: number,
    connectionMark: number,
  };
  const match = fc.oneof<fc.Arbitrary<NftMatch>[]>(
    some({ ...common, source: fc.oneof(address, prefix), destination: all({ not: prefix }) }),
    some({ ...common, sourcePort: port, destinationPort: port }).map((one) =>
      Object.assign(one, { protocol: "tcp" as const }),
    ),
    some({ ...common, source: fc.ipV6().map((text) => formatIp(parseIp(text, "source").bytes)) }),
    some({ ...common, source: matched(address) }).map((one) =>
      JSON.stringify(one).includes('"set"') ? Object.assign(one, { family: "ipv4" as const }) : one,
    ),
    fc.nat(255).map((icmpType) => ({ protocol: "icmp" as const, icmpType })),
    fc.constantFrom("ipv4" as const, "ipv6" as const).map((family) => ({ family })),
  );
  const action = fc.oneof<fc.Arbitrary<NftAction>[]>(
    fc.constantFrom("accept" as const, "drop" as const, "return" as const, "continue" as const),
    fc.constantFrom({ jump: "other" }, { goto: "other" }),
    fc
      .constantFrom("tcp-reset" as const, "no-route" as const, "admin-prohibited" as const)
      .map((reject) => ({ reject })),
    fc.nat(0xffff).map((queue) => ({ queue })),
  );
  const statements = some({
    limit: all({
      rate: fc.integer({ min: 1, max: 10000 }),
      of: fc.constant("packets" as const),
      perSeconds: fc.constantFrom(1, 60, 3600),
      burst: fc.integer({ min: 1, max: 100 }),
    }),
    counter: all({ packets: fc.nat(), bytes: fc.nat() }),
    setMark: number,
    setConnectionMark: number,
    action,
  });

  test("what was said is told again", async () => {
    const { nft } = left.net;
    await nft
      .batch()
      .addTable("inet", "filter")
      .addChain({ ...FILTER, name: "input", hook: "input" })
      .addChain({ ...FILTER, name: "other" })
      .addSet({ ...FILTER, name: "s", type: "ipv4_addr" })
      .commit();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(match, statements), { minLength: 10, maxLength: 40 }),
        async (rules) => {
          const wanted = rules.map(([of, done]) => ({
            ...(Object.keys(of).length && { match: of }),
            ...done,
          }));
          const batch = nft.batch().deleteRule(FILTER, "input");
          for (const rule of wanted) batch.addRule({ ...INPUT, ...rule });
          await batch.commit();
          const told = await nft.rules(INPUT);
          assert.deepEqual(
            told.map(({ says }) => says),
            wanted,
          );
        },
      ),
      { numRuns: 20 },
    );
  });

  test("of translations; and none where there are no words", async () => {
    const nat = { family: "ip", table: "nat", chain: "post" } as const;
    const { nft } = left.net;
    const rules: readonly Omit<NftRuleSpec, "family" | "table" | "chain">[] = [
      { match: { protocol: "tcp" }, action: { snat: "10.0.0.9", port: 99 } },
      { action: { snat: "10.0.0.9" } },
      { action: "masquerade" },
      { action: { masquerade: "random" } },
    ];
    const batch = nft
      .batch()
      .addTable("ip", "nat")
      .addChain({ ...nat, name: "post", hook: "postrouting", type: "nat" });
    for (const rule of rules) batch.addRule({ ...nat, ...rule });
    batch.addRule({ ...nat, expressions: [expr("meta", { key: "length", target: 1 })] });
    await batch.commit();
    const told = await nft.rules(nat);
    assert.deepEqual(
      told.map(({ says }) => says),
      [...rules, undefined],
    );
  });
});

suite("sets", () => {
  test("of addresses, ports, names: what is put in is in", async () => {
    const { nft } = left.net;
    const sets = [
      { type: "ipv4_addr", elements: ["10.0.0.1", "10.0.0.7"] },
      { type: "ipv6_addr", elements: ["fd00::1", "fd00::2"] },
      { type: "inet_service", elements: [22, 80, 65535] },
      { type: "ether_addr", elements: ["02:00:00:00:00:01"] },
      { type: "ifname", elements: ["eth0", "lo"] },
      { type: "mark", elements: [1, 0xdeadbeef] },
      { type: "inet_proto", elements: [6, 17] },
    ] as const;
    const batch = nft.batch().addTable("inet", "filter");
    for (const { type, elements } of sets)
      batch.addSet(
        { ...FILTER, name: type, type },
        elements.map((key) => ({ key })),
      );
    await batch.commit();
    for (const { type, elements } of sets) {
      const found = await nft.elements(FILTER, type);
      assert.deepEqual(
        found.map(({ key }) => key).toSorted(byText),
        [...elements].toSorted(byText),
        type,
      );
    }
    const listed = await nft.sets(FILTER);
    assert.deepEqual(
      listed.map(({ type }) => type).toSorted(byText),
      sets.map(({ type }) => type).toSorted(byText),
    );
    const shape = { type: "inet_service" } as const;
    await nft
      .batch()
      .deleteElements(FILTER, "inet_service", [{ key: 80 }], shape)
      .commit();
    await nft
      .batch()
      .addElements(FILTER, "inet_service", [{ key: 443 }], shape)
      .commit();
    const ports = (await nft.elements(FILTER, "inet_service")).map(({ key }) => key);
    assert.deepEqual(ports.toSorted(byText), [22, 443, 65535].toSorted(byText));
    await assert.rejects(nft.elements(FILTER, "nothing"), { code: "ENOENT" });
    await nft.batch().deleteSet(FILTER, "mark").commit();
    await assert.rejects(nft.elements(FILTER, "mark"), { code: "ENOENT" });
  });

  test("of intervals: any that do not touch come back", async () => {
    const { nft } = left.net;
    const intervals = fc
      .uniqueArray(fc.nat(0xfffffff0), { minLength: 2, maxLength: 20 })
      .map((numbers) => numbers.toSorted((a, b) => a - b))
      .map((sorted) =>
        Array.from(
          { length: sorted.length >> 1 },
          (_, i) => [sorted[2 * i], sorted[2 * i + 1]] as const,
        ).filter(([, to], i, all) => i + 1 >= all.length || all[i + 1][0] > to + 1),
      );
    const address = (number: number) =>
      formatIp(Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number));
    await fc.assert(
      fc.asyncProperty(intervals, async (all) => {
        const elements = all.map(([key, to]) => ({ key: address(key), to: address(to) }));
        const set = { ...FILTER, name: "s", type: "ipv4_addr", flags: ["interval"] } as const;
        await nft.batch().addTable("inet", "filter").addSet(set, elements).commit();
        assert.deepEqual(await nft.elements(FILTER, "s"), elements);
        await nft.batch().deleteTable("inet", "filter").commit();
      }),
      { numRuns: 20, seed: 7 },
    );
  });

  test("of networks match; maps of verdicts lead; thousands of elements are carried", async () => {
    await right.net.nft
      .batch()
      .addTable("inet", "filter")
      .addChain({ ...FILTER, name: "input", hook: "input" })
      .addChain({ ...FILTER, name: "counted" })
      .addSet({ ...FILTER, name: "nets", type: "ipv4_addr", flags: ["interval"] }, [
        { key: "10.0.0.0/31" },
        { key: "192.168.0.0/16" },
        { key: "255.255.255.0/24" },
      ])
      .addSet({ ...FILTER, name: "ports", type: "inet_service", map: "verdict" }, [
        { key: 9, value: { jump: "counted" } },
        { key: 10, value: "drop" },
      ])
      .addSet({ ...FILTER, name: "names", type: "ipv4_addr", map: "mark" }, [
        { key: "10.0.0.1", value: 77 },
      ])
      .addSet(
        { ...FILTER, name: "many", type: "ipv4_addr" },
        Array.from({ length: 3000 }, (_, i) => ({ key: `10.9.${i >> 8}.${i & 255}` })),
      )
      .addRule({
        ...INPUT,
        match: { family: "ipv4", source: { set: "nets" }, protocol: "udp" },
        counter: true,
      })
      .addRule({
        ...INPUT,
        match: { protocol: "udp" },
        expressions: [
          expr("payload", { target: 1, base: "transport", offset: 2, length: 2 }),
          expr("lookup", { set: "ports", source: 1, target: 0 }),
        ],
      })
      .addRule({ ...FILTER, chain: "counted", counter: true, action: "accept" })
      .commit();
    await sendDatagrams(left.process, "10.0.0.2", 4);
    assert.deepEqual((await counts())[0], 4);
    const [counted] = await right.net.nft.rules({ ...FILTER, chain: "counted" });
    assert.equal(counted?.counter?.packets, 4);
    const { nft } = right.net;
    assert.deepEqual(await nft.elements(FILTER, "nets"), [
      { key: "10.0.0.0", to: "10.0.0.1" },
      { key: "192.168.0.0", to: "192.168.255.255" },
      { key: "255.255.255.0", to: "255.255.255.255" },
    ]);
    const verdicts = await nft.elements(FILTER, "ports");
    assert.deepEqual(
      verdicts.toSorted((a, b) => Number(a.key) - Number(b.key)),
      [
        { key: 9, value: { jump: "counted" } },
        { key: 10, value: "drop" },
      ],
    );
    assert.deepEqual(await nft.elements(FILTER, "names"), [{ key: "10.0.0.1", value: 77 }]);
    assert.equal((await nft.elements(FILTER, "many")).length, 3000);
  });

  test("with a time lose their elements", async () => {
    const { nft } = left.net;
    const set = { ...FILTER, name: "s", type: "ipv4_addr", timeoutMs: 3600000, size: 100 } as const;
    await nft
      .batch()
      .addTable("inet", "filter")
      .addSet(set, [{ key: "10.0.0.1", timeoutMs: 60000 }])
      .commit();
    const [found] = await nft.elements(FILTER, "s");
    assert.equal(found?.timeoutMs, 60000);
    assert.ok(found.expiresMs! > 0 && found.expiresMs! <= 60000);
    const [listed] = await nft.sets(FILTER);
    assert.equal(listed?.timeoutMs, 3600000);
    assert.equal(listed?.size, 100);
    assert.deepEqual(listed?.flags, ["timeout"]);
  });

  test("mistakes are named", async () => {
    const set =
      (elements: object[], more: object = {}) =>
      () =>
        left.net.nft
          .batch()
          .addSet({ ...FILTER, name: "s", type: "ipv4_addr", ...more }, elements as never);
    assert.throws(set([{ key: "10.0.0.0/8" }]), { option: "key" });
    assert.throws(set([{ key: "fd00::1" }]), { option: "key" });
    assert.throws(set([{ key: "10.0.0.9", to: "10.0.0.1" }], { flags: ["interval"] }), {
      option: "to",
    });
    assert.throws(set([{ key: "10.0.0.9", value: 1 }]), { option: "value" });
    assert.throws(set([{ key: "10.0.0.9" }], { map: "verdict" }), { option: "value" });
    assert.throws(set([{ key: "10.0.0.9", value: "explode" }], { map: "verdict" }), {
      option: "value",
    });
  });
});

test("connections in a flow table pass without being routed again", async () => {
  const middle = await host(kernel);
  const [near, far] = [await host(kernel), await host(kernel)];
  for (const [i, { net: own, process }] of [near, far].entries()) {
    const veth = { peer: { name: `to${i}`, namespacePid: middle.process.pid } };
    await own.link.add({ name: "eth0", kind: "veth", veth });
    await own.up("eth0", `10.4${i}.0.2/24`);
    await middle.net.up(`to${i}`, `10.4${i}.0.1/24`);
    await own.route.add({ destination: "default", gateway: `10.4${i}.0.1` });
    assert.ok(await reaches(process, `10.4${i}.0.1`));
  }
  await middle.net.sysctl.set("net.ipv4.ip_forward", 1);
  const flow = { ...FILTER, name: "quick", devices: ["to0", "to1"], counter: true };
  await middle.net.nft
    .batch()
    .addTable("inet", "filter")
    .addFlowTable(flow)
    .addChain({ ...FILTER, name: "forward", hook: "forward" })
    .addRule({ ...FILTER, chain: "forward", match: { protocol: "tcp" }, action: { flow: "quick" } })
    .commit();
  const [told] = await middle.net.nft.flowTables(FILTER);
  assert.deepEqual(told?.devices, ["to0", "to1"]);
  assert.deepEqual([told?.name, told?.priority, told?.use, told?.counter], ["quick", 0, 1, true]);
  const [rule] = await middle.net.nft.rules(FILTER);
  assert.deepEqual(rule?.says?.action, { flow: "quick" });
  const listener = await listen(far.process, "10.41.0.2", 80);
  const client = await connect(near.process, "10.41.0.2", 80);
  const server = await far.process.accept4(listener, null, null, 0);
  for (let times = 0; times < 3; times++)
    assert.equal(await carry([near.process, client], [far.process, server], "x"), "x");
  const [connection] = await middle.net.connection
    .list("ipv4")
    .then((all) => all.filter(({ original }) => original.protocol === "tcp"));
  assert.ok(connection?.status.includes("offload"), connection?.status.join());
  await assert.rejects(middle.net.nft.batch().deleteFlowTable(FILTER, "quick").commit(), {
    code: "EBUSY",
  });
  await middle.net.nft.flush();
  assert.deepEqual(await middle.net.nft.flowTables(), []);
  await end(near, far, middle);
});

suite("translation", () => {
  test("masquerade, snat, dnat and redirect: what the other end sees", async () => {
    const nat = { family: "ip", table: "nat" } as const;
    await right.net.link.add({ name: "inner", kind: "dummy" });
    await right.net.up("inner", "10.50.0.1/24");
    await left.net.route.add({ destination: "10.50.0.0/24", gateway: "10.0.0.2" });
    await left.net.address.add("eth0", "10.0.0.11/24");
    await left.net.nft
      .batch()
      .addTable("ip", "nat")
      .addChain({ ...nat, name: "post", hook: "postrouting", type: "nat", priority: "srcnat" })
      .addRule({
        ...nat,
        chain: "post",
        match: { destination: "10.50.0.1" },
        counter: true,
        action: { snat: "10.0.0.11" },
      })
      .addRule({ ...nat, chain: "post", counter: true, action: "masquerade" })
      .commit();
    await right.net.nft
      .batch()
      .addTable("ip", "nat")
      .addChain({ ...nat, name: "pre", hook: "prerouting", type: "nat", priority: "dstnat" })
      .addRule({
        ...nat,
        chain: "pre",
        match: { protocol: "tcp", destinationPort: 8000 },
        action: { dnat: "10.50.0.1", port: 8080 },
      })
      .addRule({
        ...nat,
        chain: "pre",
        match: { protocol: "tcp", destinationPort: 8001 },
        action: { redirect: 8181 },
      })
      .commit();
    const inner = await listen(right.process, "10.50.0.1", 8080);
    const outer = await listen(right.process, "10.0.0.2", 8181);
    const peer = inet("0.0.0.0", 0);
    const through = async (listener: number, address: string, port: number) => {
      const client = await connect(left.process, address, port);
      const size = new Uint8Array(Int32Array.of(peer.length).buffer);
      const accepted = await right.process.accept4(listener, peer, size, 0);
      const said = await carry([left.process, client], [right.process, accepted], "hello");
      await left.process.close(client);
      await right.process.close(accepted);
      assert.equal(said, "hello");
      return peer.subarray(4, 8).join(".");
    };
    assert.equal(await through(inner, "10.0.0.2", 8000), "10.0.0.1");
    assert.equal(await through(outer, "10.0.0.2", 8001), "10.0.0.1");
    assert.equal(await through(inner, "10.50.0.1", 8080), "10.0.0.11");
    for (const fd of [inner, outer]) await right.process.close(fd);
    await right.net.link.delete("inner");
    await left.net.address.delete("eth0", "10.0.0.11/24");
  });
});
