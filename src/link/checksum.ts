// The checksum of the Internet (RFC 1071): the complement of the one's complement sum of 16-bit words.

/**
 * Add the words of some bytes, the first of which begins a word, to a sum; the last may be half a
 * word. Not folded: up to 2^53 is far beyond what a frame has.
 */
export function addWords(sum: number, bytes: Uint8Array, from: number, to: number): number {
  const even = from + ((to - from) & ~1);
  for (let i = from; i < even; i += 2) sum += (bytes[i] << 8) | bytes[i + 1];
  return even < to ? sum + (bytes[even] << 8) : sum;
}

/** The checksum that a sum leads to. */
export function finish(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}
