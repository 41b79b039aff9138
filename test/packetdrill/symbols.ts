// Names of numbers, as C programs have them.

import * as bpf from "../../src/abi/constants/bpf.ts";
import * as epoll from "../../src/abi/constants/epoll.ts";
import * as fcntl from "../../src/abi/constants/fcntl.ts";
import * as inet from "../../src/abi/constants/in.ts";
import * as inet6 from "../../src/abi/constants/in6.ts";
import * as ioctl from "../../src/abi/constants/ioctl.ts";
import * as poll from "../../src/abi/constants/poll.ts";
import * as socket from "../../src/abi/constants/socket.ts";
import * as tcp from "../../src/abi/constants/tcp.ts";
import * as time from "../../src/abi/constants/time.ts";
import * as udp from "../../src/abi/constants/udp.ts";
import { errno } from "../../src/abi/errno.ts";

/** include/uapi/linux/net_tstamp.h: SOF_TIMESTAMPING_…, from bit 0 on. */
const TIMESTAMPING = [
  "TX_HARDWARE",
  "TX_SOFTWARE",
  "RX_HARDWARE",
  "RX_SOFTWARE",
  "SOFTWARE",
  "SYS_HARDWARE",
  "RAW_HARDWARE",
  "OPT_ID",
  "TX_SCHED",
  "TX_ACK",
  "OPT_CMSG",
  "OPT_TSONLY",
  "OPT_STATS",
  "OPT_PKTINFO",
  "OPT_TX_SWHW",
  "BIND_PHC",
  "OPT_ID_TCP",
  "OPT_RX_FILTER",
] as const;

const OF_STATES = "BPF_TCP_";

function* all(): Generator<readonly [string, number]> {
  for (const header of [time, udp, poll, epoll, fcntl, ioctl, inet, inet6, tcp, socket])
    for (const [name, value] of Object.entries(header) as [string, unknown][])
      if (typeof value === "number") yield [name, value];
  // The kernel sees to it that TCP's states have the numbers of those for BPF.
  for (const [name, value] of Object.entries(bpf) as [string, unknown][])
    if (name.startsWith(OF_STATES) && typeof value === "number")
      yield [name.slice("BPF_".length), value];
  for (const [bit, name] of TIMESTAMPING.entries()) yield [`SOF_TIMESTAMPING_${name}`, 1 << bit];
  yield ["NULL", 0];
  // What scripts call no error at all where an option tells of one.
  yield* Object.entries(errno);
  yield ["SO_EE_CODE_ZEROCOPY", 0];
}

/** Numbers by their names. */
export const symbols: ReadonlyMap<string, number> = new Map(all());
