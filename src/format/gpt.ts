// GUID partition tables: a header and entries at the start, the same at the end, and an MBR that says
// that the disk is in use.

import { crc32 } from "./checksum.ts";
import { MkfsError } from "./errors.ts";
import { checkUuid, newUuid } from "./identity.ts";
import { protectiveMbr } from "./mbr.ts";
import { placePartitions, wrong } from "./partition-plan.ts";
import type { MadePartition, MadeTable, PartitionSpec, TableRequest } from "./partition-request.ts";
import { knownType, PARTITION_TYPE_NAMES } from "./partition-types.ts";
import { Record } from "./record.ts";

const ENTRIES = 128;
const ENTRY_BYTES = 128;
const HEADER_BYTES = 92;
const REVISION = 0x00010000;
const NAME_UNITS = 36;
const NAME_AT = 56;
const LEGACY_BOOTABLE = 4;
const NO_TYPE = "00000000-0000-0000-0000-000000000000";

/** Decide a GPT, and hand it to the image. */
export function planGpt(request: TableRequest): MadeTable {
  const { image, blockBytes, alignment, random, specs } = request;
  const blocks = image.sizeBytes / blockBytes;
  const entryBlocks = (ENTRIES * ENTRY_BYTES) / blockBytes;
  const first = 2 + entryBlocks;
  const end = blocks - 1 - entryBlocks;
  if (end <= first)
    throw new MkfsError(
      "ENOSPC",
      `a disk of ${image.sizeBytes} bytes is too small for a GPT: it needs at least ${2 * first * blockBytes}`,
      { syscall: "partition" },
    );
  const id = request.id === undefined ? newUuid(random) : checkUuid(request.id, "id", "partition");
  const space = { start: first, end, blockBytes, alignment };
  const wishes = specs.map(({ startBytes, sizeBytes = "rest" }) => ({
    startBytes,
    sizeBytes,
    lead: 0,
  }));
  const places = placePartitions(space, wishes);
  const entries = new Record(ENTRIES * ENTRY_BYTES);
  const partitions: MadePartition[] = [];
  for (const [i, spec] of specs.entries()) {
    const { start, end } = places[i];
    const made = {
      number: i + 1,
      startBytes: start * blockBytes,
      sizeBytes: (end - start) * blockBytes,
      typeId: typeOf(spec, i + 1),
      uuid: spec.uuid === undefined ? newUuid(random) : checkUuid(spec.uuid, "uuid", "partition"),
    };
    if (partitions.some(({ uuid }) => uuid === made.uuid))
      throw wrong(`two partitions have the same uuid ${made.uuid}`);
    partitions.push(made);
    putEntry(entries, i * ENTRY_BYTES, spec, made, blockBytes);
  }
  const header = (at: number, other: number, entriesAt: number) =>
    headerOf({ blockBytes, at, other, entriesAt, first, last: end - 1, id }, entries.bytes);
  image.write(0, protectiveMbr(blockBytes, blocks));
  image.write(blockBytes, header(1, blocks - 1, 2));
  image.write(2 * blockBytes, entries.bytes);
  image.write(end * blockBytes, entries.bytes);
  image.write((blocks - 1) * blockBytes, header(blocks - 1, 1, end));
  return { table: "gpt", id, partitions };
}

function typeOf({ type = "linux" }: PartitionSpec, number: number): string {
  if (typeof type === "number")
    throw wrong(`type of partition ${number}: GPT has GUIDs, ${type} is a byte of MBR`);
  const known = knownType(type);
  if (known) return known.guid;
  const isGuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(type);
  if (!isGuid || type === NO_TYPE)
    throw wrong(
      `type of partition ${number}: "${type}" is neither a GUID nor one of ${PARTITION_TYPE_NAMES.join(", ")}`,
    );
  return type.toLowerCase();
}

function putEntry(
  entries: Record,
  at: number,
  { name = "", bootable = false }: PartitionSpec,
  made: MadePartition,
  blockBytes: number,
): void {
  if (name.length > NAME_UNITS || name.includes("\0"))
    throw wrong(`name "${name}" has a NUL, or more than ${NAME_UNITS} UTF-16 units`);
  entries
    .guid(at, made.typeId)
    .guid(at + 16, made.uuid)
    .u64(at + 32, made.startBytes / blockBytes)
    .u64(at + 40, (made.startBytes + made.sizeBytes) / blockBytes - 1)
    .u64(at + 48, bootable ? LEGACY_BOOTABLE : 0);
  for (let i = 0; i < name.length; i++) entries.u16(at + NAME_AT + 2 * i, name.charCodeAt(i));
}

interface HeaderFields {
  readonly blockBytes: number;
  /** Where this header is, where the other one, and where this one's entries begin. */
  readonly at: number;
  readonly other: number;
  readonly entriesAt: number;
  /** Blocks for partitions. */
  readonly first: number;
  readonly last: number;
  readonly id: string;
}

function headerOf(fields: HeaderFields, entries: Uint8Array): Uint8Array {
  const header = new Record(fields.blockBytes)
    .ascii(0, "EFI PART")
    .u32(8, REVISION)
    .u32(12, HEADER_BYTES)
    .u64(24, fields.at)
    .u64(32, fields.other)
    .u64(40, fields.first)
    .u64(48, fields.last)
    .guid(56, fields.id)
    .u64(72, fields.entriesAt)
    .u32(80, ENTRIES)
    .u32(84, ENTRY_BYTES)
    .u32(88, crc32(entries));
  return header.u32(16, crc32(header.part(0, HEADER_BYTES))).bytes;
}
