// A frame on its way: Ethernet from the destination on, without a checksum at its end; and what
// its sender left to be done with it.
//
// A sender whose device offers that leaves checksums out, and gives TCP (or UDP) segments of up to
// 64 KiB, to be cut where frames must be real: see complete() in offload.ts. Between two kernels
// they never must. The words for it are those of struct virtio_net_hdr (virtio 1.2, section 5.1.6).

import { VIRTIO_NET_HDR_GSO_NONE } from "../abi/constants/virtio.ts";

/** Longest frame that passes a link: what is left to be cut may have 64 KiB besides its headers. */
export const MAX_FRAME_BYTES = 65536 + 512;
/** Shortest: destination, source and type. */
export const MIN_FRAME_BYTES = 14;

/** What is left to be done with a frame. */
export interface Offload {
  /** Whether its checksum is missing: at `checksumStart + checksumOffset` is that of the pseudo-header. */
  needsChecksum: boolean;
  /** From where on it is computed, in bytes from the start of the frame. */
  checksumStart: number;
  /** Where it goes, in bytes from `checksumStart`. */
  checksumOffset: number;
  /** VIRTIO_NET_HDR_GSO_…: what it is to be cut into, if it is. */
  gsoType: number;
  /** Bytes of payload that each of the parts has. */
  gsoSize: number;
  /** A hint: how many bytes of headers it has. */
  headerBytes: number;
}

/**
 * A frame. Whoever is given one may look at it until the call returns, and must not change it:
 * its segments are views of the sender's memory. Who wants it for longer takes a {@link copy}.
 */
export class Frame implements Offload {
  /** Its bytes, in turn; none of them empty. */
  readonly segments: Uint8Array[] = [];
  lengthBytes = 0;
  needsChecksum = false;
  checksumStart = 0;
  checksumOffset = 0;
  gsoType: number = VIRTIO_NET_HDR_GSO_NONE;
  gsoSize = 0;
  headerBytes = 0;

  /** A frame of these bytes with nothing left to be done. They are not copied. */
  static of(bytes: Uint8Array): Frame {
    const frame = new Frame();
    frame.add(bytes);
    return frame;
  }

  /** Whether nothing is left to be done. */
  get complete(): boolean {
    return !this.needsChecksum && this.gsoType === VIRTIO_NET_HDR_GSO_NONE;
  }

  /** Lengthen it. */
  add(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.segments.push(bytes);
    this.lengthBytes += bytes.length;
  }

  /** Make it an empty one, to be used again. */
  clear(): void {
    this.segments.length = 0;
    this.lengthBytes = 0;
    this.needsChecksum = false;
    this.checksumStart = this.checksumOffset = 0;
    this.gsoType = VIRTIO_NET_HDR_GSO_NONE;
    this.gsoSize = this.headerBytes = 0;
  }

  /** At least its first `count` bytes, if it has so many: all it has otherwise. A view or a copy. */
  head(count: number): Uint8Array {
    const first = this.segments[0];
    if (first !== undefined && first.length >= count) return first;
    const bytes = new Uint8Array(Math.min(count, this.lengthBytes));
    this.copyTo(bytes, 0);
    return bytes;
  }

  /** Copy as much of it as fits into `bytes`, from `at` on. */
  copyTo(bytes: Uint8Array, at: number): void {
    for (const segment of this.segments) {
      const room = bytes.length - at;
      if (room <= 0) return;
      bytes.set(segment.length > room ? segment.subarray(0, room) : segment, at);
      at += segment.length;
    }
  }

  /** Its bytes, in memory of their own. */
  bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.lengthBytes);
    this.copyTo(bytes, 0);
    return bytes;
  }

  /** The same frame, with the same left to be done, in memory of its own. */
  copy(): Frame {
    const copy = Frame.of(this.bytes());
    copy.needsChecksum = this.needsChecksum;
    copy.checksumStart = this.checksumStart;
    copy.checksumOffset = this.checksumOffset;
    copy.gsoType = this.gsoType;
    copy.gsoSize = this.gsoSize;
    copy.headerBytes = this.headerBytes;
    return copy;
  }
}
