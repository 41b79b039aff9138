// What the profile "full" is said to have, it has.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { AT_FDCWD, O_RDWR } from "../src/abi/constants/fcntl.ts";
import { IPPROTO_MPTCP } from "../src/abi/constants/in.ts";
import { DM_LIST_VERSIONS } from "../src/abi/constants/ioctl.ts";
import {
  AF_ALG,
  AF_INET,
  AF_INET6,
  AF_PACKET,
  AF_UNIX,
  AF_VSOCK,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from "../src/abi/constants/socket.ts";
import { DmIoctl } from "../src/abi/structs/block.ts";
import { readFile } from "../src/fs/files.ts";
import { Kernel } from "../src/index.ts";
import { net } from "../src/net/index.ts";
import type { LinkSpec, Network } from "../src/net/index.ts";

suite("the profile full", () => {
  let kernel: Kernel;
  let network: Network;
  const text = async (path: string) => new TextDecoder().decode(await readFile(kernel.init, path));

  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: 128 });
    network = net(kernel);
  });
  after(() => kernel.halt());

  test("boots without a complaint", () => {
    // Said wherever there is no terminal for the first program, which has no use for one.
    const harmless = "Warning: unable to open an initial console.";
    const bad = [...kernel.log].filter(
      ({ level, text: line }) =>
        line !== harmless && (level <= 3 || /WARNING: CPU|BUG:|Call Trace|failed/.test(line)),
    );
    assert.deepEqual(
      bad.map(({ text: line }) => line),
      [],
    );
  });

  test("has the file systems", async () => {
    const words = new Set((await text("/proc/filesystems")).split(/\s+/));
    const wanted =
      "ext2 ext3 ext4 xfs btrfs f2fs vfat msdos exfat ntfs3 iso9660 udf squashfs erofs hfsplus minix " +
      "tmpfs overlay proc sysfs devtmpfs cgroup2 fuse virtiofs 9p";
    assert.deepEqual(
      wanted.split(" ").filter((name) => !words.has(name)),
      [],
    );
  });

  test("has the device mapper's targets and the RAID levels", async () => {
    const { init } = kernel;
    const major = /(\d+) device-mapper/.exec(await text("/proc/misc"));
    assert.ok(major, "no device-mapper in /proc/misc");
    const fd = await init.openat(AT_FDCWD, "/dev/mapper/control", O_RDWR, 0);
    const bytes = new Uint8Array(16384);
    const header = DmIoctl.from(bytes);
    header.set_version(0, 4);
    header.data_size = bytes.length;
    header.data_start = DmIoctl.size;
    await init.ioctl(fd, DM_LIST_VERSIONS, bytes);
    await init.close(fd);
    const targets = new TextDecoder("latin1").decode(bytes.subarray(DmIoctl.size));
    for (const name of ["linear", "striped", "crypt", "verity", "integrity", "snapshot", "thin"])
      assert.ok(targets.includes(`${name}\0`), name);
    const personalities = (await text("/proc/mdstat")).split("\n")[0] ?? "";
    for (const level of ["raid0", "raid1", "raid10", "raid4", "raid5", "raid6"])
      assert.ok(personalities.includes(`[${level}]`), `${level}: ${personalities}`);
  });

  test("has the sockets", async () => {
    const { init } = kernel;
    const kinds = [
      ["TCP", AF_INET, SOCK_STREAM, 0],
      ["UDP", AF_INET, SOCK_DGRAM, 0],
      ["raw", AF_INET, SOCK_RAW, 1],
      ["TCP over IPv6", AF_INET6, SOCK_STREAM, 0],
      ["MPTCP", AF_INET, SOCK_STREAM, IPPROTO_MPTCP],
      ["unix", AF_UNIX, SOCK_SEQPACKET, 0],
      ["packet", AF_PACKET, SOCK_RAW, 0x300],
      ["vsock", AF_VSOCK, SOCK_STREAM, 0],
      ["alg", AF_ALG, SOCK_SEQPACKET, 0],
    ] as const;
    for (const [name, family, type, protocol] of kinds) {
      const fd = await init.socket(family, type, protocol).catch((error: unknown) => error);
      assert.equal(typeof fd, "number", `${name}: ${String(fd)}`);
      await init.close(fd as number);
    }
  });

  test("has the congestion controls", async () => {
    const words = (await text("/proc/sys/net/ipv4/tcp_available_congestion_control"))
      .trim()
      .split(" ");
    for (const name of ["cubic", "bbr", "reno", "dctcp"]) assert.ok(words.includes(name), name);
  });

  test("has the network devices", async () => {
    const add = (name: string, kind: string, spec: Partial<LinkSpec> = {}) =>
      network.link.add({ name, kind, ...spec });
    await add("d0", "dummy");
    await add("d1", "dummy");
    for (const kind of ["bridge", "veth", "ifb", "bond", "wireguard"]) await add(`${kind}t0`, kind);
    await add("v0", "vlan", { link: "d0", vlan: { id: 5 } });
    await add("x0", "vxlan", { vxlan: { id: 7 } });
    await add("m0", "macvlan", { link: "d0" });
    await add("i0", "ipvlan", { link: "d1" });
    // These have one device each from the start, which is where a second without addresses would be.
    for (const kind of ["gre", "ipip", "sit"])
      await assert.rejects(add(`${kind}t0`, kind), { code: "EEXIST" });
    await assert.rejects(add("n0", "nonsense"), { code: "EOPNOTSUPP" });
    const tun = await kernel.init.openat(AT_FDCWD, "/dev/net/tun", O_RDWR, 0);
    await kernel.init.close(tun);
  });

  test("has the queueing disciplines", async () => {
    await network.link.add({ name: "q0", kind: "dummy" });
    for (const kind of ["fq", "fq_codel", "cake", "pfifo", "sfq", "netem", "ingress", "clsact"]) {
      await network.qdisc.add("q0", { kind, ...(kind === "netem" && { netem: { delayMs: 1 } }) });
      const parent = kind === "ingress" || kind === "clsact" ? "ingress" : "root";
      await network.qdisc.delete("q0", { parent });
    }
    // These want options, and say so: one that is not there says ENOENT.
    for (const kind of ["tbf", "htb"])
      await assert.rejects(network.qdisc.add("q0", { kind }), { code: "EINVAL" });
    await assert.rejects(network.qdisc.add("q0", { kind: "nonsense" }), { code: "ENOENT" });
  });

  test("has nf_tables in every family", async () => {
    const families = ["inet", "ip", "ip6", "bridge"] as const;
    for (const family of families) await network.nft.batch().addTable(family, "filter").commit();
    assert.equal((await network.nft.tables()).length, families.length);
  });

  test("has namespaces, io_uring, BPF, message queues and keys", async () => {
    const { init } = kernel;
    const inside = await init.fork({ flags: 0 });
    for (const kind of ["net", "mnt", "pid", "uts", "ipc", "user"])
      await readFile(init, `/proc/self/ns/${kind}`).catch((error: unknown) =>
        assert.notEqual((error as NodeJS.ErrnoException).code, "ENOENT", kind),
      );
    await inside.exit();
    const uring = await init.io_uring_setup(8, new Uint8Array(120));
    await init.close(uring);
    // No such command is EINVAL where there is BPF, ENOSYS where not.
    await assert.rejects(init.bpf(0xffff, new Uint8Array(128), 128), { code: "EINVAL" });
    const queue = await init.mq_open("q", 0o102, 0o600, null);
    await init.close(queue);
  });

  test("has crypto", async () => {
    const names = new Set(
      [...(await text("/proc/crypto")).matchAll(/^name\s*: (.*)$/gm)].map(([, name]) => name),
    );
    for (const name of ["sha256", "crc32c", "xxhash64", "aes"]) assert.ok(names.has(name), name);
  });
});
