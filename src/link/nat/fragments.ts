// Packets that come in fragments, put together (RFC 791, section 3.2; RFC 8200, section 4.5).
//
// Invariant: at most MAX_PACKETS are under way, the oldest first; none has more than MAX_FRAGMENTS or
// MAX_BYTES, or is kept for longer than TIMEOUT_MS once another one comes.

import { quote } from "./icmp.ts";
import { MAX_PACKET_BYTES, isSound } from "./packet.ts";
import type { Packet } from "./packet.ts";

const MAX_PACKETS = 64;
const MAX_FRAGMENTS = 256;
/** Fragments may overlap, but not as if there were two packets. */
const MAX_BYTES = 2 * MAX_PACKET_BYTES;
const TIMEOUT_MS = 30_000;

export class Reassembly {
  readonly #packets = new Map<string, { since: number; bytes: number; parts: Packet[] }>();

  /** The whole packet, if this fragment was the last one that was missing. */
  add(packet: Packet): Packet | null {
    const now = performance.now();
    const key = `${packet.source} ${packet.target} ${packet.protocol} ${packet.identification}`;
    const known = this.#packets.get(key) ?? { since: now, bytes: 0, parts: [] };
    this.#packets.set(key, known);
    for (const [old, { since }] of this.#packets) {
      if (this.#packets.size <= MAX_PACKETS && now - since < TIMEOUT_MS) break;
      this.#packets.delete(old);
    }
    known.parts.push({ ...packet, payload: packet.payload.slice(), bytes: quote(packet) });
    known.bytes += packet.payload.length;
    if (known.parts.length > MAX_FRAGMENTS || known.bytes > MAX_BYTES) this.#packets.delete(key);
    const whole = joined(known.parts);
    if (!whole) return null;
    this.#packets.delete(key);
    return isSound(whole) ? whole : null;
  }
}

function joined(parts: readonly Packet[]): Packet | null {
  const sorted = parts.toSorted((a, b) => a.offset - b.offset);
  let end = 0;
  for (const { offset, payload } of sorted) {
    if (offset > end) return null;
    end = Math.max(end, offset + payload.length);
  }
  const last = sorted[sorted.length - 1];
  if (last.more || end > MAX_PACKET_BYTES) return null;
  const payload = new Uint8Array(end);
  for (const part of sorted) payload.set(part.payload, part.offset);
  return { ...sorted[0], offset: 0, more: false, payload };
}
