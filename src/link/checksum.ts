// The checksum of the Internet (RFC 1071): the complement of the one's complement sum of 16-bit words.

/**
 * Add the words of some bytes, the first of which begins a word, to a sum; the last may be half a
 * word. Not folded: up to 2^53 is far beyond what a frame has.
 */
export function addWords(sum: number, bytes: Uint8Array, from: number, to: number): number {
  // Two words at a time, by a view, is twice as fast as byte by byte.
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = from;
  for (; at + 4 <= to; at += 4) {
    const words = view.getUint32(at);
    sum += (words >>> 16) + (words & 0xffff);
  }
  for (; at + 2 <= to; at += 2) sum += view.getUint16(at);
  return at < to ? sum + (bytes[at] << 8) : sum;
}

/** The checksum that a sum leads to. */
export function finish(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}
