// src/abi: facts known from elsewhere, and properties of everything that the generator writes.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";

import { assert as check, property, uint8Array } from "fast-check";

import { SystemCalls, type Argument, type CallDescriptor } from "../src/abi/calls.ts";
import { EFD_CLOEXEC } from "../src/abi/constants/eventfd.ts";
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_TMPFILE } from "../src/abi/constants/fcntl.ts";
import { IFLA_MTU } from "../src/abi/constants/if_link.ts";
import { TUNSETIFF } from "../src/abi/constants/if_tunnel.ts";
import { BLKGETSIZE64, FITRIM, FS_IOC_GETFLAGS, SIOCGIFFLAGS } from "../src/abi/constants/ioctl.ts";
import { EXT4_SUPER_MAGIC } from "../src/abi/constants/magic.ts";
import { MAP_ANONYMOUS } from "../src/abi/constants/mman.ts";
import { MNT_DETACH, MS_NOUSER, MS_RDONLY } from "../src/abi/constants/mount.ts";
import { RTM_NEWADDR } from "../src/abi/constants/rtnetlink.ts";
import { CLONE_CLEAR_SIGHAND, CLONE_NEWNET } from "../src/abi/constants/sched.ts";
import { SIGCHLD } from "../src/abi/constants/signal.ts";
import {
  AF_INET6,
  MSG_DONTWAIT,
  SHUT_RDWR,
  SOCK_STREAM,
  SO_RCVTIMEO,
  SO_RCVTIMEO_NEW,
} from "../src/abi/constants/socket.ts";
import { DT_DIR, S_IFDIR, STATX_BASIC_STATS } from "../src/abi/constants/stat.ts";
import { VIRTIO_F_VERSION_1, VIRTIO_ID_FS } from "../src/abi/constants/virtio.ts";
import { __WALL } from "../src/abi/constants/wait.ts";
import { XATTR_USER_PREFIX } from "../src/abi/constants/xattr.ts";
import { errno, errnoCode, errnoMessage, errnoTable } from "../src/abi/errno.ts";
import { suspending } from "../src/abi/host.ts";
import { NR } from "../src/abi/numbers.ts";
import { cString, type Struct, type StructClass } from "../src/abi/struct.ts";
import { BtrfsRootItem, BtrfsRootRef } from "../src/abi/structs/btrfs.ts";
import { Flock64, LinuxDirent64, Statfs64, Statx } from "../src/abi/structs/fs.ts";
import { EpollEvent, InotifyEvent, IoUringSqe } from "../src/abi/structs/io.ts";
import { Nlmsghdr } from "../src/abi/structs/netlink.ts";
import {
  CloneArgs,
  LandlockPathBeneathAttr,
  NewUtsname,
  Siginfo,
} from "../src/abi/structs/process.ts";
import { Ifreq, SockaddrIn, TcpInfo, UserMsghdr } from "../src/abi/structs/socket.ts";
import { KernelTimespec } from "../src/abi/structs/time.ts";
import { VirtioBlkConfig, VirtioNetHdrV1, VringDesc } from "../src/abi/structs/virtio.ts";

const top = join(import.meta.dirname, "..");

/** Equal pairs; a table reads better than a call a line. */
function equal(pairs: readonly (readonly [unknown, unknown])[]): void {
  for (const [actual, expected] of pairs) assert.equal(actual, expected);
}

