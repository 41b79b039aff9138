// Checksums inside of file systems, so that what was changed there can be sealed again: a driver that
// trusts its checksums then sees the change, instead of refusing all at once.
//
// Only what holds in the image as it was made is taken for a seal, so a rule that is wrong does nothing.

import { crc32c, crc32Raw } from "../../../src/format/checksum.ts";

/** A part of an image that is sealed by a checksum in it. */
export interface Seal {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Put the right checksum into these bytes of it; true if it was right already. */
  seal(bytes: Uint8Array): boolean;
}

const ONES = 0xffffffff;

/** What a rule needs: where the checksum is, and what it is of the bytes without it. */
function seal(
  offsetBytes: number,
  lengthBytes: number,
  at: number,
  width: 1 | 2 | 4,
  sum: (bytes: Uint8Array) => number,
): Seal {
  return {
    offsetBytes,
    lengthBytes,
    seal(bytes) {
      const field = bytes.subarray(at, at + width);
      const before = field.slice();
      field.fill(0);
      const value = sum(bytes);
      for (let i = 0; i < width; i++) field[i] = value >>> (8 * i);
      return before.every((byte, i) => byte === field[i]);
    },
  };
}

const number = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Superblock, group descriptors and inodes (ext4 with metadata_csum). */
function* ext4(image: Uint8Array): Generator<Seal> {
  const view = viewOf(image);
  const sb = 1024;
  yield seal(sb, 1024, 1020, 4, (bytes) => crc32c(ONES, bytes.subarray(0, 1020)));
  const blockBytes = 1024 << view.getUint32(sb + 24, true);
  const seed = crc32c(ONES, image.subarray(sb + 104, sb + 120));
  const perGroup = view.getUint32(sb + 40, true);
  const inodeBytes = view.getUint16(sb + 88, true);
  const descriptorBytes = view.getUint16(sb + 254, true) || 32;
  const groups = Math.ceil(view.getUint32(sb, true) / perGroup);
  const table = blockBytes === 1024 ? 2048 : blockBytes;
  for (let group = 0; group < groups; group++) {
    const at = table + group * descriptorBytes;
    yield seal(at, descriptorBytes, 30, 2, (bytes) => crc32c(crc32c(seed, number(group)), bytes));
    const inodes = view.getUint32(at + 8, true) * blockBytes;
    for (let i = 0; i < perGroup; i++)
      if (image[inodes + i * inodeBytes] || image[inodes + i * inodeBytes + 1])
        yield ext4Inode(inodes + i * inodeBytes, inodeBytes, group * perGroup + i + 1, seed);
  }
}

/** Its checksum is in two halves. */
function ext4Inode(offsetBytes: number, lengthBytes: number, inode: number, seed: number): Seal {
  return {
    offsetBytes,
    lengthBytes,
    seal(bytes) {
      const view = viewOf(bytes);
      const before = view.getUint16(0x7c, true) + view.getUint16(0x82, true) * 65536;
      view.setUint16(0x7c, 0, true);
      view.setUint16(0x82, 0, true);
      const own = crc32c(crc32c(seed, number(inode)), bytes.subarray(100, 104));
      const sum = crc32c(own, bytes);
      view.setUint16(0x7c, sum & 0xffff, true);
      view.setUint16(0x82, sum >>> 16, true);
      return before === sum;
    },
  };
}

/** By the magic number of a block: where its checksum is. */
const XFS_BLOCKS: Readonly<Record<string, number>> = {
  XFSB: 224,
  XAGF: 216,
  XAGI: 312,
  XAFL: 32,
  AB3B: 52,
  AB3C: 52,
  IAB3: 52,
  FIB3: 52,
  R3FC: 52,
  BMA3: 64,
  XDB3: 4,
  XDD3: 4,
  XDF3: 4,
  XSLM: 12,
  XARM: 12,
};
/** Of the blocks of directories and attributes, at 8: the checksum is at 12. */
const XFS_DA_MAGICS = new Set([0x3ebe, 0x3bee, 0x3dff, 0x3df1]);
const XFS_SECTOR = 512;
const XFS_BLOCK = 4096;

const inverted = (bytes: Uint8Array) => ~crc32c(ONES, bytes) >>> 0;

