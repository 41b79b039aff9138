// What a compressed format is to a disk.

import type { ByteSource, Input } from "./input.ts";

/** A part of the file that can be decompressed by itself. */
export interface Piece {
  /** Where it starts in the compressed file. */
  readonly position: number;
  /** Where what it holds starts in the image, and how many bytes that are: Infinity if nobody knows. */
  readonly start: number;
  readonly length: number;
  /** What else its format needs to know. */
  readonly detail: number;
}

export interface Format {
  readonly name: string;
  /** Whether a file that starts so is of this format. */
  matches(start: Uint8Array): boolean;
  /**
   * The pieces, in order, found without decompressing anything: one if the file does not tell.
   *
   * @param sizeBytes the image's size, if somebody knows; then there is no need to look for it
   * @throws {CorruptError}
   */
  index(source: ByteSource, sizeBytes?: number): Promise<Piece[]>;
  /**
   * Decompress the piece that starts where `input` is. What it yields is valid until the next call.
   *
   * @throws {CorruptError}
   */
  decode(input: Input, piece: Piece): AsyncGenerator<Uint8Array, void>;
}
