// SPDX-License-Identifier: MIT
// What the prototypes of system calls do not say: which pointers are names, which are only written,
// which results count bytes.

export type ParamKind =
  | "int"
  | "long64"
  | "string"
  | "in"
  | "out"
  | "inout"
  | "iov-in"
  | "iov-out"
  | "address";

/** In the table, but not in the class: they make no sense for a caller without user mode. */
export const leftOut: readonly string[] = [
  "execve",
  "execveat",
  "exit",
  "exit_group",
  "lookup_dcookie", // removed from Linux
  "map_shadow_stack", // of x86
  "nfsservctl", // removed from Linux
  "restart_syscall",
  "rt_sigreturn",
];

/** The result is an address: unsigned, an error only from -4095. */
export const returnsAddress: readonly string[] = ["brk", "mmap2", "mremap", "shmat"];

/** Two words, low and high, that are one number. */
export const joined: Readonly<Record<string, { low: string; high: string; name: string }>> = {
  preadv: { low: "pos_l", high: "pos_h", name: "pos" },
  preadv2: { low: "pos_l", high: "pos_h", name: "pos" },
  pwritev: { low: "pos_l", high: "pos_h", name: "pos" },
  pwritev2: { low: "pos_l", high: "pos_h", name: "pos" },
};

/** The parameter of which the first "result" bytes are written. Its kind is "out". */
export const copyBack: Readonly<Record<string, string>> = {
  fgetxattr: "value",
  flistxattr: "list",
  getcwd: "buf",
  getdents64: "dirent",
  getrandom: "buf",
  getxattr: "value",
  lgetxattr: "value",
  listxattr: "list",
  llistxattr: "list",
  mq_timedreceive_time64: "msg_ptr",
  pread64: "buf",
  read: "buf",
  readlinkat: "buf",
  recvfrom: "ubuf",
  sched_getaffinity: "user_mask_ptr",
  syslog: "buf",
};

/** Lengths that count structures: bytes of one, by the name of the length. */
export const lengthUnits: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  epoll_pwait: { maxevents: 16 },
  epoll_pwait2: { maxevents: 16 },
  ppoll_time64: { nfds: 8 },
};

/**
 * Kinds that the type does not give. By default `const char *` is a string,
 * another pointer to const "in", and a pointer "inout". "out" is for what is
 * written as a whole; what may be written in part stays "inout". "address" is
 * for what the kernel remembers or compares, of which a copy is of no use.
 */
export const kinds: Readonly<Record<string, Readonly<Record<string, ParamKind>>>> = {
  bind: { umyaddr: "in" },
  cachestat: { cstat_range: "in", cstat: "out" },
  clock_getres_time64: { tp: "out" },
  clock_gettime64: { tp: "out" },
  clone: { parent_tidptr: "address", child_tidptr: "address" },
  clone3: { uargs: "in" },
  connect: { uservaddr: "in" },
  epoll_ctl: { event: "in" },
  fcntl64: { arg: "inout" },
  fsconfig: { value: "string" },
  fstat64: { statbuf: "out" },
  fstatat64: { statbuf: "out" },
  fstatfs64: { buf: "out" },
  futex_requeue: { waiters: "in" },
  futex_time64: { uaddr: "address", uaddr2: "address" },
  futex_wait: { uaddr: "address", timespec: "in" },
  futex_waitv: { waiters: "in", timeout: "in" },
  futex_wake: { uaddr: "address" },
  get_robust_list: { head_ptr: "out", len_ptr: "out" },
  getcpu: { cpu: "out", node: "out", cache: "address" },
  getitimer: { value: "out" },
  getresgid: { rgid: "out", egid: "out", sgid: "out" },
  getresuid: { ruid: "out", euid: "out", suid: "out" },
  getrlimit: { rlim: "out" },
  getrusage: { ru: "out" },
  init_module: { umod: "in" },
  io_cancel: { iocb: "address", result: "out" },
  io_pgetevents_time64: { timeout: "in" },
  io_submit: { iocbpp: "in" },
  ioctl: { arg: "inout" },
  kexec_load: { segments: "in" },
  keyctl: { arg2: "inout", arg3: "inout", arg4: "inout", arg5: "inout" },
  llseek: { result: "out" },
  mount: { dev_name: "string", dir_name: "string", type: "string", data: "string" },
  mount_setattr: { uattr: "in" },
  mq_getsetattr: { omqstat: "out" },
  mq_open: { attr: "in" },
  mq_timedreceive_time64: { msg_prio: "out" },
  mq_timedsend_time64: { msg_ptr: "in" },
  msgsnd: { msgp: "in" },
  name_to_handle_at: { mnt_id: "out" },
  open_by_handle_at: { handle: "in" },
  openat2: { how: "in" },
  pidfd_send_signal: { info: "in" },
  pipe2: { fildes: "out" },
  prctl: { arg2: "inout", arg3: "inout", arg4: "inout", arg5: "inout" },
  preadv: { vec: "iov-out" },
  preadv2: { vec: "iov-out" },
  prlimit64: { old_rlim: "out" },
  pselect6_time64: { sig: "in" },
  pwrite64: { buf: "in" },
  pwritev: { vec: "iov-in" },
  pwritev2: { vec: "iov-in" },
  readv: { vec: "iov-out" },
  reboot: { arg: "string" },
  rseq: { rseq: "address" },
  rt_sigaction: { oact: "out" },
  rt_sigpending: { set: "out" },
  rt_sigprocmask: { set: "in", oset: "out" },
  rt_sigqueueinfo: { uinfo: "in" },
  rt_sigsuspend: { unewset: "in" },
  rt_sigtimedwait_time64: { uinfo: "out" },
  rt_tgsigqueueinfo: { uinfo: "in" },
  sched_getparam: { param: "out" },
  sched_rr_get_interval_time64: { interval: "out" },
  sched_setaffinity: { user_mask_ptr: "in" },
  sched_setparam: { param: "in" },
  sched_setscheduler: { param: "in" },
  semctl: { arg: "inout" },
  semop: { sops: "in" },
  semtimedop_time64: { sops: "in" },
  sendmsg: { msg: "in" },
  sendto: { buff: "in", addr: "in" },
  set_robust_list: { head: "address" },
  set_tid_address: { tidptr: "address" },
  setdomainname: { name: "string" },
  setgroups: { grouplist: "in" },
  sethostname: { name: "string" },
  setitimer: { value: "in", ovalue: "out" },
  setrlimit: { rlim: "in" },
  setsockopt: { optval: "in" },
  shmat: { shmaddr: "address" },
  shmdt: { shmaddr: "address" },
  sigaltstack: { uoss: "out" },
  signalfd4: { user_mask: "in" },
  socketpair: { usockvec: "out" },
  statfs64: { buf: "out" },
  statx: { buffer: "out" },
  sysinfo: { info: "out" },
  timer_create: { timer_event_spec: "in", created_timer_id: "out" },
  timer_gettime64: { setting: "out" },
  timer_settime64: { old_setting: "out" },
  timerfd_gettime64: { otmr: "out" },
  timerfd_settime64: { otmr: "out" },
  times: { tbuf: "out" },
  umount2: { name: "string" },
  uname: { name: "out" },
  utimensat_time64: { utimes: "in" },
  waitid: { ru: "out" },
  write: { buf: "in" },
  writev: { vec: "iov-in" },
};