function* xfs(image: Uint8Array): Generator<Seal> {
  const inodeBytes = viewOf(image).getUint16(104, false);
  for (let at = 0; at < image.length; at += XFS_SECTOR) {
    const magic = String.fromCharCode(...image.subarray(at, at + 4));
    if (magic.startsWith("IN") && at % inodeBytes === 0)
      yield seal(at, inodeBytes, 100, 4, inverted);
    const field = XFS_BLOCKS[magic];
    if (field !== undefined) {
      yield seal(at, XFS_SECTOR, field, 4, inverted);
      if (at % XFS_BLOCK === 0) yield seal(at, XFS_BLOCK, field, 4, inverted);
    }
    if (at % XFS_BLOCK === 0 && XFS_DA_MAGICS.has(image[at + 8] * 256 + image[at + 9]))
      yield seal(at, XFS_BLOCK, 12, 4, inverted);
  }
}

const BTRFS_SUPER = 65536;
const BTRFS_NODE = 16384;

function* btrfs(image: Uint8Array): Generator<Seal> {
  const sum = (bytes: Uint8Array) => ~crc32c(ONES, bytes.subarray(32)) >>> 0;
  yield seal(BTRFS_SUPER, 4096, 0, 4, sum);
  const id = image.subarray(BTRFS_SUPER + 32, BTRFS_SUPER + 48);
  for (let at = BTRFS_NODE; at < image.length; at += 4096)
    if (Buffer.compare(image.subarray(at + 32, at + 48), id) === 0)
      yield seal(at, BTRFS_NODE, 0, 4, sum);
}

const F2FS_MAGIC = 0xf2f52010;

function* f2fs(image: Uint8Array): Generator<Seal> {
  const sum = (bytes: Uint8Array) => crc32Raw(F2FS_MAGIC, bytes.subarray(0, 4092));
  for (let at = 4096; at < Math.min(image.length, 8 << 20); at += 4096)
    yield seal(at, 4096, 4092, 4, sum);
}

function* erofs(): Generator<Seal> {
  // The checksum covers the rest of the first block.
  for (const block of [4096, 2048, 1024, 512].filter((bytes) => bytes > 1024))
    yield seal(1024, block - 1024, 4, 4, (bytes) => crc32c(ONES, bytes));
}

const EXFAT_SUMMED_SECTORS = 11;

function* exfat(image: Uint8Array): Generator<Seal> {
  const sector = 1 << image[108];
  const sumBytes = EXFAT_SUMMED_SECTORS * sector;
  for (const offsetBytes of [0, 12 * sector])
    yield {
      offsetBytes,
      lengthBytes: sumBytes + sector,
      seal(bytes) {
        let sum = 0;
        for (let i = 0; i < sumBytes; i++)
          if (i !== 106 && i !== 107 && i !== 112) sum = ((sum >>> 1) | (sum << 31)) + bytes[i];
        const view = viewOf(bytes);
        const before = view.getUint32(sumBytes, true);
        for (let at = sumBytes; at < bytes.length; at += 4) view.setUint32(at, sum >>> 0, true);
        return before === sum >>> 0;
      },
    };
}

/** The CRC of ECMA-167, 7.2.6: polynomial 0x1021, from 0. */
function crcItu(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    crc &= 0xffff;
  }
  return crc;
}

/** Descriptors: a tag with its own sum, and a CRC of what follows. */
function* udf(image: Uint8Array): Generator<Seal> {
  const tag = (bytes: Uint8Array) => bytes.subarray(0, 16).reduce((sum, byte) => sum + byte, 0);
  for (let at = 0; at + 2048 <= image.length; at += 512) {
    const length = image[at + 10] + image[at + 11] * 256;
    if (length === 0 || length > 2032) continue;
    yield {
      offsetBytes: at,
      lengthBytes: 2048,
      seal(bytes) {
        const view = viewOf(bytes);
        const [crc, sum] = [view.getUint16(8, true), bytes[4]];
        view.setUint16(8, crcItu(bytes.subarray(16, 16 + length)), true);
        bytes[4] = 0;
        bytes[4] = tag(bytes);
        return crc === view.getUint16(8, true) && sum === bytes[4];
      },
    };
  }
}

const RULES: Readonly<Record<string, (image: Uint8Array) => Generator<Seal>>> = {
  ext4,
  xfs,
  btrfs,
  f2fs,
  erofs,
  exfat,
  udf,
};

/** The seals in an image. */
export function sealsOf(type: string, image: Uint8Array): Seal[] {
  const found: Seal[] = [];
  for (const one of RULES[type]?.(image) ?? []) {
    const bytes = image.slice(one.offsetBytes, one.offsetBytes + one.lengthBytes);
    if (bytes.length === one.lengthBytes && one.seal(bytes)) found.push(one);
  }
  return found;
}
