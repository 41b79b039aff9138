// What a network device has counted, and how its driver asks for that (VIRTIO_NET_F_DEVICE_STATS, virtio
// 1.3, section 5.1.6.5.8): `ethtool -S` in the kernel shows it.

import {
  VIRTIO_NET_STATS_TYPE_CVQ,
  VIRTIO_NET_STATS_TYPE_REPLY_CVQ,
  VIRTIO_NET_STATS_TYPE_REPLY_RX_BASIC,
  VIRTIO_NET_STATS_TYPE_REPLY_RX_CSUM,
  VIRTIO_NET_STATS_TYPE_REPLY_TX_BASIC,
  VIRTIO_NET_STATS_TYPE_REPLY_TX_CSUM,
  VIRTIO_NET_STATS_TYPE_RX_BASIC,
  VIRTIO_NET_STATS_TYPE_RX_CSUM,
  VIRTIO_NET_STATS_TYPE_TX_BASIC,
  VIRTIO_NET_STATS_TYPE_TX_CSUM,
} from "../abi/constants/virtio.ts";

/** What a network device has counted since it was made. */
export class NetCounters {
  /** Frames that its kernel got. Segments count as they were handed over: often many in one. */
  receivedFrames = 0;
  receivedBytes = 0;
  /** Frames that were not for it. */
  filteredFrames = 0;
  /** Frames that no driver was there for, or that contradicted themselves. */
  droppedFrames = 0;
  /** Frames that the driver had no buffers for, for too long. */
  overrunFrames = 0;
  /** Frames that its kernel sent, and that the link took. */
  sentFrames = 0;
  sentBytes = 0;
  /** Frames that its kernel sent and that are none. */
  malformedFrames = 0;
  /** Frames handed on with a checksum that is still to be made. */
  receivedUnsummed = 0;
  sentUnsummed = 0;
  /** Commands of the driver, and those of them that could be carried out. */
  commands = 0;
  commandsDone = 0;
  /** Notifications by the driver and interrupts of it, by queue. */
  readonly notifications: [receive: number, transmit: number] = [0, 0];
  readonly interrupts: [receive: number, transmit: number] = [0, 0];
}

/** struct virtio_net_ctrl_queue_stats, of which a request has one a queue; and virtio_net_stats_reply_hdr. */
const REQUEST_BYTES = 16;
const REPLY_HEADER_BYTES = 8;
const VALUE_BYTES = 8;

interface Kind {
  readonly type: bigint;
  readonly reply: number;
  readonly queue: number;
  /** In the order of the structure that the header linux/virtio_net.h has for it. */
  values(of: NetCounters): number[];
}

const kinds: readonly Kind[] = [
  {
    type: BigInt(VIRTIO_NET_STATS_TYPE_RX_BASIC),
    reply: VIRTIO_NET_STATS_TYPE_REPLY_RX_BASIC,
    queue: 0,
    values: (of) => [
      of.notifications[0],
      of.receivedFrames,
      of.receivedBytes,
      of.interrupts[0],
      of.droppedFrames + of.overrunFrames,
      of.overrunFrames,
    ],
  },
  {
    type: BigInt(VIRTIO_NET_STATS_TYPE_RX_CSUM),
    reply: VIRTIO_NET_STATS_TYPE_REPLY_RX_CSUM,
    queue: 0,
    values: (of) => [0, of.receivedUnsummed, of.receivedFrames - of.receivedUnsummed, 0],
  },
  {
    type: BigInt(VIRTIO_NET_STATS_TYPE_TX_BASIC),
    reply: VIRTIO_NET_STATS_TYPE_REPLY_TX_BASIC,
    queue: 1,
    values: (of) => [
      of.notifications[1],
      of.sentFrames,
      of.sentBytes,
      of.interrupts[1],
      of.malformedFrames,
      of.malformedFrames,
    ],
  },
  {
    type: BigInt(VIRTIO_NET_STATS_TYPE_TX_CSUM),
    reply: VIRTIO_NET_STATS_TYPE_REPLY_TX_CSUM,
    queue: 1,
    values: (of) => [of.sentFrames - of.sentUnsummed, of.sentUnsummed],
  },
  {
    type: VIRTIO_NET_STATS_TYPE_CVQ,
    reply: VIRTIO_NET_STATS_TYPE_REPLY_CVQ,
    queue: 2,
    values: (of) => [of.commands, of.commandsDone],
  },
];

/** What VIRTIO_NET_CTRL_STATS_QUERY asks for: which counters there are. */
export function countersOffered(): Uint8Array {
  return new Uint8Array(
    BigUint64Array.of(kinds.reduce((bits, { type }) => bits | type, 0n)).buffer,
  );
}

/** What VIRTIO_NET_CTRL_STATS_GET asks for. Null if it asks for what there is not. */
export function readCounters(counters: NetCounters, request: Uint8Array): Uint8Array | null {
  if (request.length === 0 || request.length % REQUEST_BYTES) return null;
  const view = new DataView(request.buffer, request.byteOffset, request.length);
  const replies: Uint8Array[] = [];
  for (let at = 0; at < request.length; at += REQUEST_BYTES) {
    const queue = view.getUint16(at, true);
    const types = view.getBigUint64(at + 8, true);
    const asked = kinds.filter((kind) => kind.queue === queue && (types & kind.type) !== 0n);
    if (asked.reduce((bits, { type }) => bits | type, 0n) !== types) return null;
    for (const kind of asked) replies.push(reply(kind, kind.values(counters)));
    if (replies.length > kinds.length) return null;
  }
  const all = new Uint8Array(replies.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const one of replies) {
    all.set(one, at);
    at += one.length;
  }
  return all;
}

function reply({ reply, queue }: Kind, values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(REPLY_HEADER_BYTES + VALUE_BYTES * values.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, reply);
  view.setUint16(2, queue, true);
  view.setUint16(6, bytes.length, true);
  for (const [i, value] of values.entries())
    view.setBigUint64(REPLY_HEADER_BYTES + VALUE_BYTES * i, BigInt(value), true);
  return bytes;
}