test("constants are those of every Linux with generic headers", () => {
  equal([
    [O_CREAT, 0o100],
    [O_CLOEXEC, 0o2000000],
    [O_TMPFILE, 0o20200000],
    [AT_FDCWD, -100],
    [EFD_CLOEXEC, O_CLOEXEC],
    [S_IFDIR, 0o040000],
    [DT_DIR, S_IFDIR >> 12],
    [STATX_BASIC_STATS, 0x7ff],
    [MS_RDONLY, 1],
    [MS_NOUSER, -(2 ** 31)],
    [MNT_DETACH, 2],
    [SIGCHLD, 17],
    [CLONE_NEWNET, 0x40000000],
    [CLONE_CLEAR_SIGHAND, 0x100000000n],
    [__WALL, 0x40000000],
    [MAP_ANONYMOUS, 0x20],
    [AF_INET6, 10],
    [SOCK_STREAM, 1],
    [SO_RCVTIMEO, SO_RCVTIMEO_NEW],
    [MSG_DONTWAIT, 0x40],
    [SHUT_RDWR, 2],
    [RTM_NEWADDR, 20],
    [IFLA_MTU, 4],
    [SIOCGIFFLAGS, 0x8913],
    [FITRIM, 0xc0185879],
    [TUNSETIFF, 0x400454ca],
    [EXT4_SUPER_MAGIC, 0xef53],
    [VIRTIO_F_VERSION_1, 32],
    [VIRTIO_ID_FS, 26],
    [XATTR_USER_PREFIX, "user."],
  ]);
});

test("the numbers of ioctls carry the sizes of a 32-bit ABI", () => {
  assert.equal(BLKGETSIZE64, 0x80041272); // 0x80081272 where size_t has 64 bits
  assert.equal(FS_IOC_GETFLAGS, 0x80046601); // 0x80086601 where long has 64 bits
});

test("system calls have the numbers of the generic 32-bit table", () => {
  equal([
    [NR.getpid, 172],
    [NR.openat, 56],
    [NR.mmap2, 222],
    [NR.statx, 291],
    [NR.clock_gettime64, 403],
    [NR.io_uring_setup, 425],
  ]);
  assert.ok(!("wait4" in NR) && !("clock_gettime" in NR), "no call with 32-bit times");
});

test("error numbers have names and messages, the first name of several", () => {
  equal([
    [errno.EAGAIN, 11],
    [errno.EWOULDBLOCK, 11],
    [errnoCode(11), "EAGAIN"],
    [errnoCode(35), "EDEADLK"],
    [errnoMessage(2), "No such file or directory"],
    [errnoCode(0), undefined],
    [errnoCode(4095), undefined],
  ]);
  for (const [code, value] of Object.entries(errno)) {
    assert.ok(errnoTable[value], code);
    assert.match(code, /^E[A-Z0-9_]+$/);
  }
});

test("imports that suspend are those that wait", () => {
  assert.deepEqual(suspending.toSorted(), ["cpu_idle", "cpu_yield", "thread_switch", "user_enter"]);
});

test("records have their known sizes and offsets", () => {
  equal([
    [Statx.size, 256],
    [Statx.offsets.stx_size, 40],
    [KernelTimespec.size, 16],
    [EpollEvent.size, 16],
    [EpollEvent.offsets.data, 8],
    [Flock64.size, 32],
    [LinuxDirent64.offsets.d_name, 19],
    [Statfs64.size, 88],
    [NewUtsname.size, 390],
    [Siginfo.size, 128],
    [CloneArgs.size, 88],
    [InotifyEvent.size, 16],
    [IoUringSqe.size, 64],
    // Packed, as an attribute behind the structure says.
    [LandlockPathBeneathAttr.size, 12],
    [BtrfsRootRef.size, 18],
    [BtrfsRootItem.offsets.uuid, 247],
    [Nlmsghdr.size, 16],
    [SockaddrIn.size, 16],
    [Ifreq.size, 32],
    [UserMsghdr.size, 28],
    [VringDesc.size, 16],
    [VirtioNetHdrV1.size, 12],
    [VirtioBlkConfig.offsets.blk_size, 20],
  ]);
});

test("numbers of the network are big-endian in memory, all others little-endian", () => {
  const address = SockaddrIn.alloc();
  address.sin_family = 2;
  address.sin_port = 0x1234;
  address.sin_addr.s_addr = 0x7f000001;
  assert.deepEqual([...address.bytes.subarray(0, 8)], [2, 0, 0x12, 0x34, 127, 0, 0, 1]);
});

test("bit-fields share their byte", () => {
  const info = TcpInfo.alloc();
  info.tcpi_snd_wscale = 0x7;
  info.tcpi_rcv_wscale = 0xa;
  assert.equal(info.bytes[6], 0xa7);
  info.tcpi_snd_wscale = 0;
  assert.equal(info.tcpi_rcv_wscale, 0xa);
});

