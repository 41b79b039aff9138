// The device's side of a virtqueue against a model of the driver's, and against drivers that lie.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import {
  VRING_AVAIL_F_NO_INTERRUPT,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
} from "../src/abi/constants/virtio.ts";
import { VringDesc } from "../src/abi/structs/virtio.ts";
import { Memory } from "../src/machine/memory.ts";
import { MAX_CHAIN, VirtQueue } from "../src/virtio/index.ts";

const MEMORY_BYTES = 1 << 20;
const DESCRIPTORS = 0x1000;
const AVAILABLE = 0x20000;
const USED = 0x40000;
const TABLES = 0x60000;
const DESC = VringDesc.size;

interface Buffer {
  address: number;
  length: number;
  writable: boolean;
}

/** What a driver does, as virtio 1.2 section 2.7 has it. */
class Driver {
  readonly memory = new Memory(MEMORY_BYTES, true);
  readonly size: number;
  readonly eventIndex: boolean;
  readonly queue: VirtQueue;
  readonly problems: string[] = [];
  #free: number[];
  readonly #chains = new Map<number, number[]>();
  #available = 0;
  #seen = 0;
  #tables = 0;

  constructor(size: number, eventIndex: boolean) {
    this.size = size;
    this.eventIndex = eventIndex;
    this.#free = Array.from({ length: size }, (_, i) => i);
    this.queue = this.#queue();
  }

