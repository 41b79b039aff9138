// How arguments cross into the kernel and back, and how calls share the threads of a process.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import fc from "fast-check";

import { SystemCalls } from "../src/abi/calls.ts";
import { EFD_NONBLOCK } from "../src/abi/constants/eventfd.ts";
import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
} from "../src/abi/constants/fcntl.ts";
import { CLOCK_MONOTONIC } from "../src/abi/constants/time.ts";
import { BufferSizeError, DisposedError, SystemError } from "../src/index.ts";
import type { Kernel, Process } from "../src/index.ts";
import {
  boot,
  isSettled,
  list,
  memories,
  pipe,
  rejection,
  text,
  threads,
  timespec,
  until,
} from "./kernel.ts";

const EVENT_BYTES = 8;

/** Calls that end the process, or the kernel, when they do what they are told. */
const ENDINGS = new Set(["constructor", "kill", "reboot", "rt_sigqueueinfo", "tgkill", "tkill"]);

/** Their bytes, one buffer's after the other's. */
function joined(buffers: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(buffers));
}

/** A file of its own for each run of a property. */
async function scratch(process: Process): Promise<number> {
  const fd = await process.openat(AT_FDCWD, "/tmp/scratch", O_CREAT | O_EXCL | O_RDWR, 0o600);
  await process.unlinkat(AT_FDCWD, "/tmp/scratch", 0);
  return fd;
}

