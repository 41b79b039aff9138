// Block devices under the real kernel: every request, and everything that can go wrong with one.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, openAsBlob } from "node:fs";
import { test } from "node:test";

import { O_DIRECT, O_RDWR } from "../src/abi/constants/fcntl.ts";
import { BLKDISCARD, BLKZEROOUT, FITRIM } from "../src/abi/constants/ioctl.ts";
import { MS_RDONLY } from "../src/abi/constants/mount.ts";
import {
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK,
  VIRTIO_CONFIG_S_DRIVER_OK,
  VIRTIO_CONFIG_S_NEEDS_RESET,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
} from "../src/abi/constants/virtio.ts";
import { BlobDisk, MemoryDisk } from "../src/disk/index.ts";
import type { Disk } from "../src/disk/index.ts";
import { Memory } from "../src/machine/memory.ts";
import { FileDisk } from "../src/platform/node/file-disk.ts";
import { VirtioBlock } from "../src/virtio/index.ts";
import { assertBytes } from "./contract/disk.ts";
import { Calls, MIB, TestDisk, boot, checkExt4, ext4Image, until } from "./virtio-support.ts";

const bytesOf = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 7 + (i >> 9)) & 255);

/** A disk like another, whose answers come later. */
function later(disk: Disk): Disk {
  const wait = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    synchronous: false,
    readOnly: disk.readOnly,
    blockSizeBytes: disk.blockSizeBytes,
    get sizeBytes() {
      return disk.sizeBytes;
    },
    read: (into, offset) => wait().then(() => disk.read(into, offset)),
    write: (from, offset) => wait().then(() => disk.write(from, offset)),
    flush: () => wait().then(() => disk.flush()),
    writeZeroes: (offset, length, unmap) =>
      wait().then(() => disk.writeZeroes!(offset, length, unmap)),
    close: () => disk.close(),
  };
}

/** A memory disk that holds the content of an image file. */
function fill(disk: TestDisk, path: string): TestDisk {
  disk.memory.write(readFileSync(path), 0);
  return disk;
}

for (const [name, wrap] of [
  ["synchronous", (disk: Disk) => disk],
  ["asynchronous", later],
] as const)
  test(`ext4 in a file, ${name}: written, read again by another kernel, clean`, async () => {
    const path = ext4Image(64);
    const content = bytesOf(5 * MIB + 123, 1);
    {
      using disk = new FileDisk(path);
      const kernel = await boot({ devices: [new VirtioBlock(wrap(disk))] });
      const calls = new Calls(kernel.init);
      await calls.mount("/dev/vda", "/mnt");
      const fds = await Promise.all([0, 1, 2, 3].map((n) => calls.create(`/mnt/file${n}`)));
      await Promise.all(fds.map((fd) => calls.write(fd, content)));
      await Promise.all(fds.map((fd) => kernel.init.close(fd)));
      await kernel.halt();
    }
    checkExt4(path);
    const copy = execFileSync("debugfs", ["-R", "cat /file3", path], {
      maxBuffer: 16 * MIB,
      stdio: ["ignore", "pipe", "ignore"],
    });
    assertBytes(copy, content);
    using disk = new FileDisk(path, { readOnly: true });
    await using kernel = await boot({ devices: [new VirtioBlock(wrap(disk))] });
    const calls = new Calls(kernel.init);
    await calls.mount("/dev/vda", "/mnt", "ext4", MS_RDONLY);
    const fd = await calls.open("/mnt/file2");
    assertBytes(await calls.read(fd, 2 * content.length), content);
    await kernel.init.close(fd);
  });

test("ext4 in a Blob", async () => {
  const path = ext4Image(16, "-d", import.meta.dirname);
  await using kernel = await boot({
    devices: [new VirtioBlock(new BlobDisk(await openAsBlob(path)))],
  });
  const calls = new Calls(kernel.init);
  await calls.mount("/dev/vda", "/mnt", "ext4", MS_RDONLY);
  assert.equal(
    await calls.text("/mnt/virtio-block.test.ts"),
    readFileSync(import.meta.filename, "utf8").trim(),
  );
});

