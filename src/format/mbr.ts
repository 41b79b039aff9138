// Master boot records: four partitions, or three and a chain of logical ones in an extended one. Each
// of the chain has a table of its own, with itself and the part of the chain that follows.

import { MkfsError } from "./errors.ts";
import { randomU32 } from "./identity.ts";
import { placePartitions, wrong } from "./partition-plan.ts";
import type { Extent } from "./partition-plan.ts";
import type { MadePartition, MadeTable, PartitionSpec, TableRequest } from "./partition-request.ts";
import { EXTENDED_TYPES, knownType, PARTITION_TYPE_NAMES } from "./partition-types.ts";
import { Record } from "./record.ts";

const PRIMARY = 4;
const FIRST_LOGICAL = 5;
const MAX_U32 = 2 ** 32 - 1;
const SIGNATURE_AT = 440;
const ENTRIES_AT = 446;
const ENTRY_BYTES = 16;
const ACTIVE = 0x80;
const TYPE_EXTENDED = 0x0f;
const TYPE_NEXT = 0x05;
const TYPE_PROTECTIVE = 0xee;
/** Heads and sectors of a cylinder, as all systems pretend that disks have them. */
const HEADS = 255;
const TRACK_SECTORS = 63;
const MAX_CYLINDERS = 1024;

interface Entry extends Extent {
  readonly type: number;
  readonly active: boolean;
}

/** A block with a table; `base`: what the starts of its entries count from. */
function tableBlock(
  blockBytes: number,
  entries: readonly (readonly [entry: Entry, base: number])[],
): Record {
  const record = new Record(blockBytes).u16(510, 0xaa55);
  for (const [i, [{ start, end, type, active }, base]] of entries.entries())
    record
      .u8(ENTRIES_AT + i * ENTRY_BYTES, active ? ACTIVE : 0)
      .set(ENTRIES_AT + i * ENTRY_BYTES + 1, cylinderAddress(start))
      .u8(ENTRIES_AT + i * ENTRY_BYTES + 4, type)
      .set(ENTRIES_AT + i * ENTRY_BYTES + 5, cylinderAddress(end - 1))
      .u32(ENTRIES_AT + i * ENTRY_BYTES + 8, start - base)
      .u32(ENTRIES_AT + i * ENTRY_BYTES + 12, end - start);
  return record;
}

/** Head, sector and cylinder; the last that there are for what is beyond. */
function cylinderAddress(block: number): number[] {
  const cylinder = Math.floor(block / (HEADS * TRACK_SECTORS));
  if (cylinder >= MAX_CYLINDERS) return [HEADS - 1, 0xff, 0xff];
  const head = Math.floor(block / TRACK_SECTORS) % HEADS;
  const sector = (block % TRACK_SECTORS) + 1;
  return [head, sector | ((cylinder >> 8) << 6), cylinder & 0xff];
}

/** What keeps those who know no GPT from thinking that the disk is empty. */
export function protectiveMbr(blockBytes: number, blocks: number): Uint8Array {
  const end = Math.min(blocks, MAX_U32 + 1);
  const entry = { start: 1, end, type: TYPE_PROTECTIVE, active: false };
  return tableBlock(blockBytes, [[entry, 0]]).bytes;
}

