// Links by themselves: ports, hubs, switches, and the work that senders leave to be done.

import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import {
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP_L4,
} from "../src/abi/constants/virtio.ts";
import { VirtualClock } from "../src/index.ts";
import { Cable, Frame, Hub, Jack, Switch, complete, patch } from "../src/link/index.ts";
import type { JackOwner } from "../src/link/index.ts";
import { FrameReader } from "../src/link/stream-frames.ts";
import { Listener, ethernet, pattern } from "./link-support.ts";

const [A, B, C] = ["02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"];
const ALL = "ff:ff:ff:ff:ff:ff";
const TYPE = 0x88b5; // For experiments.
const frame = (to: string, from: string) => ethernet(to, from, TYPE);
const received = (...stations: Listener[]) => stations.map(({ frames }) => frames.splice(0).length);

test("a cable carries when both ends are plugged in and on", () => {
  const cable = new Cable();
  const a = new Listener(cable.a);
  assert.equal(cable.a.up, false);
  assert.ok(a.send(frame(B, A)), "into nowhere");
  const b = new Listener(cable.b);
  assert.deepEqual([a.carriers, b.carriers], [[true], [true]]);
  assert.ok(a.send(frame(B, A)));
  assert.deepEqual(received(a, b), [0, 1]);
  cable.a.on = false;
  assert.deepEqual(
    [a.carriers, b.carriers],
    [
      [true, false],
      [true, false],
    ],
  );
  b.send(frame(A, B));
  assert.deepEqual(received(a, b), [0, 0]);
  cable.a.on = true;
  cable.b.detach(b);
  assert.equal(cable.a.up, false);
  assert.throws(() => new Listener(cable.a), { code: "EBUSY", message: /port "a" has a station/ });
  assert.deepEqual(cable.a.counters, {
    sentFrames: 1,
    sentBytes: 60,
    receivedFrames: 0,
    receivedBytes: 0,
    droppedFrames: 0,
  });
  assert.equal(cable.b.counters.receivedBytes, 60);
});

test("who finds no room is told when there is some, through cables, switches and patches", () => {
  const cable = new Cable();
  const [left, right] = [new Switch(), new Switch()];
  const unpatch = patch(left.port(), right.port());
  const ports = [
    [cable.a, cable.b],
    [left.port(), left.port()],
    [left.port(), right.port()],
  ];
  for (const [from, to] of ports) {
    const [a, b] = [new Listener(from), new Listener(to)];
    b.send(frame(ALL, B));
    b.open = false;
    assert.equal(a.send(frame(B, A)), false);
    assert.equal(a.resumed, 0);
    b.open = true;
    b.port.ready();
    assert.equal(a.resumed, 1);
    assert.ok(a.send(frame(B, A)));
    assert.equal(b.frames.length, 1);
    b.open = false;
    assert.equal(a.send(frame(B, A)), false);
    // Who is gone does not hold anybody up.
    to.detach(b);
    assert.equal(a.resumed, 2);
    assert.ok(a.send(frame(B, A)));
    from.detach(a);
  }
  unpatch();
});

test("a hub sends to all others; who has no room misses it", () => {
  const hub = new Hub();
  const stations = [1, 2, 3].map(() => new Listener(hub.port()));
  stations[1].open = false;
  assert.ok(stations[0].send(frame(B, A)));
  assert.deepEqual(received(...stations), [0, 0, 1]);
  const [, port] = hub.ports;
  assert.equal(port.counters.droppedFrames, 1);
  hub.remove(port);
  assert.equal(stations[1].carriers.at(-1), false);
  assert.equal(hub.ports.size, 2);
});

test("hubs in a ring: what comes back is dropped", () => {
  const [a, b, c] = [new Hub(), new Hub(), new Hub()];
  patch(a.port(), b.port());
  patch(b.port(), c.port());
  patch(c.port(), a.port());
  const stations = [a, b, c].map((hub) => new Listener(hub.port()));
  stations[0].send(frame(ALL, A));
  assert.ok(a.loopedFrames > 0);
  assert.ok(stations[1].frames.length > 0 && stations[2].frames.length > 0);
});

