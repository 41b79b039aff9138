// Calls that follow each other inside the kernel, and the jobs that are made of them.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import fc from "fast-check";

import { NR } from "../src/abi/numbers.ts";
import type { Kernel, Process } from "../src/index.ts";
import {
  decodeEndpoint,
  encodeEndpoint,
  putEndpoint,
  takeEndpoint,
} from "../src/net/facade/endpoint.ts";
import { ipEndpoint } from "../src/net/facade/index.ts";
import type { Endpoint } from "../src/net/facade/index.ts";
import { Gate } from "../src/net/facade/job.ts";
import type { Job } from "../src/net/facade/job.ts";
import { Lane } from "../src/net/facade/lane.ts";
import { CallWords } from "../src/syscall/series.ts";
import { loopback } from "./facade-net-support.ts";
import { isSettled, rejection } from "./kernel.ts";

const BAD_FD = -9;

suite("calls in series", () => {
  let kernel: Kernel;
  let process: Process;
  before(async () => {
    ({ kernel, process } = await loopback());
  });
  after(() => kernel.halt());

  /** The results of these calls without arguments. */
  function results(owner: Process, numbers: readonly number[]): Promise<number[]> {
    const words = new CallWords();
    const got: number[] = [];
    return new Promise((resolve, reject) => {
      owner.series({
        next: (result) => {
          got.push(result);
          const nr = numbers[got.length - 1];
          if (nr !== undefined) return words.set(nr, -1, 0, 0, 0, 0, 0);
          resolve(got.slice(1));
          return null;
        },
        failed: reject,
      });
    });
  }

  test("each result is given to the next, errors as numbers", async () => {
    const numbers = [NR.getpid, NR.close, NR.getppid, NR.getpid];
    const pid = await process.getpid();
    assert.deepEqual(await results(process, numbers), [pid, BAD_FD, await process.getppid(), pid]);
    assert.deepEqual(await results(process, []), []);
    assert.equal(process.callsInFlight, 0);
  });

  test("a mistake in between ends the series, and not the kernel", async () => {
    const words = new CallWords().set(NR.getpid, 0, 0, 0, 0, 0, 0);
    const why = new Error("a mistake");
    for (const last of [0, 3]) {
      let count = 0;
      const failed = await new Promise((resolve) => {
        process.series({
          next: () => {
            if (count++ === last) throw why;
            return words;
          },
          failed: resolve,
        });
      });
      assert.equal(failed, why);
    }
    assert.equal(process.callsInFlight, 0);
    assert.equal(await process.getpid(), process.pid);
  });

  test("the end of the process ends it", async () => {
    const child = await kernel.process();
    const words = new CallWords().set(NR.ppoll_time64, 0, 0, 0, 0, 0, 0);
    const failed = new Promise<Error>((resolve) => {
      child.series({ next: () => words, failed: resolve });
    });
    assert.equal(await isSettled(failed), false);
    await child.exit();
    assert.equal(((await failed) as NodeJS.ErrnoException).code, "ERR_TASK_EXITED");
    assert.equal(
      ((await rejection(results(child, []))) as NodeJS.ErrnoException).code,
      "ERR_DISPOSED",
    );
  });

  test("jobs have their turns, let others pass at a gate, and fail alone", async () => {
    const lane = await Lane.open(process);
    const order: string[] = [];
    const owner: { failed: Error | null } = { failed: null };
    const gate = new Gate(owner);
    const job = function* (name: string, waits: boolean): Job<number> {
      order.push(`${name} begins`);
      if (waits) yield gate;
      const pid = yield* lane.must("getpid", 0);
      order.push(`${name} ends`);
      return pid;
    };
    const bad = function* (): Job<number> {
      return yield* lane.must("close", -1);
    };
    const waiting = lane.run(job("one", true));
    const failing = rejection(lane.run(bad()));
    assert.equal(await lane.run(job("two", false)), process.pid);
    assert.equal(((await failing) as NodeJS.ErrnoException).code, "EBADF");
    assert.equal(await isSettled(waiting), false);
    gate.open(lane);
    assert.equal(await waiting, process.pid);
    assert.deepEqual(order, ["one begins", "two begins", "two ends", "one ends"]);
    const parked = rejection(lane.run(job("three", false), gate));
    owner.failed = new Error("closed");
    gate.fail(owner.failed);
    assert.equal(await parked, owner.failed);
    assert.equal(await rejection(lane.run(job("four", true))), owner.failed);
    const last = lane.run(job("five", false));
    const why = new Error("over");
    await lane.close(why);
    assert.equal(await last, process.pid);
    assert.equal(await rejection(lane.run(job("six", false))), why);
    await lane.dispose();
    assert.equal(process.callsInFlight, 0);
  });
});

suite("addresses in the kernel's memory", () => {
  const room = new DataView(new ArrayBuffer(256));
  const AT = 16;

  test("are the same with and without a copy in between", () => {
    const endpoint: fc.Arbitrary<Endpoint> = fc.oneof(
      fc
        .tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(65535))
        .map(([address, port]) => ipEndpoint(address, port)),
      fc.constantFrom<Endpoint>(
        { family: "unix", path: "/a.sock" },
        { family: "unix", path: "\0abstract" },
        { family: "packet", interface: 3, protocol: 8, address: "02:00:00:00:00:01" },
      ),
    );
    fc.assert(
      fc.property(endpoint, (given) => {
        new Uint8Array(room.buffer).fill(0xff);
        const length = putEndpoint(room, AT, given);
        const bytes = new Uint8Array(room.buffer, AT, length);
        assert.deepEqual(bytes, encodeEndpoint(given));
        assert.deepEqual(takeEndpoint(room, AT, length), decodeEndpoint(bytes));
      }),
    );
  });

  test("what is none is refused the same way", () => {
    for (const address of [
      "",
      "1.2.3",
      "1.2.3.4.5",
      "1..2.3",
      "1.2.3.",
      "256.1.1.1",
      "01.2.3.4",
      "a",
    ]) {
      const given: Endpoint = { family: "IPv4", address, port: 1 };
      assert.throws(() => putEndpoint(room, AT, given));
    }
  });
});
