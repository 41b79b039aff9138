// Cyclic redundancy checks: CRC-32 of IEEE 802.3 (RFC 1952, section 8), CRC-64 of ECMA-182.

/** Entry n of slice k: the CRC of byte n followed by k zero bytes. */
function crc32Tables(slices: number): Int32Array[] {
  const tables = Array.from({ length: slices }, () => new Int32Array(256));
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    tables[0][n] = crc;
  }
  for (let k = 1; k < slices; k++)
    for (let n = 0; n < 256; n++) {
      const before = tables[k - 1][n];
      tables[k][n] = (before >>> 8) ^ tables[0][before & 255];
    }
  return tables;
}

const [T0, T1, T2, T3] = crc32Tables(4);

/** @param crc that of the bytes before; 0 at first. @returns an unsigned number */
export function crc32(bytes: Uint8Array, crc = 0): number {
  let c = ~crc;
  let i = 0;
  for (; i + 4 <= bytes.length; i += 4) {
    c ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    c = T3[c & 255] ^ T2[(c >>> 8) & 255] ^ T1[(c >>> 16) & 255] ^ T0[c >>> 24];
  }
  for (; i < bytes.length; i++) c = (c >>> 8) ^ T0[(c ^ bytes[i]) & 255];
  return ~c >>> 0;
}

const LOW = new Int32Array(256);
const HIGH = new Int32Array(256);
for (let n = 0; n < 256; n++) {
  let low = n;
  let high = 0;
  for (let bit = 0; bit < 8; bit++) {
    const odd = low & 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (odd) {
      low ^= 0xd7870f42;
      high ^= 0xc96c5795;
    }
  }
  LOW[n] = low;
  HIGH[n] = high;
}

export class Crc64 {
  #low = -1;
  #high = -1;

  add(bytes: Uint8Array): void {
    let low = this.#low;
    let high = this.#high;
    for (let i = 0; i < bytes.length; i++) {
      const n = (low ^ bytes[i]) & 255;
      low = ((low >>> 8) | (high << 24)) ^ LOW[n];
      high = (high >>> 8) ^ HIGH[n];
    }
    this.#low = low;
    this.#high = high;
  }

  /** The low half and the high half, unsigned. */
  get halves(): readonly [number, number] {
    return [~this.#low >>> 0, ~this.#high >>> 0];
  }
}
