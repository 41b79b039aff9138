// The superblock and its copies, each with the group descriptors after it.
//
// Layout: struct ext4_super_block of fs/ext4/ext4.h.

import { crc32c } from "../checksum.ts";
import { Record } from "../record.ts";
import { descriptorsIn, groupStart, hasSuperblock } from "./geometry.ts";
import { FIRST_FREE_INODE } from "./geometry.ts";
import type { GroupTotals } from "./groups.ts";
import { EXTRA_BYTES, SHORT_INODE_BYTES } from "./inode.ts";
import { JOURNAL_INODE } from "./journal.ts";
import type { Journal } from "./journal.ts";
import type { QuotaInodes } from "./quota.ts";
import type { ExtVolume } from "./volume.ts";

const SUPERBLOCK_BYTES = 1024;
/** Where the first one is, whatever the size of a block. */
const SUPERBLOCK_OFFSET = 1024;
const MAGIC = 0xef53;
const STATE_CLEAN = 1;
const ERRORS_CONTINUE = 1;
const DYNAMIC_REVISION = 1;
const NEVER = 0xffff;
const HASH_HALF_MD4 = 1;
const JOURNAL_BACKUP = 1;
/** Extended attributes of users, and ACLs: EXT4_DEFM_XATTR_USER and EXT4_DEFM_ACL. */
const MOUNT_OPTIONS = 0x4 | 0x8;
const SIGNED_HASH = 1;
const CHECKSUM_CRC32C = 1;
/** FS_ENCRYPTION_MODE_AES_256_XTS and _CTS of include/uapi/linux/fscrypt.h. */
const ENCRYPTION_MODES = [1, 4];
/** UTF-8 of Unicode 12.1: EXT4_ENC_UTF8_12_1. */
const ENCODING_UTF8 = 1;
const CHECKSUM_AT = 0x3fc;

export interface SuperblockFields {
  readonly label: Uint8Array;
  readonly reservedBlocks: number;
  /** Four numbers for hashes of names, and a salt for encryption. */
  readonly hashSeed: Uint8Array;
  readonly encryptionSalt: Uint8Array;
  readonly journal: Journal | undefined;
  readonly orphanFile: number | undefined;
  readonly quota: QuotaInodes | undefined;
  readonly totals: GroupTotals;
}

/** Write all superblocks and descriptors. */
export function writeSuperblocks(volume: ExtVolume, fields: SuperblockFields): void {
  const { geometry, image } = volume;
  const { blockBytes } = geometry;
  for (let group = 0; group < geometry.groups; group++) {
    const start = groupStart(geometry, group);
    if (hasSuperblock(geometry, group)) {
      const bytes = superblock(volume, fields, group).bytes;
      image.write(group === 0 ? SUPERBLOCK_OFFSET : start * blockBytes, bytes);
    }
    const { first, count, at } = descriptorsIn(geometry, group);
    const table = fields.totals.descriptors;
    volume.writeBlocks(at, table.subarray(first * blockBytes, (first + count) * blockBytes));
  }
  // There may be a boot sector of another system, which the kernel could take this for.
  image.zero(0, SUPERBLOCK_OFFSET);
}

function superblock(volume: ExtVolume, fields: SuperblockFields, group: number): Record {
  const { geometry, features, timeSeconds } = volume;
  const record = new Record(SUPERBLOCK_BYTES);
  putCounts(record, volume, fields);
  const time = timeSeconds % 2 ** 32;
  const timeHigh = Math.floor(timeSeconds / 2 ** 32);
  record
    .u32(0x30, time)
    .u16(0x36, NEVER)
    .u16(0x38, MAGIC)
    .u16(0x3a, STATE_CLEAN)
    .u16(0x3c, ERRORS_CONTINUE)
    .u32(0x40, time)
    .u32(0x4c, DYNAMIC_REVISION)
    .u32(0x54, FIRST_FREE_INODE)
    .u16(0x58, geometry.inodeBytes)
    .u16(0x5a, group % 2 ** 16)
    .u32(0x5c, features.word("compat"))
    .u32(0x60, features.word("incompat"))
    .u32(0x64, features.word("readOnlyCompat"))
    .uuid(0x68, volume.uuid)
    .set(0x78, fields.label)
    .u16(0xce, geometry.reservedDescriptorBlocks)
    .set(0xec, fields.hashSeed)
    .u8(0xfc, HASH_HALF_MD4)
    .u16(0xfe, features.has("64bit") ? geometry.descriptorBytes : 0)
    .u32(0x100, MOUNT_OPTIONS)
    .u32(0x108, time)
    .u32(0x160, SIGNED_HASH)
    .u8(0x274, timeHigh)
    .u8(0x276, timeHigh)
    .u8(0x277, timeHigh);
  putFeatureFields(record, volume, fields);
  if (features.has("metadata_csum"))
    record.u32(CHECKSUM_AT, crc32c(0xffffffff, record.part(0, CHECKSUM_AT)));
  return record;
}

function putCounts(record: Record, volume: ExtVolume, fields: SuperblockFields): void {
  const { geometry } = volume;
  const { totals, reservedBlocks } = fields;
  const high = (value: number) => Math.floor(value / 2 ** 32);
  const logBlock = Math.log2(geometry.blockBytes) - 10;
  record
    .u32(0x00, geometry.inodesPerGroup * geometry.groups)
    .u32(0x04, geometry.blocks % 2 ** 32)
    .u32(0x08, reservedBlocks % 2 ** 32)
    .u32(0x0c, totals.freeBlocks % 2 ** 32)
    .u32(0x10, totals.freeInodes)
    .u32(0x14, geometry.firstBlock)
    .u32(0x18, logBlock)
    .u32(0x1c, logBlock)
    .u32(0x20, geometry.blocksPerGroup)
    .u32(0x24, geometry.blocksPerGroup)
    .u32(0x28, geometry.inodesPerGroup)
    .u32(0x150, high(geometry.blocks))
    .u32(0x154, high(reservedBlocks))
    .u32(0x158, high(totals.freeBlocks));
}

function putFeatureFields(record: Record, volume: ExtVolume, fields: SuperblockFields): void {
  const { features, geometry } = volume;
  const { journal } = fields;
  if (journal)
    record
      .u32(0xe0, JOURNAL_INODE)
      .u8(0xfd, JOURNAL_BACKUP)
      .set(0x10c, journal.pointers)
      .u32(0x148, Math.floor(journal.sizeBytes / 2 ** 32))
      .u32(0x14c, journal.sizeBytes % 2 ** 32);
  if (geometry.inodeBytes > SHORT_INODE_BYTES)
    record.u16(0x15c, EXTRA_BYTES).u16(0x15e, EXTRA_BYTES);
  if (features.has("flex_bg")) record.u8(0x174, Math.log2(geometry.groupsPerFlex));
  if (features.has("metadata_csum")) record.u8(0x175, CHECKSUM_CRC32C);
  if (features.has("metadata_csum_seed")) record.u32(0x270, volume.checksumSeed);
  if (fields.quota)
    record
      .u32(0x240, fields.quota.user)
      .u32(0x244, fields.quota.group)
      .u32(0x26c, fields.quota.project ?? 0);
  if (features.has("encrypt"))
    record.set(0x254, ENCRYPTION_MODES).set(0x258, fields.encryptionSalt);
  if (features.has("casefold")) record.u16(0x27c, ENCODING_UTF8);
  if (fields.orphanFile !== undefined) record.u32(0x280, fields.orphanFile);
}