test("serial, sizes and modes are what the kernel shows", async () => {
  const big = new TestDisk(8 * MIB, true, 4096);
  const devices = [
    new VirtioBlock(big, { serial: "12345678901234567890" }),
    new VirtioBlock(new MemoryDisk(MIB, { readOnly: true })),
    new VirtioBlock(
      Object.assign(new TestDisk(MIB, false), {
        physicalBlockSizeBytes: 4096,
        optimalTransferBytes: 65536,
      }),
      { serial: "async", readOnly: true },
    ),
  ];
  await using kernel = await boot({ devices });
  const calls = new Calls(kernel.init);
  const shown = (path: string) => calls.text(`/sys/block/${path}`);
  assert.equal(await shown("vda/serial"), "12345678901234567890");
  assert.equal(await shown("vdc/serial"), "async");
  assert.equal(await shown("vda/size"), "16384");
  assert.equal(await shown("vda/queue/logical_block_size"), "4096");
  assert.equal(await shown("vda/queue/discard_granularity"), "4096");
  assert.notEqual(await shown("vda/queue/write_zeroes_max_bytes"), "0");
  assert.equal(await shown("vda/queue/write_cache"), "write back");
  assert.deepEqual(
    [await shown("vda/ro"), await shown("vdb/ro"), await shown("vdc/ro")],
    ["0", "1", "1"],
  );
  assert.equal(await shown("vdc/queue/logical_block_size"), "512");
  assert.equal(await shown("vdc/queue/physical_block_size"), "4096");
  assert.equal(await shown("vdc/queue/optimal_io_size"), "65536");
  assert.equal(await shown("vdc/queue/discard_max_bytes"), "0");
});

test("options that cannot be are refused", () => {
  const disk = new MemoryDisk(MIB);
  const refused = { code: "ERR_INVALID_OPTION" };
  assert.throws(() => new VirtioBlock(disk, { serial: "123456789012345678901" }), refused);
  assert.throws(() => new VirtioBlock(disk, { serial: "ünicode" }), refused);
  assert.throws(() => new VirtioBlock(disk, { timeoutMs: 0 }), refused);
});