test("a switch learns, ages and forgets", async () => {
  const clock = new VirtualClock();
  const center = new Switch({ maxStations: 2, ageingMs: 1000, clock });
  const [a, b, c] = [1, 2, 3].map(() => new Listener(center.port()));
  a.send(frame(B, A));
  assert.deepEqual(received(a, b, c), [0, 1, 1], "unknown: to all");
  b.send(frame(A, B));
  assert.deepEqual(received(a, b, c), [1, 0, 0], "known: there only");
  a.send(frame(ALL, A));
  assert.deepEqual(received(a, b, c), [0, 1, 1], "a group: to all");
  a.send(frame(A, A));
  assert.deepEqual(received(a, b, c), [0, 0, 0], "where it came from: nowhere");
  b.send(frame(A, A));
  a.send(frame(A, B));
  assert.deepEqual(received(a, b, c), [0, 1, 0], "a station that moved");
  a.send(frame(B, A));
  received(a, b, c);
  c.send(frame(A, C));
  assert.deepEqual(
    center.stations.map(({ mac }) => mac),
    [A, C],
    "there is room for two: B, unheard of longest, is forgotten",
  );
  await clock.advance(1.1e9);
  assert.deepEqual(center.stations, []);
  received(a, b, c);
  c.send(frame(A, C));
  assert.deepEqual(received(a, b, c), [1, 1, 0], "too long ago");
  a.port.detach(a);
  assert.deepEqual(
    center.stations.map(({ mac }) => mac),
    [C],
  );
  for (const wrong of [{ maxStations: 0 }, { ageingMs: 0 }, { ageingMs: NaN }])
    assert.throws(() => new Switch(wrong), { code: "ERR_INVALID_OPTION" });
});

test("frames that are too short to be one pass no switch", () => {
  const center = new Switch();
  const [a, b] = [new Listener(center.port()), new Listener(center.port())];
  for (let length = 0; length < 14; length++) a.send(pattern(length));
  assert.deepEqual(received(a, b), [0, 0]);
});

/** A link of somebody else's: what comes in goes out again where it came from. */
class Mirror implements JackOwner {
  readonly port = new Jack(this, "mirror");

  forward(frame: Frame, from: Jack): boolean {
    return from.deliver(frame, from);
  }
}

test("a link of one's own is an owner of jacks", () => {
  const mirror = new Mirror();
  const a = new Listener(mirror.port);
  assert.ok(mirror.port.up);
  assert.ok(a.send(frame(B, A)));
  assert.equal(a.frames.length, 1);
  a.open = false;
  assert.equal(a.send(frame(B, A)), false);
  a.port.ready();
  assert.equal(a.resumed, 1);
});

// --- Segments ----------------------------------------------------------------------------------

const be16 = (value: number) => [value >> 8, value & 0xff];
const be32 = (value: number) => [...be16(value >>> 16), ...be16(value & 0xffff)];

function sum(bytes: Uint8Array, from: number, to: number): number {
  let total = 0;
  for (let i = from; i < to; i++) total += bytes[i] << ((i - from) % 2 ? 0 : 8);
  return total;
}

function fold(total: number): number {
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 65536);
  return total;
}

interface Shape {
  version: 4 | 6;
  tcp: boolean;
  tags: number;
  options: number;
  payload: number;
}

