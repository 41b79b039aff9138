// Disks that fail: the disk by itself, and what mounted file systems make of each kind of failure.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, suite, test } from "node:test";

import { AT_FDCWD, O_CREAT, O_DIRECT, O_RDONLY, O_RDWR } from "../src/abi/constants/fcntl.ts";
import { FaultDisk, MemoryDisk } from "../src/disk/index.ts";
import type { Disk, Fault, FaultDiskOptions } from "../src/disk/index.ts";
import { attachDisk, mount, MountError, readMounts } from "../src/fs/index.ts";
import type { AttachOptions } from "../src/fs/index.ts";
import { Kernel, SystemError } from "../src/index.ts";
import { assertBytes, diskContract, pattern } from "./contract/disk.ts";
import { emptyImage, run, temporaryFolder } from "./images/native.ts";
import { rejection } from "./kernel.ts";

const MIB = 1048576;
const folder = temporaryFolder();
after(() => folder[Symbol.dispose]());

diskContract("FaultDisk", () => ({ disk: new FaultDisk(new MemoryDisk(pattern(MIB))) }));
diskContract("FaultDisk, synchronous", () => ({
  disk: new FaultDisk(new MemoryDisk(pattern(MIB)), { synchronous: true }),
}));
diskContract("FaultDisk, read-only", () => ({
  disk: new FaultDisk(new MemoryDisk(pattern(MIB), { readOnly: true })),
}));

const faulty = (fault: Fault, options: FaultDiskOptions = {}): FaultDisk =>
  new FaultDisk(new MemoryDisk(pattern(MIB)), { ...options, faults: [fault] });

const read = async (disk: Disk, offset: number, length = 512): Promise<Uint8Array> => {
  const bytes = new Uint8Array(length);
  await disk.read(bytes, offset);
  return bytes;
};