for (const synchronous of [true, false]) {
  const kind = synchronous ? "synchronous" : "asynchronous";

  test(`fsync reaches flush after the writes (${kind})`, async () => {
    const disk = fill(new TestDisk(16 * MIB, synchronous), ext4Image(16));
    await using kernel = await boot({ devices: [new VirtioBlock(disk)] });
    const calls = new Calls(kernel.init);
    await calls.mount("/dev/vda", "/mnt");
    const fd = await calls.create("/mnt/file");
    await calls.write(fd, bytesOf(100_000, 2));
    disk.done.length = 0;
    await kernel.init.fsync(fd);
    assert.ok(disk.done.includes("write"), disk.done.join());
    // The journal's commit record is written with FUA: a flush before it, and one after it.
    assert.equal(disk.done.at(-1), "flush", disk.done.join());
    assert.ok(disk.done.filter((one) => one === "flush").length >= 2, disk.done.join());
    await kernel.init.close(fd);
  });

  test(`a device set to write through flushes after each write (${kind})`, async () => {
    const disk = new TestDisk(MIB, synchronous);
    await using kernel = await boot({ devices: [new VirtioBlock(disk)] });
    const calls = new Calls(kernel.init);
    await calls.put("/sys/block/vda/cache_type", "write through");
    const fd = await calls.open("/dev/vda", O_RDWR);
    await calls.write(fd, bytesOf(4096, 1));
    disk.done.length = 0;
    await kernel.init.fsync(fd);
    assert.deepEqual(disk.done, ["write", "flush"]);
    await calls.put("/sys/block/vda/cache_type", "write back");
    await calls.write(fd, bytesOf(4096, 2));
    disk.done.length = 0;
    await kernel.init.fdatasync(fd);
    assert.deepEqual(disk.done, ["write", "flush"]);
    await kernel.init.close(fd);
  });

  test(`discard and write zeroes: BLKDISCARD, BLKZEROOUT, FITRIM (${kind})`, async () => {
    const disk = fill(new TestDisk(64 * MIB, synchronous), ext4Image(64, "-E", "nodiscard"));
    const scratch = new TestDisk(8 * MIB, synchronous);
    scratch.memory.write(bytesOf(8 * MIB, 3), 0);
    await using kernel = await boot({ devices: [new VirtioBlock(disk), new VirtioBlock(scratch)] });
    const calls = new Calls(kernel.init);
    const fd = await calls.open("/dev/vdb", O_RDWR);
    const range = (start: number, length: number) =>
      new Uint8Array(BigUint64Array.of(BigInt(start), BigInt(length)).buffer);
    await kernel.init.ioctl(fd, BLKDISCARD, range(MIB, 2 * MIB));
    assert.deepEqual(scratch.done, ["discard"]);
    assert.equal(scratch.memory.allocatedBytes, 6 * MIB);
    await kernel.init.ioctl(fd, BLKZEROOUT, range(4 * MIB, 4096));
    assert.deepEqual(scratch.done.slice(1), ["zeroes"]);
    assertBytes(await calls.read(fd, 4096, 4 * MIB), new Uint8Array(4096));
    assertBytes(
      await calls.read(fd, 4096, 5 * MIB),
      bytesOf(8 * MIB, 3).subarray(5 * MIB, 5 * MIB + 4096),
    );
    await kernel.init.close(fd);

    await calls.mount("/dev/vda", "/mnt");
    disk.done.length = 0;
    const root = await calls.open("/mnt");
    const trim = new Uint8Array(BigUint64Array.of(0n, 0xffffffffffffffffn, 0n).buffer);
    await kernel.init.ioctl(root, FITRIM, trim);
    assert.ok(disk.done.includes("discard"));
    assert.ok(new BigUint64Array(trim.buffer)[1] > 40n * BigInt(MIB), "how much was trimmed");
    await kernel.init.close(root);
  });

  test(`a disk that fails at an offset: EIO in that call, all else goes on (${kind})`, async () => {
    const disk = new TestDisk(8 * MIB, synchronous);
    const errors: unknown[] = [];
    const failing = new Error("a scratch on the disk");
    disk.before = (operation, offset, length) => {
      if (operation !== "flush" && offset <= 4 * MIB && 4 * MIB < offset + length) throw failing;
    };
    await using kernel = await boot({
      devices: [new VirtioBlock(disk, { onError: (error) => errors.push(error) })],
    });
    const calls = new Calls(kernel.init);
    const fd = await calls.open("/dev/vda", O_RDWR);
    assert.equal((await calls.read(fd, 4096, 0)).length, 4096);
    await assert.rejects(calls.read(fd, 4096, 4 * MIB), { code: "EIO", syscall: "pread64" });
    assert.equal(errors[0], failing);
    assert.equal((await calls.read(fd, 4096, 6 * MIB)).length, 4096);
    // A write fails where its result is asked for.
    await calls.write(fd, bytesOf(4096, 1), 4 * MIB);
    await assert.rejects(kernel.init.fsync(fd), { code: "EIO", syscall: "fsync" });
    await calls.write(fd, bytesOf(4096, 1), 0);
    await kernel.init.fsync(fd);
    disk.before = (operation) => {
      if (operation === "flush") throw failing;
    };
    await calls.write(fd, bytesOf(4096, 2), 0);
    await assert.rejects(kernel.init.fsync(fd), { code: "EIO" });
    await kernel.init.close(fd);
  });

  test(`capacity: what the kernel sees follows the disk (${kind})`, async () => {
    const disk = new TestDisk(4 * MIB, synchronous);
    await using kernel = await boot({ devices: [new VirtioBlock(disk)] });
    const calls = new Calls(kernel.init);
    const fd = await calls.open("/dev/vda", O_RDWR);
    disk.memory.resize(16 * MIB);
    await until(async () => (await calls.text("/sys/block/vda/size")) === "32768");
    await calls.write(fd, bytesOf(4096, 5), 15 * MIB);
    await kernel.init.fsync(fd);
    const written = new Uint8Array(4096);
    disk.memory.read(written, 15 * MIB);
    assertBytes(written, bytesOf(4096, 5));
    disk.memory.resize(MIB);
    await until(async () => (await calls.text("/sys/block/vda/size")) === "2048");
    assert.equal((await calls.read(fd, 4096, 15 * MIB)).length, 0);
    await kernel.init.close(fd);
  });

  test(`requests beyond a disk that shrank secretly fail (${kind})`, async () => {
    const disk = new TestDisk(4 * MIB, synchronous);
    const device = new VirtioBlock(disk);
    await using kernel = await boot({ devices: [device] });
    const calls = new Calls(kernel.init);
    const fd = await calls.open("/dev/vda", O_RDWR);
    Object.defineProperty(disk, "sizeBytes", { value: MIB });
    await assert.rejects(calls.read(fd, 4096, 2 * MIB), { code: "EIO" });
    assert.equal((await calls.read(fd, 4096, 0)).length, 4096);
    assert.equal(device.broken, null);
    await kernel.init.close(fd);
  });

  test(`unplugged while mounted and busy: calls fail, nothing hangs, all else goes on (${kind})`, async () => {
    const path = ext4Image(32);
    const disk = fill(new TestDisk(32 * MIB, synchronous), path);
    const device = new VirtioBlock(disk);
    const other = new VirtioBlock(new MemoryDisk(readFileSync(path)));
    await using kernel = await boot({ devices: [device, other] });
    const calls = new Calls(kernel.init);
    await calls.mount("/dev/vda", "/mnt");
    await calls.mount("/dev/vdb", "/other");
    const fd = await calls.create("/mnt/file");
    await calls.write(fd, bytesOf(MIB, 1));
    if (!synchronous) disk.before = () => new Promise<void>(() => {});
    const pending = kernel.init.fsync(fd);
    const failed = assert.rejects(pending, { code: "EIO" });
    if (!synchronous) {
      await until(() => disk.done.includes("write"));
      await Promise.all([kernel.unplug(device), failed]);
    } else {
      await kernel.unplug(device);
      await Promise.allSettled([pending, failed]);
    }
    assert.equal(device.plugged, false);
    await assert.rejects(calls.text("/sys/block/vda/size"), { code: "ENOENT" });
    await calls.write(fd, bytesOf(4096, 2)).catch(() => {});
    await assert.rejects(kernel.init.fsync(fd), { code: "EIO" });
    await kernel.init.close(fd);
    const there = await calls.create("/other/file");
    await calls.write(there, bytesOf(MIB, 2));
    await kernel.init.fsync(there);
    await kernel.init.close(there);
    await kernel.init.umount2("/mnt", 0);
  });
}