test("arrays of bytes are padded with zeros and never overrun", () => {
  const request = Ifreq.alloc();
  request.bytes.fill(0xff);
  request.ifr_ifrn.ifrn_name = new TextEncoder().encode("lo");
  assert.equal(cString(request.ifr_ifrn.ifrn_name), "lo");
  assert.equal(request.ifr_ifrn.ifrn_name[15], 0);
  assert.equal(request.bytes[16], 0xff);
  assert.throws(() => (request.ifr_ifrn.ifrn_name = new Uint8Array(17)), RangeError);
});

test("views may be of shared memory, and of a part of it", () => {
  const view = new DataView(new SharedArrayBuffer(64), 8, 48);
  const time = new KernelTimespec(view, 16);
  time.tv_sec = -1n;
  assert.equal(time.bytes.byteOffset, 24);
  assert.deepEqual(time.bytes.slice(0, 8), new Uint8Array(8).fill(0xff));
  assert.equal(new Uint8Array(view.buffer).indexOf(0xff), 24);
});

interface Accessor {
  readonly label: string;
  read(record: Struct): unknown;
  write(record: Struct, value: unknown): void;
}

/** Everything of a class that can be read and written, elements of arrays one by one. */
function accessorsOf(constructor: StructClass<Struct>): Accessor[] {
  type Members = Record<string, unknown> & Record<string, (...args: unknown[]) => unknown>;
  const accessors: Accessor[] = [];
  const prototype: object = constructor.prototype;
  for (const [name, { get, set, value: method }] of Object.entries(
    Object.getOwnPropertyDescriptors(prototype),
  )) {
    if (get && set) {
      const write = (record: Struct, value: unknown): void => set.call(record, value);
      accessors.push({ label: name, read: (record) => get.call(record), write });
    }
    if (!name.startsWith("set_") || typeof method !== "function") continue; // clone_args.set_tid
    const getter = name.slice(4);
    const sample = new constructor(
      new DataView(new ArrayBuffer(constructor.size)),
    ) as unknown as Members;
    for (let index = 0; ; index += 1) {
      try {
        sample[getter](index);
      } catch (error) {
        assert.ok(error instanceof RangeError && index > 0, `${constructor.name}.${getter}`);
        break;
      }
      accessors.push({
        label: `${getter}(${index})`,
        read: (record) => (record as unknown as Members)[getter](index),
        write: (record, value) => (record as unknown as Members)[name](index, value),
      });
    }
  }
  return accessors;
}

const structFiles = globSync(["src/abi/structs/*.ts", "src/abi/host.ts"], { cwd: top }).toSorted();
const margin = 16;

for (const file of structFiles) {
  suite(file, async () => {
    const module: Record<string, unknown> = await import(join(top, file));
    for (const [name, value] of Object.entries(module)) {
      if (typeof value !== "function") continue;
      const constructor = value as unknown as StructClass<Struct>;
      test(`${name} writes what it reads, and nothing else`, () => {
        const accessors = accessorsOf(constructor);
        const bytes = uint8Array({ minLength: constructor.size, maxLength: constructor.size });
        check(
          property(bytes, (content) => {
            for (const { label, read, write } of accessors) {
              const buffer = new ArrayBuffer(constructor.size + 2 * margin);
              const record = new constructor(new DataView(buffer, 4), margin - 4);
              record.bytes.set(content);
              const seen = read(record);
              if (Number.isNaN(seen)) continue; // of many bit patterns
              const kept = seen instanceof Uint8Array ? seen.slice() : seen;
              write(record, kept);
              assert.deepEqual(record.bytes, content, label);
              new Uint8Array(buffer).fill(0);
              write(record, kept);
              assert.deepEqual(read(record), kept, label);
              assert.ok(
                new Uint8Array(buffer, 0, margin).every((byte) => byte === 0),
                label,
              );
              assert.ok(
                new Uint8Array(buffer, margin + constructor.size).every((byte) => byte === 0),
                label,
              );
            }
          }),
          { numRuns: constructor.size > 1024 ? 2 : 10 },
        );
      });
    }
  });
}

