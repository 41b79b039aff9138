// Partition tables: what the kernel does not tell of them, the types and the identifiers.
//
// Layouts: GPT is from the UEFI specification 2.10, chapter 5.3; MBR, which no standard defines,
// is as block/partitions/msdos.c of the kernel reads it.

import { crc32 } from "../format/checksum.ts";
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

const GPT_TYPES: Readonly<Record<string, string>> = {
  "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "EFI system",
  "21686148-6449-6e6f-744e-656564454649": "BIOS boot",
  "0fc63daf-8483-4772-8e79-3d69d8477de4": "Linux file system",
  "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "Linux swap",
  "e6d6d379-f507-44c2-a23c-238f2a3df928": "Linux LVM",
  "a19d880f-05fc-4d3b-a006-743f0f84911e": "Linux RAID",
  "933ac7e1-2eb4-4f13-b844-0e14e2aef915": "Linux home",
  "3b8f8425-20e0-4f3b-907f-1a25a76f98e8": "Linux server data",
  "bc13c2ff-59e6-4262-a352-b275fd6f7172": "Linux extended boot",
  "ca7d7ccb-63ed-4c53-861c-1742536059cc": "Linux LUKS",
  "4f68bce3-e8cd-4db1-96e7-fbcaf984b709": "Linux root (x86-64)",
  "44479540-f297-41b2-9af7-d131d5f0458a": "Linux root (x86)",
  "b921b045-1df0-41c3-af44-4c6f280d3fae": "Linux root (arm64)",
  "69dad710-2ce4-4e3c-b16c-21a1d49abed3": "Linux root (arm)",
  "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7": "Microsoft basic data",
  "e3c9e316-0b5c-4db8-817d-f92df00215ae": "Microsoft reserved",
  "de94bba4-06d1-4d40-a16a-bfd50179d6ac": "Windows recovery",
  "48465300-0000-11aa-aa11-00306543ecac": "Apple HFS+",
  "7c3457ef-0000-11aa-aa11-00306543ecac": "Apple APFS",
  "fe3a2a5d-4f32-41a7-b725-accc3285a309": "ChromeOS kernel",
  "3cb8e202-3b7e-47dd-8a3c-7ff2a13cfcec": "ChromeOS root",
};

const MBR_TYPES: Readonly<Record<number, string>> = {
  0x01: "FAT12",
  0x04: "FAT16 (small)",
  0x05: "extended",
  0x06: "FAT16",
  0x07: "NTFS or exFAT",
  0x0b: "FAT32",
  0x0c: "FAT32 (LBA)",
  0x0e: "FAT16 (LBA)",
  0x0f: "extended (LBA)",
  0x81: "Minix",
  0x82: "Linux swap",
  0x83: "Linux",
  0x85: "Linux extended",
  0x8e: "Linux LVM",
  0xa5: "FreeBSD",
  0xa6: "OpenBSD",
  0xa9: "NetBSD",
  0xaf: "Apple HFS+",
  0xda: "raw data",
  0xee: "GPT protective",
  0xef: "EFI system",
  0xfd: "Linux RAID",
};

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
      typeName: GPT_TYPES[typeId],
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

const EXTENDED = new Set([0x05, 0x0f, 0x85]);

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
      typeName: MBR_TYPES[entry.type],
      name: undefined,
      uuid: id === "00000000" ? undefined : `${id}-${number.toString(16).padStart(2, "0")}`,
      bootable: entry.active,
    });
  for (const [i, entry] of primary.entries())
    if (entry.type && entry.length) add(entry, entry.start, i + 1);
  const extended = primary.find((entry) => EXTENDED.has(entry.type));
  // A chain of tables, each with one partition and where the next table is.
  let at = extended?.start ?? 0;
  for (let number = 5; at && number < 5 + MAX_LOGICAL; number++) {
    const sector = new Fields(await read(at * blockBytes, 512), 512);
    if (sector.u16(510) !== 0xaa55) break;
    const parts = mbrEntries(sector);
    const logical = parts.find((part) => part.length && !EXTENDED.has(part.type));
    if (logical) add(logical, at + logical.start, number);
    const next = parts.find((part) => part.length && EXTENDED.has(part.type));
    at = next ? extended!.start + next.start : 0;
  }
  return { type: "mbr", id: id === "00000000" ? undefined : id, fromBackup: false, entries };
}
