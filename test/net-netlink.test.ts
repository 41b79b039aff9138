// Netlink without a kernel: what is composed is read again, and any bytes are read or refused.

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import * as fc from "fast-check";

import { NLMSG_ERROR, NLM_F_ACK_TLVS, NLM_F_CAPPED } from "../src/abi/constants/netlink.ts";
import { RTM_NEWLINK } from "../src/abi/constants/rtnetlink.ts";
import { Ifinfomsg } from "../src/abi/structs/netlink.ts";
import { InvalidOptionError } from "../src/index.ts";
import { formatIp, ipOf, networkOf, parseIp, parsePrefix } from "../src/net/address.ts";
import { readBridgeVlans } from "../src/net/bridge-vlan.ts";
import { readConnection } from "../src/net/conntrack.ts";
import { readFilter } from "../src/net/filter.ts";
import { MalformedMessageError } from "../src/net/index.ts";
import type { NftSet } from "../src/net/index.ts";
import { readAddress } from "../src/net/interface-address.ts";
import { linkAttributes, readLink } from "../src/net/link.ts";
import { readNeighbour } from "../src/net/neighbour.ts";
import { AttributeSet, eachAttribute, list } from "../src/net/netlink/attributes.ts";
import {
  be16,
  be32,
  be64,
  bits,
  flag,
  named,
  raw,
  s32,
  text,
  u16,
  u32,
  u64,
  u8,
  yes,
} from "../src/net/netlink/codec.ts";
import { readGeneric } from "../src/net/netlink/generic.ts";
import { compose, explain, readAck, split } from "../src/net/netlink/message.ts";
import {
  readChain,
  readCounter,
  readElements,
  readNftRule,
  readRawSet,
  readTable,
} from "../src/net/nft/objects.ts";
import { elementsOf, shapeOf } from "../src/net/nft/set.ts";
import { readClass, readQdisc } from "../src/net/qdisc.ts";
import { readRoute } from "../src/net/route.ts";
import { readRule } from "../src/net/rule.ts";
import { readInetSocket, readUnixSocket } from "../src/net/sockets.ts";
import { readWireGuardMessage } from "../src/net/wireguard.ts";

const inner = new AttributeSet({ number: [1, u32], name: [2, text()] });

/** One attribute of each kind. */
const everything = new AttributeSet(
  {
    byte: [1, u8],
    word: [2, u16],
    long: [3, u32],
    signed: [4, s32],
    huge: [5, u64],
    bigWord: [6, be16],
    bigLong: [7, be32],
    bigHuge: [8, be64],
    name: [9, text()],
    there: [10, flag],
    answer: [11, yes(u8)],
    bytes: [12, raw],
    colour: [13, named(u8, { red: 1, blue: 2 })],
    options: [14, bits(u32, { one: 1, two: 2, four: 4 })],
    inside: [15, inner],
    several: [16, list(inner)],
    kind: [17, text()],
  },
  { selector: "kind", type: 18, cases: { plain: ["plain", inner], fancy: ["fancy", list(u16)] } },
);

const word = fc.string().filter((value) => !value.includes("\0") && value.isWellFormed());
const nested = fc.record(
  { number: fc.nat(), name: word },
  { requiredKeys: [], noNullPrototype: true },
);
const values = fc.record(
  {
    byte: fc.nat(0xff),
    word: fc.nat(0xffff),
    long: fc.nat(0xffffffff),
    signed: fc.integer(),
    huge: fc.maxSafeNat(),
    bigWord: fc.nat(0xffff),
    bigLong: fc.nat(0xffffffff),
    bigHuge: fc.maxSafeNat(),
    name: word,
    there: fc.constant(true as const),
    answer: fc.boolean(),
    bytes: fc.uint8Array(),
    colour: fc.constantFrom("red" as const, "blue" as const, 77),
    options: fc.subarray(["one", "two", "four"] as const),
    inside: nested,
    several: fc.array(nested),
  },
  { requiredKeys: [], noNullPrototype: true },
);
const variants = fc.oneof(
  fc.constant({}),
  nested.map((plain) => ({ kind: "plain", plain })),
  fc.array(fc.nat(0xffff)).map((fancy) => ({ kind: "fancy", fancy })),
);

const header = new Uint8Array(8).fill(7);
const head = { type: 99, header };

