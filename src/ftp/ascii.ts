// TYPE A: lines end with CR LF on the way, with LF in files (RFC 959, section 3.1.1.1).
//
// Every LF becomes CR LF, and every CR LF becomes LF; other bytes stay as they are. So whatever
// bytes a file has, it is the same after the way out and back in.

const LF = 10;
const CR = 13;

/** As it is sent. The result is a copy. */
export function toNetwork(bytes: Uint8Array): Uint8Array {
  let lines = 0;
  for (const byte of bytes) if (byte === LF) lines++;
  const out = new Uint8Array(bytes.length + lines);
  let at = 0;
  for (const byte of bytes) {
    if (byte === LF) out[at++] = CR;
    out[at++] = byte;
  }
  return out;
}

/** As it is stored, whatever pieces it arrives in. */
export class FromNetwork {
  /** The last byte was a CR, which may belong to an LF that comes. */
  #held = false;

  push(bytes: Uint8Array): Uint8Array {
    const out = new Uint8Array(bytes.length + 1);
    let at = 0;
    for (const byte of bytes) {
      if (this.#held && byte !== LF) out[at++] = CR;
      this.#held = byte === CR;
      if (!this.#held) out[at++] = byte;
    }
    return out.subarray(0, at);
  }

  /** What is left at the end. */
  end(): Uint8Array {
    return this.#held ? Uint8Array.of(CR) : new Uint8Array(0);
  }
}