for (const { kind, shared } of memories) {
  suite(`arguments, in ${kind}`, () => {
    let kernel: Kernel;
    let init: Process;

    before(async () => {
      kernel = await boot({ shared });
      ({ init } = kernel);
    });

    after(() => kernel.halt());

    test("bytes that are written are read back", () =>
      fc.assert(
        fc.asyncProperty(
          fc.uint8Array({ maxLength: 70_000 }),
          fc.nat(100_000),
          async (bytes, offset) => {
            const fd = await scratch(init);
            assert.equal(await init.pwrite64(fd, bytes, bytes.length, offset), bytes.length);
            const back = new Uint8Array(bytes.length + 10).fill(0xaa);
            assert.equal(await init.pread64(fd, back, back.length, offset), bytes.length);
            assert.deepEqual(back.subarray(0, bytes.length), bytes);
            // What the kernel did not write is as it was.
            assert.deepEqual(back.subarray(bytes.length), new Uint8Array(10).fill(0xaa));
            await init.close(fd);
          },
        ),
        { numRuns: 100 },
      ));

    test("an offset in a file is eight bytes, however much is moved", async () => {
      const [from, to] = [await scratch(init), await scratch(init)];
      const bytes = Uint8Array.from({ length: 5000 }, (_, i) => i);
      await init.write(from, bytes, bytes.length);
      const [offset, there] = [1000n, 2000n].map((at) => new BigInt64Array([at]));
      const raw = (one: BigInt64Array) => new Uint8Array(one.buffer);
      assert.equal(await init.sendfile64(to, from, raw(offset), 3000), 3000);
      assert.equal(offset[0], 4000n);
      const copied = await init.copy_file_range(from, raw(offset), to, raw(there), 900, 0);
      assert.deepEqual([copied, offset[0], there[0]], [900, 4900n, 2900n]);
      const back = new Uint8Array(2900);
      assert.equal(await init.pread64(to, back, back.length, 0), 2900);
      assert.deepEqual(back.subarray(0, 2000), bytes.subarray(1000, 3000));
      assert.deepEqual(back.subarray(2000), bytes.subarray(4000, 4900));
      await Promise.all([init.close(from), init.close(to)]);
    });

    test("vectors are gathered and scattered", () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.uint8Array({ maxLength: 6000 }), { minLength: 1, maxLength: 8 }),
          fc.array(fc.nat(6000), { minLength: 1, maxLength: 8 }),
          async (pieces, lengths) => {
            const fd = await scratch(init);
            const whole = joined(pieces);
            assert.equal(await init.writev(fd, pieces, pieces.length), whole.length);
            const buffers = lengths.map((length) => new Uint8Array(length));
            const room = lengths.reduce((sum, length) => sum + length, 0);
            const count = Math.min(whole.length, room);
            assert.equal(await init.preadv(fd, buffers, buffers.length, 0), count);
            const back = joined(buffers);
            const expected = new Uint8Array(room);
            expected.set(whole.subarray(0, count));
            assert.deepEqual(back, expected);
            await init.close(fd);
          },
        ),
        { numRuns: 60 },
      ));

    test("names of any characters are kept", () =>
      fc.assert(
        fc.asyncProperty(
          fc
            .string({ unit: "grapheme", minLength: 1, maxLength: 60 })
            .filter(
              (name) =>
                !/[/\0]/.test(name) &&
                name !== "." &&
                name !== ".." &&
                text.encode(name).length < 256,
            ),
          async (name) => {
            await init.mkdirat(AT_FDCWD, "/tmp/names", 0o755);
            const path = `/tmp/names/${name}`;
            await init.close(await init.openat(AT_FDCWD, path, O_CREAT | O_EXCL | O_RDWR, 0o600));
            assert.deepEqual(await list(init, "/tmp/names"), [name]);
            await init.unlinkat(AT_FDCWD, path, 0);
            await init.unlinkat(AT_FDCWD, "/tmp/names", 0x200);
          },
        ),
        { numRuns: 60 },
      ));

    test("names may be bytes, also such as are no UTF-8", async () => {
      const name = Uint8Array.of(...text.encode("/tmp/"), 0xff, 0xfe, 0x80);
      const fd = await init.openat(AT_FDCWD, name, O_CREAT | O_EXCL | O_RDWR, 0o600);
      await init.close(fd);
      const folder = await init.openat(AT_FDCWD, "/tmp", O_RDONLY | O_DIRECTORY, 0);
      const entries = new Uint8Array(4096);
      const length = await init.getdents64(folder, entries, entries.length);
      assert.ok(Buffer.from(entries.subarray(0, length)).includes(name.subarray(5)));
      await init.close(folder);
      await init.unlinkat(AT_FDCWD, name, 0);
    });

    test("64-bit numbers cross whole", async () => {
      const fd = await scratch(init);
      const far = 2 ** 40 + 5;
      for (const offset of [far, BigInt(far)]) {
        assert.equal(await init.pwrite64(fd, Uint8Array.of(7), 1, offset), 1);
        const back = new Uint8Array(1);
        assert.equal(await init.pread64(fd, back, 1, offset), 1);
        assert.equal(back[0], 7);
      }
      await assert.rejects(init.pread64(fd, new Uint8Array(1), 1, -1), { code: "EINVAL" });
      await init.close(fd);
    });

    test("a kernel buffer is used in place", async () => {
      const fd = await scratch(init);
      await using buffer = await init.buffer(8192);
      assert.ok(buffer.bytes.every((byte) => byte === 0));
      buffer.bytes.fill(0x5a);
      assert.equal(await init.pwrite64(fd, buffer, 8192, 0), 8192);
      buffer.bytes.fill(0);
      assert.equal(await init.pread64(fd, buffer.slice(4096), 4096, 0), 4096);
      assert.ok(buffer.bytes.subarray(0, 4096).every((byte) => byte === 0));
      assert.ok(buffer.bytes.subarray(4096).every((byte) => byte === 0x5a));
      assert.equal(buffer.view.getUint32(4096), 0x5a5a5a5a);
      assert.throws(() => buffer.slice(8000, 200), RangeError);
      await assert.rejects(init.pread64(fd, buffer, 8193, 0), BufferSizeError);
      await init.close(fd);
    });

    test("only what a call writes changes in its buffer", async () => {
      const bytes = new Uint8Array(100).fill(0xaa);
      await init.clock_gettime64(CLOCK_MONOTONIC, bytes);
      assert.notDeepEqual(bytes.subarray(0, 16), new Uint8Array(16).fill(0xaa));
      assert.deepEqual(bytes.subarray(16), new Uint8Array(84).fill(0xaa));
    });

    test("views into the middle of a buffer are used as they are", async () => {
      const fd = await scratch(init);
      const store = Uint8Array.from({ length: 64 }, (_, i) => i);
      await init.write(fd, store.subarray(10, 20), 10);
      const target = new Uint8Array(64);
      await init.pread64(fd, target.subarray(30, 40), 10, 0);
      assert.deepEqual(target.subarray(30, 40), store.subarray(10, 20));
      assert.ok(target.subarray(0, 30).every((byte) => byte === 0));
      assert.ok(target.subarray(40).every((byte) => byte === 0));
      await init.close(fd);
    });
  });
}

