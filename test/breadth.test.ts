// What the profile "full" is said to have, it has.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { AT_FDCWD, O_RDWR } from "../src/abi/constants/fcntl.ts";
import {
  IFLA_IFNAME,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_LINK,
  IFLA_LINKINFO,
  IFLA_VLAN_ID,
  IFLA_VXLAN_ID,
} from "../src/abi/constants/if_link.ts";
import { IPPROTO_MPTCP } from "../src/abi/constants/in.ts";
import { DM_LIST_VERSIONS } from "../src/abi/constants/ioctl.ts";
import {
  NFNL_MSG_BATCH_BEGIN,
  NFNL_MSG_BATCH_END,
  NFNL_SUBSYS_NFTABLES,
  NFTA_TABLE_NAME,
  NFT_MSG_NEWTABLE,
} from "../src/abi/constants/netfilter.ts";
import { NETLINK_NETFILTER, NETLINK_ROUTE } from "../src/abi/constants/netlink.ts";
import {
  RTM_NEWLINK,
  RTM_NEWQDISC,
  TCA_KIND,
  TCA_OPTIONS,
} from "../src/abi/constants/rtnetlink.ts";
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
import { Ifinfomsg, Nfgenmsg, Tcmsg } from "../src/abi/structs/netlink.ts";
import { readFile } from "../src/fs/files.ts";
import { Kernel } from "../src/index.ts";
import { CREATE, ask, attribute, message } from "./netlink.ts";

const NFPROTO = { inet: 1, ip: 2, ip6: 10, bridge: 7 };
const QDISC_ROOT = 0xffffffff;
const QDISC_INGRESS = 0xfffffff1;

suite("the profile full", () => {
  let kernel: Kernel;
  const text = async (path: string) => new TextDecoder().decode(await readFile(kernel.init, path));

  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: 128 });
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
    const link = (kind: string, name: string, ...data: Uint8Array[]) =>
      ask(
        kernel.init,
        NETLINK_ROUTE,
        message(
          RTM_NEWLINK,
          CREATE,
          Ifinfomsg.alloc().bytes,
          attribute(IFLA_IFNAME, name),
          ...(data.length > 1 ? [data[1]] : []),
          attribute(
            IFLA_LINKINFO,
            attribute(IFLA_INFO_KIND, kind),
            ...(data[0]?.length ? [data[0]] : []),
          ),
        ),
      );
    const none = new Uint8Array(0);
    assert.equal(await link("dummy", "d0"), "ok");
    const index = Number((await text("/sys/class/net/d0/ifindex")).trim());
    const below = attribute(IFLA_LINK, index);
    const results: Record<string, string> = {};
    for (const kind of ["bridge", "veth", "ifb", "bond", "wireguard", "gre", "ipip", "sit"])
      results[kind] = await link(kind, `${kind.slice(0, 6)}t0`);
    results.vlan = await link(
      "vlan",
      "v0",
      attribute(IFLA_INFO_DATA, attribute(IFLA_VLAN_ID, Uint8Array.of(5, 0))),
      below,
    );
    results.vxlan = await link(
      "vxlan",
      "x0",
      attribute(IFLA_INFO_DATA, attribute(IFLA_VXLAN_ID, 7)),
    );
    results.macvlan = await link("macvlan", "m0", none, below);
    assert.equal(await link("dummy", "d1"), "ok");
    const other = Number((await text("/sys/class/net/d1/ifindex")).trim());
    results.ipvlan = await link("ipvlan", "i0", none, attribute(IFLA_LINK, other));
    assert.deepEqual(
      // The tunnels have one device each from the start, which is where a second without
      // addresses would be; a kind that is not there says EOPNOTSUPP.
      Object.entries(results).filter(([, result]) => result !== "ok" && result !== "EEXIST"),
      [],
    );
    const tun = await kernel.init.openat(AT_FDCWD, "/dev/net/tun", O_RDWR, 0);
    await kernel.init.close(tun);
  });

  test("has the queueing disciplines", async () => {
    const results: Record<string, string> = {};
    const create = async (kind: string, parent: number, ...options: Uint8Array[]) => {
      const name = `q${Object.keys(results).length}`;
      const made = message(
        RTM_NEWLINK,
        CREATE,
        Ifinfomsg.alloc().bytes,
        attribute(IFLA_IFNAME, name),
        attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, "dummy")),
      );
      assert.equal(await ask(kernel.init, NETLINK_ROUTE, made), "ok");
      const header = Tcmsg.alloc();
      header.tcm_ifindex = Number((await text(`/sys/class/net/${name}/ifindex`)).trim());
      header.tcm_parent = parent | 0;
      results[kind] = await ask(
        kernel.init,
        NETLINK_ROUTE,
        message(RTM_NEWQDISC, CREATE, header.bytes, attribute(TCA_KIND, kind), ...options),
      );
    };
    for (const kind of ["fq", "fq_codel", "cake", "pfifo", "sfq"]) await create(kind, QDISC_ROOT);
    await create("netem", QDISC_ROOT, attribute(TCA_OPTIONS, new Uint8Array(24)));
    for (const kind of ["ingress", "clsact"]) await create(kind, QDISC_INGRESS);
    // These want options, and say so: one that is not there says ENOENT.
    for (const kind of ["tbf", "htb"]) await create(kind, QDISC_ROOT);
    const { tbf, htb, ...rest } = results;
    assert.deepEqual(
      Object.entries(rest).filter(([, result]) => result !== "ok"),
      [],
    );
    assert.deepEqual([tbf, htb], ["EINVAL", "EINVAL"]);
  });

  test("has nf_tables in every family", async () => {
    for (const [name, family] of Object.entries(NFPROTO)) {
      const batch = Nfgenmsg.alloc();
      batch.res_id = NFNL_SUBSYS_NFTABLES;
      const header = Nfgenmsg.alloc();
      header.nfgen_family = family;
      const result = await ask(
        kernel.init,
        NETLINK_NETFILTER,
        message(NFNL_MSG_BATCH_BEGIN, 0, batch.bytes),
        message(
          (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWTABLE,
          CREATE,
          header.bytes,
          attribute(NFTA_TABLE_NAME, "filter"),
        ),
        message(NFNL_MSG_BATCH_END, 0, batch.bytes),
      );
      assert.equal(result, "ok", name);
    }
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
