// Frames in a stream of bytes, as QEMU's socket back end has them: each behind its length, 32 bits, big-endian.
//
// Invariants: #lengthBytes bytes of the next frame's length have come; when all have, and the frame was not
// in the same piece, #filled bytes of #frame have.

import { LinkError } from "./errors.ts";

/** Bytes of a length. */
export const LENGTH_BYTES = 4;

/** Put frames together of the pieces of a stream that they come in. */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #length = new DataView(new ArrayBuffer(LENGTH_BYTES));
  #lengthBytes = 0;
  #frame: Uint8Array | null = null;
  #filled = 0;

  /** @param maxBytes the longest frame that there can be */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * The frames that end in this piece: parts of it, or put together in memory of their own. So the piece
   * must not change as long as they are used.
   *
   * @throws {LinkError} EPROTO if there is a length that no frame has: the rest of the stream is void
   */
  *read(piece: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < piece.length;) {
      if (!this.#frame) {
        if (this.#lengthBytes < LENGTH_BYTES) {
          this.#length.setUint8(this.#lengthBytes++, piece[at++]);
          if (this.#lengthBytes < LENGTH_BYTES) continue;
        }
        const length = this.#length.getUint32(0);
        if (length === 0 || length > this.#maxBytes)
          throw new LinkError("EPROTO", `a frame of ${length} bytes: this is no stream of frames`);
        if (piece.length - at >= length) {
          this.#lengthBytes = 0;
          yield piece.subarray(at, at + length);
          at += length;
          continue;
        }
        this.#frame = new Uint8Array(length);
        this.#filled = 0;
      }
      const part = piece.subarray(at, at + this.#frame.length - this.#filled);
      this.#frame.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < this.#frame.length) return;
      const frame = this.#frame;
      this.#frame = null;
      this.#lengthBytes = 0;
      yield frame;
    }
  }
}