suite("FaultDisk", () => {
  test("an error strikes where it is told to, and nowhere else", async () => {
    for (const synchronous of [true, false]) {
      const range = { offsetBytes: 4096, lengthBytes: 512 };
      const fault: Fault = { effect: { kind: "error", code: "EIO" }, on: ["read"], range };
      const disk = faulty(fault, { synchronous });
      await assert.rejects(read(disk, 4096), { name: "DiskError", code: "EIO" });
      await assert.rejects(read(disk, 3584, 1024), /injected fault: read of 1024 bytes at 3584/);
      assertBytes(await read(disk, 3584), pattern(512, 3584));
      assertBytes(await read(disk, 4608), pattern(512, 4608));
      await disk.write(new Uint8Array(512), 4096);
      await disk.flush();
    }
  });

  test("it strikes after so many operations, so many times, and until it is lifted", async () => {
    const disk = new FaultDisk(new MemoryDisk(MIB));
    const effect = { kind: "error", code: "ENOSPC" } as const;
    disk.inject({ effect, on: ["write"], after: 2, times: 1 });
    const outcomes: string[] = [];
    for (let i = 0; i < 5; i++)
      outcomes.push(
        await Promise.resolve(disk.write(new Uint8Array(512), 0)).then(
          () => "ok",
          (error: unknown) => (error as { code: string }).code,
        ),
      );
    assert.deepEqual(outcomes, ["ok", "ok", "ENOSPC", "ok", "ok"]);
    const broken = disk.inject({ effect, on: ["flush"] });
    await assert.rejects(async () => disk.flush(), { code: "ENOSPC" });
    await assert.rejects(async () => disk.flush(), { code: "ENOSPC" });
    assert.equal(broken.struck, 2);
    broken.lift();
    await disk.flush();
  });

  test("chance is decided by a seed", async () => {
    const failures = async () => {
      const disk = faulty({ effect: { kind: "error", code: "EIO" }, probability: 0.3 });
      let bits = "";
      for (let i = 0; i < 200; i++)
        bits += await read(disk, 0).then(
          () => "0",
          () => "1",
        );
      return bits;
    };
    const bits = await failures();
    assert.equal(bits, await failures());
    const ones = bits.replaceAll("0", "").length;
    assert.ok(ones > 30 && ones < 90, `${ones} of 200`);
  });

  test("a torn write is half there", async () => {
    const disk = faulty({ effect: { kind: "torn" }, times: 1 });
    await assert.rejects(async () => disk.write(new Uint8Array(4096), 0), { code: "EIO" });
    const bytes = await read(disk, 0, 4096);
    assert.ok(bytes.subarray(0, 2048).every((byte) => byte === 0));
    assertBytes(bytes.subarray(2048), pattern(2048, 2048));
    const first = faulty({ effect: { kind: "torn", doneBytes: 512 } }, { synchronous: true });
    assert.throws(() => first.write(new Uint8Array(4096), 0), { code: "EIO" });
    assertBytes((await read(first, 0, 4096)).subarray(512), pattern(3584, 512));
  });

  test("a lost write is acknowledged, and not there", async () => {
    const disk = faulty({ effect: { kind: "lost" }, on: ["write"] });
    await disk.write(new Uint8Array(512), 0);
    assertBytes(await read(disk, 0), pattern(512));
  });

  test("corruption changes a bit, of what is read or of what is written", async () => {
    const disk = faulty({ effect: { kind: "corrupt" }, on: ["write"], times: 1 });
    const bytes = new Uint8Array(512);
    await disk.write(bytes, 0);
    assert.deepEqual([bytes[0], (await read(disk, 0))[0]], [0, 1]);
    disk.inject({ effect: { kind: "corrupt" }, on: ["read"], times: 1 });
    assert.deepEqual([(await read(disk, 0))[0], (await read(disk, 0))[0]], [0, 1]);
  });

  test("a slow one answers later; one that never answers does when it is lifted or closed", async () => {
    const slow = faulty({ effect: { kind: "slow", delayMs: 5 } });
    assertBytes(await read(slow, 512), pattern(512, 512));
    const disk = new FaultDisk(new MemoryDisk(MIB));
    const never = disk.inject({ effect: { kind: "never" }, on: ["read"] });
    const lifted = read(disk, 0);
    never.lift();
    await assert.rejects(lifted, { code: "EIO", message: /left unanswered: read/ });
    disk.inject({ effect: { kind: "never" } });
    const closed = read(disk, 0);
    await disk.close();
    await assert.rejects(closed, { code: "EIO" });
  });

  test("what makes no sense is refused", () => {
    const refuses = (fault: Fault, option: string, synchronous = false) => {
      const inject = () => faulty(fault, { synchronous });
      assert.throws(inject, { code: "ERR_INVALID_OPTION", option });
    };
    refuses({ effect: { kind: "torn" }, on: ["read"] }, "on");
    refuses({ effect: { kind: "never" } }, "effect", true);
    refuses({ effect: { kind: "slow", delayMs: 1 } }, "effect", true);
    refuses({ effect: { kind: "slow", delayMs: Number.NaN } }, "delayMs");
    refuses({ effect: { kind: "lost" }, probability: 2 }, "probability");
    refuses({ effect: { kind: "lost" }, times: -1 }, "times");
    refuses({ effect: { kind: "lost" }, after: -1 }, "after");
    const later = new FaultDisk(new MemoryDisk(MIB));
    assert.throws(() => new FaultDisk(later, { synchronous: true }), { option: "synchronous" });
  });
});

// --- On file systems -------------------------------------------------------------------------

