// Partition tables: what the kernel does not tell of them, the types and the identifiers.
//
// Layouts: GPT is from the UEFI specification 2.10, chapter 5.3; MBR, which no standard defines,
// is as block/partitions/msdos.c of the kernel reads it.

import { crc32 } from "../format/checksum.ts";
import { EXTENDED_TYPES, GPT_TYPE_NAMES, MBR_TYPE_NAMES } from "../format/partition-types.ts";
import { Fields } from "./bytes.ts";
import type { ReadAt } from "./files.ts";

/** A partition, as the table has it. */
export interface TableEntry {
  /** From 1, as the kernel counts. */
  readonly number: number;
  readonly startBytes: number;
  readonly sizeBytes: number;
  /** The type's number: a GUID, or two hexadecimal digits. */
  readonly typeId: string;
  /** The type's name, if it is a common one. */
  readonly typeName: string | undefined;
  /** GPT only. */
  readonly name: string | undefined;
  /** PARTUUID, as udev has it. */
  readonly uuid: string | undefined;
  /** MBR: marked as active. GPT: legacy BIOS bootable. */
  readonly bootable: boolean;
}

export interface PartitionTable {
  readonly type: "gpt" | "mbr";
  /** The disk's GUID, or its 32-bit signature in hexadecimal. */
  readonly id: string | undefined;
  /** GPT: the table at the start is damaged, this is the copy at the disk's end. */
  readonly fromBackup: boolean;
  readonly entries: readonly TableEntry[];
}

/** The most entries of a GPT that are looked at; 128 are usual. */
const MAX_ENTRIES = 1024;
/** The most logical partitions that are followed: the kernel itself stops at 255. */
const MAX_LOGICAL = 255;

/** Read a disk's partition table; null if it has none. Damaged parts are left out. */
export async function readPartitionTable(
  read: ReadAt,
  sizeBytes: number,
  blockBytes: number,
): Promise<PartitionTable | null> {
  const first = new Fields(await read(0, 512), 512);
  if (first.u16(510) !== 0xaa55) return null;
  const protective = [0, 1, 2, 3].some((i) => first.u8(446 + 16 * i + 4) === 0xee);
  if (protective) {
    const lastBlock = Math.floor(sizeBytes / blockBytes) - 1;
    const table = await readGpt(read, 1, blockBytes);
    if (table) return table;
    const backup = await readGpt(read, lastBlock, blockBytes);
    if (backup) return { ...backup, fromBackup: true };
  }
  return readMbr(read, first, blockBytes);
}

async function readGpt(
  read: ReadAt,
  block: number,
  blockBytes: number,
): Promise<PartitionTable | null> {
  const header = new Fields(await read(block * blockBytes, 512), 512);
  if (!header.is(0, "EFI PART")) return null;
  const count = Math.min(header.u32(80), MAX_ENTRIES);
  const entryBytes = header.u32(84);
  if (entryBytes < 128 || entryBytes > 4096 || header.u64(24) !== block) return null;
  if (!isIntact(header)) return null;
  const bytes = await read(header.u64(72) * blockBytes, count * entryBytes);
  if (count === header.u32(80) && crc32(bytes) !== header.u32(88)) return null;
  const entries: TableEntry[] = [];
  for (let at = 0; at + entryBytes <= bytes.length; at += entryBytes) {
    const entry = new Fields(bytes.subarray(at, at + entryBytes));
    const typeId = entry.guid(0);
    if (/^[0-]*$/.test(typeId)) continue;
    const first = entry.u64(32);
    entries.push({
      number: at / entryBytes + 1,
      startBytes: first * blockBytes,
      sizeBytes: (entry.u64(40) - first + 1) * blockBytes,
      typeId,
      typeName: GPT_TYPE_NAMES[typeId],
      name: entry.text(56, 72, "utf-16le") || undefined,
      uuid: entry.guid(16),
      bootable: (entry.u32(48) & 4) !== 0,
    });
  }
  return { type: "gpt", id: header.guid(56), fromBackup: false, entries };
}

/** Whether a GPT header has the checksum that it says, taken with that field as 0. */
function isIntact(header: Fields): boolean {
  const lengthBytes = header.u32(12);
  if (lengthBytes < 92 || lengthBytes > header.bytes.length) return false;
  const bytes = header.bytes.slice(0, lengthBytes);
  bytes.fill(0, 16, 20);
  return crc32(bytes) === header.u32(16);
}

interface MbrEntry {
  readonly type: number;
  readonly active: boolean;
  readonly start: number;
  readonly length: number;
}

function mbrEntries(sector: Fields): MbrEntry[] {
  return [0, 1, 2, 3].map((i) => {
    const at = 446 + 16 * i;
    return {
      type: sector.u8(at + 4),
      active: sector.u8(at) === 0x80,
      start: sector.u32(at + 8),
      length: sector.u32(at + 12),
    };
  });
}

async function readMbr(
  read: ReadAt,
  first: Fields,
  blockBytes: number,
): Promise<PartitionTable | null> {
  const primary = mbrEntries(first);
  // A FAT boot sector has the same signature, but code where the table would be.
  const flags = [0, 1, 2, 3].map((i) => first.u8(446 + 16 * i));
  if (flags.some((flag) => flag !== 0 && flag !== 0x80)) return null;
  if (!primary.some((entry) => entry.type && entry.length)) return null;
  const id = first.u32(440).toString(16).padStart(8, "0");
  const entries: TableEntry[] = [];
  const add = (entry: MbrEntry, start: number, number: number) =>
    entries.push({
      number,
      startBytes: start * blockBytes,
      sizeBytes: entry.length * blockBytes,
      typeId: entry.type.toString(16).padStart(2, "0"),
      typeName: MBR_TYPE_NAMES[entry.type],
      name: undefined,
      uuid: id === "00000000" ? undefined : `${id}-${number.toString(16).padStart(2, "0")}`,
      bootable: entry.active,
    });
  for (const [i, entry] of primary.entries())
    if (entry.type && entry.length) add(entry, entry.start, i + 1);
  const extended = primary.find((entry) => EXTENDED_TYPES.has(entry.type));
  // A chain of tables, each with one partition and where the next table is.
  let at = extended?.start ?? 0;
  for (let number = 5; at && number < 5 + MAX_LOGICAL; number++) {
    const sector = new Fields(await read(at * blockBytes, 512), 512);
    if (sector.u16(510) !== 0xaa55) break;
    const parts = mbrEntries(sector);
    const logical = parts.find((part) => part.length && !EXTENDED_TYPES.has(part.type));
    if (logical) add(logical, at + logical.start, number);
    const next = parts.find((part) => part.length && EXTENDED_TYPES.has(part.type));
    at = next ? extended!.start + next.start : 0;
  }
  return { type: "mbr", id: id === "00000000" ? undefined : id, fromBackup: false, entries };
}
