// A kernel holds Node's process while a call waits for time to pass, and at no other time.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { suite, test } from "node:test";
import { promisify } from "node:util";

import { loadImage } from "../src/index.ts";

const helper = join(import.meta.dirname, "kernel.ts");

/** Runs a module that has `kernel` and the helpers, to its end; gives what it printed. */
async function run(script: string): Promise<string> {
  const module = `
    import { boot, pipe, timespec } from ${JSON.stringify(helper)};
    const kernel = await boot();
    ${script}`;
  const args = ["--input-type=module-typescript", "--eval", module];
  // One that never ended would fail by this limit, and not by the test's own.
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  return stdout;
}

suite("Node's process", () => {
  test("ends while a kernel is idle", async () => {
    assert.equal(await run(`console.log(await kernel.init.getpid());`), "1\n");
  });

  test("ends after halt(), after dispose(), and with processes left", async () => {
    assert.equal(await run(`await kernel.halt(); console.log("halted");`), "halted\n");
    assert.equal(await run(`kernel.dispose(); console.log("disposed");`), "disposed\n");
    assert.equal(await run(`await kernel.process(); console.log(kernel.processes.size);`), "2\n");
  });

  test("stays while a call sleeps", async () => {
    const script = `
      void kernel.init.clock_nanosleep_time64(1, 0, timespec(300e6), null).then(() =>
        console.log("slept"));
      console.log("sleeping");`;
    assert.equal(await run(script), "sleeping\nslept\n");
  });

  test("stays while a call sleeps that was made after a long pause", async () => {
    const script = `
      await new Promise((resolve) => setTimeout(resolve, 200));
      const [reader] = await pipe(kernel.init);
      void kernel.init.read(reader, new Uint8Array(1), 1).catch(() => {});
      for (let i = 0; i < 3; i++)
        await kernel.init.clock_nanosleep_time64(1, 0, timespec(50e6), null);
      console.log("slept");
      kernel.dispose();`;
    assert.equal(await run(script), "slept\n");
  });

  test("is not held by a timer of an idle kernel", async () => {
    const script = `
      const fd = await kernel.init.timerfd_create(1, 0);
      const spec = new Uint8Array(32);
      spec.set(timespec(3600e9), 16);
      await kernel.init.timerfd_settime64(fd, 0, spec, null);
      console.log("armed");`;
    assert.equal(await run(script), "armed\n");
  });

  test("ends after a crash", async () => {
    const script = `
      // (module (func (export "f") (param i32) (result i32) unreachable))
      const bytes = Uint8Array.of(0,97,115,109,1,0,0,0,1,6,1,96,1,127,1,127,3,2,1,0,7,5,1,1,102,0,0,10,5,1,3,0,0,11);
      const { instance } = await WebAssembly.instantiate(bytes);
      await kernel.init.run(instance.exports.f).catch((error) => console.log(error.code));`;
    assert.equal(await run(script), "ERR_KERNEL_PANIC\n");
  });

  test("has one compiled image for all", async () => {
    assert.equal(await loadImage("fs"), await loadImage("fs"));
  });
});
