// Messages: composed for the kernel, and taken apart.

import {
  NLMSG_DONE,
  NLMSG_ERROR,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_REQUEST,
  NLMSGERR_ATTR_MISS_NEST,
  NLMSGERR_ATTR_MISS_TYPE,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
} from "../../abi/constants/netlink.ts";
import { Nlmsgerr, Nlmsghdr } from "../../abi/structs/netlink.ts";
import { AttributeSet } from "./attributes.ts";
import { atLeast, text, u32 } from "./codec.ts";
import type { Codec } from "./codec.ts";
import { MalformedMessageError } from "./errors.ts";
import type { ExtendedAck } from "./errors.ts";
import { Writer, aligned } from "./writer.ts";
import type { Mark } from "./writer.ts";

/** A message to the kernel, with where its attributes are. */
export interface Composed {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly marks: readonly Mark[];
  /** The names of the outermost attributes. */
  readonly nameOf: ((type: number) => string | undefined) | undefined;
}

/** A message from the kernel. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** What follows the header: of the receive buffer, valid as long as that is. */
  readonly payload: Uint8Array;
}

/** What a request begins with. */
export interface Head {
  readonly type: number;
  /** Besides NLM_F_REQUEST. */
  readonly flags?: number;
  /** The family's own header, such as struct ifinfomsg. */
  readonly header: Uint8Array;
}

/** Compose a message. @throws {InvalidOptionError} that names the attribute which cannot be */
export function compose<T>(head: Head, attributes?: readonly [Codec<T>, T]): Composed {
  const to = new Writer();
  to.reserve(Nlmsghdr.size);
  to.put(head.header);
  to.reserve(aligned(to.length) - to.length);
  if (attributes) attributes[0].write(to, attributes[1]);
  const bytes = to.finish();
  const header = Nlmsghdr.from(bytes);
  header.nlmsg_len = bytes.length;
  header.nlmsg_type = head.type;
  header.nlmsg_flags = NLM_F_REQUEST | (head.flags ?? 0);
  const set = attributes?.[0];
  return { bytes, marks: to.marks, nameOf: set && ((type) => set.nameOf?.(type)) };
}

/** The messages of one datagram. @throws {MalformedMessageError} */
export function* split(datagram: Uint8Array): Generator<Message> {
  for (let at = 0; at < datagram.length;) {
    const rest = datagram.subarray(at);
    atLeast(rest, Nlmsghdr.size);
    const header = Nlmsghdr.from(rest);
    const lengthBytes = header.nlmsg_len;
    if (lengthBytes < Nlmsghdr.size || lengthBytes > rest.length)
      throw new MalformedMessageError(`a message of ${lengthBytes} bytes in ${rest.length}`);
    yield {
      type: header.nlmsg_type,
      flags: header.nlmsg_flags,
      sequence: header.nlmsg_seq,
      payload: rest.subarray(Nlmsghdr.size, lengthBytes),
    };
    at += aligned(lengthBytes);
  }
}

const ackAttributes = new AttributeSet({
  reason: [NLMSGERR_ATTR_MSG, text()],
  offset: [NLMSGERR_ATTR_OFFS, u32],
  missingType: [NLMSGERR_ATTR_MISS_TYPE, u32],
  missingNest: [NLMSGERR_ATTR_MISS_NEST, u32],
});

/** What an NLMSG_ERROR or NLMSG_DONE says. */
export interface Ack {
  /** Negative; 0: done. */
  readonly errno: number;
  readonly reason?: string | undefined;
  /** Of an attribute in the request. */
  readonly offset?: number | undefined;
  /** Of an attribute that the request lacks. */
  readonly missingType?: number | undefined;
  /** Of the attribute where it lacks it; undefined: outermost. */
  readonly missingNest?: number | undefined;
}

/** @throws {MalformedMessageError} */
export function readAck({ type, flags, payload }: Message): Ack {
  if (type !== NLMSG_ERROR && type !== NLMSG_DONE)
    throw new MalformedMessageError(`message ${type} is no acknowledgement`);
  // That of a dump has a number alone, and may have not even that.
  if (type === NLMSG_DONE && payload.length < 4) return { errno: 0 };
  const errno = atLeast(payload, type === NLMSG_DONE ? 4 : Nlmsgerr.size).getInt32(0, true);
  if (!(flags & NLM_F_ACK_TLVS)) return { errno };
  let at = 4;
  if (type === NLMSG_ERROR)
    at = flags & NLM_F_CAPPED ? Nlmsgerr.size : 4 + aligned(Nlmsgerr.from(payload).msg.nlmsg_len);
  return { errno, ...ackAttributes.read(payload.subarray(at)) };
}

/** What an acknowledgement says about the request that it is for, by names. */
export function explain(ack: Ack, { marks, nameOf }: Composed): ExtendedAck {
  const { reason, offset, missingType, missingNest } = ack;
  // Some offsets are of an attribute's payload; the attribute that begins last before it is meant.
  const attribute =
    offset === undefined
      ? undefined
      : marks
          .toSorted((a, b) => b.offsetBytes - a.offsetBytes)
          .find((m) => m.offsetBytes <= offset);
  const nest = marks.find(({ offsetBytes }) => offsetBytes === missingNest);
  const missing =
    missingType === undefined
      ? undefined
      : ((nest ? nest.nameOf : nameOf)?.(missingType) ?? `attribute ${missingType}`);
  return {
    ...(reason !== undefined && { reason }),
    ...(attribute && attribute.path !== "" && { attribute: attribute.path }),
    ...(missing !== undefined && {
      missing: nest && nest.path !== "" ? `${nest.path}.${missing}` : missing,
    }),
  };
}
