// Emulated links: what they do to frames, by a clock that stands still until it is told to move.

import assert from "node:assert/strict";
import { test } from "node:test";

import { VirtualClock } from "../src/index.ts";
import { EmulatedLink } from "../src/link/index.ts";
import type { EmulatedLinkOptions, Frame } from "../src/link/index.ts";
import { Host, Listener, connected, ethernet, pattern } from "./link-support.ts";

const [A, B] = ["02:00:00:00:00:0a", "02:00:00:00:00:0b"];
const MS = 1e6;

/** A link whose receiver notes when each frame came. */
class Bench {
  readonly clock = new VirtualClock();
  readonly link: EmulatedLink;
  readonly a: Listener;
  readonly b: Listener;
  readonly arrivals: { atMs: number; number: number; bytes: Uint8Array }[] = [];
  #number = 0;

  constructor(options: EmulatedLinkOptions) {
    this.link = new EmulatedLink({ clock: this.clock, ...options });
    this.a = new Listener(this.link.a);
    this.b = new Listener(this.link.b);
    this.link.b.observe((frame: Frame, direction) => {
      if (direction === "sent") return;
      const bytes = frame.bytes();
      const number = new DataView(bytes.buffer).getUint32(14);
      this.arrivals.push({ atMs: this.clock.nowNs() / MS, number, bytes });
    });
  }

