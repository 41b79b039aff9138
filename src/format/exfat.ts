// exFAT, as Windows and mkfs.exfat make it.
//
// Layout: Microsoft's "exFAT file system specification", revision 1.00.

import { invalid, tooLarge, tooSmall } from "./errors.ts";
import { upcaseTable } from "./exfat-upcase.ts";
import { serialNumber, serialText } from "./fat-names.ts";
import type { CommonOptions, Formatted, Target } from "./formatter.ts";
import { checkUuid } from "./identity.ts";
import { leastFitting } from "./least.ts";
import { Record } from "./record.ts";

/**
 * Options of exFAT. A label has at most 11 UTF-16 units. The `uuid` is a serial number such as
 * 12AB-34CD.
 */
export interface ExfatOptions extends CommonOptions {
  type: "exfat";
  /** A power of two from the disk's block to 32 MiB. Default: 4 KiB, 32 KiB, 128 KiB by the size. */
  clusterSizeBytes?: number;
  /**
   * A GUID in the root directory. Default: none, which is usual: fsck.exfat of exfatprogs 1.2.0 knows
   * no such entry, and asks whether to delete it.
   */
  volumeGuid?: string;
}

const LEAST_BYTES = 1 << 20;
const MAX_CLUSTER_BYTES = 32 << 20;
const MAX_CLUSTERS = 2 ** 32 - 11;
/** Microsoft's default clusters, up to a size. */
const CLUSTERS: readonly (readonly [upToBytes: number, clusterBytes: number])[] = [
  [2 ** 28, 4096],
  [2 ** 35, 32768],
  [Infinity, 131072],
];
/** Where the FAT and the clusters begin: at multiples of this, by the size of the disk. */
const BOUNDARIES: readonly (readonly [upToBytes: number, boundaryBytes: number])[] = [
  [2 ** 24, 4096],
  [2 ** 28, 65536],
  [Infinity, 1048576],
];
/** Boot sector, eight that extend it, two more, and their checksum; and all that again. */
const BOOT_SECTORS = 12;
const EXTENDED_SECTORS = 8;
const CHECKSUM_SECTOR = 11;
const FIRST_CLUSTER = 2;
const END_OF_CHAIN = 0xffffffff;
const MEDIA = 0xfffffff8;
const HALT = 0xf4;
const ENTRY_BYTES = 32;
const LABEL_UNITS = 11;
const ENTRY_LABEL = 0x83;
const ENTRY_BITMAP = 0x81;
const ENTRY_UPCASE = 0x82;
const ENTRY_GUID = 0xa0;

interface Layout {
  readonly sectorBytes: number;
  readonly sectors: number;
  readonly clusterBytes: number;
  readonly clusters: number;
  readonly fatOffset: number;
  readonly fatSectors: number;
  readonly heapOffset: number;
}

/** Clusters in a row. */
interface Allocation {
  readonly first: number;
  readonly count: number;
  readonly bytes: number;
}

interface Allocations {
  readonly bitmap: Allocation;
  readonly table: Allocation;
  readonly root: Allocation;
  readonly used: number;
}

/** Make an exFAT. */
export function formatExfat(target: Target, options: ExfatOptions): Formatted {
  const { sizeBytes } = target;
  const label = checkLabel(options.label ?? "");
  const serial = serialNumber(target.random, options.uuid);
  if (sizeBytes < LEAST_BYTES) throw tooSmall("exfat", sizeBytes, LEAST_BYTES);
  const clusterBytes = clusterBytesOf(target, options);
  const { blockSizeBytes } = target;
  const layout = layOut(sizeBytes, blockSizeBytes, clusterBytes);
  if (!hasRoom(layout)) {
    const enough = (blocks: number) =>
      hasRoom(layOut(blocks * blockSizeBytes, blockSizeBytes, clusterBytes));
    const least = leastFitting(sizeBytes / blockSizeBytes, MAX_CLUSTERS, enough);
    throw tooSmall("exfat", sizeBytes, least * blockSizeBytes);
  }
  write(target, layout, {
    label,
    serial,
    guid:
      options.volumeGuid === undefined ? undefined : checkUuid(options.volumeGuid, "volumeGuid"),
  });
  return {
    type: "exfat",
    label,
    uuid: serialText(serial),
    sizeBytes,
    blockSizeBytes: layout.clusterBytes,
  };
}