/** The names of the block devices that the kernel has. */
async function blockDevices(calls: Calls): Promise<string[]> {
  const lines = (await calls.text("/proc/partitions")).split("\n").slice(2);
  return lines.map((line) => line.trim().split(/ +/)[3]);
}

test("plugged in and out again and again", async () => {
  await using kernel = await boot();
  const calls = new Calls(kernel.init);
  const device = new VirtioBlock(new MemoryDisk(MIB), { serial: "again" });
  for (let round = 0; round < 20; round++) {
    await kernel.plug(device);
    // Not always vda: the kernel frees names a little later.
    const [name, ...others] = await blockDevices(calls);
    assert.deepEqual(others, []);
    assert.equal(await calls.text(`/sys/block/${name}/serial`), "again");
    const fd = await calls.open(`/dev/${name}`);
    assert.equal((await calls.read(fd, 4096)).length, 4096);
    await kernel.init.close(fd);
    await kernel.unplug(device);
    await assert.rejects(calls.open(`/dev/${name}`), { code: "ENOENT" });
  }
  const many = Array.from({ length: 24 }, () => new VirtioBlock(new MemoryDisk(MIB)));
  await Promise.all(many.map((one) => kernel.plug(one)));
  assert.equal((await blockDevices(calls)).length, 24);
  await Promise.all(many.map((one) => kernel.unplug(one)));
  assert.deepEqual(await blockDevices(calls), []);
});

test("a device pulled while the kernel still gets to know it", async () => {
  await using kernel = await boot();
  const disk = new TestDisk(MIB, false);
  const asked = Promise.withResolvers<void>();
  // The driver looks for partitions while it probes.
  disk.before = () => {
    asked.resolve();
    return new Promise<void>(() => {});
  };
  const device = new VirtioBlock(disk);
  const plugged = kernel.plug(device);
  await asked.promise;
  await Promise.all([kernel.unplug(device), plugged]);
  assert.equal(device.plugged, false);
  assert.deepEqual(await blockDevices(new Calls(kernel.init)), []);
  const hasty = new VirtioBlock(new MemoryDisk(MIB));
  const results = await Promise.allSettled([kernel.plug(hasty), kernel.unplug(hasty)]);
  assert.equal(results[1].status, "fulfilled");
  assert.equal(hasty.plugged, false);
});

test("a kernel that stops lets go of who plugs and unplugs", async () => {
  const kernel = await boot();
  const disk = new TestDisk(MIB, false);
  disk.before = () => new Promise<void>(() => {});
  const device = new VirtioBlock(disk);
  const plugged = assert.rejects(kernel.plug(device), { code: "ERR_KERNEL_STOPPED" });
  const other = assert.rejects(kernel.plug(new VirtioBlock(disk)), { code: "ERR_KERNEL_STOPPED" });
  const gone = assert.rejects(kernel.unplug(device), { code: "ERR_KERNEL_STOPPED" });
  kernel.dispose();
  await Promise.all([plugged, other, gone]);
});

