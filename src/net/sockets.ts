// The sockets that there are, of all processes of a namespace (sock_diag(7), ss(8)).

import type { CallOptions } from "../abi/calls.ts";
import {
  INET_DIAG_CONG,
  INET_DIAG_INFO,
  INET_DIAG_MARK,
  INET_DIAG_SKMEMINFO,
  SK_MEMINFO_BACKLOG,
  SK_MEMINFO_DROPS,
  SK_MEMINFO_RCVBUF,
  SK_MEMINFO_RMEM_ALLOC,
  SK_MEMINFO_SNDBUF,
  SK_MEMINFO_VARS,
  SK_MEMINFO_WMEM_ALLOC,
  SOCK_DIAG_BY_FAMILY,
  UDIAG_SHOW_NAME,
  UDIAG_SHOW_PEER,
  UDIAG_SHOW_RQLEN,
  UDIAG_SHOW_UID,
  UNIX_DIAG_NAME,
  UNIX_DIAG_PEER,
  UNIX_DIAG_RQLEN,
  UNIX_DIAG_UID,
} from "../abi/constants/diag.ts";
import { IPPROTO_RAW, IPPROTO_TCP, IPPROTO_UDP } from "../abi/constants/in.ts";
import { NETLINK_SOCK_DIAG } from "../abi/constants/netlink.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from "../abi/constants/socket.ts";
import {
  InetDiagMsg,
  InetDiagReqV2,
  InetDiagSockid,
  UnixDiagMsg,
  UnixDiagReq,
  UnixDiagRqlen,
} from "../abi/structs/netlink.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { formatIp } from "./address.ts";
import { AttributeSet } from "./netlink/attributes.ts";
import { atLeast, raw, readOnly, text, u32 } from "./netlink/codec.ts";
import { NetlinkError } from "./netlink/errors.ts";
import { compose } from "./netlink/message.ts";
import type { Message } from "./netlink/message.ts";
import type { Device, Session } from "./session.ts";
import { TCP_STATES, readTcpInfo, tcpStateName } from "./tcp-info.ts";
import type { TcpInfo, TcpState } from "./tcp-info.ts";

const PROTOCOLS = { tcp: IPPROTO_TCP, udp: IPPROTO_UDP, raw: IPPROTO_RAW } as const;

export type SocketProtocol = keyof typeof PROTOCOLS;

const ALL_STATES = 0xffffffff;

/** What a socket holds of memory, and may. */
export interface SocketMemory {
  readonly receiveBytes: number;
  readonly receiveLimitBytes: number;
  readonly sendBytes: number;
  readonly sendLimitBytes: number;
  readonly backlogBytes: number;
  readonly dropped: number;
}

const memory = readOnly<SocketMemory>({
  read(payload) {
    const words = new Uint8Array(SK_MEMINFO_VARS * 4);
    words.set(payload.subarray(0, words.length));
    const view = new DataView(words.buffer);
    const at = (index: number) => view.getUint32(index * 4, true);
    return {
      receiveBytes: at(SK_MEMINFO_RMEM_ALLOC),
      receiveLimitBytes: at(SK_MEMINFO_RCVBUF),
      sendBytes: at(SK_MEMINFO_WMEM_ALLOC),
      sendLimitBytes: at(SK_MEMINFO_SNDBUF),
      backlogBytes: at(SK_MEMINFO_BACKLOG),
      dropped: at(SK_MEMINFO_DROPS),
    };
  },
});

/** What there is to ask for beyond what is always told: bits of inet_diag_req_v2. */
const EXTENSIONS =
  (1 << (INET_DIAG_INFO - 1)) | (1 << (INET_DIAG_CONG - 1)) | (1 << (INET_DIAG_SKMEMINFO - 1));

const inetAttributes = new AttributeSet({
  info: [INET_DIAG_INFO, raw],
  congestionControl: [INET_DIAG_CONG, text()],
  memory: [INET_DIAG_SKMEMINFO, memory],
  mark: [INET_DIAG_MARK, u32],
});

/** A socket of IPv4 or IPv6. */
export interface InetSocket {
  readonly protocol: SocketProtocol;
  readonly family: "ipv4" | "ipv6";
  readonly state: TcpState | number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** What it is bound to. */
  readonly device?: Device;
  /** What waits to be read; of a listener: connections that wait to be accepted. */
  readonly receiveQueue: number;
  /** What is not acknowledged yet; of a listener: how many may wait. */
  readonly sendQueue: number;
  readonly userId: number;
  readonly inode: number;
  readonly mark?: number;
  readonly congestionControl?: string;
  readonly memory?: SocketMemory;
  /** Of TCP. */
  readonly tcpInfo?: TcpInfo;
}

/** Which sockets. */
export interface SocketFilter {
  /** Default: all. */
  readonly protocol?: SocketProtocol;
  readonly family?: "ipv4" | "ipv6";
  /** Of TCP: default all. */
  readonly states?: readonly TcpState[];
}

const queues = readOnly({
  read(payload: Uint8Array) {
    atLeast(payload, UnixDiagRqlen.size);
    const { udiag_rqueue, udiag_wqueue } = UnixDiagRqlen.from(payload);
    return { receive: udiag_rqueue, send: udiag_wqueue };
  },
});

const unixAttributes = new AttributeSet({
  name: [UNIX_DIAG_NAME, raw],
  peerInode: [UNIX_DIAG_PEER, u32],
  queues: [UNIX_DIAG_RQLEN, queues],
  userId: [UNIX_DIAG_UID, u32],
});

const UNIX_TYPES = new Map<number, UnixSocket["type"]>([
  [SOCK_STREAM, "stream"],
  [SOCK_DGRAM, "datagram"],
  [SOCK_SEQPACKET, "seqpacket"],
]);