function checkLabel(label: string): string {
  if (label.length > LABEL_UNITS)
    throw invalid("label", `"${label}" has more than ${LABEL_UNITS} UTF-16 units`);
  if (!label.isWellFormed()) throw invalid("label", "it has half of a surrogate pair");
  // oxlint-disable-next-line no-control-regex
  if (/[\0-\x1f]/.test(label)) throw invalid("label", "it has a control character");
  return label;
}

function forSize(rows: readonly (readonly [number, number])[], sizeBytes: number): number {
  return rows.find(([upTo]) => sizeBytes <= upTo)?.[1] ?? MAX_CLUSTER_BYTES;
}

function clusterBytesOf(target: Target, options: ExfatOptions): number {
  const { sizeBytes, blockSizeBytes } = target;
  let bytes = options.clusterSizeBytes ?? forSize(CLUSTERS, sizeBytes);
  if (!Number.isInteger(Math.log2(bytes)) || bytes < blockSizeBytes || bytes > MAX_CLUSTER_BYTES)
    throw invalid(
      "clusterSizeBytes",
      `${bytes} is no power of two from ${blockSizeBytes} to ${MAX_CLUSTER_BYTES}`,
    );
  const tooMany = () => sizeBytes / bytes > MAX_CLUSTERS;
  if (options.clusterSizeBytes === undefined)
    while (tooMany() && bytes < MAX_CLUSTER_BYTES) bytes *= 2;
  if (tooMany()) throw tooLarge("exfat", sizeBytes, MAX_CLUSTERS * bytes);
  return bytes;
}

/** What the file system itself has: the bitmap of clusters, the table of letters, the root. */
function allocate({ clusterBytes, clusters }: Layout): Allocations {
  let next = FIRST_CLUSTER;
  const take = (bytes: number): Allocation => {
    const first = next;
    const count = Math.ceil(bytes / clusterBytes);
    next += count;
    return { first, count, bytes };
  };
  const bitmap = take(Math.ceil(clusters / 8));
  const table = take(upcaseTable().length);
  const root = take(clusterBytes);
  return { bitmap, table, root, used: next - FIRST_CLUSTER };
}

/** Whether there is a cluster for files. */
function hasRoom(layout: Layout): boolean {
  return layout.clusters > 0 && allocate(layout).used < layout.clusters;
}

function layOut(sizeBytes: number, sectorBytes: number, clusterBytes: number): Layout {
  const sectors = sizeBytes / sectorBytes;
  const clusterSectors = clusterBytes / sectorBytes;
  const boundary = forSize(BOUNDARIES, sizeBytes) / sectorBytes;
  const align = (sector: number) => Math.ceil(sector / boundary) * boundary;
  const fatOffset = align(2 * BOOT_SECTORS);
  const atMost = Math.floor((sectors - fatOffset) / clusterSectors);
  const fatSectors = Math.ceil(((FIRST_CLUSTER + atMost) * 4) / sectorBytes);
  const heapOffset = align(fatOffset + fatSectors);
  const clusters = Math.floor((sectors - heapOffset) / clusterSectors);
  return { sectorBytes, sectors, clusterBytes, clusters, fatOffset, fatSectors, heapOffset };
}

interface Content {
  readonly label: string;
  readonly serial: number;
  readonly guid: string | undefined;
}

function write(target: Target, layout: Layout, content: Content): void {
  const { image } = target;
  const { sectorBytes, clusterBytes, fatOffset, fatSectors, heapOffset } = layout;
  const { bitmap, table, root, used } = allocate(layout);
  const upcase = upcaseTable();
  const boot = bootRegion(target, layout, content.serial, root.first, used);
  image.write(0, boot);
  image.write(boot.length, boot);
  image.zero(0, (fatOffset + fatSectors) * sectorBytes);
  image.write(fatOffset * sectorBytes, chains([bitmap, table, root]));
  const place = (cluster: number) =>
    heapOffset * sectorBytes + (cluster - FIRST_CLUSTER) * clusterBytes;
  image.zero(place(bitmap.first), used * clusterBytes);
  image.write(place(bitmap.first), usedBits(used));
  image.write(place(table.first), upcase);
  image.write(place(root.first), rootDirectory(content, bitmap, table, upcase));
}

