// Options of boot() and of processes: what is taken, and what is refused and why.

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { AT_FDCWD, O_CREAT, O_RDWR } from "../src/abi/constants/fcntl.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../src/abi/constants/mman.ts";
import { readFile } from "../src/fs/files.ts";
import { InvalidOptionError, KernelImage, NotAKernelError } from "../src/index.ts";
import type { BootOptions, Kernel, ProcessOptions } from "../src/index.ts";
import { boot, memories, pipe, rejection, text } from "./kernel.ts";

const MIB = 1 << 20;
const HALF = 2 ** 31;

/** Map memory until an address lies above 2 GiB, and give that. */
async function mapAboveHalf(kernel: Kernel): Promise<number> {
  for (;;) {
    const address = await kernel.init.mmap2(
      0,
      4 * MIB,
      PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS,
      -1,
      0,
    );
    if (address >= HALF) return address;
  }
}

suite("memory", () => {
  for (const { kind, shared } of memories) {
    test(`a kernel of 16 MiB works, in ${kind}`, async () => {
      await using kernel = await boot({ memoryMiB: 16, shared });
      assert.equal(kernel.memory.size, 16 * MIB);
      const process = await kernel.process();
      const [reader, writer] = await pipe(process);
      await process.write(writer, Uint8Array.of(1, 2, 3), 3);
      assert.equal(await process.read(reader, new Uint8Array(3), 3), 3);
      await process.exit();
    });

    for (const memoryMiB of [2560, 3584]) {
      test(`a kernel of ${memoryMiB} MiB works, also above 2 GiB, in ${kind}`, async () => {
        await using kernel = await boot({ memoryMiB, shared });
        assert.equal(kernel.memory.size, memoryMiB * MIB);
        const { init } = kernel;
        const address = await mapAboveHalf(kernel);
        const at = { address, length: 4 * MIB };
        const fd = await init.openat(AT_FDCWD, "/tmp/high", O_CREAT | O_RDWR, 0o600);
        kernel.memory.subarray(address, 5).set(text.encode("hello"));
        assert.equal(await init.pwrite64(fd, at, 5, 0), 5);
        assert.equal(await init.pwrite64(fd, address, 5, 5), 5);
        assert.equal(text.decode(await readFile(init, "/tmp/high")), "hellohello");
        await init.pread64(fd, address + 100, 5, 0);
        assert.equal(text.decode(kernel.memory.copy(address + 100, 5)), "hello");
        // Tasks, stacks and blocks for arguments up there as well.
        const process = await init.fork();
        await using buffer = await process.buffer(64);
        buffer.bytes.fill(1);
        const parts = [text.encode("a"), text.encode("b")];
        assert.equal(await init.pwritev(fd, parts, 2, 0), 2);
        const back = [new Uint8Array(1), new Uint8Array(1)];
        assert.equal(await init.preadv(fd, back, 2, 0), 2);
        assert.deepEqual(back, parts);
        assert.equal(await process.getpid(), process.pid);
        await process.exit();
        await init.close(fd);
      });
    }
  }

  for (const memoryMiB of [0, -1, 15, 15.99, 3585, 4096, 1e9, 20.01, NaN, Infinity]) {
    test(`${memoryMiB} MiB is refused`, async () => {
      const error = await rejection(boot({ memoryMiB }));
      assert.ok(error instanceof InvalidOptionError, String(error));
      assert.equal(error.code, "ERR_INVALID_OPTION");
      assert.equal(error.option, "memoryMiB");
      assert.match(error.message, /memoryMiB/);
    });
  }
});