  #queue(): VirtQueue {
    const { size, eventIndex } = this;
    return new VirtQueue(
      this.memory,
      3,
      { size, descriptors: DESCRIPTORS, available: AVAILABLE, used: USED, eventIndex },
      (problem) => this.problems.push(problem),
    );
  }

  describe(table: number, index: number, buffer: Buffer, flags: number, next: number): void {
    const { view } = this.memory;
    const at = table + DESC * index;
    view.setBigUint64(at, BigInt(buffer.address), true);
    view.setUint32(at + 8, buffer.length, true);
    view.setUint16(at + 12, flags | (buffer.writable ? VRING_DESC_F_WRITE : 0), true);
    view.setUint16(at + 14, next, true);
  }

  /** Make a chain available. @returns its head, or -1 if the ring is too full */
  add(buffers: readonly Buffer[], indirect: boolean): number {
    const needed = indirect ? 1 : buffers.length;
    if (this.#free.length < needed) return -1;
    const slots = this.#free.splice(0, needed);
    const head = slots[0];
    if (indirect) {
      const table = TABLES + ((this.#tables++ * 0x400) & 0x3ffff);
      for (const [i, buffer] of buffers.entries())
        this.describe(table, i, buffer, i + 1 < buffers.length ? VRING_DESC_F_NEXT : 0, i + 1);
      const whole = { address: table, length: DESC * buffers.length, writable: false };
      this.describe(DESCRIPTORS, head, whole, VRING_DESC_F_INDIRECT, 0);
    } else
      for (const [i, buffer] of buffers.entries()) {
        const more = i + 1 < buffers.length;
        this.describe(
          DESCRIPTORS,
          slots[i],
          buffer,
          more ? VRING_DESC_F_NEXT : 0,
          slots[i + 1] ?? 0,
        );
      }
    this.#chains.set(head, slots);
    this.publish(head);
    return head;
  }

  publish(head: number): void {
    const { view } = this.memory;
    view.setUint16(AVAILABLE + 4 + 2 * (this.#available % this.size), head, true);
    this.#available = (this.#available + 1) & 0xffff;
    view.setUint16(AVAILABLE + 2, this.#available, true);
  }

  /** What came back since this was last called. */
  collect(): { head: number; written: number }[] {
    const { view } = this.memory;
    const back: { head: number; written: number }[] = [];
    for (; this.#seen !== view.getUint16(USED + 2, true); this.#seen = (this.#seen + 1) & 0xffff) {
      const at = USED + 4 + 8 * (this.#seen % this.size);
      const head = view.getUint32(at, true);
      back.push({ head, written: view.getUint32(at + 4, true) });
      const slots = this.#chains.get(head);
      assert.ok(slots, `head ${head} came back but was not out`);
      this.#chains.delete(head);
      this.#free.push(...slots);
    }
    return back;
  }

  /** Ask for an interrupt when so many more chains came back; or with flags, for all or none. */
  ask(after: number): void {
    const { view } = this.memory;
    if (this.eventIndex)
      view.setUint16(AVAILABLE + 4 + 2 * this.size, (this.#seen + after) & 0xffff, true);
    else view.setUint16(AVAILABLE, after ? VRING_AVAIL_F_NO_INTERRUPT : 0, true);
  }

  /** Whether the device wants to be notified of what was made available since `before`. */
  wanted(before: number): boolean {
    const event = this.memory.view.getUint16(USED + 4 + 8 * this.size, true);
    return ((this.#available - event - 1) & 0xffff) < ((this.#available - before) & 0xffff);
  }

  get available(): number {
    return this.#available;
  }
}

const buffer = fc.record(
  { address: fc.nat(MEMORY_BYTES - 4096), length: fc.nat(4096), writable: fc.boolean() },
  { noNullPrototype: true },
);
const chain = fc
  .array(buffer, { minLength: 1, maxLength: 6 })
  .map((buffers) => buffers.toSorted((a, b) => Number(a.writable) - Number(b.writable)));
const command = fc.oneof(
  { weight: 3, arbitrary: fc.record({ add: chain, indirect: fc.boolean() }) },
  { weight: 3, arbitrary: fc.constant("pop" as const) },
  { weight: 1, arbitrary: fc.record({ look: fc.nat(4) }) },
  { weight: 3, arbitrary: fc.record({ push: fc.nat(), written: fc.nat(0xffffffff) }) },
  { weight: 1, arbitrary: fc.record({ ask: fc.nat(3) }) },
);

test("every chain arrives once, as it was sent, and comes back once, in any order", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(1, 2, 8, 64),
      fc.boolean(),
      fc.array(command, { size: "+2" }),
      (size, eventIndex, commands) => {
        const driver = new Driver(size, eventIndex);
        const { queue } = driver;
        const waiting: { head: number; buffers: Buffer[] }[] = [];
        const taken: number[] = [];
        for (const command of commands) {
          if (command === "pop") {
            const head = queue.pop();
            const expected = waiting.shift();
            assert.equal(head, expected?.head ?? -1);
            if (!expected) continue;
            taken.push(head);
            const got = Array.from({ length: queue.count }, (_, i) => ({
              address: queue.address[i],
              length: queue.length[i],
              writable: i >= queue.readable,
            }));
            assert.deepEqual(got, expected.buffers);
          } else if ("look" in command) {
            // Taken and left again: as if it had not been.
            const heads = Array.from({ length: command.look }, () => queue.pop());
            assert.deepEqual(
              heads,
              heads.map((_, i) => waiting[i]?.head ?? -1),
            );
            for (const head of heads.toReversed()) if (head >= 0) queue.unpop(head);
          } else if ("add" in command) {
            const head = driver.add(command.add, command.indirect);
            if (head >= 0) waiting.push({ head, buffers: command.add });
          } else if ("ask" in command) driver.ask(command.ask);
          else if (taken.length) {
            const [head] = taken.splice(command.push % taken.length, 1);
            queue.push(head, command.written);
            assert.deepEqual(driver.collect(), [{ head, written: command.written }]);
          }
          assert.deepEqual(
            queue.outstanding,
            taken.toSorted((a, b) => a - b),
          );
        }
        assert.equal(queue.broken, null);
      },
    ),
  );
});

const ONE = [{ address: 0, length: 8, writable: true }];

test("indices wrap at 2^16", () => {
  const driver = new Driver(4, true);
  for (let i = 0; i < 70_000; i++) {
    const head = driver.add(ONE, false);
    assert.equal(driver.queue.pop(), head);
    driver.queue.push(head, i);
    assert.deepEqual(driver.collect(), [{ head, written: i }]);
  }
});

test("interrupts: with flags all or none, with the event index when the driver wants one", () => {
  for (const eventIndex of [false, true]) {
    const driver = new Driver(8, eventIndex);
    const { queue } = driver;
    const serve = () => {
      driver.add(ONE, false);
      queue.push(queue.pop(), 8);
      return queue.takeInterrupt();
    };
    driver.ask(0);
    assert.equal(queue.takeInterrupt(), false, "nothing came back");
    assert.equal(serve(), true);
    driver.collect();
    driver.ask(2);
    assert.deepEqual(
      [serve(), serve(), serve()],
      eventIndex ? [false, false, true] : [false, false, false],
    );
    driver.collect();
    driver.ask(0);
    assert.equal(serve(), true);
  }
});

test("with the event index, a drained queue wants to be notified, a full one does not", () => {
  const driver = new Driver(8, true);
  driver.queue.pop();
  let before = driver.available;
  driver.add(ONE, false);
  assert.ok(driver.wanted(before), "the first after it was found empty");
  before = driver.available;
  driver.add(ONE, false);
  assert.ok(!driver.wanted(before), "it will look before it sleeps");
  while (driver.queue.pop() >= 0);
  before = driver.available;
  driver.add(ONE, false);
  assert.ok(driver.wanted(before));
});

test("a closed queue touches nothing", () => {
  const driver = new Driver(4, true);
  driver.add(ONE, false);
  const head = driver.queue.pop();
  const before = driver.memory.u8.slice();
  driver.queue.close();
  driver.queue.push(head, 1);
  assert.equal(driver.queue.pop(), -1);
  assert.equal(driver.queue.takeInterrupt(), false);
  assert.equal(Buffer.compare(driver.memory.u8, before), 0);
});

const lies: Record<string, (driver: Driver) => void> = {
  "outside memory": (d) => d.add([{ address: MEMORY_BYTES - 4, length: 8, writable: true }], false),
  "outside memory, beyond 4 GiB": (d) =>
    d.add([{ address: 2 ** 32 + 64, length: 8, writable: true }], true),
  "in a loop": (d) => {
    d.describe(DESCRIPTORS, 0, ONE[0], VRING_DESC_F_NEXT, 1);
    d.describe(DESCRIPTORS, 1, ONE[0], VRING_DESC_F_NEXT, 0);
    d.publish(0);
  },
  "descriptor 9 of 8": (d) => {
    d.describe(DESCRIPTORS, 0, ONE[0], VRING_DESC_F_NEXT, 9);
    d.publish(0);
  },
  "head 8 of 8": (d) => d.publish(8),
  "available twice": (d) => d.publish(d.add(ONE, false)),
  "9 chains available at once": (d) => d.memory.view.setUint16(AVAILABLE + 2, 1 + 9, true),
  "a readable buffer after a writable one": (d) =>
    d.add([ONE[0], { ...ONE[0], writable: false }], false),
  "nested indirect": (d) => {
    const table = { address: TABLES, length: DESC, writable: false };
    d.describe(TABLES, 0, table, VRING_DESC_F_INDIRECT, 0);
    d.describe(DESCRIPTORS, 0, table, VRING_DESC_F_INDIRECT, 0);
    d.publish(0);
  },
  "indirect table of 17 bytes": (d) => {
    const table = { address: TABLES, length: 17, writable: false };
    d.describe(DESCRIPTORS, 0, table, VRING_DESC_F_INDIRECT, 0);
    d.publish(0);
  },
  "buffers in a chain": (d) =>
    d.add(
      Array.from({ length: MAX_CHAIN + 1 }, () => ONE[0]),
      true,
    ),
};

for (const [problem, lie] of Object.entries(lies))
  test(`a driver that lies breaks its queue, once: ${problem}`, () => {
    const driver = new Driver(8, false);
    const good = driver.add(ONE, false);
    assert.equal(driver.queue.pop(), good);
    driver.queue.push(good, 0);
    driver.collect();
    driver.memory.u8.fill(0, DESCRIPTORS, DESCRIPTORS + 8 * DESC);
    lie(driver);
    for (let i = 0; i < 10; i++) driver.queue.pop();
    assert.equal(driver.problems.length, 1, driver.problems.join());
    assert.ok(driver.problems[0].includes(problem.split(",")[0]), driver.problems[0]);
    assert.equal(driver.queue.broken, driver.problems[0]);
  });

test("garbage for rings neither throws nor hangs nor reaches outside memory", () => {
  fc.assert(
    fc.property(
      fc.infiniteStream(fc.integer({ min: 0, max: 255 })),
      fc.constantFrom(1, 4, 16),
      fc.nat(20),
      (bytes, size, available) => {
        const driver = new Driver(size, true);
        const { view, u8 } = driver.memory;
        const source = bytes[Symbol.iterator]();
        for (let i = 0; i < size * DESC; i++) u8[DESCRIPTORS + i] = source.next().value!;
        // Some of it plausible: addresses within memory, few flags, near neighbours.
        for (let i = 0; i < size; i++) {
          const at = DESCRIPTORS + i * DESC;
          if (u8[at] & 1) view.setBigUint64(at, BigInt(DESCRIPTORS + (u8[at] & 0xf0)), true);
          if (u8[at] & 2) view.setUint32(at + 8, u8[at + 8] & 0x70, true);
          view.setUint16(at + 12, u8[at + 12] & 7, true);
          view.setUint16(at + 14, u8[at + 14] % (size + 1), true);
          view.setUint16(AVAILABLE + 4 + 2 * i, source.next().value! % (size + 1), true);
        }
        view.setUint16(AVAILABLE + 2, available, true);
        for (let i = 0; i < 40; i++) {
          if (driver.queue.pop() < 0) continue;
          for (let b = 0; b < driver.queue.count; b++)
            assert.ok(driver.queue.address[b] + driver.queue.length[b] <= MEMORY_BYTES);
        }
        assert.ok(driver.problems.length <= 1);
      },
    ),
    { numRuns: 500 },
  );
});

test("rings that cannot be break the queue before it is used", () => {
  const memory = new Memory(MEMORY_BYTES, false);
  const good = {
    size: 8,
    descriptors: DESCRIPTORS,
    available: AVAILABLE,
    used: USED,
    eventIndex: false,
  };
  for (const wrong of [
    { size: 0 },
    { size: 7 },
    { size: 65536 },
    { descriptors: MEMORY_BYTES - 64 },
    { available: AVAILABLE + 1 },
    { used: MEMORY_BYTES - 4 },
  ]) {
    const problems: string[] = [];
    const queue = new VirtQueue(memory, 0, { ...good, ...wrong }, (problem) =>
      problems.push(problem),
    );
    assert.equal(problems.length, 1);
    assert.equal(queue.pop(), -1);
  }
});
