// What do a call, a switch, a pipe and a task cost?

import { CLONE_FILES } from "../src/abi/constants/sched.ts";
import { Kernel, VirtualClock } from "../src/index.ts";
import type { Process } from "../src/index.ts";
import { compileModule, measureNative } from "./compile.ts";
import { median, timePerOperation } from "./measure.ts";
import type { Benchmark, Row } from "./measure.ts";

const after = (ms: number) =>
  new Promise<void>((resolve) => (ms ? setTimeout(resolve, ms) : setImmediate(resolve)));

async function getpids(process: Process, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await process.getpid();
}

/** One operation at a time, each after the event loop was left alone for some ms: µs each. */
async function latencyAfterPause(
  operation: () => Promise<unknown>,
  pauseMs: number,
  count: number,
): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    await after(pauseMs);
    const start = performance.now();
    await operation();
    times.push((performance.now() - start) * 1000);
  }
  return median(times);
}

/** On a virtual clock a kernel sleeps as soon as it has nothing to do. */
async function latencyThroughIdle(): Promise<number> {
  const kernel = await Kernel.boot({ image: "fs", clock: new VirtualClock() });
  const call = () => kernel.init.getpid();
  await latencyAfterPause(call, 0, 5000);
  const result = await latencyAfterPause(call, 0, 5000);
  kernel.dispose();
  return result;
}

/** What any awaited call across a suspended stack costs: the floor. */
async function bareSuspension(): Promise<number> {
  let resume: ((value: undefined) => void) | undefined;
  let answer: ((value: undefined) => void) | undefined;
  const wait = () => new Promise<undefined>((resolve) => (resume = resolve));
  const server = async () => {
    for (;;) {
      await wait();
      answer?.(undefined);
    }
  };
  void server();
  return timePerOperation(100_000, async (count) => {
    for (let i = 0; i < count; i++)
      await new Promise<undefined>((resolve) => {
        answer = resolve;
        resume?.(undefined);
      });
  });
}

interface Program {
  set(reader: number, writer: number, address: number): void;
  getpids: WebAssembly.ExportValue;
  yields: WebAssembly.ExportValue;
  serve: WebAssembly.ExportValue;
  echo: WebAssembly.ExportValue;
}

async function pipe(process: Process): Promise<[number, number]> {
  const fds = new Int32Array(2);
  await process.pipe2(new Uint8Array(fds.buffer), 0);
  return [fds[0], fds[1]];
}

async function fromJavaScript(kernel: Kernel, native: Map<string, number>): Promise<Row[]> {
  const process = await kernel.process();
  const rows: Row[] = [
    {
      item: "two promises and a microtask each way, no kernel",
      value: await bareSuspension(),
      unit: "ns",
    },
    {
      item: "getpid from JavaScript",
      value: await timePerOperation(100_000, (count) => getpids(process, count)),
      unit: "ns",
      native: native.get("getpid")!,
      goal: 350,
    },
    {
      item: "getpid after a turn of the event loop",
      value: await latencyAfterPause(() => process.getpid(), 0, 500),
      unit: "µs",
      goal: 5,
    },
    {
      item: "getpid of a kernel that was idle",
      value: await latencyThroughIdle(),
      unit: "µs",
      goal: 5,
    },
    {
      item: "the same when the whole process slept for 20 ms",
      value: await latencyAfterPause(() => process.getpid(), 20, 100),
      unit: "µs",
    },
    {
      item: "a microtask when the whole process slept for 20 ms",
      value: await latencyAfterPause(() => Promise.resolve(), 20, 100),
      unit: "µs",
    },
  ];
  const [there, toThere] = await pipe(process);
  const [back, toBack] = await pipe(process);
  const other = await process.fork();
  const mine = await process.buffer(1);
  const theirs = await process.buffer(1);
  rows.push({
    item: "pipe round trip from JavaScript",
    value: await timePerOperation(20_000, async (count) => {
      const echo = async () => {
        for (let i = 0; i < count; i++) {
          await other.read(there, theirs, 1);
          await other.write(toBack, theirs, 1);
        }
      };
      const done = echo();
      for (let i = 0; i < count; i++) {
        await process.write(toThere, mine, 1);
        await process.read(back, mine, 1);
      }
      await done;
    }),
    unit: "ns",
    native: native.get("pipe")!,
    goal: 3500,
  });
  await other.exit();
  rows.push({
    item: "fork, exit, wait",
    value: await timePerOperation(500, async (count) => {
      for (let i = 0; i < count; i++) await (await process.fork()).exit();
    }),
    unit: "ns",
    native: native.get("task")!,
  });
  await process.exit();
  return rows;
}

async function fromWebAssembly(kernel: Kernel, native: Map<string, number>): Promise<Row[]> {
  const module = compileModule("calls");
  const linux = { syscall: kernel.syscall };
  const load = () => new WebAssembly.Instance(module, { linux }).exports as unknown as Program;
  const process = await kernel.process();
  const other = await process.fork({ flags: CLONE_FILES });
  const [mine, theirs] = [load(), load()];
  const rows: Row[] = [
    {
      item: "getpid from WebAssembly",
      value: await timePerOperation(2_000_000, (count) => process.run(mine.getpids, count)),
      unit: "ns",
      native: native.get("getpid")!,
      goal: 12.6,
    },
    {
      item: "context switch (sched_yield of two tasks)",
      value:
        (await timePerOperation(200_000, (count) =>
          Promise.all([process.run(mine.yields, count), other.run(theirs.yields, count)]),
        )) / 2,
      unit: "ns",
      native: native.get("switch")!,
    },
  ];
  const [there, toThere] = await pipe(process);
  const [back, toBack] = await pipe(process);
  const bytes = await process.buffer(4096);
  mine.set(back, toThere, bytes.address);
  theirs.set(there, toBack, bytes.address + 64);
  rows.push({
    item: "pipe round trip from WebAssembly",
    value: await timePerOperation(50_000, async (count) => {
      const results = await Promise.all([
        other.run(theirs.echo, count),
        process.run(mine.serve, count),
      ]);
      if (results.some((result) => result !== 0)) throw new Error("the pipe broke");
    }),
    unit: "ns",
    native: native.get("pipe")!,
    goal: 1700,
  });
  await other.exit();
  await process.exit();
  return rows;
}

export const calls: Benchmark = {
  question: "What do a call, a switch, a pipe and a task cost?",
  async run() {
    const native = measureNative();
    await using kernel = await Kernel.boot({ image: "fs" });
    return [...(await fromJavaScript(kernel, native)), ...(await fromWebAssembly(kernel, native))];
  },
};