suite("boot", () => {
  test("takes a command line", async () => {
    await using kernel = await boot({ commandLine: 'loglevel=3 my.option="a b" ünïcode' });
    const line = text.decode(await readFile(kernel.init, "/proc/cmdline"));
    assert.match(line, /loglevel=3 my\.option="a b" ünïcode/);
  });

  test("refuses a command line that is too long, or has a NUL character", async () => {
    for (const commandLine of ["x".repeat(2048), "é".repeat(1024), "a\0b"]) {
      const error = await rejection(boot({ commandLine }));
      assert.ok(error instanceof InvalidOptionError);
      assert.equal(error.option, "commandLine");
    }
    await using kernel = await boot({ commandLine: "x".repeat(2047) });
    assert.match(text.decode(await readFile(kernel.init, "/proc/cmdline")), /x{2047}/);
  });

  test("refuses an option that there is not, and names those that there are", async () => {
    const error = await rejection(boot({ memory: 64 } as BootOptions));
    assert.ok(error instanceof InvalidOptionError);
    assert.equal(error.option, "memory");
    assert.match(error.message, /memoryMiB/);
  });

  for (const maxThreads of [0, -1, 1.5, NaN]) {
    test(`refuses maxThreads: ${maxThreads}`, async () => {
      const refused = { code: "ERR_INVALID_OPTION", option: "maxThreads" };
      await assert.rejects(boot({ maxThreads }), refused);
      await using kernel = await boot();
      await assert.rejects(kernel.process({ maxThreads }), refused);
      await assert.rejects(kernel.init.fork({ maxThreads }), refused);
    });
  }

  const empty = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  const noKernels: Record<string, Uint8Array<ArrayBuffer>> = {
    "no bytes": new Uint8Array(),
    "no WebAssembly": text.encode("#!/bin/sh\n"),
    "an empty module": empty,
    "a module that is cut short": Uint8Array.of(...empty, 2, 0x85),
    // (module (import "" "" (memory 1)))
    "a module with nothing but a memory": Uint8Array.of(...empty, 2, 6, 1, 0, 0, 2, 0, 1),
    "what does not compile": Uint8Array.of(...empty, 2, 6, 1, 0, 0, 2, 0, 1, 99, 1, 0),
  };
  for (const [what, bytes] of Object.entries(noKernels)) {
    test(`refuses ${what} as a kernel`, async () => {
      const error = await rejection(boot({ image: bytes }));
      assert.ok(error instanceof NotAKernelError, String(error));
      assert.equal(error.code, "ERR_NOT_A_KERNEL");
    });
  }

  test("refuses a profile that is not there", async () => {
    const error = await rejection(boot({ image: "none" as "fs" }));
    assert.match(String(error), /there is no "none" kernel/);
    assert.equal((error as Error & { code: string }).code, "ERR_KERNEL_NOT_FOUND");
  });

  test("compiles an image once for all kernels", async () => {
    const first = await boot();
    await first.halt();
    const image = await import("../src/index.ts").then(({ loadImage }) => loadImage("fs"));
    assert.ok(image instanceof KernelImage);
    assert.equal(image.module(false), image.module(false));
    assert.notEqual(image.module(false), image.module(true));
  });
});

suite("kernel.process()", () => {
  const wrong: Record<string, ProcessOptions> = {
    uid: { uid: -1 },
    gid: { gid: 1.5 },
    groups: { groups: [1, -2] },
    umask: { umask: 0o1000 },
    user: { user: 1 } as ProcessOptions,
  };
  for (const [option, options] of Object.entries(wrong)) {
    test(`refuses ${JSON.stringify(options)}`, async () => {
      await using kernel = await boot();
      await assert.rejects(kernel.process(options), { code: "ERR_INVALID_OPTION", option });
      assert.equal(kernel.processes.size, 1);
    });
  }

  test("fails for a root or working directory that is not there, and leaves nothing behind", async () => {
    await using kernel = await boot();
    await assert.rejects(kernel.process({ root: "/none" }), { code: "ENOENT", path: "/none" });
    await assert.rejects(kernel.process({ cwd: "/proc/version" }), { code: "ENOTDIR" });
    assert.equal(kernel.processes.size, 1);
  });
});
