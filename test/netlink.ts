// Just enough of netlink to ask a kernel whether it has something.

import {
  NETLINK_ROUTE,
  NLMSG_ERROR,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REQUEST,
} from "../src/abi/constants/netlink.ts";
import { AF_NETLINK, SOCK_RAW } from "../src/abi/constants/socket.ts";
import { errnoCode } from "../src/abi/errno.ts";
import { Nlmsghdr, Rtattr } from "../src/abi/structs/netlink.ts";
import type { Process } from "../src/index.ts";

const align = (length: number) => (length + 3) & ~3;

function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** An attribute: text with its NUL, a 32-bit number, or other attributes. */
export function attribute(type: number, ...content: (string | number | Uint8Array)[]): Uint8Array {
  const payload = concat(
    ...content.map((part) => {
      if (typeof part === "string") return new TextEncoder().encode(`${part}\0`);
      if (typeof part === "number") return new Uint8Array(Uint32Array.of(part).buffer);
      return part;
    }),
  );
  const bytes = new Uint8Array(align(Rtattr.size + payload.length));
  const header = Rtattr.from(bytes);
  header.rta_len = Rtattr.size + payload.length;
  header.rta_type = type;
  bytes.set(payload, Rtattr.size);
  return bytes;
}

/** A message; `flags` besides NLM_F_REQUEST. */
export function message(type: number, flags: number, ...parts: Uint8Array[]): Uint8Array {
  const body = concat(...parts);
  const bytes = new Uint8Array(align(Nlmsghdr.size + body.length));
  const header = Nlmsghdr.from(bytes);
  header.nlmsg_len = Nlmsghdr.size + body.length;
  header.nlmsg_type = type;
  header.nlmsg_flags = NLM_F_REQUEST | flags;
  bytes.set(body, Nlmsghdr.size);
  return bytes;
}

export const CREATE: number = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;

/** Sends messages and gives the first acknowledgement: "ok" or the error's code. */
export async function ask(
  process: Process,
  protocol: number = NETLINK_ROUTE,
  ...messages: Uint8Array[]
): Promise<string> {
  const fd = await process.socket(AF_NETLINK, SOCK_RAW, protocol);
  try {
    const request = concat(...messages);
    await process.sendto(fd, request, request.length, 0, null, 0);
    const answer = new Uint8Array(8192);
    const length = await process.recvfrom(fd, answer, answer.length, 0, null, null);
    const header = Nlmsghdr.from(answer.subarray(0, length));
    if (header.nlmsg_type !== NLMSG_ERROR) return `message ${header.nlmsg_type}`;
    const error = new DataView(answer.buffer).getInt32(Nlmsghdr.size, true);
    return error ? (errnoCode(-error) ?? String(error)) : "ok";
  } finally {
    await process.close(fd);
  }
}
