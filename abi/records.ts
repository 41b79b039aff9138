// SPDX-License-Identifier: MIT
// Which records get an accessor class, and in which file of src/abi/structs.

export interface RecordDomain {
  /** The file's name, without .ts. */
  readonly name: string;
  readonly headers: readonly string[];
  /** Records of these headers: `stat64`, or `union sigval`. Their members follow by themselves. */
  readonly records: readonly string[];
  /** Records that only the kernel's own headers declare. */
  readonly internal?: Readonly<Record<string, readonly string[]>>;
}

/** Splits a list of names. */
const list = (text: string): string[] => text.trim().split(/\s+/);

export const recordDomains: readonly RecordDomain[] = [
  {
    name: "fs",
    headers: list(`asm/stat.h linux/stat.h asm/statfs.h linux/fcntl.h linux/openat2.h linux/mount.h
      linux/fs.h linux/fiemap.h linux/fsmap.h linux/utime.h linux/mman.h linux/fscrypt.h
      linux/fsverity.h linux/posix_acl_xattr.h linux/capability.h`),
    records:
      list(`stat64 statx statx_timestamp statfs64 flock flock64 f_owner_ex open_how mount_attr
      statmount mnt_id_req fstrim_range fsxattr file_clone_range file_dedupe_range
      file_dedupe_range_info fsuuid2 fs_sysfs_path files_stat_struct inodes_stat_t fiemap
      fiemap_extent fsmap fsmap_head utimbuf cachestat cachestat_range fscrypt_policy_v1
      fscrypt_policy_v2 fscrypt_key fscrypt_key_specifier fscrypt_add_key_arg
      fscrypt_remove_key_arg fscrypt_get_key_status_arg fsverity_enable_arg fsverity_digest
      posix_acl_xattr_entry posix_acl_xattr_header vfs_cap_data vfs_ns_cap_data`),
    internal: {
      "include/linux/dirent.h": ["linux_dirent64"],
      "include/linux/fs.h": ["file_handle"],
    },
  },
  {
    name: "block",
    headers: list(
      `linux/hdreg.h linux/blkpg.h linux/loop.h linux/blkzoned.h linux/dm-ioctl.h linux/nbd.h`,
    ),
    records: list(`hd_geometry blkpg_ioctl_arg blkpg_partition loop_info64 loop_config blk_zone
      blk_zone_report blk_zone_range dm_ioctl dm_target_spec dm_target_deps nbd_request nbd_reply`),
  },
  {
    name: "quota",
    headers: list(`linux/quota.h linux/dqblk_xfs.h`),
    records: list(`if_dqblk if_nextdqblk if_dqinfo fs_disk_quota fs_quota_statv`),
  },
  {
    name: "time",
    headers: list(`linux/time_types.h linux/time.h linux/times.h linux/timex.h linux/rtc.h`),
    records: list(`__kernel_timespec __kernel_itimerspec __kernel_old_timeval
      __kernel_old_itimerval __kernel_timex __kernel_timex_timeval __kernel_sock_timeval timezone
      tms rtc_time rtc_wkalrm`),
    internal: { "include/vdso/time32.h": ["old_timespec32", "old_timeval32"] },
  },
  {
    name: "io",
    headers: list(`linux/uio.h linux/eventpoll.h linux/poll.h linux/inotify.h linux/fanotify.h
      linux/signalfd.h linux/aio_abi.h linux/io_uring.h linux/userfaultfd.h`),
    records: list(`iovec epoll_event epoll_params pollfd inotify_event fanotify_event_metadata
      fanotify_event_info_header fanotify_event_info_fid fanotify_event_info_pidfd
      fanotify_event_info_error fanotify_response signalfd_siginfo iocb io_event io_uring_params
      io_sqring_offsets io_cqring_offsets io_uring_sqe io_uring_cqe io_uring_getevents_arg
      io_uring_probe io_uring_probe_op io_uring_restriction io_uring_rsrc_register
      io_uring_rsrc_update io_uring_rsrc_update2 io_uring_files_update io_uring_buf
      io_uring_buf_ring io_uring_buf_reg io_uring_buf_status io_uring_napi
      io_uring_sync_cancel_reg io_uring_file_index_range io_uring_recvmsg_out
      io_uring_clone_buffers uffd_msg uffdio_api uffdio_range uffdio_register`),
  },
  {
    name: "process",
    headers: list(`linux/sched.h linux/sched/types.h linux/resource.h linux/sysinfo.h
      linux/utsname.h linux/capability.h linux/signal.h linux/futex.h linux/mqueue.h linux/ipc.h
      linux/msg.h linux/sem.h linux/shm.h linux/seccomp.h linux/landlock.h linux/rseq.h
      linux/prctl.h linux/acct.h linux/taskstats.h linux/pidfd.h linux/lsm.h`),
    records: list(`clone_args sched_attr rusage rlimit rlimit64 sysinfo new_utsname
      __user_cap_header_struct __user_cap_data_struct siginfo sigaction sigaltstack sigevent
      robust_list robust_list_head futex_waitv mq_attr ipc64_perm msqid64_ds msginfo msgbuf sembuf
      semid64_ds seminfo shmid64_ds shminfo64 shm_info seccomp_data seccomp_notif
      seccomp_notif_resp landlock_ruleset_attr landlock_path_beneath_attr landlock_net_port_attr
      rseq prctl_mm_map lsm_ctx`),
    internal: { "include/linux/sched.h": ["sched_param"] },
  },
  {
    name: "terminal",
    headers: list(`linux/termios.h`),
    records: list(`termios termios2 ktermios winsize termio`),
  },
  {
    name: "socket",
    headers: list(`linux/socket.h sys/socket.h linux/un.h linux/in.h linux/in6.h linux/ipv6.h
      linux/if_packet.h linux/if_ether.h linux/netlink.h linux/vm_sockets.h linux/time.h
      linux/errqueue.h linux/tcp.h linux/filter.h linux/if_arp.h linux/route.h linux/ip.h
      linux/udp.h linux/icmp.h linux/if.h linux/if_alg.h linux/uio.h linux/time_types.h linux/ipv6_route.h`),
    records: list(`sockaddr __kernel_sockaddr_storage sockaddr_un sockaddr_in sockaddr_in6
      sockaddr_ll sockaddr_nl sockaddr_vm sockaddr_alg in_addr in6_addr ip_mreq ip_mreqn
      ip_mreq_source in_pktinfo ipv6_mreq in6_pktinfo ip6_mtuinfo group_req group_source_req
      packet_mreq tpacket_req tpacket_req3 tpacket_stats tpacket_auxdata tpacket2_hdr tpacket3_hdr
      ethhdr iphdr ipv6hdr tcphdr udphdr icmphdr sock_extended_err scm_timestamping64 tcp_info
      tcp_md5sig tcp_zerocopy_receive sock_filter sock_fprog arpreq arphdr rtentry in6_rtmsg
      in6_ifreq ifreq ifconf ifmap if_settings`),
    internal: {
      "include/linux/socket.h": ["user_msghdr", "mmsghdr", "cmsghdr", "ucred", "linger"],
    },
  },
  {
    name: "netlink",
    headers: list(`linux/netlink.h linux/genetlink.h linux/rtnetlink.h linux/neighbour.h
      linux/if_addr.h linux/if_link.h linux/if_bridge.h linux/fib_rules.h linux/nexthop.h
      linux/pkt_sched.h linux/pkt_cls.h linux/sock_diag.h linux/inet_diag.h linux/unix_diag.h
      linux/netfilter/nfnetlink.h linux/ethtool.h linux/if_tun.h linux/if_tunnel.h linux/if_vlan.h
      linux/gen_stats.h linux/tc_act/tc_gact.h linux/tc_act/tc_mirred.h linux/tc_act/tc_skbedit.h
      linux/packet_diag.h
      linux/netlink_diag.h`),
    records: list(`nlmsghdr nlmsgerr nlattr nl_pktinfo nla_bitfield32 genlmsghdr rtattr rtgenmsg
      rtmsg rtnexthop rtvia ifinfomsg ifaddrmsg ifa_cacheinfo rta_cacheinfo prefixmsg ndmsg
      ndt_stats ndtmsg nda_cacheinfo tcmsg tcamsg if_stats_msg rtnl_link_stats rtnl_link_stats64
      rtnl_link_ifmap ifla_cacheinfo br_port_msg br_mdb_entry bridge_vlan_info fib_rule_hdr nhmsg
      nexthop_grp tc_stats tc_ratespec tc_prio_qopt tc_fifo_qopt tc_tbf_qopt tc_netem_qopt
      tc_netem_corr tc_netem_reorder tc_netem_corrupt tc_htb_opt tc_htb_glob tc_u32_sel tc_u32_key
      sock_diag_req inet_diag_sockid inet_diag_req_v2 inet_diag_msg inet_diag_meminfo
      unix_diag_req unix_diag_msg nfgenmsg ethtool_cmd ethtool_drvinfo ethtool_value
      ethtool_link_settings tun_pi tun_filter fib_rule_port_range fib_rule_uid_range
      rta_session ifla_vlan_flags ifla_vlan_qos_mapping ifla_port_vsi gnet_stats_basic
      gnet_stats_rate_est gnet_stats_rate_est64 gnet_stats_queue tc_red_qopt tc_sfq_qopt
      tc_sfq_qopt_v1 tc_drr_stats tc_netem_gimodel tc_netem_gemodel tc_netem_rate tc_netem_slot
      tc_htb_xstats tc_fq_qd_stats tc_fq_codel_xstats tc_police tc_gact tc_mirred tc_skbedit
      unix_diag_vfs unix_diag_rqlen tcpvegas_info tcp_dctcp_info tcp_bbr_info packet_diag_req
      packet_diag_msg netlink_diag_req netlink_diag_msg ethtool_sset_info ethtool_gstrings
      ethtool_gfeatures ethtool_get_features_block ethtool_sfeatures ethtool_set_features_block
      ethtool_channels`),
  },
  {
    name: "virtio",
    headers: list(`linux/virtio_config.h linux/virtio_ring.h linux/virtio_blk.h linux/virtio_net.h
      linux/virtio_console.h linux/virtio_fs.h linux/virtio_balloon.h linux/virtio_vsock.h
      linux/virtio_9p.h linux/virtio_input.h linux/virtio_scsi.h linux/virtio_pmem.h`),
    records: list(`vring_desc vring_avail vring_used_elem vring_used vring_packed_desc
      vring_packed_desc_event virtio_blk_config virtio_blk_outhdr virtio_blk_discard_write_zeroes
      virtio_blk_zone_report virtio_blk_zone_descriptor virtio_net_config virtio_net_hdr
      virtio_net_hdr_v1 virtio_net_ctrl_hdr virtio_net_ctrl_mac virtio_net_ctrl_mq
      virtio_console_config virtio_console_control virtio_fs_config virtio_balloon_config
      virtio_balloon_stat virtio_vsock_config virtio_vsock_hdr virtio_9p_config virtio_input_config
      virtio_input_event virtio_scsi_config virtio_scsi_cmd_req virtio_scsi_cmd_resp
      virtio_pmem_config virtio_pmem_req virtio_pmem_resp`),
  },
  {
    name: "fuse",
    headers: list(`linux/fuse.h`),
    records: list(`fuse_in_header fuse_out_header fuse_attr fuse_entry_out fuse_attr_out
      fuse_getattr_in fuse_setattr_in fuse_open_in fuse_open_out fuse_create_in fuse_mkdir_in
      fuse_mknod_in fuse_rename2_in fuse_link_in fuse_read_in fuse_write_in fuse_write_out
      fuse_release_in fuse_flush_in fuse_fsync_in fuse_forget_in fuse_batch_forget_in
      fuse_forget_one fuse_init_in fuse_init_out fuse_statfs_out fuse_kstatfs fuse_dirent
      fuse_direntplus fuse_getxattr_in fuse_getxattr_out fuse_setxattr_in fuse_lk_in fuse_lk_out
      fuse_access_in fuse_interrupt_in fuse_fallocate_in fuse_lseek_in fuse_lseek_out
      fuse_copy_file_range_in fuse_statx fuse_statx_in fuse_statx_out fuse_secctx
      fuse_secctx_header fuse_notify_inval_inode_out fuse_notify_inval_entry_out`),
  },
  {
    name: "btrfs",
    headers: list(`linux/btrfs.h linux/btrfs_tree.h`),
    records: list(`btrfs_ioctl_vol_args btrfs_ioctl_vol_args_v2 btrfs_ioctl_scrub_args
      btrfs_scrub_progress btrfs_ioctl_dev_info_args btrfs_ioctl_fs_info_args
      btrfs_ioctl_feature_flags btrfs_ioctl_balance_args btrfs_balance_args
      btrfs_balance_progress btrfs_ioctl_space_args btrfs_ioctl_space_info
      btrfs_ioctl_defrag_range_args btrfs_ioctl_get_subvol_info_args
      btrfs_ioctl_get_subvol_rootref_args btrfs_ioctl_ino_lookup_args
      btrfs_ioctl_ino_lookup_user_args btrfs_ioctl_search_key btrfs_ioctl_search_header
      btrfs_ioctl_search_args btrfs_ioctl_quota_ctl_args btrfs_ioctl_quota_rescan_args
      btrfs_ioctl_qgroup_assign_args btrfs_ioctl_qgroup_create_args btrfs_ioctl_qgroup_limit_args
      btrfs_qgroup_limit btrfs_qgroup_info_item btrfs_qgroup_limit_item btrfs_qgroup_status_item
      btrfs_root_ref btrfs_root_item btrfs_dir_item`),
  },
  {
    name: "xfs",
    headers: list(`linux/types.h stdint.h`),
    records: [],
    internal: {
      "fs/xfs/libxfs/xfs_fs.h": ["xfs_growfs_data", "xfs_growfs_log", "xfs_fsop_geom"],
    },
  },
];
