// exFAT's table of upper-case letters: the one that the specification recommends, in chapter 7.2.5.1.
// It is of Unicode 5.0, so that it cannot come from an engine's toUpperCase(), and systems know it by
// its checksum, 0xE619D30D.

import { Record } from "./record.ts";

/** Letters: the first one, how many, how far each is from the last, and how far from its upper case. */
type Letters = readonly [first: number, count: number, step: number, distance: number];

const LETTERS: readonly Letters[] = [
  [0x61, 26, 1, -32],
  [0xe0, 23, 1, -32],
  [0xf8, 7, 1, -32],
  [0xff, 1, 1, 121],
  [0x101, 24, 2, -1],
  [0x133, 3, 2, -1],
  [0x13a, 8, 2, -1],
  [0x14b, 23, 2, -1],
  [0x17a, 3, 2, -1],
  [0x180, 1, 1, 195],
  [0x183, 2, 2, -1],
  [0x188, 1, 1, -1],
  [0x18c, 1, 1, -1],
  [0x192, 1, 1, -1],
  [0x195, 1, 1, 97],
  [0x199, 1, 1, -1],
  [0x19a, 1, 1, 163],
  [0x19e, 1, 1, 130],
  [0x1a1, 3, 2, -1],
  [0x1a8, 1, 1, -1],
  [0x1ad, 1, 1, -1],
  [0x1b0, 1, 1, -1],
  [0x1b4, 2, 2, -1],
  [0x1b9, 1, 1, -1],
  [0x1bd, 1, 1, -1],
  [0x1bf, 1, 1, 56],
  [0x1c6, 1, 1, -2],
  [0x1c9, 1, 1, -2],
  [0x1cc, 1, 1, -2],
  [0x1ce, 8, 2, -1],
  [0x1dd, 1, 1, -79],
  [0x1df, 9, 2, -1],
  [0x1f3, 1, 1, -2],
  [0x1f5, 1, 1, -1],
  [0x1f9, 20, 2, -1],
  [0x223, 9, 2, -1],
  [0x23a, 1, 1, 10795],
  [0x23c, 1, 1, -1],
  [0x23e, 1, 1, 10792],
  [0x242, 1, 1, -1],
  [0x247, 5, 2, -1],
  [0x253, 1, 1, -210],
  [0x254, 1, 1, -206],
  [0x256, 2, 1, -205],
  [0x259, 1, 1, -202],
  [0x25b, 1, 1, -203],
  [0x260, 1, 1, -205],
  [0x263, 1, 1, -207],
  [0x268, 1, 1, -209],
  [0x269, 1, 1, -211],
  [0x26b, 1, 1, 10743],
  [0x26f, 1, 1, -211],
  [0x272, 1, 1, -213],
  [0x275, 1, 1, -214],
  [0x27d, 1, 1, 10727],
  [0x280, 1, 1, -218],
  [0x283, 1, 1, -218],
  [0x288, 1, 1, -218],
  [0x289, 1, 1, -69],
  [0x28a, 2, 1, -217],
  [0x28c, 1, 1, -71],
  [0x292, 1, 1, -219],
  [0x37b, 3, 1, 130],
  [0x3ac, 1, 1, -38],
  [0x3ad, 3, 1, -37],
  [0x3b1, 17, 1, -32],
  [0x3c2, 1, 1, -31],
  [0x3c3, 9, 1, -32],
  [0x3cc, 1, 1, -64],
  [0x3cd, 2, 1, -63],
  [0x3d9, 12, 2, -1],
  [0x3f2, 1, 1, 7],
  [0x3f8, 1, 1, -1],
  [0x3fb, 1, 1, -1],
  [0x430, 32, 1, -32],
  [0x450, 16, 1, -80],
  [0x461, 17, 2, -1],
  [0x48b, 27, 2, -1],
  [0x4c2, 7, 2, -1],
  [0x4cf, 1, 1, -15],
  [0x4d1, 34, 2, -1],
  [0x561, 38, 1, -48],
  [0x1d7d, 1, 1, 3814],
  [0x1e01, 75, 2, -1],
  [0x1ea1, 45, 2, -1],
  [0x1f00, 8, 1, 8],
  [0x1f10, 6, 1, 8],
  [0x1f20, 8, 1, 8],
  [0x1f30, 8, 1, 8],
  [0x1f40, 6, 1, 8],
  [0x1f51, 4, 2, 8],
  [0x1f60, 8, 1, 8],
  [0x1f70, 2, 1, 74],
  [0x1f72, 4, 1, 86],
  [0x1f76, 2, 1, 100],
  [0x1f78, 2, 1, 128],
  [0x1f7a, 2, 1, 112],
  [0x1f7c, 2, 1, 126],
  [0x1f80, 8, 1, 8],
  [0x1f90, 8, 1, 8],
  [0x1fa0, 8, 1, 8],
  [0x1fb0, 2, 1, 8],
  [0x1fb3, 1, 1, 9],
  [0x1fcc, 1, 1, -9],
  [0x1fd0, 2, 1, 8],
  [0x1fe0, 2, 1, 8],
  [0x1fe5, 1, 1, 7],
  [0x1ffc, 1, 1, -9],
  [0x214e, 1, 1, -28],
  [0x2170, 16, 1, -16],
  [0x2184, 1, 1, -1],
  [0x24d0, 26, 1, -26],
  [0x2c30, 47, 1, -48],
  [0x2c61, 1, 1, -1],
  [0x2c68, 3, 2, -1],
  [0x2c76, 1, 1, -1],
  [0x2c81, 50, 2, -1],
  [0x2d00, 38, 1, -7264],
  [0xff41, 26, 1, -32],
];

const CHARACTERS = 65536;
/** Instead of so many characters in a row that are their own upper case there is just their number. */
const LEAST_RUN = 512;
const RUN_MARK = 0xffff;

/** The table as it is stored: little-endian, with runs. */
export function upcaseTable(): Uint8Array<ArrayBuffer> {
  const upper = Uint16Array.from({ length: CHARACTERS }, (_, character) => character);
  for (const [first, count, step, distance] of LETTERS)
    for (let i = 0; i < count; i++) upper[first + i * step] += distance;
  const words: number[] = [];
  for (let at = 0; at < CHARACTERS;) {
    let end = at;
    while (end < CHARACTERS && upper[end] === end) end++;
    if (end - at >= LEAST_RUN) words.push(RUN_MARK, end - at);
    else for (let i = at; i < end; i++) words.push(i);
    if (end < CHARACTERS) words.push(upper[end]);
    at = end + 1;
  }
  const record = new Record(2 * words.length);
  for (const [i, word] of words.entries()) record.u16(2 * i, word);
  return record.bytes;
}
