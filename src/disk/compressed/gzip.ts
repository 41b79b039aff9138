// gzip files (RFC 1952): members one after another.

import { crc32 } from "./crc.ts";
import type { Format } from "./format.ts";
import { Inflate } from "./inflate.ts";
import { CorruptError } from "./input.ts";
import type { Input } from "./input.ts";

const DEFLATE = 8;
const FHCRC = 2;
const FEXTRA = 4;
const FNAME = 8;
const FCOMMENT = 16;
const RESERVED = 0xe0;

/** Names and comments end with a zero. */
async function skipText(input: Input): Promise<void> {
  for (;;) {
    const [byte] = await input.take(1);
    if (byte === 0) return;
  }
}

async function skipHeader(input: Input): Promise<void> {
  const [id1, id2, method, flags] = await input.take(10);
  if (id1 !== 0x1f || id2 !== 0x8b) throw new CorruptError("what follows is not gzip");
  if (method !== DEFLATE || flags & RESERVED)
    throw new CorruptError(`a header with method ${method} and flags ${flags}`);
  if (flags & FEXTRA) {
    const [low, high] = await input.take(2);
    await input.take(low | (high << 8));
  }
  if (flags & FNAME) await skipText(input);
  if (flags & FCOMMENT) await skipText(input);
  if (flags & FHCRC) await input.take(2);
}

async function* decodeMember(input: Input): AsyncGenerator<Uint8Array, void> {
  await skipHeader(input);
  let crc = 0;
  let length = 0;
  for await (const bytes of new Inflate(input).decode()) {
    crc = crc32(bytes, crc);
    length += bytes.length;
    yield bytes;
  }
  const trailer = await input.take(8);
  const view = new DataView(trailer.buffer, trailer.byteOffset);
  if (view.getUint32(0, true) !== crc) throw new CorruptError("its checksum is another");
  if (view.getUint32(4, true) !== length % 4294967296)
    throw new CorruptError("its length is another");
}

export const gzip: Format = {
  name: "gzip",
  matches: ([id1, id2, method]) => id1 === 0x1f && id2 === 0x8b && method === DEFLATE,
  // A member tells its length only modulo 4 GiB, and nothing tells how many members there are.
  index: async (_source, sizeBytes = Infinity) => [
    { position: 0, start: 0, length: sizeBytes, detail: 0 },
  ],
  async *decode(input) {
    do yield* decodeMember(input);
    while (!(await input.onlyZeroesLeft()));
  },
};
