// What TCP knows of a connection (tcp(7), TCP_INFO).

import {
  BPF_TCP_CLOSE,
  BPF_TCP_CLOSE_WAIT,
  BPF_TCP_CLOSING,
  BPF_TCP_ESTABLISHED,
  BPF_TCP_FIN_WAIT1,
  BPF_TCP_FIN_WAIT2,
  BPF_TCP_LAST_ACK,
  BPF_TCP_LISTEN,
  BPF_TCP_NEW_SYN_RECV,
  BPF_TCP_SYN_RECV,
  BPF_TCP_SYN_SENT,
  BPF_TCP_TIME_WAIT,
} from "../abi/constants/bpf.ts";
import { SOL_TCP } from "../abi/constants/socket.ts";
import { TCP_INFO } from "../abi/constants/tcp.ts";
import { TcpInfo as RawTcpInfo } from "../abi/structs/socket.ts";
import type { Process } from "../syscall/process.ts";

/** The kernel sees to it that its own states have the numbers of those for BPF. */
export const TCP_STATES = {
  established: BPF_TCP_ESTABLISHED,
  "syn-sent": BPF_TCP_SYN_SENT,
  "syn-received": BPF_TCP_SYN_RECV,
  "fin-wait-1": BPF_TCP_FIN_WAIT1,
  "fin-wait-2": BPF_TCP_FIN_WAIT2,
  "time-wait": BPF_TCP_TIME_WAIT,
  close: BPF_TCP_CLOSE,
  "close-wait": BPF_TCP_CLOSE_WAIT,
  "last-ack": BPF_TCP_LAST_ACK,
  listen: BPF_TCP_LISTEN,
  closing: BPF_TCP_CLOSING,
  "new-syn-received": BPF_TCP_NEW_SYN_RECV,
} as const;

export type TcpState = keyof typeof TCP_STATES;

const STATE_NAMES = new Map(
  (Object.keys(TCP_STATES) as TcpState[]).map((name) => [TCP_STATES[name] as number, name]),
);

/** The name of a state; of one without a name, its number. */
export function tcpStateName(state: number): TcpState | number {
  return STATE_NAMES.get(state) ?? state;
}

/** What TCP knows of a connection. What the kernel has no measure of is 0. */
export interface TcpInfo {
  readonly state: TcpState | number;
  readonly rttUs: number;
  readonly rttVarianceUs: number;
  readonly minRttUs: number;
  readonly retransmitTimeoutUs: number;
  readonly receiverRttUs: number;
  readonly sendMssBytes: number;
  readonly receiveMssBytes: number;
  readonly advertisedMssBytes: number;
  readonly pathMtuBytes: number;
  /** In segments. */
  readonly congestionWindow: number;
  /** In segments. */
  readonly slowStartThreshold: number;
  readonly sendWindowBytes: number;
  readonly receiveWindowBytes: number;
  readonly sendWindowScale: number;
  readonly receiveWindowScale: number;
  readonly unackedSegments: number;
  readonly sackedSegments: number;
  readonly lostSegments: number;
  readonly retransmittingSegments: number;
  readonly totalRetransmits: number;
  readonly reordering: number;
  /** Infinity: without a limit. */
  readonly pacingBytesPerSecond: number;
  readonly maxPacingBytesPerSecond: number;
  readonly deliveryBytesPerSecond: number;
  readonly bytesSent: number;
  readonly bytesAcked: number;
  readonly bytesReceived: number;
  readonly bytesRetransmitted: number;
  readonly bytesNotSent: number;
  readonly segmentsOut: number;
  readonly segmentsIn: number;
  readonly dataSegmentsOut: number;
  readonly dataSegmentsIn: number;
  readonly delivered: number;
  /** Of those, such that met congestion. */
  readonly deliveredCe: number;
  readonly outOfOrder: number;
  readonly lastDataSentMs: number;
  readonly lastDataReceivedMs: number;
  readonly lastAckReceivedMs: number;
  readonly busyUs: number;
  readonly receiveWindowLimitedUs: number;
  readonly sendBufferLimitedUs: number;
}