/** A frame as a kernel sends it: with the sum of the pseudo-header where the checksum will be. */
function segment({ version, tcp, tags, options, payload }: Shape, flags: number) {
  const data = pattern(payload, payload);
  const transport = tcp
    ? [
        ...be16(1234),
        ...be16(80),
        ...be32(0xffffff00),
        ...be32(1),
        (5 + options) << 4,
        flags,
        ...be16(1000),
        0,
        0,
        0,
        0,
        ...new Array<number>(4 * options).fill(1),
      ]
    : [...be16(1234), ...be16(53), ...be16(8 + payload), 0, 0];
  const protocol = tcp ? 6 : 17;
  const length = transport.length + payload;
  const [from, to] =
    version === 4
      ? [
          [10, 0, 0, 1],
          [10, 0, 0, 2],
        ]
      : [pattern(16, 1), pattern(16, 2)];
  const network =
    version === 4
      ? [0x45, 0, ...be16(20 + length), 0xff, 0xff, 0x40, 0, 64, protocol, 0, 0, ...from, ...to]
      : [0x60, 0, 0, 0, ...be16(length), protocol, 64, ...from, ...to];
  const vlan = Array.from({ length: tags }, () => [0x81, 0, 0, 5]).flat();
  const type = be16(version === 4 ? 0x800 : 0x86dd);
  const head = [...new Array<number>(12).fill(2), ...vlan, ...type, ...network];
  const bytes = Uint8Array.from([...head, ...transport, ...data]);
  const pseudo = fold(
    sum(Uint8Array.from([...from, ...to]), 0, 2 * from.length) + protocol + fold(length),
  );
  const checksumOffset = tcp ? 16 : 6;
  bytes.set(be16(pseudo), head.length + checksumOffset);
  return {
    bytes,
    data,
    start: head.length,
    checksumOffset,
    header: head.length + transport.length,
  };
}

/** Checks lengths and checksums of a frame, and gives its payload. */
function verify(bytes: Uint8Array, { version, tcp, tags }: Shape): Uint8Array {
  const ip = 14 + 4 * tags;
  const start = ip + (version === 4 ? 20 : 40);
  const length = bytes.length - start;
  const addresses = version === 4 ? [ip + 12, ip + 20] : [ip + 8, ip + 40];
  if (version === 4) {
    assert.equal(fold(sum(bytes, ip, ip + 20)), 0xffff, "the header's checksum");
    assert.equal((bytes[ip + 2] << 8) | bytes[ip + 3], bytes.length - ip);
  } else assert.equal((bytes[ip + 4] << 8) | bytes[ip + 5], length);
  const pseudo = sum(bytes, addresses[0], addresses[1]) + (tcp ? 6 : 17) + length;
  assert.equal(fold(pseudo + sum(bytes, start, bytes.length)), 0xffff, "the checksum");
  if (!tcp) assert.equal((bytes[start + 4] << 8) | bytes[start + 5], length);
  return bytes.subarray(start + (tcp ? 4 * (bytes[start + 12] >> 4) : 8));
}

const shape = fc.record({
  version: fc.constantFrom<4 | 6>(4, 6),
  tcp: fc.boolean(),
  tags: fc.nat(2),
  options: fc.nat(10),
  payload: fc.integer({ min: 1, max: 20000 }),
});

/** Cuts the bytes into pieces, as they lie in a kernel's memory. */
function scattered(bytes: Uint8Array, cuts: readonly number[]): Frame {
  const result = new Frame();
  let from = 0;
  for (const cut of [
    ...cuts.map((one) => one % bytes.length).toSorted((a, b) => a - b),
    bytes.length,
  ]) {
    result.add(bytes.subarray(from, cut));
    from = cut;
  }
  return result;
}

