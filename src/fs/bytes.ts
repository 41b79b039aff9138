// Numbers, names and identifiers in records of disks.

/** A record read from a disk; what is beyond its end reads as zeroes. */
export class Fields {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, leastBytes = 0) {
    let whole = bytes;
    if (bytes.length < leastBytes) {
      whole = new Uint8Array(leastBytes);
      whole.set(bytes);
    }
    this.bytes = whole;
    this.#view = new DataView(whole.buffer, whole.byteOffset, whole.length);
  }

  u8(at: number): number {
    return this.#view.getUint8(at);
  }

  u16(at: number): number {
    return this.#view.getUint16(at, true);
  }

  u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  /** As a number: exact below 2⁵³. */
  u64(at: number): number {
    return Number(this.#view.getBigUint64(at, true));
  }

  u16be(at: number): number {
    return this.#view.getUint16(at, false);
  }

  u32be(at: number): number {
    return this.#view.getUint32(at, false);
  }

  /** Whether these characters, one byte each, are there. */
  is(at: number, text: string): boolean {
    for (let i = 0; i < text.length; i++)
      if (this.bytes[at + i] !== text.charCodeAt(i)) return false;
    return true;
  }

  /** Text up to a NUL, without spaces at its end. */
  text(at: number, lengthBytes: number, encoding = "utf-8"): string {
    const part = this.bytes.slice(at, at + lengthBytes);
    const wide = encoding.startsWith("utf-16");
    const text = new TextDecoder(encoding).decode(wide ? part.subarray(0, part.length & ~1) : part);
    return text.replace(/\0[^]*$/, "").trimEnd();
  }

  hex(at: number, lengthBytes: number): string {
    return hexOf(this.bytes.subarray(at, at + lengthBytes));
  }

  /** A UUID as RFC 9562 has it, or undefined if it is all zeroes. */
  uuid(at: number): string | undefined {
    return dashed(this.hex(at, 16), [8, 4, 4, 4, 12]);
  }

  /** A GUID as EFI and Windows have it: the first three fields little-endian. */
  guid(at: number): string {
    const hex = [
      this.u32(at).toString(16).padStart(8, "0"),
      this.u16(at + 4)
        .toString(16)
        .padStart(4, "0"),
      this.u16(at + 6)
        .toString(16)
        .padStart(4, "0"),
      this.hex(at + 8, 2),
      this.hex(at + 10, 6),
    ];
    return hex.join("-");
  }
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Groups of digits with dashes between them; undefined if all are 0. */
export function dashed(digits: string, groups: readonly number[]): string | undefined {
  if (/^0*$/.test(digits)) return undefined;
  let at = 0;
  return groups.map((length) => digits.slice(at, (at += length))).join("-");
}
