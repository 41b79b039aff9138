// SPDX-License-Identifier: MIT
// Which headers make which file of src/abi/constants.

export interface Domain {
  /** The file's name, without .ts. */
  readonly name: string;
  readonly about: string;
  /** Headers that are included, and whose names are taken. */
  readonly headers: readonly string[];
  /** Headers whose names are taken too, as those above include them. */
  readonly also?: readonly string[];
  /** Headers that must come first, whose names are not taken. */
  readonly before?: readonly string[];
  /** Take only names that match. */
  readonly only?: RegExp;
  /** Headers of the kernel's own, of which the #defines and enums that match are taken. */
  readonly internal?: readonly {
    readonly header: string;
    readonly names: RegExp;
    /** Structures of that header whose sizes are in the values: of the numbers of ioctls. */
    readonly records?: readonly string[];
  }[];
}

export const domains: readonly Domain[] = [
  {
    name: "fcntl",
    about: "open(2), fcntl(2), the *at calls, openat2(2), fallocate(2), posix_fadvise(2).",
    headers: [
      "linux/fcntl.h",
      "linux/openat2.h",
      "linux/falloc.h",
      "linux/fadvise.h",
      "linux/close_range.h",
    ],
    also: ["asm/fcntl.h", "asm-generic/fcntl.h"],
  },
  {
    name: "stat",
    about: "File types and modes, statx(2), the types of directory entries.",
    headers: ["linux/stat.h"],
    internal: [{ header: "include/linux/fs_types.h", names: /^DT_/ }],
  },
  {
    name: "mount",
    about: "mount(2), umount2(2) and the mount API of file descriptors.",
    headers: ["linux/mount.h"],
    internal: [
      { header: "include/linux/fs.h", names: /^(MNT_(FORCE|DETACH|EXPIRE)|UMOUNT_NOFOLLOW)$/ },
    ],
  },
  {
    name: "signal",
    about: "Signals, their actions and what siginfo says.",
    headers: ["linux/signal.h"],
    also: [
      "asm/signal.h",
      "asm-generic/signal.h",
      "asm-generic/signal-defs.h",
      "asm/siginfo.h",
      "asm-generic/siginfo.h",
    ],
  },
  {
    name: "sched",
    about: "clone(2), unshare(2) and scheduling policies.",
    headers: ["linux/sched.h", "linux/sched/types.h"],
  },
  { name: "wait", about: "waitid(2).", headers: ["linux/wait.h"], only: /^[A-Z]|^__W/ },
  { name: "epoll", about: "epoll_ctl(2) and its events.", headers: ["linux/eventpoll.h"] },
  { name: "eventfd", about: "eventfd2(2).", headers: ["linux/eventfd.h"] },
  {
    name: "timerfd",
    about: "timerfd_create(2) and timerfd_settime(2).",
    headers: ["linux/timerfd.h"],
  },
  { name: "signalfd", about: "signalfd4(2).", headers: ["linux/signalfd.h"] },
  { name: "inotify", about: "inotify_init1(2) and its events.", headers: ["linux/inotify.h"] },
  {
    name: "fanotify",
    about: "fanotify_init(2), fanotify_mark(2) and events.",
    headers: ["linux/fanotify.h"],
  },
  {
    name: "socket",
    about: "Address families, socket types, levels, options and message flags.",
    headers: ["linux/socket.h", "linux/net.h", "linux/un.h", "linux/uio.h", "linux/errqueue.h"],
    also: ["asm/socket.h", "asm-generic/socket.h"],
    before: ["linux/fcntl.h", "linux/time.h"],
    internal: [
      { header: "include/linux/socket.h", names: /^(AF|PF|SOL|MSG|SCM)_|^SOMAXCONN$/ },
      {
        header: "include/linux/net.h",
        names:
          /^SOCK_(STREAM|DGRAM|RAW|RDM|SEQPACKET|DCCP|PACKET|CLOEXEC|NONBLOCK|TYPE_MASK)$|^SHUT_/,
      },
    ],
  },
  {
    name: "in",
    about: "IPv4: protocols, socket options, ICMP, IGMP.",
    headers: ["linux/in.h", "linux/ip.h", "linux/icmp.h", "linux/igmp.h"],
  },
  {
    name: "in6",
    about: "IPv6: protocols, socket options, ICMPv6.",
    headers: ["linux/in6.h", "linux/ipv6.h", "linux/icmpv6.h"],
    before: ["linux/in.h"],
  },
  { name: "tcp", about: "TCP: socket options, states of tcp_info.", headers: ["linux/tcp.h"] },
  { name: "udp", about: "UDP: socket options.", headers: ["linux/udp.h"] },
  {
    name: "packet",
    about: "Packet sockets, Ethernet protocols, hardware types.",
    headers: ["linux/if_packet.h", "linux/if_ether.h", "linux/if_arp.h"],
  },
  {
    name: "filter",
    about: "Classic BPF and socket filters.",
    headers: ["linux/filter.h", "linux/bpf_common.h"],
  },
  {
    name: "netlink",
    about: "Netlink and generic netlink.",
    headers: ["linux/netlink.h", "linux/genetlink.h"],
  },
  {
    name: "rtnetlink",
    about: "Routes, neighbours, addresses, rules and next hops over netlink.",
    headers: [
      "linux/rtnetlink.h",
      "linux/neighbour.h",
      "linux/if_addr.h",
      "linux/if_addrlabel.h",
      "linux/fib_rules.h",
      "linux/nexthop.h",
      "linux/netconf.h",
      "linux/lwtunnel.h",
      "linux/net_namespace.h",
      "linux/veth.h",
    ],
  },
  {
    name: "if_link",
    about: "Interfaces: flags and the attributes of links.",
    headers: [
      "linux/if_link.h",
      "linux/if.h",
      "linux/if_bridge.h",
      "linux/if_vlan.h",
      "linux/if_bonding.h",
    ],
  },
  {
    name: "if_tunnel",
    about: "TUN/TAP and IP tunnels.",
    headers: ["linux/if_tun.h", "linux/if_tunnel.h"],
    before: ["linux/if.h"],
  },
  {
    name: "pkt_sched",
    about: "Queueing disciplines, classifiers and actions.",
    headers: [
      "linux/pkt_sched.h",
      "linux/pkt_cls.h",
      "linux/gen_stats.h",
      "linux/tc_act/tc_gact.h",
      "linux/tc_act/tc_mirred.h",
      "linux/tc_act/tc_skbedit.h",
    ],
  },
  {
    name: "netfilter",
    about: "Netfilter hooks, nfnetlink, nf_tables, NAT, connection tracking.",
    headers: [
      "linux/netfilter.h",
      "linux/netfilter_ipv4.h",
      "linux/netfilter_ipv6.h",
      "linux/netfilter/nfnetlink.h",
      "linux/netfilter/nf_tables.h",
      "linux/netfilter/nf_nat.h",
      "linux/netfilter/nf_conntrack_common.h",
      "linux/netfilter/nf_conntrack_tcp.h",
      "linux/netfilter/nf_conntrack_tuple_common.h",
      "linux/netfilter/nfnetlink_conntrack.h",
    ],
  },
  {
    name: "diag",
    about: "sock_diag: what ss(8) asks.",
    headers: [
      "linux/sock_diag.h",
      "linux/inet_diag.h",
      "linux/unix_diag.h",
      "linux/netlink_diag.h",
      "linux/packet_diag.h",
      "linux/vm_sockets_diag.h",
    ],
  },
  {
    name: "ethtool",
    about: "ethtool, by ioctl(2).",
    headers: ["linux/ethtool.h"],
    only: /^(ETHTOOL_|SPEED_|DUPLEX_|ETH_(SS|FLAG|GSTRING)_|WAKE_)/,
  },
  {
    name: "ethtool_netlink",
    about: "ethtool, by generic netlink.",
    headers: ["linux/ethtool_netlink.h"],
  },
  { name: "wireguard", about: "WireGuard, by generic netlink.", headers: ["linux/wireguard.h"] },
  { name: "vsock", about: "Sockets to virtual machines.", headers: ["linux/vm_sockets.h"] },
  {
    name: "mman",
    about: "mmap(2) and its kin, memfd_create(2), mempolicies.",
    headers: ["linux/mman.h", "linux/memfd.h", "linux/mempolicy.h"],
    also: [
      "asm/mman.h",
      "asm-generic/mman.h",
      "asm-generic/mman-common.h",
      "asm-generic/hugetlb_encode.h",
    ],
  },
  {
    name: "ioctl",
    about: "The numbers of ioctl(2): terminals, sockets, file systems, block and loop devices.",
    headers: [
      "linux/ioctl.h",
      "asm/ioctls.h",
      "linux/fs.h",
      "linux/fscrypt.h",
      "linux/fsverity.h",
      "linux/fiemap.h",
      "linux/fsmap.h",
      "linux/blkpg.h",
      "linux/blkzoned.h",
      "linux/blkdev.h",
      "linux/hdreg.h",
      "linux/loop.h",
      "linux/sockios.h",
      "linux/random.h",
      "linux/rtc.h",
      "linux/dm-ioctl.h",
      "linux/nbd.h",
      "linux/nsfs.h",
      "linux/pidfd.h",
    ],
    before: ["linux/time_types.h", "linux/socket.h", "linux/termios.h", "linux/serial.h"],
    also: [
      "asm/ioctl.h",
      "asm-generic/ioctl.h",
      "asm-generic/ioctls.h",
      "asm/sockios.h",
      "asm-generic/sockios.h",
    ],
  },
  {
    name: "termios",
    about: "Terminals.",
    headers: ["linux/termios.h"],
    also: [
      "asm/termios.h",
      "asm-generic/termios.h",
      "asm/termbits.h",
      "asm-generic/termbits.h",
      "asm-generic/termbits-common.h",
    ],
  },
  { name: "io_uring", about: "io_uring.", headers: ["linux/io_uring.h"] },
  { name: "aio", about: "io_submit(2).", headers: ["linux/aio_abi.h"] },
  { name: "bpf", about: "bpf(2).", headers: ["linux/bpf.h"] },
  { name: "reboot", about: "reboot(2).", headers: ["linux/reboot.h"] },
  { name: "prctl", about: "prctl(2).", headers: ["linux/prctl.h", "linux/securebits.h"] },
  { name: "personality", about: "personality(2).", headers: ["linux/personality.h"] },
  {
    name: "resource",
    about: "prlimit64(2), getrusage(2), getpriority(2), I/O priorities.",
    headers: ["linux/resource.h", "linux/ioprio.h"],
    also: ["asm/resource.h", "asm-generic/resource.h"],
  },
  {
    name: "time",
    about: "Clocks, timers and adjtimex(2).",
    headers: ["linux/time.h", "linux/timex.h"],
  },
  { name: "capability", about: "Capabilities.", headers: ["linux/capability.h"] },
  {
    name: "xattr",
    about: "Extended attributes and POSIX ACLs.",
    headers: ["linux/xattr.h", "linux/posix_acl.h", "linux/posix_acl_xattr.h", "linux/limits.h"],
  },
  {
    name: "poll",
    about: "ppoll(2).",
    headers: ["linux/poll.h"],
    also: ["asm/poll.h", "asm-generic/poll.h"],
  },
  { name: "magic", about: "statfs64(2): the types of file systems.", headers: ["linux/magic.h"] },
  {
    name: "sysinfo",
    about: "sysinfo(2), uname(2).",
    headers: ["linux/sysinfo.h", "linux/utsname.h"],
    internal: [],
  },
  { name: "futex", about: "futex(2).", headers: ["linux/futex.h"] },
  { name: "keyctl", about: "keyctl(2).", headers: ["linux/keyctl.h"] },
  { name: "mqueue", about: "mq_open(2).", headers: ["linux/mqueue.h"] },
  {
    name: "ipc",
    about: "System V message queues, semaphores and shared memory.",
    headers: ["linux/ipc.h", "linux/msg.h", "linux/sem.h", "linux/shm.h"],
  },
  { name: "quota", about: "quotactl(2).", headers: ["linux/quota.h", "linux/dqblk_xfs.h"] },
  { name: "seccomp", about: "seccomp(2).", headers: ["linux/seccomp.h"] },
  { name: "landlock", about: "Landlock.", headers: ["linux/landlock.h"] },
  { name: "membarrier", about: "membarrier(2).", headers: ["linux/membarrier.h"] },
  { name: "rseq", about: "rseq(2).", headers: ["linux/rseq.h"] },
  { name: "kcmp", about: "kcmp(2).", headers: ["linux/kcmp.h"] },
  { name: "userfaultfd", about: "userfaultfd(2).", headers: ["linux/userfaultfd.h"] },
  { name: "lsm", about: "lsm_get_self_attr(2).", headers: ["linux/lsm.h"] },
  { name: "fuse", about: "The protocol of FUSE and virtiofs.", headers: ["linux/fuse.h"] },
  {
    name: "btrfs",
    about: "The ioctls and limits of Btrfs, and the keys of its trees.",
    headers: ["linux/btrfs.h", "linux/btrfs_tree.h"],
  },
  {
    name: "ext4",
    about: "The ioctls of ext2, ext3 and ext4.",
    headers: ["linux/ext4.h"],
    only: /^EXT4_(IOC|GOING|STATE)_/,
  },
  { name: "f2fs", about: "The ioctls of F2FS.", headers: ["linux/f2fs.h"] },
  {
    name: "xfs",
    about: "The ioctls of XFS.",
    headers: [],
    before: ["linux/fs.h", "stdint.h"],
    internal: [
      {
        header: "fs/xfs/libxfs/xfs_fs.h",
        names: /^XFS_IOC_(FSGROWFS(DATA|LOG)|FSGEOMETRY|GOINGDOWN)$|^XFS_FSOP_/,
        records: ["xfs_growfs_data", "xfs_growfs_log", "xfs_fsop_geom"],
      },
    ],
  },
  {
    name: "virtio",
    about: "Virtio: features, devices and rings.",
    headers: [
      "linux/virtio_ids.h",
      "linux/virtio_config.h",
      "linux/virtio_ring.h",
      "linux/virtio_blk.h",
      "linux/virtio_net.h",
      "linux/virtio_console.h",
      "linux/virtio_rng.h",
      "linux/virtio_fs.h",
      "linux/virtio_9p.h",
      "linux/virtio_balloon.h",
      "linux/virtio_vsock.h",
      "linux/virtio_scsi.h",
      "linux/virtio_input.h",
      "linux/virtio_pmem.h",
      "linux/virtio_mmio.h",
    ],
  },
];