/** The FAT: what follows each cluster. */
function chains(allocations: readonly Allocation[]): Uint8Array {
  const words = [MEDIA, END_OF_CHAIN];
  for (const { first, count } of allocations)
    for (let i = 1; i <= count; i++) words.push(i === count ? END_OF_CHAIN : first + i);
  const record = new Record(4 * words.length);
  for (const [i, word] of words.entries()) record.u32(4 * i, word);
  return record.bytes;
}

function usedBits(count: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(count / 8)).fill(0xff);
  if (count % 8) bytes[bytes.length - 1] = (1 << (count % 8)) - 1;
  return bytes;
}

function rootDirectory(
  { label, guid }: Content,
  bitmap: Allocation,
  table: Allocation,
  upcase: Uint8Array,
): Uint8Array {
  const name = new Record(ENTRY_BYTES).u8(0, ENTRY_LABEL).u8(1, label.length);
  for (let i = 0; i < label.length; i++) name.u16(2 + 2 * i, label.charCodeAt(i));
  const entries = [
    name,
    new Record(ENTRY_BYTES).u8(0, ENTRY_BITMAP).u32(20, bitmap.first).u64(24, bitmap.bytes),
    new Record(ENTRY_BYTES)
      .u8(0, ENTRY_UPCASE)
      .u32(4, rotatingSum(upcase))
      .u32(20, table.first)
      .u64(24, table.bytes),
  ];
  if (guid !== undefined) {
    const entry = new Record(ENTRY_BYTES).u8(0, ENTRY_GUID).guid(6, guid);
    entries.push(entry.u16(2, entrySum(entry.bytes)));
  }
  const bytes = new Uint8Array(entries.length * ENTRY_BYTES);
  for (const [i, entry] of entries.entries()) bytes.set(entry.bytes, i * ENTRY_BYTES);
  return bytes;
}

/** The checksum of the boot region and of the upper-case table, but for bytes that may change. */
function rotatingSum(bytes: Uint8Array, except: readonly number[] = []): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++)
    if (!except.includes(i)) sum = (((sum << 31) | (sum >>> 1)) + bytes[i]) | 0;
  return sum >>> 0;
}

/** The checksum of a set of entries, but for itself. */
function entrySum(bytes: Uint8Array): number {
  let sum = 0;
  for (const [i, byte] of bytes.entries())
    if (i !== 2 && i !== 3) sum = (((sum << 15) | (sum >>> 1)) + byte) & 0xffff;
  return sum;
}

const VOLUME_FLAGS_AT = 106;
const PERCENT_AT = 112;

function bootRegion(
  target: Target,
  layout: Layout,
  serial: number,
  rootCluster: number,
  used: number,
): Uint8Array {
  const { sectorBytes, sectors, clusterBytes, clusters } = layout;
  const region = new Record(BOOT_SECTORS * sectorBytes)
    .set(0, [0xeb, 0x76, 0x90])
    .ascii(3, "EXFAT   ")
    .u64(64, target.startBytes / sectorBytes)
    .u64(72, sectors)
    .u32(80, layout.fatOffset)
    .u32(84, layout.fatSectors)
    .u32(88, layout.heapOffset)
    .u32(92, clusters)
    .u32(96, rootCluster)
    .u32(100, serial)
    .u16(104, 0x0100)
    .u8(108, Math.log2(sectorBytes))
    .u8(109, Math.log2(clusterBytes / sectorBytes))
    .u8(110, 1)
    .u8(111, 0x80)
    .u8(PERCENT_AT, Math.floor((100 * used) / clusters))
    .u16(510, 0xaa55);
  region.part(120, 390).fill(HALT);
  for (let i = 1; i <= EXTENDED_SECTORS; i++) region.u16((i + 1) * sectorBytes - 2, 0xaa55);
  const checked = region.part(0, CHECKSUM_SECTOR * sectorBytes);
  const sum = rotatingSum(checked, [VOLUME_FLAGS_AT, VOLUME_FLAGS_AT + 1, PERCENT_AT]);
  for (let at = checked.length; at < region.bytes.length; at += 4) region.u32(at, sum);
  return region.bytes;
}