  /** Send numbered frames of so many bytes. */
  send(count: number, length = 1000): void {
    for (let i = 0; i < count; i++) {
      const payload = new Uint8Array(length - 14);
      new DataView(payload.buffer).setUint32(0, this.#number++);
      this.a.send(ethernet(B, A, 0x88b5, payload));
    }
  }

  get numbers(): number[] {
    return this.arrivals.map(({ number }) => number);
  }
}

test("delay and rate: each frame arrives when it must", async () => {
  const bench = new Bench({ rateMbps: 8, delayMs: 20, overheadBytes: 24 });
  bench.send(10, 976);
  assert.equal(bench.link.aToB.queuedFrames, 10);
  await bench.clock.advance(5 * MS);
  assert.equal(bench.arrivals.length, 0);
  assert.equal(bench.link.aToB.queuedFrames, 5);
  await bench.clock.advance(1000 * MS);
  // 1000 bytes take a millisecond.
  assert.deepEqual(
    bench.arrivals.map(({ atMs }) => atMs),
    [21, 22, 23, 24, 25, 26, 27, 28, 29, 30],
  );
  assert.equal(bench.clock.nextDeadlineNs, Infinity);
});

test("without impairments, a frame is there at once, and as it was", () => {
  const bench = new Bench({});
  bench.send(3);
  assert.deepEqual(bench.numbers, [0, 1, 2]);
});

test("chance: as often as it should be, and the same again for the same seed", async () => {
  const count = 20_000;
  const run = async (seed: number) => {
    const bench = new Bench({ seed, loss: 0.3, duplicate: 0.1, corrupt: 0.05, delayMs: 1 });
    for (let i = 0; i < count; i += 100) {
      bench.send(100, 100);
      await bench.clock.advance(2 * MS);
    }
    return bench;
  };
  const [first, again, other] = [await run(1), await run(1), await run(2)];
  const near = (value: number, expected: number) =>
    assert.ok(Math.abs(value - expected) < 5 * Math.sqrt(expected), `${value}, not ${expected}`);
  const { counters } = first.link.aToB;
  near(counters.lostFrames, 0.3 * count);
  near(counters.duplicatedFrames, 0.07 * count);
  near(counters.corruptedFrames, 0.035 * count);
  assert.equal(counters.deliveredFrames, first.arrivals.length);
  assert.equal(counters.deliveredFrames, count - counters.lostFrames + counters.duplicatedFrames);
  assert.deepEqual(first.arrivals, again.arrivals);
  assert.notDeepEqual(first.numbers, other.numbers);
});

test("a corrupted frame differs in one bit", async () => {
  const bench = new Bench({ corrupt: 1 });
  const sent = ethernet(B, A, 0x88b5, pattern(500));
  for (let i = 0; i < 50; i++) bench.a.send(sent);
  for (const { bytes } of bench.arrivals) {
    const wrong = bytes.reduce(
      (bits, byte, i) => bits + (byte ^ sent[i]).toString(2).replaceAll("0", "").length,
      0,
    );
    assert.equal(wrong, 1);
  }
  assert.equal(bench.arrivals.length, 50);
});

test("jitter lets frames overtake each other, within its bounds; reordered ones skip the delay", async () => {
  const jittery = new Bench({ delayMs: 50, jitterMs: 10 });
  jittery.send(500);
  await jittery.clock.advance(1000 * MS);
  assert.ok(jittery.arrivals.every(({ atMs }) => atMs >= 40 && atMs <= 60));
  assert.ok(jittery.arrivals.some(({ atMs }) => atMs < 42));
  assert.ok(jittery.arrivals.some(({ atMs }) => atMs > 58));
  assert.notDeepEqual(
    jittery.numbers,
    jittery.numbers.toSorted((a, b) => a - b),
  );
  const reordered = new Bench({ delayMs: 50, reorder: 0.2 });
  reordered.send(500);
  const early = reordered.arrivals.length;
  assert.ok(early > 60 && early < 140, `${early}`);
  await reordered.clock.advance(50 * MS);
  assert.equal(reordered.arrivals.length, 500);
  assert.equal(reordered.link.aToB.counters.reorderedFrames, early);
});

test("a queue that is full drops what comes last", async () => {
  const bench = new Bench({ rateMbps: 8, queueFrames: 10 });
  bench.send(50);
  await bench.clock.advance(1000 * MS);
  // One was being sent.
  assert.deepEqual(
    bench.numbers,
    Array.from({ length: 11 }, (_, i) => i),
  );
  assert.equal(bench.link.aToB.counters.overflowedFrames, 39);
  const bytes = new Bench({ rateMbps: 8, queueBytes: 5000 });
  bytes.send(50);
  await bytes.clock.advance(1000 * MS);
  assert.equal(bytes.arrivals.length, 5);
});

test("RED drops before the queue is full, the more the fuller it is", async () => {
  const bench = new Bench({
    rateMbps: 8,
    queueFrames: 1000,
    red: { minBytes: 20_000, maxBytes: 60_000, probability: 0.1, weight: 0.05 },
  });
  // A tenth more than it can send.
  for (let i = 0; i < 300; i++) {
    bench.send(11);
    await bench.clock.advance(10 * MS);
  }
  const { earlyFrames, overflowedFrames } = bench.link.aToB.counters;
  assert.equal(overflowedFrames, 0);
  assert.ok(earlyFrames > 150 && earlyFrames < 400, `${earlyFrames}`);
  assert.ok(bench.link.aToB.queuedFrames < 70);
  const before = earlyFrames;
  await bench.clock.advance(1000 * MS);
  for (let i = 0; i < 100; i++) {
    bench.send(5);
    await bench.clock.advance(10 * MS);
  }
  assert.equal(bench.link.aToB.counters.earlyFrames, before, "none while there is no queue");
});

test("a receiver without room holds frames up, in order", async () => {
  const bench = new Bench({ delayMs: 1 });
  bench.b.open = false;
  bench.send(5);
  await bench.clock.advance(10 * MS);
  assert.equal(bench.arrivals.length, 0);
  bench.b.open = true;
  bench.link.b.ready();
  assert.deepEqual(bench.numbers, [0, 1, 2, 3, 4]);
});

test("a link that goes down loses what is on its way, and other impairments can be set any time", async () => {
  const bench = new Bench({ delayMs: 10 });
  bench.send(5);
  bench.link.a.on = false;
  await bench.clock.advance(100 * MS);
  assert.equal(bench.arrivals.length, 0);
  assert.equal(bench.clock.nextDeadlineNs, Infinity);
  bench.link.a.on = true;
  bench.link.aToB.change({ delayMs: 1 });
  bench.send(1);
  await bench.clock.advance(1 * MS);
  assert.deepEqual(bench.numbers, [5]);
});

test("directions can differ", async () => {
  const bench = new Bench({ delayMs: 5, bToA: { delayMs: 30 } });
  bench.send(1);
  bench.b.send(ethernet(A, B, 0x88b5));
  await bench.clock.advance(29 * MS);
  assert.equal(bench.arrivals.length, 1);
  assert.equal(bench.a.frames.length, 0);
  await bench.clock.advance(1 * MS);
  assert.equal(bench.a.frames.length, 1);
});

test("options that cannot be are refused", () => {
  const wrong: EmulatedLinkOptions[] = [
    { loss: 1.1 },
    { loss: NaN },
    { corrupt: -0.1 },
    { delayMs: -1 },
    { delayMs: Infinity },
    { rateMbps: 0 },
    { queueFrames: -1 },
    { aToB: { duplicate: 2 } },
    { red: { minBytes: 10, maxBytes: 5 } },
    { red: { minBytes: 1, maxBytes: 5, weight: 0 } },
  ];
  for (const options of wrong)
    assert.throws(
      () => new EmulatedLink(options),
      { code: "ERR_INVALID_OPTION" },
      JSON.stringify(options),
    );
});

/** Two kernels at an emulated link, all on one virtual clock. */
async function overLink(options: EmulatedLinkOptions, bytes: number): Promise<number> {
  const clock = new VirtualClock();
  const link = new EmulatedLink({ clock, ...options });
  const boot = (address: string, port: EmulatedLink["a"], last: number) =>
    Host.boot(address, { port, mac: `02:00:00:00:00:0${last}` }, { clock, random: last });
  const a = await clock.drive(boot("10.0.0.1", link.a, 1));
  const b = await clock.drive(boot("10.0.0.2", link.b, 2));
  const work = async () => {
    const [mine, theirs] = await connected(a, b);
    const start = clock.nowNs();
    const [got] = await Promise.all([b.receive(theirs, bytes), a.send(mine, pattern(bytes))]);
    assert.equal(Buffer.compare(got, pattern(bytes)), 0);
    return (clock.nowNs() - start) / MS;
  };
  const tookMs = await clock.drive(work());
  await Promise.all([a.kernel.halt(), b.kernel.halt()]);
  return tookMs;
}

test("TCP between kernels over 10 Mbit/s and 20 ms: as long as it must take, and the same each time", async () => {
  const bytes = 2_000_000;
  const tookMs = await overLink({ rateMbps: 10, delayMs: 20, queueFrames: 100 }, bytes);
  const leastMs = (bytes * 8) / 10_000;
  assert.ok(tookMs > leastMs && tookMs < 1.3 * leastMs, `${tookMs} ms, not ${leastMs}`);
  assert.equal(await overLink({ rateMbps: 10, delayMs: 20, queueFrames: 100 }, bytes), tookMs);
});

test("TCP between kernels over a link that does everything wrong", async () => {
  const awful = { loss: 0.1, duplicate: 0.1, corrupt: 0.1, reorder: 0.1, delayMs: 5, jitterMs: 4 };
  await overLink(awful, 200_000);
  await overLink({ loss: 0.3, delayMs: 1 }, 100_000);
});
