// What goes beside the bytes of a message: cmsg(3), unix(7), ip(7), ipv6(7), socket(7).

import { IP_PKTINFO } from "../../abi/constants/in.ts";
import { IPV6_PKTINFO } from "../../abi/constants/in6.ts";
import {
  SCM_RIGHTS,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  SO_TIMESTAMP,
  SO_TIMESTAMPNS,
} from "../../abi/constants/socket.ts";
import { viewOf } from "../../abi/struct.ts";
import { Cmsghdr, In6Pktinfo, InPktinfo } from "../../abi/structs/socket.ts";
import { KernelTimespec } from "../../abi/structs/time.ts";
import { InvalidOptionError } from "../../machine/errors.ts";
import { formatIp, parseIp } from "../address.ts";

/** One control message, as the kernel has it. */
export interface ControlMessage {
  /** SOL_… */
  readonly level: number;
  /** SCM_…, or the option that asked for it, such as IP_PKTINFO. */
  readonly type: number;
  readonly data: Uint8Array;
}

/** By which interface and address a datagram came, or is to go. */
export interface PacketInfo {
  /** The interface's number; 0 for any. */
  readonly interface: number;
  /** The address of this end. */
  readonly local: string;
}

/** Room for the control messages of one message: SCM_MAX_FD descriptors, and more. */
export const CONTROL_BYTES = 2048;
/** As many as one message carries: SCM_MAX_FD of net/scm.h. */
const MAX_DESCRIPTORS = 253;
const WORD_BYTES = 4;

const align = (bytes: number): number => (bytes + WORD_BYTES - 1) & -WORD_BYTES;

/** Write messages. @returns how many bytes @throws {InvalidOptionError} if there is no room for them */
export function putControl(target: Uint8Array, messages: readonly ControlMessage[]): number {
  const bytes = messages.reduce((sum, { data }) => sum + Cmsghdr.size + align(data.length), 0);
  if (bytes > target.length)
    throw new InvalidOptionError("control", `${bytes} bytes: it has at most ${target.length}`);
  const view = viewOf(target);
  let at = 0;
  for (const { level, type, data } of messages) {
    const header = new Cmsghdr(view, at);
    header.cmsg_len = Cmsghdr.size + data.length;
    header.cmsg_level = level;
    header.cmsg_type = type;
    target.set(data, at + Cmsghdr.size);
    at += Cmsghdr.size + align(data.length);
  }
  return bytes;
}

/** The messages that the kernel wrote; their data are copies. */
export function takeControl(bytes: Uint8Array): ControlMessage[] {
  const view = viewOf(bytes);
  const messages: ControlMessage[] = [];
  for (let at = 0; at + Cmsghdr.size <= bytes.length;) {
    const { cmsg_len, cmsg_level, cmsg_type } = new Cmsghdr(view, at);
    if (cmsg_len < Cmsghdr.size || cmsg_len > bytes.length - at) break;
    const data = bytes.slice(at + Cmsghdr.size, at + cmsg_len);
    messages.push({ level: cmsg_level, type: cmsg_type, data });
    at += align(cmsg_len);
  }
  return messages;
}

const find = (messages: readonly ControlMessage[], level: number, type: number) =>
  messages.find((message) => message.level === level && message.type === type)?.data;

/**
 * Descriptors of this process's to be given to the receiver, which gets copies: of unix sockets.
 *
 * @throws {InvalidOptionError} for more than 253
 */
export function rights(descriptors: readonly number[]): ControlMessage {
  if (!descriptors.length || descriptors.length > MAX_DESCRIPTORS)
    throw new InvalidOptionError("descriptors", `${descriptors.length}: 1 to ${MAX_DESCRIPTORS}`);
  const data = new Uint8Array(descriptors.length * WORD_BYTES);
  const view = viewOf(data);
  for (const [index, fd] of descriptors.entries()) view.setInt32(index * WORD_BYTES, fd, true);
  return { level: SOL_SOCKET, type: SCM_RIGHTS, data };
}

/** The descriptors that came: the receiver's own, and its to close. */
export function rightsOf(messages: readonly ControlMessage[]): number[] {
  return messages
    .filter(({ level, type }) => level === SOL_SOCKET && type === SCM_RIGHTS)
    .flatMap(({ data }) => {
      const view = viewOf(data);
      const count = data.length / WORD_BYTES;
      return Array.from({ length: count }, (_, index) => view.getInt32(index * WORD_BYTES, true));
    });
}

/**
 * By which interface, and from which address, a datagram is to go: IP_PKTINFO, IPV6_PKTINFO.
 *
 * @throws {InvalidOptionError} for what is no address
 */
export function packetInfo({ interface: index, local }: PacketInfo): ControlMessage {
  const { bytes } = parseIp(local, "local");
  if (bytes.length === In6Pktinfo.offsets.ipi6_ifindex) {
    const record = In6Pktinfo.alloc();
    record.bytes.set(bytes, In6Pktinfo.offsets.ipi6_addr);
    record.ipi6_ifindex = index;
    return { level: SOL_IPV6, type: IPV6_PKTINFO, data: record.bytes };
  }
  const record = InPktinfo.alloc();
  record.ipi_ifindex = index;
  record.bytes.set(bytes, InPktinfo.offsets.ipi_spec_dst);
  return { level: SOL_IP, type: IP_PKTINFO, data: record.bytes };
}

/** By which interface, and to which address, a datagram came: with IP_PKTINFO, IPV6_RECVPKTINFO. */
export function packetInfoOf(messages: readonly ControlMessage[]): PacketInfo | undefined {
  const four = find(messages, SOL_IP, IP_PKTINFO);
  if (four) {
    const at = InPktinfo.offsets.ipi_addr;
    return {
      interface: InPktinfo.from(four).ipi_ifindex,
      local: formatIp(four.slice(at, at + WORD_BYTES)),
    };
  }
  const six = find(messages, SOL_IPV6, IPV6_PKTINFO);
  if (!six) return undefined;
  const { ipi6_addr: at, ipi6_ifindex: end } = In6Pktinfo.offsets;
  return { interface: In6Pktinfo.from(six).ipi6_ifindex, local: formatIp(six.slice(at, end)) };
}

/**
 * When a message came, by the kernel's clock: nanoseconds since 1970, with SO_TIMESTAMPNS, or with
 * SO_TIMESTAMP to a microsecond.
 */
export function timestampOf(messages: readonly ControlMessage[]): bigint | undefined {
  const exact = find(messages, SOL_SOCKET, SO_TIMESTAMPNS);
  const data = exact ?? find(messages, SOL_SOCKET, SO_TIMESTAMP);
  if (!data || data.length < KernelTimespec.size) return undefined;
  // A struct __kernel_sock_timeval has microseconds where this one has nanoseconds.
  const { tv_sec, tv_nsec } = KernelTimespec.from(data);
  return tv_sec * 1_000_000_000n + tv_nsec * (exact ? 1n : 1000n);
}