/** Decide an MBR, and hand it to the image. */
export function planMbr(request: TableRequest): MadeTable {
  const { image, blockBytes, alignment, specs } = request;
  const primary = specs.length > PRIMARY ? PRIMARY - 1 : specs.length;
  const isLogical = (index: number) => index >= primary;
  const end = image.sizeBytes / blockBytes;
  const wishes = specs.map(({ startBytes, sizeBytes = "rest" }, i) => ({
    startBytes,
    sizeBytes,
    lead: isLogical(i) ? alignment : 0,
  }));
  const places = placePartitions({ start: 1, end, blockBytes, alignment }, wishes);
  for (const [i, place] of places.entries())
    if (place.end > MAX_U32)
      throw new MkfsError(
        "EFBIG",
        `partition ${i + 1} ends beyond block ${MAX_U32}, which is all that MBR can count: use GPT`,
        { syscall: "partition", option: "partitions" },
      );
  if (specs.filter(({ bootable }) => bootable).length > 1)
    throw wrong("only one partition of an MBR can be bootable");
  const id = signature(request);
  const entries = specs.map((spec, i) => ({
    ...places[i],
    type: typeOf(spec, i + 1),
    active: spec.bootable ?? false,
  }));
  const first = entries.slice(0, primary).map((entry) => [entry, 0] as const);
  if (specs.length > primary) {
    const extended = writeLogical(request, places, entries.slice(primary));
    first.push([extended, 0]);
  }
  const table = tableBlock(blockBytes, first).u32(SIGNATURE_AT, id);
  image.write(0, table.bytes);
  const idText = id.toString(16).padStart(8, "0");
  const partitions = entries.map(({ start, end, type }, i): MadePartition => {
    const number = isLogical(i) ? i - primary + FIRST_LOGICAL : i + 1;
    return {
      number,
      startBytes: start * blockBytes,
      sizeBytes: (end - start) * blockBytes,
      typeId: type.toString(16).padStart(2, "0"),
      uuid: `${idText}-${number.toString(16).padStart(2, "0")}`,
    };
  });
  return { table: "mbr", id: idText, partitions };
}

function signature({ id, random }: TableRequest): number {
  if (id === undefined) return randomU32(random) || 1;
  if (!/^(0x)?[0-9a-f]{8}$/i.test(id))
    throw new MkfsError("EINVAL", `"${id}" is no signature of 8 hexadecimal digits`, {
      syscall: "partition",
      option: "id",
    });
  return parseInt(id.replace(/^0x/i, ""), 16);
}

function typeOf({ type = "linux", name, uuid }: PartitionSpec, number: number): number {
  if (name !== undefined || uuid !== undefined)
    throw wrong(`partition ${number}: MBR has neither names nor UUIDs of partitions: use GPT`);
  const byte = typeof type === "number" ? type : knownType(type)?.byte;
  if (byte === undefined)
    throw wrong(
      `type of partition ${number}: MBR has no "${type}"; give a byte, or one of ${PARTITION_TYPE_NAMES.join(", ")}`,
    );
  if (!Number.isInteger(byte) || byte < 1 || byte > 0xff || EXTENDED_TYPES.has(byte))
    throw wrong(
      `type of partition ${number}: ${byte} is no byte, or an extended one, which is made by itself`,
    );
  return byte;
}

/** Write the chain. @returns the extended partition */
function writeLogical(
  { image, blockBytes, alignment }: TableRequest,
  places: readonly Extent[],
  entries: readonly Entry[],
): Entry {
  const heads = entries.map((entry, i) => {
    const ends = places.filter(({ start }) => start < entry.start).map(({ end }) => end);
    const head = Math.max(1, entry.start - alignment, ...ends);
    if (head >= entry.start)
      throw wrong(
        `logical partition ${i + FIRST_LOGICAL} needs a block before it, for its own table`,
      );
    return head;
  });
  const extended: Entry = {
    start: heads[0],
    end: entries.at(-1)?.end ?? heads[0],
    type: TYPE_EXTENDED,
    active: false,
  };
  const inside = places.filter(({ start, end }) => start < extended.end && end > extended.start);
  const inOrder = entries.every((entry, i) => i === 0 || entry.start > entries[i - 1].start);
  if (!inOrder || inside.length > entries.length)
    throw wrong("logical partitions, those from the fourth on, must be in order and in a row");
  for (const [i, entry] of entries.entries()) {
    const table: (readonly [Entry, number])[] = [[entry, heads[i]]];
    const next = entries[i + 1];
    if (next)
      table.push([
        { start: heads[i + 1], end: next.end, type: TYPE_NEXT, active: false },
        extended.start,
      ]);
    image.write(heads[i] * blockBytes, tableBlock(blockBytes, table).bytes);
  }
  return extended;
}