suite("bad arguments", () => {
  let kernel: Kernel;
  let init: Process;

  before(async () => {
    kernel = await boot();
    ({ init } = kernel);
  });

  after(() => kernel.halt());

  test("a name with a NUL character", async () => {
    await assert.rejects(init.openat(AT_FDCWD, "/tmp/a\0b", O_CREAT, 0o600), TypeError);
    await assert.rejects(init.renameat2(AT_FDCWD, "/tmp", AT_FDCWD, "\0", 0), TypeError);
  });

  test("a buffer that is shorter than the length given with it", async () => {
    const fd = await scratch(init);
    const four = new Uint8Array(4);
    const error = await rejection(init.read(fd, four, 5));
    assert.ok(error instanceof BufferSizeError);
    assert.equal(error.code, "ERR_OUT_OF_RANGE");
    assert.match(error.message, /read: 5 bytes .* has 4/);
    await assert.rejects(init.write(fd, four, 5), BufferSizeError);
    await assert.rejects(init.getrandom(four, -1, 0), BufferSizeError);
    await assert.rejects(init.readv(fd, [four], 2), BufferSizeError);
    await assert.rejects(init.writev(fd, [four, four], -1), BufferSizeError);
    assert.equal(await init.pread64(fd, four, 4, 0), 0);
    await init.close(fd);
  });

  test("what is no buffer", async () => {
    await assert.rejects(init.write(1, {} as Uint8Array, 1), TypeError);
  });

  test("an address outside of memory", async () => {
    const fd = await scratch(init);
    await init.write(fd, new Uint8Array(64), 64);
    for (const address of [
      kernel.memory.size,
      kernel.memory.size + 4096,
      0xffff_f000,
      -64,
      0x8000_0000,
    ]) {
      await assert.rejects(init.pread64(fd, address, 64, 0), { code: "EFAULT" }, `${address}`);
      await assert.rejects(init.pwrite64(fd, address, 64, 0), { code: "EFAULT" }, `${address}`);
      await assert.rejects(init.openat(AT_FDCWD, address, 0, 0), { code: "EFAULT" }, `${address}`);
      await assert.rejects(init.pipe2(address, 0), { code: "EFAULT" }, `${address}`);
    }
    // Its start is inside, its end is not.
    const last = kernel.memory.size - 16;
    await assert.rejects(init.pread64(fd, last, 64, 0), { code: "EFAULT" });
    assert.equal(await init.getpid(), 1);
    await init.close(fd);
  });

  test("no pointer at all", async () => {
    const fd = await scratch(init);
    await init.write(fd, new Uint8Array(64), 64);
    await assert.rejects(init.pread64(fd, null, 64, 0), { code: "EFAULT" });
    await assert.rejects(init.openat(AT_FDCWD, null, 0, 0), { code: "EFAULT" });
    await init.close(fd);
  });

  test("a descriptor that is none", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer().filter((fd) => fd < 0 || fd > 1000),
        (fd) => assert.rejects(init.read(fd, new Uint8Array(1), 1), { code: "EBADF" }),
      ),
      { numRuns: 50 },
    ));

  for (const value of [0, -1, 0x7fff_ffff, 0x0400_0000, -4096]) {
    test(`${value} for every argument of every call`, async () => {
      await using other = await boot();
      const process = await other.process();
      const names = Object.keys(Object.getOwnPropertyDescriptors(SystemCalls.prototype));
      let failed = 0;
      for (const name of names) {
        const method: unknown = Reflect.get(process, name);
        if (ENDINGS.has(name) || typeof method !== "function") continue;
        const control = new AbortController();
        const args = Array.from({ length: method.length - 1 }, () => value);
        const call = Promise.resolve(
          Reflect.apply(method, process, [...args, { signal: control.signal }]),
        ).catch(() => {
          failed++;
        });
        if (!(await isSettled(call))) control.abort();
        await call;
        assert.ok(other.running, name);
      }
      assert.ok(failed > 100, `${failed} of ${names.length} calls failed`);
      assert.equal(await process.getpid(), process.pid);
      await process.exit();
    });
  }

  test("a kernel buffer that was disposed", async () => {
    const buffer = await init.buffer(16);
    await buffer.dispose();
    await buffer.dispose();
    assert.throws(() => buffer.bytes, DisposedError);
    await assert.rejects(init.read(0, buffer, 16), DisposedError);
    for (const length of [0, -1, 1.5, NaN]) await assert.rejects(init.buffer(length), RangeError);
    await assert.rejects(init.buffer(1 << 30), { code: "ENOMEM" });
  });

  test("a kernel buffer outlives its kernel without trouble", async () => {
    const other = await boot();
    const buffer = await other.init.buffer(16);
    other.dispose();
    await buffer.dispose();
  });
});

