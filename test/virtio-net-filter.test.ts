// What of a network device needs no kernel: its filter, and its counters.

import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { formatMac, macAt } from "../src/link/mac.ts";
import { NetCounters, countersOffered, readCounters } from "../src/virtio/net-counters.ts";
import { MAX_FILTERED_ADDRESSES, ReceiveFilter } from "../src/virtio/net-filter.ts";

/** Few of them, so that they meet. */
const mac = fc
  .tuple(fc.constantFrom(0x02, 0x01, 0x33), fc.nat(3))
  .map(([first, last]) => [first, 0, 0, 0, 0, last]);
const text = (bytes: readonly number[]) => formatMac(macAt(Uint8Array.from(bytes), 0));

function tables(unicast: readonly number[][], multicast: readonly number[][]): Uint8Array {
  const table = (entries: readonly number[][]) => [
    ...new Uint8Array(Uint32Array.of(entries.length).buffer),
    ...entries.flat(),
  ];
  return Uint8Array.from([...table(unicast), ...table(multicast)]);
}

test("the filter passes what the driver named, and nothing else", () => {
  fc.assert(
    fc.property(
      fc.record({
        own: mac,
        unicast: fc.array(mac),
        multicast: fc.array(mac),
        allMulticast: fc.boolean(),
        vlans: fc.array(fc.nat(7)),
        to: fc.oneof(mac, fc.constant([255, 255, 255, 255, 255, 255])),
        tag: fc.option(fc.nat(7)),
      }),
      ({ own, unicast, multicast, allMulticast, vlans, to, tag }) => {
        const filter = new ReceiveFilter();
        const head = Uint8Array.from([
          ...to,
          2,
          0,
          0,
          0,
          0,
          9,

          ...(tag === null ? [8, 0, 0x45, 0] : [0x81, 0, 0, tag]),
        ]);
        assert.ok(filter.passes(head), "everything, before the driver said anything");
        filter.promiscuous = false;
        filter.filtersVlans = true;
        filter.allMulticast = allMulticast;
        filter.address = macAt(Uint8Array.from(own), 0);
        assert.ok(filter.setAddresses(tables(unicast, multicast)));
        for (const vlan of vlans) filter.setVlan(vlan, true);
        filter.setVlan(3, false);
        const isGroup = (to[0] & 1) === 1;
        const named = (isGroup ? multicast : unicast).some((one) => text(one) === text(to));
        const forUs =
          text(to) === text(own) ||
          text(to) === "ff:ff:ff:ff:ff:ff" ||
          (isGroup && allMulticast) ||
          named;
        const inVlan = tag === null || (tag !== 3 && vlans.includes(tag));
        assert.equal(filter.passes(head), forUs && inVlan);
        filter.promiscuous = true;
        assert.ok(filter.passes(head));
      },
    ),
    { numRuns: 500 },
  );
});

test("more addresses than the filter holds: all of that kind pass", () => {
  const filter = new ReceiveFilter();
  filter.promiscuous = false;
  const many = Array.from({ length: MAX_FILTERED_ADDRESSES + 1 }, (_, i) => [
    1,
    0,
    0,
    0,
    i >> 8,
    i & 255,
  ]);
  assert.ok(filter.setAddresses(tables([], many)));
  const frame = (first: number) =>
    Uint8Array.from([first, 9, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0]);
  assert.ok(filter.passes(frame(1)));
  assert.ok(!filter.passes(frame(2)));
});

test("tables that contradict their lengths are refused, and change nothing", () => {
  const filter = new ReceiveFilter();
  filter.promiscuous = false;
  const group = [1, 0, 0, 0, 0, 1];
  assert.ok(filter.setAddresses(tables([], [group])));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const before = new ReceiveFilter();
      before.setAddresses(bytes);
    }),
  );
  for (const wrong of [[], [1, 0, 0, 0], [0, 0, 0, 0], [255, 255, 255, 255, 0, 0, 0, 0]])
    assert.equal(filter.setAddresses(Uint8Array.from(wrong)), false);
  assert.ok(filter.passes(Uint8Array.from([...group, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0])));
});

test("counters: what is offered can be read; what is not, is refused", () => {
  const counters = new NetCounters();
  counters.receivedFrames = 7;
  const types = new DataView(countersOffered().buffer as ArrayBuffer).getBigUint64(0, true);
  const request = (queue: number, bits: bigint) => {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, queue, true);
    view.setBigUint64(8, bits, true);
    return bytes;
  };
  const received = readCounters(counters, request(0, types & 0xffffn));
  assert.ok(received);
  const view = new DataView(received.buffer);
  assert.equal(view.getUint16(6, true), 8 + 6 * 8, "a header and six numbers");
  assert.equal(view.getBigUint64(16, true), 7n);
  assert.equal(readCounters(counters, request(1, types & 0xffffn)), null, "of another queue");
  assert.equal(readCounters(counters, request(0, 1n << 40n)), null);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const answer = readCounters(counters, bytes);
      assert.ok(answer === null || answer.length < 1000);
    }),
  );
});