/** A unix socket. */
export interface UnixSocket {
  readonly type: "stream" | "datagram" | "seqpacket" | number;
  readonly state: TcpState | number;
  readonly inode: number;
  /** The other end's. */
  readonly peerInode?: number;
  /** A path; with "@" before it, a name of no file system. */
  readonly path?: string;
  readonly receiveQueue: number;
  readonly sendQueue: number;
  readonly userId?: number;
}

function addressOf(id: InetDiagSockid, at: number, lengthBytes: number): string {
  return formatIp(id.bytes.slice(at, at + lengthBytes));
}

/** With a number for the interface. @internal */
export function readInetSocket(
  { payload }: Pick<Message, "payload">,
  protocol: SocketProtocol,
): Omit<InetSocket, "device"> & { device?: number } {
  atLeast(payload, InetDiagMsg.size);
  const header = InetDiagMsg.from(payload);
  const { info, ...rest } = inetAttributes.read(payload.subarray(InetDiagMsg.size));
  const { id } = header;
  const length = header.idiag_family === AF_INET ? 4 : 16;
  const { idiag_src, idiag_dst } = InetDiagSockid.offsets;
  return {
    protocol,
    family: header.idiag_family === AF_INET ? "ipv4" : "ipv6",
    state: tcpStateName(header.idiag_state),
    localAddress: addressOf(id, idiag_src, length),
    localPort: id.idiag_sport,
    remoteAddress: addressOf(id, idiag_dst, length),
    remotePort: id.idiag_dport,
    ...(id.idiag_if && { device: id.idiag_if }),
    receiveQueue: header.idiag_rqueue,
    sendQueue: header.idiag_wqueue,
    userId: header.idiag_uid,
    inode: header.idiag_inode,
    ...rest,
    ...(info?.length && protocol === "tcp" && { tcpInfo: readTcpInfo(info) }),
  };
}

/** @internal */
export function readUnixSocket({ payload }: Pick<Message, "payload">): UnixSocket {
  atLeast(payload, UnixDiagMsg.size);
  const header = UnixDiagMsg.from(payload);
  const told = unixAttributes.read(payload.subarray(UnixDiagMsg.size));
  const { name, queues: waiting, ...rest } = told;
  const path = name?.length ? new TextDecoder().decode(name).replace(/^\0/, "@") : undefined;
  return {
    type: UNIX_TYPES.get(header.udiag_type) ?? header.udiag_type,
    state: tcpStateName(header.udiag_state),
    inode: header.udiag_ino,
    ...(path !== undefined && { path: path.replace(/\0$/, "") }),
    receiveQueue: waiting?.receive ?? 0,
    sendQueue: waiting?.send ?? 0,
    ...rest,
  };
}

function statesOf(states: readonly TcpState[] | undefined): number {
  if (!states) return ALL_STATES;
  return states.reduce((bits, state) => {
    if (!Object.hasOwn(TCP_STATES, state))
      throw new InvalidOptionError(
        "states",
        `${state}: it is one of ${Object.keys(TCP_STATES).join(", ")}`,
      );
    return bits | (1 << TCP_STATES[state]);
  }, 0);
}

/** Sockets of the namespace that the process is in. */
export class Sockets {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** Sockets of TCP, UDP and raw ones. @throws {InvalidOptionError} */
  async list(filter: SocketFilter = {}, options?: CallOptions): Promise<InetSocket[]> {
    const { protocol, family } = filter;
    if (protocol !== undefined && !Object.hasOwn(PROTOCOLS, protocol))
      throw new InvalidOptionError(
        "protocol",
        `${protocol}: it is one of ${Object.keys(PROTOCOLS).join(", ")}`,
      );
    const protocols =
      protocol === undefined ? (Object.keys(PROTOCOLS) as SocketProtocol[]) : [protocol];
    const families =
      family === undefined ? [AF_INET, AF_INET6] : [family === "ipv4" ? AF_INET : AF_INET6];
    const states = statesOf(filter.states);
    const nameOf = this.#session.naming(options);
    const found: InetSocket[] = [];
    for (const one of protocols)
      for (const number of families)
        for (const message of await this.#dump(one, number, states, options)) {
          const { device, ...socket } = readInetSocket(message, one);
          found.push({ ...socket, ...(device !== undefined && { device: await nameOf(device) }) });
        }
    return found;
  }

  async #dump(protocol: SocketProtocol, family: number, states: number, options?: CallOptions) {
    const header = InetDiagReqV2.alloc();
    header.sdiag_family = family;
    header.sdiag_protocol = PROTOCOLS[protocol];
    header.idiag_ext = EXTENSIONS;
    header.idiag_states = states;
    const all = compose({ type: SOCK_DIAG_BY_FAMILY, header: header.bytes });
    try {
      const socket = this.#session.socket(NETLINK_SOCK_DIAG);
      return await socket.dump(all, `list sockets of ${protocol}`, options);
    } catch (error) {
      // A kernel without a protocol has none of its sockets.
      if (error instanceof NetlinkError && error.code === "ENOENT") return [];
      throw error;
    }
  }

  /** Unix sockets. */
  async listUnix(options?: CallOptions): Promise<UnixSocket[]> {
    const header = UnixDiagReq.alloc();
    header.sdiag_family = AF_UNIX;
    header.udiag_states = ALL_STATES;
    header.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN | UDIAG_SHOW_UID;
    const all = compose({ type: SOCK_DIAG_BY_FAMILY, header: header.bytes });
    const socket = this.#session.socket(NETLINK_SOCK_DIAG);
    const messages = await socket.dump(all, "list unix sockets", options);
    return messages.map(readUnixSocket);
  }
}
