// The machine as its kernel and its application see it: interrupts, idle, busy, the log.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";

import { AT_FDCWD, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { CLOCK_MONOTONIC } from "../src/abi/constants/time.ts";
import { readFile } from "../src/fs/files.ts";
import { formatRecord } from "../src/index.ts";
import type { Kernel, LogRecord } from "../src/index.ts";
import { parseRecord } from "../src/machine/log.ts";
import { boot, pipe, text, timespec, until } from "./kernel.ts";
import { compileProgram, loadProgram } from "./programs.ts";

async function say(kernel: Kernel, line: string): Promise<void> {
  const fd = await kernel.init.openat(AT_FDCWD, "/dev/kmsg", O_WRONLY, 0);
  const bytes = text.encode(`${line}\n`);
  await kernel.init.write(fd, bytes, bytes.length);
  await kernel.init.close(fd);
}

suite("interrupts", () => {
  let kernel: Kernel;

  before(async () => {
    kernel = await boot();
  });

  after(() => kernel.halt());

  /** How often each line was handled, by the name of who handles it. */
  async function counts(): Promise<Map<string, number>> {
    const lines = text.decode(await readFile(kernel.init, "/proc/interrupts")).split("\n");
    return new Map(
      lines.flatMap((line) => {
        const match = /^\s*\d+:\s+(\d+)\s.*?(\S+)$/.exec(line);
        return match ? [[match[2], Number(match[1])] as const] : [];
      }),
    );
  }

  test("are counted on the line on which they were raised", async () => {
    const first = await counts();
    assert.ok(first.has("timer") && first.has("user"), [...first.keys()].join(" "));
    for (let i = 0; i < 5; i++)
      await kernel.init.clock_nanosleep_time64(CLOCK_MONOTONIC, 0, timespec(2e6), null);
    // A call that comes when the kernel is idle raises its line.
    await new Promise<void>((resolve) => void setTimeout(resolve, 30));
    const second = await counts();
    assert.ok(second.get("timer")! >= first.get("timer")! + 5);
    assert.ok(second.get("user")! > first.get("user")!);
    assert.equal(second.get("virtio"), first.get("virtio"));
  });

  test("raised together are all handled", async () => {
    // Calls that come in one turn, some of which wait, with timers among them.
    const [reader, writer] = await pipe(kernel.init);
    const order: string[] = [];
    const calls = Array.from({ length: 30 }, (_, i) =>
      Promise.all([
        kernel.init.read(reader, new Uint8Array(1), 1).then(() => order.push("read")),
        kernel.init
          .clock_nanosleep_time64(CLOCK_MONOTONIC, 0, timespec(1e5 * (i % 3)), null)
          .then(() => order.push("sleep")),
        kernel.init.write(writer, new Uint8Array(1), 1).then(() => order.push("write")),
      ]),
    );
    await Promise.all(calls);
    for (const what of ["read", "sleep", "write"])
      assert.equal(order.filter((one) => one === what).length, 30);
  });
});

suite("a busy kernel", () => {
  test("lets the event loop turn, other tasks run and timers ring", async () => {
    await using kernel = await boot();
    const { yield: yields } = await loadProgram(await compileProgram("trouble"), kernel);
    const [busy, other] = [await kernel.process(), await kernel.process()];
    let done = false;
    const running = busy.run(yields, 30_000_000).finally(() => {
      done = true;
    });
    const seen: string[] = [];
    const note = (what: string) => {
      assert.equal(done, false, `${what} came too late`);
      seen.push(what);
    };
    await new Promise<void>((resolve) => void setImmediate(resolve));
    note("turn");
    await new Promise<void>((resolve) => void setTimeout(resolve, 1));
    note("timeout");
    await other.clock_nanosleep_time64(CLOCK_MONOTONIC, 0, timespec(1e6), null);
    note("sleep");
    assert.equal(await other.getpid(), other.pid);
    note("call");
    assert.deepEqual(seen, ["turn", "timeout", "sleep", "call"]);
    await busy.exit();
    await running.catch(() => {});
  });
});

suite("an idle kernel", () => {
  test("pauses, and does nothing until a call comes", async () => {
    await using kernel = await boot();
    const [reader, writer] = await pipe(kernel.init);
    const { idles } = kernel.stats;
    const reading = kernel.init.read(reader, new Uint8Array(1), 1);
    await until(() => kernel.stats.idles > idles);
    await kernel.init.write(writer, new Uint8Array(1), 1);
    assert.equal(await reading, 1);
  });
});

suite("the log", () => {
  test("gives every record to the console, from the first on", async () => {
    const seen: LogRecord[] = [];
    await using kernel = await boot({ console: (record) => void seen.push(record) });
    assert.match(seen[0].text, /^Linux version /);
    assert.deepEqual(seen, [...kernel.log]);
    assert.deepEqual(
      seen.map(({ sequence }) => sequence),
      seen.map((_, i) => i),
    );
    const times = seen.map(({ timeUs }) => timeUs);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    await say(kernel, "<3>something is wrong");
    const last = seen.at(-1)!;
    assert.deepEqual([last.level, last.text], [3, "something is wrong"]);
    assert.deepEqual(kernel.log.tail(1), [formatRecord(last)]);
    assert.ok(kernel.log.text.endsWith(`${formatRecord(last)}\n`));
  });

  test("can be listened to, until one does not want to", async () => {
    await using kernel = await boot();
    const heard: string[] = [];
    const stop = kernel.log.listen(({ text: line }) => heard.push(line));
    await say(kernel, "one");
    stop();
    await say(kernel, "two");
    assert.deepEqual(heard, ["one"]);
  });

  test("can be followed, and ends with the kernel", async () => {
    const kernel = await boot();
    const lines: string[] = [];
    const following = (async () => {
      for await (const record of kernel.log.follow()) lines.push(record.text);
    })();
    await say(kernel, "the last words");
    kernel.dispose();
    await following;
    assert.match(lines[0], /^Linux version /);
    assert.equal(lines.at(-1), "the last words");
    for await (const record of kernel.log.follow()) assert.ok(record);
  });

  test("keeps characters of any kind", async () => {
    await using kernel = await boot();
    await say(kernel, "grüße, 世界 \\ \t.");
    assert.equal([...kernel.log].at(-1)!.text, "grüße, 世界 \\ \t.");
  });

  test("knows what a record belongs to", () => {
    const record = parseRecord(
      "6,339,5140900,-;text\\x0a2;x\n SUBSYSTEM=acpi\n DEVICE=+acpi:PNP\n",
    );
    assert.deepEqual(record, {
      level: 6,
      sequence: 339,
      timeUs: 5140900,
      text: "text\n2;x",
      properties: { SUBSYSTEM: "acpi", DEVICE: "+acpi:PNP" },
    });
    assert.equal(formatRecord(record), "[    5.140900] text\n               2;x");
  });
});

suite("an engine without stack switching", () => {
  test("is told in one sentence what is needed", async () => {
    const script = `
      delete WebAssembly.Suspending;
      const { Kernel } = await import(${JSON.stringify(join(import.meta.dirname, "..", "src", "index.ts"))});
      await Kernel.boot({ image: "fs" }).catch((error) => console.log(error.code, error.message));`;
    const args = ["--input-type=module", "--eval", script];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    assert.match(stdout, /^ERR_UNSUPPORTED_ENGINE liblinux needs .*Node 24.*\n$/);
  });
});