test("a driver that lets go and comes back finds its device reset", async () => {
  const disk = new TestDisk(MIB, false);
  const device = new VirtioBlock(disk, { serial: "same" });
  await using kernel = await boot({ devices: [device] });
  const calls = new Calls(kernel.init);
  for (let round = 0; round < 3; round++) {
    await calls.put("/sys/bus/virtio/drivers/virtio_blk/unbind", "virtio0");
    assert.deepEqual(await blockDevices(calls), []);
    assert.equal(device.plugged, true);
    disk.memory.resize((round + 2) * MIB);
    await calls.put("/sys/bus/virtio/drivers/virtio_blk/bind", "virtio0");
    const [name] = await blockDevices(calls);
    assert.equal(await calls.text(`/sys/block/${name}/serial`), "same");
    assert.equal(await calls.text(`/sys/block/${name}/size`), String((round + 2) * 2048));
  }
});

test("a device is in one machine at a time", async () => {
  const device = new VirtioBlock(new MemoryDisk(MIB));
  await using kernel = await boot({ devices: [device] });
  await assert.rejects(kernel.plug(device), { code: "ERR_INVALID_OPTION" });
  await assert.rejects(boot({ devices: [device] }), { code: "ERR_DEVICE" });
  await using other = await boot();
  await assert.rejects(other.plug(device), { code: "ERR_DEVICE" });
  await assert.rejects(other.unplug(device), { code: "ERR_DEVICE" });
  await other.halt();
  await assert.rejects(other.plug(device), { code: "ERR_KERNEL_STOPPED" });
  await kernel.halt();
  assert.equal(device.plugged, false);
});

test("a back end that never answers: EIO after the timeout", async () => {
  const disk = new TestDisk(MIB, false);
  const errors: unknown[] = [];
  await using kernel = await boot({
    devices: [new VirtioBlock(disk, { timeoutMs: 40, onError: (error) => errors.push(error) })],
  });
  const calls = new Calls(kernel.init);
  const fd = await calls.open("/dev/vda", O_RDWR | O_DIRECT);
  disk.before = () => new Promise<void>(() => {});
  await assert.rejects(calls.read(fd, 4096, 65536), { code: "EIO" });
  assert.match(String(errors[0]), /did not answer within 40 ms/);
  disk.before = () => {};
  assert.equal((await calls.read(fd, 4096, 65536)).length, 4096);
  await kernel.init.close(fd);
});

test("an answer that comes too late changes nothing", async () => {
  const disk = new TestDisk(MIB, false);
  disk.memory.write(new Uint8Array(MIB).fill(0xee), 0);
  await using kernel = await boot({ devices: [new VirtioBlock(disk, { timeoutMs: 30 })] });
  const calls = new Calls(kernel.init);
  const fd = await calls.open("/dev/vda");
  const { promise, resolve } = Promise.withResolvers<void>();
  disk.before = () => promise;
  await assert.rejects(calls.read(fd, 4096, 65536), { code: "EIO" });
  await new Promise((wake) => setTimeout(wake, 60));
  const before = kernel.memory.u8.slice();
  resolve();
  await promise;
  await new Promise((wake) => setImmediate(wake));
  assert.ok(!kernel.memory.u8.some((byte, i) => byte === 0xee && before[i] !== 0xee));
  await kernel.init.close(fd);
});

test("a kernel that is disposed drops what is under way, and its disk is free", async () => {
  const disk = new TestDisk(MIB, false);
  const device = new VirtioBlock(disk, { timeoutMs: 60_000 });
  const kernel = await boot({ devices: [device] });
  const calls = new Calls(kernel.init);
  const fd = await calls.open("/dev/vda");
  const { promise, resolve } = Promise.withResolvers<void>();
  disk.before = () => promise;
  const read = assert.rejects(calls.read(fd, 4096), { code: "ERR_KERNEL_STOPPED" });
  await new Promise((wake) => setTimeout(wake, 10));
  kernel.dispose();
  await read;
  assert.equal(device.plugged, false);
  resolve();
  disk.before = () => {};
  await using again = await boot({ devices: [device] });
  assert.equal(await new Calls(again.init).text("/sys/block/vda/size"), "2048");
});