test("segments are cut as the kernel does it: each part is a frame, together they are the whole", () => {
  fc.assert(
    fc.property(
      shape,
      fc.integer({ min: 8, max: 9000 }),
      fc.array(fc.nat()),
      fc.boolean(),
      (shape, gsoSize, cuts, ecn) => {
        const whole = segment(shape, 0b1100_1001); // CWR, ECE, PSH, FIN
        // The header's checksum is the kernel's work, who made it for the whole.
        const sent = scattered(whole.bytes, cuts);
        const ecnBit = ecn && shape.tcp ? VIRTIO_NET_HDR_GSO_ECN : 0;
        sent.needsChecksum = true;
        sent.checksumStart = whole.start;
        sent.checksumOffset = whole.checksumOffset;
        sent.gsoSize = gsoSize;
        sent.gsoType = !shape.tcp
          ? VIRTIO_NET_HDR_GSO_UDP_L4
          : (shape.version === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6) | ecnBit;
        const parts = complete(sent);
        assert.equal(parts.length, Math.ceil(shape.payload / gsoSize));
        let at = 0;
        for (const [i, part] of parts.entries()) {
          const payload = verify(part, shape);
          assert.equal(Buffer.compare(payload, whole.data.subarray(at, at + payload.length)), 0);
          if (i < parts.length - 1) assert.equal(payload.length, gsoSize);
          if (shape.tcp) {
            const view = new DataView(part.buffer, part.byteOffset, part.length);
            assert.equal(view.getUint32(whole.start + 4), (0xffffff00 + at) >>> 0);
            const flags = part[whole.start + 13];
            assert.equal((flags & 0b1001) !== 0, i === parts.length - 1, "FIN and PSH");
            assert.equal((flags & 0x80) !== 0, i === 0, "CWR");
            assert.ok(flags & 0x40, "ECE");
          }
          at += payload.length;
        }
        assert.equal(at, shape.payload);
      },
    ),
    { numRuns: 200 },
  );
});

test("checksums are made where they were left out", () => {
  fc.assert(
    fc.property(shape, fc.array(fc.nat()), (shape, cuts) => {
      const whole = segment(shape, 0x10);
      const sent = scattered(whole.bytes, cuts);
      sent.needsChecksum = true;
      sent.checksumStart = whole.start;
      sent.checksumOffset = whole.checksumOffset;
      const [bytes] = complete(sent);
      if (shape.version === 4) {
        // Not left out, in truth.
        const ip = 14 + 4 * shape.tags;
        bytes.set(be16(~fold(sum(bytes, ip, ip + 20)) & 0xffff), ip + 10);
      }
      assert.equal(Buffer.compare(verify(bytes, shape), whole.data), 0);
    }),
  );
});

test("a checksum of 0 is 0 in TCP, and 0xffff in UDP, where 0 means none", () => {
  for (const tcp of [true, false])
    for (const gso of [true, false]) {
      const shape: Shape = { version: 4, tcp, tags: 0, options: 0, payload: 100 };
      const { bytes, start, checksumOffset, header } = segment(shape, 0x10);
      const at = start + checksumOffset;
      const made = () => {
        const frame = Frame.of(bytes);
        frame.needsChecksum = true;
        frame.checksumStart = start;
        frame.checksumOffset = checksumOffset;
        if (gso) frame.gsoType = tcp ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_UDP_L4;
        frame.gsoSize = 1000;
        const [part] = complete(frame);
        return (part[at] << 8) | part[at + 1];
      };
      const word = (bytes[header] << 8) | bytes[header + 1];
      bytes.set(be16(fold(word + made())), header);
      assert.equal(made(), tcp ? 0 : 0xffff);
    }
});

test("what contradicts itself is no frame, and nothing throws", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.record({
        needsChecksum: fc.boolean(),
        checksumStart: fc.nat(250),
        checksumOffset: fc.nat(250),
        gsoType: fc.constantFrom(0, 1, 3, 4, 5, 0x81, 77),
        gsoSize: fc.nat(300),
      }),
      (bytes, claims) => {
        for (const part of complete(Object.assign(Frame.of(bytes), claims)))
          assert.ok(part.length >= 14 && part.length <= bytes.length);
      },
    ),
    { numRuns: 2000 },
  );
});

test("frames in a stream are the same in whatever pieces they come", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 12 }),
      fc.array(fc.nat()),
      (frames, cuts) => {
        const stream = Buffer.concat(
          frames.flatMap((frame) => [Uint8Array.from(be32(frame.length)), frame]),
        );
        const reader = new FrameReader(300);
        const read: Uint8Array[] = [];
        for (const piece of scattered(stream, cuts).segments)
          for (const frame of reader.read(piece)) read.push(frame);
        assert.deepEqual(
          read.map((frame) => Array.from(frame)),
          frames.map((frame) => Array.from(frame)),
        );
        assert.throws(() => [...reader.read(Uint8Array.of(0, 0, 1, 45))], { code: "EPROTO" });
      },
    ),
  );
});