const UNLIMITED = 2n ** 64n - 1n;
const rate = (value: bigint): number => (value === UNLIMITED ? Infinity : Number(value));

/** Reads a struct tcp_info, also an older and shorter one. */
export function readTcpInfo(bytes: Uint8Array): TcpInfo {
  const whole = new Uint8Array(RawTcpInfo.size);
  whole.set(bytes.subarray(0, RawTcpInfo.size));
  const raw = RawTcpInfo.from(whole);
  return {
    state: tcpStateName(raw.tcpi_state),
    rttUs: raw.tcpi_rtt,
    rttVarianceUs: raw.tcpi_rttvar,
    minRttUs: raw.tcpi_min_rtt,
    retransmitTimeoutUs: raw.tcpi_rto,
    receiverRttUs: raw.tcpi_rcv_rtt,
    sendMssBytes: raw.tcpi_snd_mss,
    receiveMssBytes: raw.tcpi_rcv_mss,
    advertisedMssBytes: raw.tcpi_advmss,
    pathMtuBytes: raw.tcpi_pmtu,
    congestionWindow: raw.tcpi_snd_cwnd,
    slowStartThreshold: raw.tcpi_snd_ssthresh,
    sendWindowBytes: raw.tcpi_snd_wnd,
    receiveWindowBytes: raw.tcpi_rcv_wnd,
    sendWindowScale: raw.tcpi_snd_wscale,
    receiveWindowScale: raw.tcpi_rcv_wscale,
    unackedSegments: raw.tcpi_unacked,
    sackedSegments: raw.tcpi_sacked,
    lostSegments: raw.tcpi_lost,
    retransmittingSegments: raw.tcpi_retrans,
    totalRetransmits: raw.tcpi_total_retrans,
    reordering: raw.tcpi_reordering,
    pacingBytesPerSecond: rate(raw.tcpi_pacing_rate),
    maxPacingBytesPerSecond: rate(raw.tcpi_max_pacing_rate),
    deliveryBytesPerSecond: rate(raw.tcpi_delivery_rate),
    bytesSent: Number(raw.tcpi_bytes_sent),
    bytesAcked: Number(raw.tcpi_bytes_acked),
    bytesReceived: Number(raw.tcpi_bytes_received),
    bytesRetransmitted: Number(raw.tcpi_bytes_retrans),
    bytesNotSent: raw.tcpi_notsent_bytes,
    segmentsOut: raw.tcpi_segs_out,
    segmentsIn: raw.tcpi_segs_in,
    dataSegmentsOut: raw.tcpi_data_segs_out,
    dataSegmentsIn: raw.tcpi_data_segs_in,
    delivered: raw.tcpi_delivered,
    deliveredCe: raw.tcpi_delivered_ce,
    outOfOrder: raw.tcpi_rcv_ooopack,
    lastDataSentMs: raw.tcpi_last_data_sent,
    lastDataReceivedMs: raw.tcpi_last_data_recv,
    lastAckReceivedMs: raw.tcpi_last_ack_recv,
    busyUs: Number(raw.tcpi_busy_time),
    receiveWindowLimitedUs: Number(raw.tcpi_rwnd_limited),
    sendBufferLimitedUs: Number(raw.tcpi_sndbuf_limited),
  };
}

/** What TCP knows of a socket. @throws {SystemError} EBADF, ENOTSOCK, ENOPROTOOPT of another protocol */
export async function tcpInfo(process: Process, fd: number): Promise<TcpInfo> {
  const bytes = new Uint8Array(RawTcpInfo.size);
  const size = new Uint8Array(Int32Array.of(bytes.length).buffer);
  await process.getsockopt(fd, SOL_TCP, TCP_INFO, bytes, size);
  return readTcpInfo(bytes);
}