test("more asynchronous requests than fit in private buffers are served in turn", async () => {
  const disk = new TestDisk(128 * MIB, false);
  let most = 0;
  let staged = 0;
  disk.before = (operation, _offset, length) => {
    if (operation !== "write") return undefined;
    staged += length;
    most = Math.max(most, staged);
    return new Promise<void>((resolve) =>
      setTimeout(() => {
        staged -= length;
        resolve();
      }, 2),
    );
  };
  await using kernel = await boot({ memoryMiB: 256, devices: [new VirtioBlock(disk)] });
  const calls = new Calls(kernel.init);
  const fd = await calls.open("/dev/vda", O_RDWR);
  const content = bytesOf(64 * MIB, 9);
  await calls.write(fd, content);
  await kernel.init.fsync(fd);
  const back = new Uint8Array(content.length);
  disk.memory.read(back, 0);
  assertBytes(back, content);
  assert.ok(most <= 34 * MIB, `${most} bytes at once`);
  await kernel.init.close(fd);
});

test("a synchronous disk that answers with a promise breaks its device, not the kernel", async () => {
  const disk = new TestDisk(MIB, true);
  const device = new VirtioBlock(disk);
  await using kernel = await boot({ devices: [device] });
  const calls = new Calls(kernel.init);
  const fd = await calls.open("/dev/vda");
  disk.read = () => Promise.reject(new Error("never mind"));
  await assert.rejects(calls.read(fd, 4096), { code: "EIO" });
  assert.match(String(device.broken), /says that it is synchronous/);
  await assert.rejects(calls.read(fd, 4096, 65536), { code: "EIO" });
  await kernel.init.close(fd);
  await kernel.unplug(device);
});

test("a request without a status breaks the device: it and all others fail, until a reset", async () => {
  const memory = new Memory(MIB, false);
  const { view, u8 } = memory;
  const reports: string[] = [];
  const disk = new TestDisk(MIB, false);
  disk.before = () => new Promise<void>(() => {});
  const device = new VirtioBlock(disk);
  device.attach({
    memory,
    interrupt: () => {},
    configChanged: () => {},
    report: (error) => reports.push(error.message),
  });
  const [descriptors, available, used, header, data, status] = [0, 4096, 8192, 12288, 16384, 20480];
  const describe = (index: number, at: number, length: number, flags: number) => {
    view.setUint32(descriptors + 16 * index, at, true);
    view.setUint32(descriptors + 16 * index + 8, length, true);
    view.setUint16(descriptors + 16 * index + 12, flags, true);
    view.setUint16(descriptors + 16 * index + 14, index + 1, true);
  };
  const begin = () => {
    u8.fill(0, available, header);
    u8.fill(0xff, status, status + 4);
    device.setStatus(0);
    device.setQueue(0, 16, descriptors, available, used);
    device.setStatus(VIRTIO_CONFIG_S_DRIVER_OK);
  };
  let sent = 0;
  const send = (head: number) => {
    view.setUint16(available + 4 + 2 * (sent++ % 16), head, true);
    view.setUint16(available + 2, sent, true);
    device.notify(0);
  };
  const next = VRING_DESC_F_NEXT;
  const write = VRING_DESC_F_WRITE;
  for (const first of [0, 4, 8]) {
    describe(first, header, 16, next);
    describe(first + 1, data, 512, next | write);
    describe(first + 2, status + first / 4, 1, write);
  }
  describe(4, header, 16, 0);
  begin();
  send(0);
  assert.equal(u8[status], 0xff, "under way");
  send(4);
  assert.deepEqual(reports, ["virtio-blk: a request without header or status"]);
  assert.equal(device.status & VIRTIO_CONFIG_S_NEEDS_RESET, VIRTIO_CONFIG_S_NEEDS_RESET);
  assert.equal(u8[status], VIRTIO_BLK_S_IOERR);
  send(8);
  assert.equal(u8[status + 2], VIRTIO_BLK_S_IOERR);
  assert.equal(view.getUint16(used + 2, true), 3, "all came back");
  sent = 0;
  disk.before = () => {};
  begin();
  assert.equal(device.broken, null);
  send(8);
  await until(() => u8[status + 2] === VIRTIO_BLK_S_OK);
  device.detach(new Error("the end"));
  assert.equal(reports.length, 1);
});
