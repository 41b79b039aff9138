// Devices other than disks under the real kernel, and devices that break.

import assert from "node:assert/strict";
import { test } from "node:test";

import { O_NOCTTY, O_RDWR } from "../src/abi/constants/fcntl.ts";
import { VIRTIO_ID_RNG } from "../src/abi/constants/virtio.ts";
import { seededRandom } from "../src/index.ts";
import { MAX_OUTPUT_BYTES, VirtioConsole, VirtioDevice, VirtioRng } from "../src/virtio/index.ts";
import type { VirtQueue } from "../src/virtio/index.ts";
import { Calls, boot, until } from "./virtio-support.ts";

/** asm-generic/ioctls.h */
const TIOCGWINSZ = 0x5413;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

test("rng: what is read from /dev/hwrng comes from the device's generator", async () => {
  const given: number[] = [];
  const source = seededRandom(7);
  const device = new VirtioRng((bytes) => {
    source(bytes);
    given.push(...bytes);
  });
  await using kernel = await boot({ devices: [device] });
  const calls = new Calls(kernel.init);
  assert.match(await calls.text("/sys/class/misc/hw_random/rng_available"), /^virtio_rng/);
  const fd = await calls.open("/dev/hwrng");
  const bytes = new Uint8Array(100);
  for (let done = 0; done < 100;)
    done += await kernel.init.read(fd, bytes.subarray(done), 100 - done);
  await kernel.init.close(fd);
  const all = Buffer.from(given);
  // The kernel takes more than it hands out, but in order.
  assert.ok(all.includes(bytes.subarray(0, 16)));
  assert.ok(bytes.some((byte) => byte !== bytes[0]));
  await kernel.unplug(device);
  await assert.rejects(
    calls.open("/dev/hwrng").then((fd) => calls.read(fd, 16)),
    {
      code: "ENODEV",
    },
  );
});

/** Reads a stream until its text contains something. */
async function readUntil(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  text: string,
): Promise<string> {
  let all = "";
  while (!all.includes(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`ended after ${JSON.stringify(all)}`);
    all += decoder.decode(value);
  }
  return all;
}

test("console: hvc0 echoes what is typed, and a program reads and writes it", async () => {
  const terminal = new VirtioConsole({ columns: 100, rows: 30 });
  await using kernel = await boot({ devices: [terminal] });
  const calls = new Calls(kernel.init);
  const fd = await calls.open("/dev/hvc0", O_RDWR | O_NOCTTY);
  const reader = terminal.readable.getReader();
  const writer = terminal.writable.getWriter();
  await writer.write(encoder.encode("hello\r"));
  const line = new Uint8Array(64);
  const n = await kernel.init.read(fd, line, line.length);
  assert.equal(decoder.decode(line.subarray(0, n)), "hello\n");
  assert.match(await readUntil(reader, "hello\r\n"), /hello\r\n$/);
  const answer = encoder.encode("dear user\n");
  await kernel.init.write(fd, answer, answer.length);
  assert.match(await readUntil(reader, "dear user\r\n"), /dear user/);

  const size = async () => {
    const bytes = new Uint8Array(8);
    await kernel.init.ioctl(fd, TIOCGWINSZ, bytes);
    return [...new Uint16Array(bytes.buffer).subarray(0, 2)];
  };
  assert.deepEqual(await size(), [30, 100]);
  terminal.resize(132, 50);
  await until(async () => (await size())[1] === 132);
  assert.deepEqual(await size(), [50, 132]);
  assert.throws(() => terminal.resize(0, 50), { code: "ERR_INVALID_OPTION" });
  await kernel.init.close(fd);
  await kernel.halt();
  while (!(await reader.read()).done);
  await assert.rejects(writer.write(answer), { code: "ERR_KERNEL_STOPPED" });
});

test("console: a writer waits for the kernel to take what is typed", async () => {
  const terminal = new VirtioConsole();
  await using kernel = await boot({ devices: [terminal] });
  const writer = terminal.writable.getWriter();
  // Nobody has the terminal open, and the driver has a bounded number of buffers.
  const text = "x".repeat(79) + "\n";
  let written = 0;
  const all = (async () => {
    for (; written < 3000; written++) await writer.write(encoder.encode(text));
  })();
  all.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(written < 3000, "all of it went nowhere");
  kernel.dispose();
  await assert.rejects(all, { code: "ERR_KERNEL_STOPPED" });
});

test("console: output that nobody reads is dropped beyond a bound, and never holds the kernel", async () => {
  const terminal = new VirtioConsole();
  await using kernel = await boot({ devices: [terminal] });
  const calls = new Calls(kernel.init);
  const fd = await calls.open("/dev/hvc0", O_RDWR | O_NOCTTY);
  const bytes = new Uint8Array(4096).fill(0x61);
  for (let n = 0; n < MAX_OUTPUT_BYTES + 65536; n += bytes.length)
    for (let done = 0; done < bytes.length;)
      done += await kernel.init.write(fd, bytes.subarray(done), bytes.length - done);
  await until(() => terminal.droppedBytes > 0);
  await kernel.init.close(fd);
});

/** A generator whose code fails now and then. */
class Unreliable extends VirtioDevice {
  readonly on: string;
  refused = 0;

  constructor(on: string) {
    super({ id: VIRTIO_ID_RNG, name: "unreliable", features: [], configBytes: 0, queueSizes: [8] });
    this.on = on;
  }

  #maybe(where: string): void {
    if (where === this.on) throw new TypeError(`a bug in ${where}`);
  }

  protected override started(): void {
    this.#maybe("started");
  }

  protected override driverReady(): void {
    this.#maybe("driverReady");
  }

  protected override serve(queue: VirtQueue): void {
    const head = queue.pop();
    this.#maybe("serve");
    if (head >= 0) queue.push(head, queue.length[0]);
    this.announce(queue);
  }

  protected override refuse(): number {
    this.refused++;
    throw new TypeError("even this fails");
  }

  protected override stopped(): void {
    this.#maybe("stopped");
  }
}

for (const where of ["driverReady", "serve", "stopped"])
  test(`a device that throws in ${where}() breaks, and its kernel goes on`, async () => {
    const device = new Unreliable(where);
    await using kernel = await boot();
    const calls = new Calls(kernel.init);
    await kernel.plug(device);
    const fd = await calls.open("/dev/hwrng");
    const read = calls.read(fd, 16).catch(() => {});
    if (where !== "stopped") {
      await until(() => device.broken !== null);
      assert.match(String(device.broken), new RegExp(`unreliable: a bug in ${where}`));
      assert.ok(device.broken?.cause instanceof TypeError);
      await until(() => device.refused > 0);
    }
    await kernel.unplug(device);
    await read;
    await kernel.init.close(fd);
    assert.equal(device.plugged, false);
    assert.ok(kernel.running);
    await calls.text("/proc/uptime");
  });

test("a device that throws when it is plugged in is kept out", async () => {
  const device = new Unreliable("started");
  await assert.rejects(boot({ devices: [device] }), { code: "ERR_DEVICE", message: /a bug in/ });
  await using kernel = await boot();
  await assert.rejects(kernel.plug(device), { code: "ERR_DEVICE" });
  assert.equal(device.plugged, false);
  await new Calls(kernel.init).text("/proc/uptime");
});
