// Randomness for the kernel: the engine's own, or one that repeats.

/** Fills its argument, which may be a view of shared memory. */
export type Random = (bytes: Uint8Array) => void;

/** getRandomValues() gives no more at once. */
const QUOTA_BYTES = 65536;

/** The engine's cryptographic generator. */
export const systemRandom: Random = (bytes) => {
  for (let at = 0; at < bytes.length; at += QUOTA_BYTES) {
    const part = new Uint8Array(Math.min(QUOTA_BYTES, bytes.length - at));
    bytes.set(crypto.getRandomValues(part), at);
  }
};

/**
 * The same bytes for the same seed, for repeatable simulations: never for secrets.
 * SplitMix32 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return (bytes) => {
    for (let i = 0; i < bytes.length; i++) {
      state = (state + 0x9e3779b9) | 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      bytes[i] = z ^ (z >>> 15);
    }
  };
}