/** Keeps what the stubs pass on. */
class Recorder extends SystemCalls {
  readonly scalars: { nr: number; name: string; words: number[] }[] = [];
  readonly others: { call: CallDescriptor; args: readonly Argument[] }[] = [];

  protected override scalar(
    nr: number,
    name: string,
    _options: unknown,
    ...words: number[]
  ): Promise<number> {
    this.scalars.push({ nr, name, words });
    return Promise.resolve(0);
  }

  protected override marshalled(call: CallDescriptor, args: readonly Argument[]): Promise<number> {
    this.others.push({ call, args });
    return Promise.resolve(0);
  }
}

suite("stubs of system calls", () => {
  const names = Object.getOwnPropertyNames(SystemCalls.prototype).filter(
    (name) => name !== "constructor",
  );

  test("pass scalars without a list", async () => {
    const calls = new Recorder();
    await calls.dup3(5, 6, 7);
    assert.deepEqual(calls.scalars, [{ nr: NR.dup3, name: "dup3", words: [5, 6, 7, 0, 0, 0] }]);
  });

  test("say how buffers cross", async () => {
    const calls = new Recorder();
    const buffer = new Uint8Array(3);
    await calls.read(4, buffer, 3);
    await calls.pwritev2(4, [buffer], 1, 2n ** 40n, 0);
    await calls.mount("none", "/proc", "proc", 0, null);
    const [read, write, mount] = calls.others;
    assert.deepEqual(read?.call.params, ["int", "out", "int"]);
    assert.equal(read.call.copyBack, 1);
    assert.equal(read.args[1], buffer);
    assert.deepEqual(write?.call.params, ["int", "iov-in", "int", "long64", "int"]);
    assert.deepEqual(mount?.call.params, ["string", "string", "string", "int", "string"]);
  });

  test("exist for every number but those that are left out", () => {
    assert.deepEqual(
      Object.keys(NR)
        .filter((name) => !names.includes(name))
        .toSorted(),
      [
        "execve",
        "execveat",
        "exit",
        "exit_group",
        "lookup_dcookie",
        "map_shadow_stack",
        "nfsservctl",
        "restart_syscall",
        "rt_sigreturn",
      ],
    );
    assert.deepEqual(
      names.filter((name) => !(name in NR)),
      [],
    );
  });

  test("go through one of two doors, in at most six words", async () => {
    for (const name of names) {
      const calls = new Recorder();
      const stub: unknown = Reflect.get(calls, name);
      assert.ok(typeof stub === "function");
      await Reflect.apply(stub, calls, Array<number>(stub.length).fill(1));
      assert.equal(calls.scalars.length + calls.others.length, 1, name);
      for (const { nr, words } of calls.scalars) {
        assert.equal(nr, Reflect.get(NR, name));
        assert.equal(words.length, 6, name);
      }
      for (const { call, args } of calls.others) {
        assert.equal(call.name, name);
        assert.equal(call.nr, Reflect.get(NR, name));
        assert.equal(args.length, call.params.length, name);
        const words = call.params.reduce((sum, kind) => sum + (kind === "long64" ? 2 : 1), 0);
        assert.ok(words <= 6, name);
        if (call.copyBack !== undefined) assert.equal(call.params[call.copyBack], "out", name);
      }
    }
  });
});

test("generated files say so, and name no folder of the machine that made them", () => {
  for (const path of globSync("src/abi/**/*.ts", { cwd: top })) {
    const text = readFileSync(join(top, path), "utf8");
    assert.match(
      text,
      /^\/\/ Generated by abi\/generate\.ts from the kernel's headers\. Do not edit\.\n/,
    );
    assert.ok(!/\/(home|root|tmp|usr)\//.test(text), path);
  }
});

test("is what the headers say", () => {
  const done = spawnSync(process.execPath, [join(top, "abi/generate.ts"), "--check"], {
    encoding: "utf8",
  });
  assert.equal(done.status, 0, done.stderr);
});