suite("calls at once", () => {
  let kernel: Kernel;

  before(async () => {
    // The kernel allows so many threads per MiB.
    kernel = await boot({ memoryMiB: 128 });
  });

  after(() => kernel.halt());

  test("no more than maxThreads are in the kernel; the others wait for them", async () => {
    const process = await kernel.process({ maxThreads: 4 });
    const [reader, writer] = await pipe(process);
    const feeder = await process.fork();
    const reads = Array.from({ length: 20 }, async () => {
      const byte = new Uint8Array(1);
      await process.read(reader, byte, 1);
      return byte[0];
    });
    await until(async () => (await threads(kernel, process)) === 5);
    assert.equal(await isSettled(Promise.race(reads)), false);
    assert.equal(process.callsInFlight, 20);
    assert.equal(await threads(kernel, process), 5);
    await feeder.write(
      writer,
      Uint8Array.from({ length: 20 }, (_, i) => i),
      20,
    );
    assert.deepEqual(
      (await Promise.all(reads)).toSorted((a, b) => a - b),
      Array.from({ length: 20 }, (_, i) => i),
    );
    assert.equal(process.callsInFlight, 0);
    await feeder.exit();
    await process.exit();
  });

  test("a kernel's maxThreads holds for every process without its own", async () => {
    await using small = await boot({ maxThreads: 2 });
    const process = await small.process();
    const fd = await process.eventfd2(0, 0);
    const reads = Array.from({ length: 5 }, () =>
      process.read(fd, new Uint8Array(EVENT_BYTES), EVENT_BYTES),
    );
    const settled = Promise.allSettled(reads);
    await until(async () => (await threads(small, process)) === 3);
    assert.equal(await isSettled(settled), false);
    assert.equal(await threads(small, process), 3);
    await process.exit();
    assert.ok((await settled).every(({ status }) => status === "rejected"));
  });

  test("hundreds are in flight", async () => {
    const process = await kernel.process({ maxThreads: 200 });
    const [reader, writer] = await pipe(process);
    const reads = Array.from({ length: 199 }, () => process.read(reader, new Uint8Array(1), 1));
    await process.write(writer, new Uint8Array(199), 199);
    assert.deepEqual(new Set(await Promise.all(reads)), new Set([1]));
    // Threads that are not needed any more end.
    await until(async () => (await threads(kernel, process)) < 100);
    await process.exit();
  });

  test("calls that change the whole process are made one after the other", async () => {
    const process = await kernel.process();
    const ids = await Promise.all([
      process.setgroups(0, null),
      process.setgid(7),
      process.fork(),
      process.setuid(8),
    ]);
    await ids[2].exit();
    assert.equal(await process.getgid(), 7);
    assert.equal(await process.getuid(), 8);
    assert.equal(await ids[2].exited.then(({ code }) => code), 0);
    await process.exit();
  });

  test("they are refused while other calls are in flight, which would not see them", async () => {
    const process = await kernel.process();
    const fd = await process.eventfd2(0, 0);
    const reading = process.read(fd, new Uint8Array(EVENT_BYTES), EVENT_BYTES);
    await assert.rejects(process.setuid(5), /no other call is in flight/);
    await process.write(fd, new Uint8Array(BigUint64Array.of(1n).buffer), EVENT_BYTES);
    await reading;
    await process.setuid(5);
    assert.equal(await process.getuid(), 5);
    await process.exit();
  });

  test("pipes and events under any interleaving do what a model of them does", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            channel: fc.nat(3),
            count: fc.integer({ min: 1, max: 40 }),
            write: fc.boolean(),
          }),
          { minLength: 1, maxLength: 60 },
        ),
        async (steps) => {
          const process = await kernel.process({ maxThreads: 32 });
          const pipes = await Promise.all(Array.from({ length: 4 }, () => pipe(process)));
          const event = await process.eventfd2(0, 0);
          const drain = await process.eventfd2(0, EFD_NONBLOCK);
          // It must not wait for the readers' threads.
          const feeder = await process.fork();
          const written = [0, 0, 0, 0];
          const wanted = [0, 0, 0, 0];
          const got: number[][] = [[], [], [], []];
          const calls: Promise<unknown>[] = [];
          let events = 0n;
          for (const { channel, count, write } of steps) {
            const [reader, writer] = pipes[channel];
            if (write) {
              const first = written[channel];
              written[channel] = first + count;
              const bytes = Uint8Array.from({ length: count }, (_, i) => first + i);
              calls.push(feeder.write(writer, bytes, count));
              events += BigInt(count);
              const add = new Uint8Array(BigUint64Array.of(BigInt(count)).buffer);
              for (const fd of [event, drain]) calls.push(feeder.write(fd, add, EVENT_BYTES));
            } else {
              // Byte by byte, since reads of more would share out what there is.
              for (let i = 0; i < count; i++) {
                const byte = new Uint8Array(1);
                wanted[channel]++;
                calls.push(
                  process.read(reader, byte, 1).then((length) => {
                    assert.equal(length, 1);
                    got[channel].push(byte[0]);
                  }),
                );
              }
            }
          }
          // What the readers still miss, so that all end; then what nobody has read.
          for (const [channel, [, writer]] of pipes.entries()) {
            const first = written[channel];
            const missing = wanted[channel] - first;
            if (missing <= 0) continue;
            const bytes = Uint8Array.from({ length: missing }, (_, i) => first + i);
            calls.push(feeder.write(writer, bytes, missing));
          }
          await Promise.all(calls);
          for (const [channel, [reader]] of pipes.entries()) {
            const rest = new Uint8Array(Math.max(0, written[channel] - wanted[channel]));
            assert.equal(await process.read(reader, rest, rest.length), rest.length);
            got[channel].push(...rest);
          }
          for (const [channel, bytes] of got.entries()) {
            const count = Math.max(wanted[channel], written[channel]);
            // Calls at once have no order among each other, but no byte is lost or doubled.
            assert.deepEqual(
              bytes.toSorted((a, b) => a - b),
              Array.from({ length: count }, (_, i) => i & 0xff).toSorted((a, b) => a - b),
            );
          }
          if (events) {
            for (const fd of [event, drain]) {
              const sum = new Uint8Array(EVENT_BYTES);
              await process.read(fd, sum, EVENT_BYTES);
              assert.equal(new BigUint64Array(sum.buffer)[0], events);
            }
          }
          await assert.rejects(process.read(drain, new Uint8Array(EVENT_BYTES), EVENT_BYTES), {
            code: "EAGAIN",
          });
          await feeder.exit();
          await process.exit();
        },
      ),
      { numRuns: 30 },
    ));

  test("a process's calls one after the other see each other's effects, whatever threads they get", async () => {
    const process = await kernel.process();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(0o777), { minLength: 1, maxLength: 20 }), async (masks) => {
        await process.umask(0);
        for (const mask of masks) {
          assert.equal(await process.umask(mask), 0);
          assert.equal(await process.umask(0), mask);
        }
      }),
      { numRuns: 20 },
    );
    await process.exit();
  });
});

