// Bytes that lie in several places, in turn.

export type Pieces = readonly Uint8Array[];

export const lengthOf = (pieces: Pieces): number =>
  pieces.reduce((sum, { length }) => sum + length, 0);

/** All but the first `count` bytes. */
export function skip(pieces: Pieces, count: number): Pieces {
  let left = count;
  let first = 0;
  while (first < pieces.length && pieces[first].length <= left) left -= pieces[first++].length;
  const rest = pieces.slice(first);
  if (left > 0 && rest.length > 0) rest[0] = rest[0].subarray(left);
  return rest;
}

/** The same bytes in one place, as a copy. */
export function joined(pieces: Pieces): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(lengthOf(pieces));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
