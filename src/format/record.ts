// Records of disks, to be written.

import { uuidBytes } from "./identity.ts";

/**
 * Bytes with fields set by offset; all others are zeroes. Numbers are little-endian unless the name
 * ends in "be". A number that does not fit its field is a mistake of the caller: a RangeError.
 */
export class Record {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  /** @param content a length of zeroes; or bytes, which are changed in place */
  constructor(content: number | Uint8Array<ArrayBuffer>) {
    this.bytes = typeof content === "number" ? new Uint8Array(content) : content;
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
  }

  u8(at: number, value: number): this {
    this.#view.setUint8(at, fitting(value, 8));
    return this;
  }

  u16(at: number, value: number): this {
    this.#view.setUint16(at, fitting(value, 16), true);
    return this;
  }

  u32(at: number, value: number): this {
    this.#view.setUint32(at, fitting(value, 32), true);
    return this;
  }

  u64(at: number, value: number | bigint): this {
    this.#view.setBigUint64(at, wide(value), true);
    return this;
  }

  u16be(at: number, value: number): this {
    this.#view.setUint16(at, fitting(value, 16), false);
    return this;
  }

  u32be(at: number, value: number): this {
    this.#view.setUint32(at, fitting(value, 32), false);
    return this;
  }

  u64be(at: number, value: number | bigint): this {
    this.#view.setBigUint64(at, wide(value), false);
    return this;
  }

  /** Characters of one byte each, without a NUL. */
  ascii(at: number, text: string): this {
    for (let i = 0; i < text.length; i++) this.u8(at + i, text.charCodeAt(i));
    return this;
  }

  set(at: number, bytes: ArrayLike<number>): this {
    this.bytes.set(bytes, at);
    return this;
  }

  /** A UUID in the order of its text. */
  uuid(at: number, uuid: string): this {
    return this.set(at, uuidBytes(uuid));
  }

  /** A GUID as EFI and Windows have it: the first three fields little-endian. */
  guid(at: number, guid: string): this {
    const bytes = uuidBytes(guid);
    const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    return this.set(
      at,
      order.map((from) => bytes[from]),
    );
  }

  /** Some of the bytes, in place. */
  part(at: number, lengthBytes: number): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(at, at + lengthBytes);
  }
}

function fitting(value: number, bits: number): number {
  if (!(Number.isInteger(value) && value >= 0 && value < 2 ** bits))
    throw new RangeError(`${value} is no number of ${bits} bits`);
  return value;
}

function wide(value: number | bigint): bigint {
  const big = BigInt(value);
  if (big !== BigInt.asUintN(64, big)) throw new RangeError(`${value} is no number of 64 bits`);
  return big;
}