suite("attributes", () => {
  test("what is written is read", () => {
    fc.assert(
      fc.property(values, variants, (value, variant) => {
        const all = { ...value, ...variant };
        const { bytes } = compose(head, [everything, all]);
        const [message, ...rest] = split(bytes);
        assert.equal(rest.length, 0);
        assert.equal(message?.type, 99);
        assert.deepEqual(message?.payload.subarray(0, 8), header);
        assert.deepEqual(everything.read(message.payload.subarray(8)), all);
      }),
    );
  });

  test("an offset leads back to the name of the attribute", () => {
    fc.assert(
      fc.property(values, variants, (value, variant) => {
        const composed = compose(head, [everything, { ...value, ...variant }]);
        for (const mark of composed.marks) {
          const explained = explain({ errno: -22, offset: mark.offsetBytes }, composed);
          assert.equal(explained.attribute, mark.path);
        }
      }),
    );
  });

  test("what cannot be is refused by name", () => {
    const wrong: readonly (readonly [string, object])[] = [
      ["byte", { byte: 256 }],
      ["byte", { byte: 1.5 }],
      ["byte", { byte: "1" }],
      ["signed", { signed: 2 ** 31 }],
      ["huge", { huge: -1 }],
      ["name", { name: "a\0b" }],
      ["colour", { colour: "green" }],
      ["options", { options: ["three"] }],
      ["inside.number", { inside: { number: -1 } }],
      ["several.1.name", { several: [{}, { name: 5 }] }],
      ["several.0.nombre", { several: [{ nombre: 5 }] }],
      ["nobody", { nobody: 1 }],
      ["plain", { kind: "fancy", plain: {} }],
      ["bytes", { bytes: new Uint8Array(65536) }],
    ];
    for (const [option, value] of wrong)
      assert.throws(
        () => compose(head, [everything, value]),
        (error) => error instanceof InvalidOptionError && error.option === option,
        option,
      );
  });

  test("a message that errors name attributes of", () => {
    const composed = compose(head, [everything, { inside: { number: 5 } }]);
    const [outer, number] = composed.marks;
    const missing = (missingType: number, missingNest?: number) =>
      explain({ errno: -22, missingType, missingNest }, composed).missing;
    assert.equal(missing(1), "byte");
    assert.equal(missing(2, outer?.offsetBytes), "inside.name");
    assert.equal(missing(99), "attribute 99");
    assert.equal(number?.path, "inside.number");
  });
});

/** Runs what reads bytes: it settles, or says that they are malformed. */
function readsOrRefuses(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  try {
    read(bytes);
  } catch (error) {
    if (!(error instanceof MalformedMessageError)) throw error;
    assert.match(error.message, /./);
  }
}

const SET: NftSet = {
  family: "inet",
  table: "t",
  name: "s",
  handle: 1,
  type: "ipv4_addr",
  flags: ["interval"],
};
const messageOf = (payload: Uint8Array) => ({ type: 1, flags: 0, sequence: 1, payload });

const readers: Readonly<Record<string, (bytes: Uint8Array) => unknown>> = {
  datagram: (bytes) => [...split(bytes)],
  attributes: (bytes) => everything.read(bytes),
  link: readLink,
  address: readAddress,
  route: readRoute,
  rule: readRule,
  neighbour: readNeighbour,
  "VLANs of a bridge": readBridgeVlans,
  qdisc: readQdisc,
  class: readClass,
  filter: readFilter,
  connection: (payload) => readConnection({ payload }),
  "TCP socket": (payload) => readInetSocket({ payload }, "tcp"),
  "unix socket": (payload) => readUnixSocket({ payload }),
  WireGuard: readWireGuardMessage,
  "nf_tables table": (payload) => readTable(messageOf(payload)),
  "nf_tables chain": (payload) => readChain(messageOf(payload)),
  "nf_tables rule": (payload) => readNftRule(messageOf(payload)),
  "nf_tables set": (payload) => shapeOf(readRawSet(messageOf(payload))),
  "nf_tables elements": (payload) => elementsOf(readElements(messageOf(payload)), SET),
  "nf_tables counter": (payload) => readCounter(messageOf(payload)),
  "generic family": (payload) => readGeneric(everything, messageOf(payload)),
  acknowledgement: (payload) =>
    readAck({ type: NLMSG_ERROR, flags: NLM_F_ACK_TLVS, sequence: 1, payload }),
  "short acknowledgement": (payload) =>
    readAck({ type: NLMSG_ERROR, flags: NLM_F_ACK_TLVS | NLM_F_CAPPED, sequence: 1, payload }),
};