const TYPES = {
  ext4: [16, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096"],
  xfs: [32, "mkfs.xfs", "--unsupported", "-q"],
  btrfs: [112, "mkfs.btrfs", "-q", "-m", "single"],
} as const;
type Type = keyof typeof TYPES;
const NAMES = Object.keys(TYPES) as Type[];

const images = new Map<Type, Uint8Array>();

function image(type: Type): Uint8Array {
  let bytes = images.get(type);
  if (!bytes) {
    const [mib, command, ...args] = TYPES[type];
    const path = emptyImage(join(folder.path, `${type}.img`), mib);
    run(command, ...args, path);
    images.set(type, (bytes = new Uint8Array(readFileSync(path))));
  }
  return bytes.slice();
}

const FILE_BYTES = 65536;
/** Content that is nowhere else on a disk. */
const content = (mark: number) => new Uint8Array(FILE_BYTES).fill(mark);
const isContent = (mark: number) => (bytes: Uint8Array | undefined) =>
  bytes !== undefined && bytes.length > 1000 && bytes.subarray(0, 1000).every((b) => b === mark);

/** A file system on a disk that can fail, in a kernel of its own. */
class Bench implements AsyncDisposable {
  readonly kernel: Kernel;
  readonly memory: MemoryDisk;
  readonly disk: FaultDisk;
  readonly device: Awaited<ReturnType<typeof attachDisk>>;
  readonly type: Type;
  target = "";

  private constructor(
    kernel: Kernel,
    memory: MemoryDisk,
    disk: FaultDisk,
    device: Bench["device"],
    type: Type,
  ) {
    this.kernel = kernel;
    this.memory = memory;
    this.disk = disk;
    this.device = device;
    this.type = type;
  }

  static async make(type: Type, options: AttachOptions = {}): Promise<Bench> {
    const kernel = await Kernel.boot({ image: "full", memoryMiB: 96 });
    const memory = new MemoryDisk(image(type));
    const disk = new FaultDisk(memory);
    const device = await attachDisk(kernel, disk, options);
    const bench = new Bench(kernel, memory, disk, device, type);
    await bench.mount();
    return bench;
  }

  async mount(): Promise<void> {
    const { target } = await mount(this.kernel, { source: this.device.path });
    this.target = target;
  }

  get init(): Kernel["init"] {
    return this.kernel.init;
  }

  open(name: string, flags = O_CREAT | O_RDWR): Promise<number> {
    return this.init.openat(AT_FDCWD, `${this.target}/${name}`, flags, 0o644);
  }

  write(fd: number, mark: number): Promise<number> {
    return this.init.pwrite64(fd, content(mark), FILE_BYTES, 0);
  }

  async put(name: string, mark: number): Promise<void> {
    const fd = await this.open(name);
    await this.write(fd, mark);
    await this.init.fsync(fd);
    await this.init.close(fd);
  }

  /** The first bytes of a file. */
  async head(name: string): Promise<number[]> {
    const fd = await this.open(name, O_RDONLY);
    try {
      const bytes = new Uint8Array(4096);
      const length = await this.init.pread64(fd, bytes, bytes.length, 0);
      return [...new Set(bytes.subarray(0, length))];
    } finally {
      await this.init.close(fd);
    }
  }

  /** Forget what is cached: unmount and mount again. */
  async remount(): Promise<void> {
    await this.init.umount2(this.target, 0);
    await this.mount();
  }

  /** Where the content of a file is on the disk. */
  find(mark: number): number {
    const at = this.memory.bytes().findIndex((byte, i, all) => {
      if (byte !== mark || i % 4096) return false;
      return all.subarray(i, i + 4096).every((other) => other === mark);
    });
    assert.ok(at >= 0, "the content is not on the disk");
    return at;
  }

  says(pattern: RegExp): void {
    assert.match(this.kernel.log.text, pattern);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.kernel.running) this.kernel.dispose();
    await this.disk.close();
  }
}

async function code(call: Promise<unknown>): Promise<string> {
  const error = await rejection(call);
  assert.ok(error instanceof SystemError, String(error));
  return error.code;
}

