// Frames in a stream of bytes, as QEMU's socket back end has them: each behind its length, 32 bits, big-endian.

import { LinkError } from "./errors.ts";

/** Bytes of a length. */
export const LENGTH_BYTES = 4;

/** Put frames together of the pieces of a stream that they come in. */
export class FrameReader {
  readonly #maxBytes: number;
  /** The begin of a frame, with its length. */
  #partial: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  /** @param maxBytes the longest frame that there can be */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * The frames that end in this piece. Their bytes are their own.
   *
   * @throws {LinkError} EPROTO if there is a length that no frame has: the rest of the stream is void
   */
  *read(piece: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(this.#partial.length + piece.length);
    bytes.set(this.#partial);
    bytes.set(piece, this.#partial.length);
    const view = new DataView(bytes.buffer);
    let at = 0;
    while (bytes.length - at >= LENGTH_BYTES) {
      const length = view.getUint32(at);
      if (length === 0 || length > this.#maxBytes)
        throw new LinkError("EPROTO", `a frame of ${length} bytes: this is no stream of frames`);
      if (bytes.length - at - LENGTH_BYTES < length) break;
      at += LENGTH_BYTES;
      yield bytes.subarray(at, at + length);
      at += length;
    }
    this.#partial = bytes.slice(at);
  }
}