/** Attributes whose lengths are right, with anything in them, some of them nested. */
const attributes = fc.letrec<{ list: Uint8Array; one: Uint8Array }>((tie) => ({
  list: fc
    .array(tie("one"), { maxLength: 6 })
    .map((parts) => Uint8Array.from(parts.flatMap((part) => [...part]))),
  one: fc
    .tuple(
      fc.nat(70),
      fc.oneof({ depthSize: "small" }, fc.uint8Array({ maxLength: 40 }), tie("list")),
    )
    .map(([type, payload]) => {
      const bytes = new Uint8Array((4 + payload.length + 3) & ~3);
      new DataView(bytes.buffer).setUint16(0, 4 + payload.length, true);
      new DataView(bytes.buffer).setUint16(2, type, true);
      bytes.set(payload, 4);
      return bytes;
    }),
})).list;

suite("any bytes", () => {
  for (const [name, read] of Object.entries(readers)) {
    test(`${name}: random`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => readsOrRefuses(read, bytes)),
        {
          numRuns: 500,
        },
      );
    });

    test(`${name}: attributes with anything in them`, () => {
      const whole = fc
        .tuple(fc.uint8Array({ minLength: 16, maxLength: 24 }), attributes)
        .map(([first, rest]) => Uint8Array.from([...first.subarray(0, 16), ...rest]));
      fc.assert(
        fc.property(whole, (bytes) => readsOrRefuses(read, bytes)),
        { numRuns: 500 },
      );
    });
  }

  test("messages of which bytes are changed", () => {
    const value = {
      name: "eth0",
      mtu: 1500,
      info: { kind: "vxlan", vxlan: { id: 5, remote: "10.0.0.1", port: 4789 } },
    };
    const { bytes } = compose({ type: RTM_NEWLINK, header: Ifinfomsg.alloc().bytes }, [
      linkAttributes,
      value,
    ]);
    const damage = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1 });
    fc.assert(
      fc.property(damage, (changes) => {
        const damaged = bytes.slice();
        for (const [at, value] of changes) damaged[at] = value;
        readsOrRefuses((all) => [...split(all)].map(({ payload }) => readLink(payload)), damaged);
      }),
      { numRuns: 500 },
    );
  });

  test("an attribute of no length does not loop", () => {
    assert.throws(() => eachAttribute(new Uint8Array(8), () => {}), MalformedMessageError);
  });
});

suite("addresses", () => {
  test("IPv4 and IPv6: text to bytes to text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const address = parseIp(text, "address");
        const formatted = formatIp(address.bytes);
        assert.deepEqual(parseIp(formatted, "address"), address);
        if (!text.includes(":")) assert.equal(formatted, text);
      }),
    );
  });

  test("as RFC 5952 writes them", () => {
    const pairs = {
      "2001:db8:0:0:0:0:2:1": "2001:db8::2:1",
      "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
      "2001:0:0:1:0:0:0:1": "2001:0:0:1::1",
      "2001:DB8::AAAA:0:0:1": "2001:db8::aaaa:0:0:1",
      "0:0:0:0:0:0:0:0": "::",
      "::ffff:192.0.2.1": "::ffff:192.0.2.1",
      "64:ff9b::192.0.2.33": "64:ff9b::c000:221",
    };
    for (const [from, to] of Object.entries(pairs))
      assert.equal(formatIp(parseIp(from, "address").bytes), to);
  });

  test("a zone is kept", () => {
    assert.equal(ipOf("fe80::1%2")?.zone, "2");
    assert.equal(ipOf("fe80::1%eth0")?.zone, "eth0");
  });

  test("networks", () => {
    const networks = {
      "10.1.2.3/8": "10.0.0.0",
      "10.1.2.255/25": "10.1.2.128",
      "fd00::ff/121": "fd00::80",
    };
    for (const [prefix, network] of Object.entries(networks))
      assert.equal(formatIp(networkOf(parsePrefix(prefix, "prefix")).bytes), network);
  });

  test("what is none is refused", () => {
    const none = [
      "",
      "1.2.3",
      "1.2.3.256",
      "01.2.3.4",
      "1.2.3.4.5",
      "::1::",
      ":::",
      "1:2:3:4:5:6:7",
      "g::",
      "1:2:3:4:5:6:7:8:9",
      "10.0.0.1%1",
      "fe80::1%",
      "::1.2.3",
      " 10.0.0.1",
      "12345::",
    ];
    for (const text of none) {
      assert.equal(ipOf(text), undefined, text);
      assert.throws(() => parseIp(text, "peer"), { code: "ERR_INVALID_OPTION", option: "peer" });
    }
    for (const text of ["10.0.0.1/33", "::1/129", "10.0.0.1/", "10.0.0.1/8/8", "10.0.0.1/-1"])
      assert.throws(() => parsePrefix(text, "to"), { code: "ERR_INVALID_OPTION", option: "to" });
  });
});