suite("an AbortSignal", () => {
  let kernel: Kernel;
  let process: Process;
  const reason = new Error("enough");

  before(async () => {
    kernel = await boot();
    process = await kernel.process({ maxThreads: 2 });
  });

  after(() => kernel.halt());

  const wait = (fd: number, signal?: AbortSignal) =>
    process.read(fd, new Uint8Array(EVENT_BYTES), EVENT_BYTES, signal && { signal });

  test("that was aborted before", async () => {
    const fd = await process.eventfd2(1, 0);
    await assert.rejects(wait(fd, AbortSignal.abort(reason)), reason);
    // The call was not made.
    assert.equal(await wait(fd), EVENT_BYTES);
    await process.close(fd);
  });

  test("that is aborted while the call waits in the kernel", async () => {
    const fd = await process.eventfd2(0, 0);
    const control = new AbortController();
    const reading = wait(fd, control.signal);
    assert.equal(await isSettled(reading.catch(() => {})), false);
    control.abort(reason);
    await assert.rejects(reading, reason);
    await process.write(fd, new Uint8Array(BigUint64Array.of(1n).buffer), EVENT_BYTES);
    assert.equal(await wait(fd), EVENT_BYTES);
    await process.close(fd);
  });

  test("that is aborted while the call waits for a thread", async () => {
    const fd = await process.eventfd2(0, 0);
    const blocked = [wait(fd), wait(fd)];
    const control = new AbortController();
    const queued = wait(fd, control.signal);
    assert.equal(await isSettled(queued.catch(() => {})), false);
    control.abort(reason);
    await assert.rejects(queued, reason);
    assert.equal(process.callsInFlight, 2);
    for (const call of blocked) {
      assert.equal(await isSettled(call), false);
    }
    const other = await process.fork();
    const one = new Uint8Array(BigUint64Array.of(1n).buffer);
    for (const call of blocked) {
      await other.write(fd, one, EVENT_BYTES);
      await Promise.race(blocked);
      await call;
    }
    await other.exit();
  });

  test("that is aborted in the same turn as the call is made", async () => {
    const fd = await process.eventfd2(0, 0);
    for (let i = 0; i < 50; i++) {
      const control = new AbortController();
      const reading = wait(fd, control.signal);
      control.abort(reason);
      await assert.rejects(reading, reason);
    }
    await process.close(fd);
  });

  test("that is aborted when the call has returned", async () => {
    const fd = await process.eventfd2(1, 0);
    const control = new AbortController();
    assert.equal(await wait(fd, control.signal), EVENT_BYTES);
    control.abort(reason);
    // The next call of that thread is left alone.
    const next = wait(fd);
    assert.equal(await isSettled(next), false);
    await process.write(fd, new Uint8Array(BigUint64Array.of(1n).buffer), EVENT_BYTES);
    assert.equal(await next, EVENT_BYTES);
    await process.close(fd);
  });

  test("that is aborted as the call returns spares the thread's next call", async () => {
    const fd = await process.eventfd2(0, 0);
    for (let i = 0; i < 50; i++) {
      const control = new AbortController();
      const quick = process.getpid({ signal: control.signal }).catch((error: unknown) => {
        assert.equal(error, reason);
      });
      for (let turn = 0; turn < i % 5; turn++) await Promise.resolve();
      control.abort(reason);
      await quick;
      const next = wait(fd);
      await process.write(fd, new Uint8Array(BigUint64Array.of(1n).buffer), EVENT_BYTES);
      assert.equal(await next, EVENT_BYTES);
    }
    await process.close(fd);
  });

  test("with a limit of time", async () => {
    await assert.rejects(
      process.clock_nanosleep_time64(CLOCK_MONOTONIC, 0, timespec(3600e9), null, {
        signal: AbortSignal.timeout(10),
      }),
      { name: "TimeoutError" },
    );
  });

  test("leaves no listener behind", async () => {
    let listeners = 0;
    const control = new AbortController();
    const { signal } = control;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    for (let i = 0; i < 10; i++) await process.getpid({ signal });
    await assert.rejects(process.close(9999, { signal }), SystemError);
    assert.equal(listeners, 0);
  });
});

suite("nonblocking calls", () => {
  test("answer at once", async () => {
    await using kernel = await boot();
    const [reader] = await pipe(kernel.init, O_NONBLOCK);
    await assert.rejects(kernel.init.read(reader, new Uint8Array(1), 1), { code: "EAGAIN" });
  });
});