for (const type of NAMES) {
  suite(`${type} on a disk that fails`, () => {
    test("what cannot be read is EIO in read(), and all else can", async () => {
      await using bench = await Bench.make(type);
      await bench.put("bad", 0xb1);
      await bench.put("good", 0x91);
      const range = { offsetBytes: bench.find(0xb1), lengthBytes: FILE_BYTES };
      await bench.remount();
      const fault = bench.disk.inject({
        effect: { kind: "error", code: "EIO" },
        on: ["read"],
        range,
      });
      assert.equal(await code(bench.head("bad")), "EIO");
      assert.deepEqual(await bench.head("good"), [0x91]);
      assert.ok(fault.struck > 0);
      bench.says(/I\/O error, dev vda, sector/);
      fault.lift();
      assert.deepEqual(await bench.head("bad"), [0xb1]);
      await bench.kernel.halt();
    });

    test("what cannot be written is EIO in fsync(), once for each descriptor", async () => {
      await using bench = await Bench.make(type);
      const { init } = bench;
      await bench.put("file", 0x11);
      const [fd, other] = [await bench.open("file"), await bench.open("file")];
      const fault = bench.disk.inject({
        effect: { kind: "error", code: "EIO" },
        on: ["write"],
        when: ({ bytes }) => isContent(0xb2)(bytes),
      });
      await bench.write(fd, 0xb2);
      assert.equal(await code(init.fsync(fd)), "EIO");
      assert.ok(fault.struck > 0);
      fault.lift();
      await init.fsync(fd);
      assert.equal(await code(init.fsync(other)), "EIO");
      await init.fsync(other);
      const late = await bench.open("file");
      await init.fsync(late);
      for (const one of [fd, other, late]) await init.close(one);
      await bench.put("after", 0x22);
      assert.deepEqual(await bench.head("after"), [0x22]);
      await bench.kernel.halt();
    });

    test("a direct write fails at once", async () => {
      await using bench = await Bench.make(type);
      await bench.put("file", 0x11);
      const fd = await bench.open("file", O_RDWR | O_DIRECT);
      await using buffer = await bench.init.buffer(FILE_BYTES);
      buffer.bytes.fill(0xb3);
      const write = () => bench.init.pwrite64(fd, buffer, FILE_BYTES, 0);
      bench.disk.inject({
        effect: { kind: "error", code: "EIO" },
        on: ["write"],
        when: ({ bytes }) => isContent(0xb3)(bytes),
        times: 1,
      });
      assert.equal(await code(write()), "EIO");
      assert.equal(await write(), FILE_BYTES);
      await bench.init.close(fd);
      await bench.kernel.halt();
    });

    test("where nothing can be written any more, it stops to, says why, and unmounts", async () => {
      await using bench = await Bench.make(type);
      const { init, target } = bench;
      await bench.put("before", 0x11);
      bench.disk.inject({ effect: { kind: "error", code: "EIO" }, on: ["write", "flush"] });
      const fd = await bench.open("new");
      await bench.write(fd, 0x22);
      assert.equal(await code(init.fsync(fd)), "EIO");
      await init.close(fd);
      // The data failed; now the journal does.
      await init.sync();
      const refused = await code(bench.open("another"));
      const codes = { ext4: ["EROFS"], xfs: ["EIO"], btrfs: ["EIO", "EROFS"] }[type];
      assert.ok(codes.includes(refused), refused);
      // Of these three, btrfs alone goes on to be read.
      if (type === "btrfs") {
        assert.deepEqual(await bench.head("before"), [0x11]);
        const entry = (await readMounts(init)).find((one) => one.target === target);
        assert.equal(entry?.readOnly, true);
      } else assert.equal(await code(bench.head("before")), "EIO");
      bench.says(/I\/O error, dev vda, sector/);
      bench.says(
        {
          ext4: /EXT4-fs \(vda\): Remounting filesystem read-only/,
          xfs: /XFS \(vda\): Filesystem has been shut down due to log error/,
          btrfs: /BTRFS.*forced readonly/,
        }[type],
      );
      await init.umount2(target, 0);
      await bench.kernel.halt();
    });

    test("a flush that fails is EIO in fsync()", async () => {
      await using bench = await Bench.make(type);
      const fd = await bench.open("file");
      await bench.write(fd, 0x11);
      bench.disk.inject({ effect: { kind: "error", code: "EIO" }, on: ["flush"] });
      assert.equal(await code(bench.init.fsync(fd)), "EIO");
      await bench.init.close(fd);
      await bench.init.umount2(bench.target, 0);
      await bench.kernel.halt();
    });

    test("a disk that is full is an I/O error to the kernel, and ENOSPC to the application", async () => {
      const errors: unknown[] = [];
      await using bench = await Bench.make(type, { onError: (error) => void errors.push(error) });
      const fd = await bench.open("file");
      await bench.write(fd, 0xb4);
      bench.disk.inject({
        effect: { kind: "error", code: "ENOSPC" },
        on: ["write"],
        when: ({ bytes }) => isContent(0xb4)(bytes),
        times: 1,
      });
      assert.equal(await code(bench.init.fsync(fd)), "EIO");
      assert.equal((errors[0] as { code: string }).code, "ENOSPC");
      await bench.init.close(fd);
      await bench.kernel.halt();
    });

    test("a read that is never answered is EIO after the timeout", async () => {
      await using bench = await Bench.make(type, { timeoutMs: 100 });
      await bench.put("file", 0xb5);
      const range = { offsetBytes: bench.find(0xb5), lengthBytes: FILE_BYTES };
      await bench.remount();
      const never = bench.disk.inject({ effect: { kind: "never" }, on: ["read"], range });
      assert.equal(await code(bench.head("file")), "EIO");
      never.lift();
      assert.deepEqual(await bench.head("file"), [0xb5]);
      await bench.kernel.halt();
    });

    test("a write that is never answered fails when the disk is taken away", async () => {
      await using bench = await Bench.make(type);
      const { init } = bench;
      const fd = await bench.open("file");
      await bench.write(fd, 0xb6);
      const hangs = new Promise<void>((resolve) => {
        bench.disk.inject({
          effect: { kind: "never" },
          on: ["write"],
          when: () => {
            resolve();
            return true;
          },
        });
      });
      const sync = rejection(init.fsync(fd));
      await hangs;
      await bench.device.detach();
      assert.equal(((await sync) as SystemError).code, "EIO");
      await init.close(fd);
      await init.umount2(bench.target, 0);
      await bench.kernel.halt();
    });

    test("a slow disk is only slow", async () => {
      await using bench = await Bench.make(type);
      bench.disk.inject({ effect: { kind: "slow", delayMs: 2 } });
      await bench.put("file", 0x33);
      await bench.remount();
      assert.deepEqual(await bench.head("file"), [0x33]);
      await bench.kernel.halt();
    });

    test("torn writes at random are noticed, and nothing hangs", async () => {
      await using bench = await Bench.make(type);
      bench.disk.inject({ effect: { kind: "torn" }, probability: 0.2 });
      const codes = new Set<string>();
      for (let i = 0; i < 30; i++)
        await bench.put(`file ${i}`, 0x40 + i).catch((error: unknown) => {
          assert.ok(error instanceof SystemError, String(error));
          codes.add(error.code);
        });
      assert.ok(codes.size > 0, "nobody noticed");
      for (const one of codes) assert.ok(["EIO", "EROFS", "EUCLEAN"].includes(one), one);
      await bench.init.umount2(bench.target, 0).catch(() => {});
      await bench.kernel.halt().catch((error: unknown) => {
        assert.ok(error instanceof AggregateError, String(error));
      });
    });

    test("lost writes at random are noticed or not, and nothing hangs", async () => {
      await using bench = await Bench.make(type);
      const fault = bench.disk.inject({
        effect: { kind: "lost" },
        on: ["write"],
        probability: 0.3,
      });
      const marks = Array.from({ length: 30 }, (_, i) => 0x40 + i);
      const tolerate = async <T>(work: Promise<T>): Promise<T | string> => {
        try {
          return await work;
        } catch (error) {
          if (error instanceof SystemError || error instanceof MountError) return error.code;
          throw error;
        }
      };
      for (const mark of marks) await tolerate(bench.put(`file ${mark}`, mark));
      fault.lift();
      assert.ok(fault.struck > 0);
      const found = [await tolerate(bench.remount())];
      if (found[0] === undefined)
        for (const mark of marks) {
          const head = await tolerate(bench.head(`file ${mark}`));
          if (typeof head === "string" || head.some((byte) => byte !== mark))
            found.push(String(head));
        }
      assert.ok(found.some(Boolean), "nothing was lost");
      await bench.kernel.halt().catch((error: unknown) => {
        assert.ok(error instanceof AggregateError, String(error));
      });
    });

    test(`wrong bytes are ${type === "btrfs" ? "EIO: it has checksums" : "read as they are"}`, async () => {
      await using bench = await Bench.make(type);
      bench.disk.inject({
        effect: { kind: "corrupt" },
        on: ["write"],
        when: ({ bytes }) => isContent(0xb7)(bytes),
      });
      await bench.put("file", 0xb7);
      await bench.remount();
      if (type === "btrfs") {
        assert.equal(await code(bench.head("file")), "EIO");
        bench.says(/csum failed root 5 ino \d+ off 0/);
      } else assert.deepEqual(await bench.head("file"), [0xb6, 0xb7]);
      await bench.kernel.halt();
    });
  });
}
