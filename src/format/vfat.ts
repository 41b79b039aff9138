// FAT12, FAT16 and FAT32, as mkfs.fat makes them.
//
// Layout: "Microsoft FAT Specification" (2005), which the SD Association's is the same as.

import { invalid, tooLarge, tooSmall } from "./errors.ts";
import { fatTime, serialNumber, serialText } from "./fat-names.ts";
import type { CommonOptions, Formatted, Target } from "./formatter.ts";
import { boundary, leastFitting } from "./least.ts";
import { Record } from "./record.ts";

export type FatBits = 12 | 16 | 32;

/**
 * Options of FAT. A label has at most 11 characters of ASCII, and becomes upper case. The `uuid` is a
 * serial number such as 12AB-34CD.
 */
export interface VfatOptions extends CommonOptions {
  type: "vfat";
  /** Bits of an entry. Default: by the size, 32 from 512 MiB on. */
  fatBits?: FatBits;
  /** A power of two from the disk's block to 64 KiB. Default: by the size. */
  clusterSizeBytes?: number;
  /** Of FAT12 and FAT16: room in the root directory. Default: 512, 224 on less than 4 MiB. */
  rootEntries?: number;
}

/** Numbers of clusters that make a FAT of so many bits: what there are decides how it is read. */
const CLUSTERS: { readonly [bits in FatBits]: readonly [least: number, most: number] } = {
  12: [1, 4084],
  16: [4085, 65524],
  32: [65525, 0x0ffffff4],
};

const FAT32_FROM_BYTES = 512 << 20;
const FAT16_FROM_BYTES = 8 << 20;
const SMALL_BYTES = 4 << 20;
const MAX_CLUSTER_BYTES = 65536;
const MAX_SECTORS = 2 ** 32 - 1;
const FATS = 2;
const FAT32_RESERVED = 32;
const FSINFO_SECTOR = 1;
const BACKUP_SECTOR = 6;
const ROOT_CLUSTER = 2;
const ENTRY_BYTES = 32;
const ATTRIBUTE_LABEL = 0x08;
const EXTENDED_SIGNATURE = 0x29;
const SYSTEM = "liblinux";
/** For a machine that starts from it: int 0x18, which tells the BIOS to go on, then halt for ever. */
const NOT_BOOTABLE = [0xcd, 0x18, 0xf4, 0xeb, 0xfd];
const LABEL_LENGTH = 11;
const NO_LABEL = "NO NAME";
/** On disks that are not tiny, tables and clusters begin at multiples of this. */
const ALIGNMENT_BYTES = 4096;

/** FAT32's usual clusters, up to a size: Microsoft's and mkfs.fat's. */
const FAT32_CLUSTERS: readonly (readonly [belowBytes: number, clusterBytes: number])[] = [
  [260 * 2 ** 20, 512],
  [8 * 2 ** 30, 4096],
  [16 * 2 ** 30, 8192],
  [32 * 2 ** 30, 16384],
  [Infinity, 32768],
];

interface Medium {
  readonly clusterBytes: number;
  readonly rootEntries: number;
  readonly media: number;
  readonly trackSectors: number;
  readonly heads: number;
  readonly drive: number;
}

const floppy = (
  clusterBytes: number,
  rootEntries: number,
  media: number,
  trackSectors: number,
): Medium => ({ clusterBytes, rootEntries, media, trackSectors, heads: 2, drive: 0 });

/** Floppy disks, by their sectors of 512 bytes. */
const FLOPPIES: { readonly [sectors: number]: Medium } = {
  640: floppy(1024, 112, 0xff, 8),
  720: floppy(1024, 112, 0xfd, 9),
  1440: floppy(1024, 112, 0xf9, 9),
  2400: floppy(512, 224, 0xf9, 15),
  2880: floppy(512, 224, 0xf0, 18),
  5760: floppy(1024, 240, 0xf0, 36),
};

interface Layout {
  readonly bits: FatBits;
  readonly sectors: number;
  readonly sectorBytes: number;
  readonly clusterSectors: number;
  readonly clusters: number;
  readonly reservedSectors: number;
  readonly fatSectors: number;
  readonly rootEntries: number;
  readonly rootSectors: number;
  readonly medium: Medium;
}

/** Make a FAT. */
export function formatVfat(target: Target, options: VfatOptions): Formatted {
  const { sizeBytes, blockSizeBytes } = target;
  checkOptions(target, options);
  const label = labelText(options.label ?? "");
  const serial = serialNumber(target.random, options.uuid);
  const sectors = sizeBytes / blockSizeBytes;
  const bits = options.fatBits ?? usualBits(sizeBytes);
  if (sectors > MAX_SECTORS) throw tooLarge("vfat", sizeBytes, MAX_SECTORS * blockSizeBytes);
  const layout = findLayout(target, options, bits, sectors);
  if (!layout) throw misfit(target, options, bits, sectors);
  write(target, layout, label, serial);
  return {
    type: "vfat",
    label,
    uuid: serialText(serial),
    sizeBytes,
    blockSizeBytes: layout.clusterSectors * blockSizeBytes,
  };
}

function usualBits(sizeBytes: number): FatBits {
  if (sizeBytes >= FAT32_FROM_BYTES) return 32;
  return sizeBytes >= FAT16_FROM_BYTES ? 16 : 12;
}

function checkOptions(target: Target, options: VfatOptions): void {
  const { fatBits = 32, clusterSizeBytes = 4096, rootEntries = 512 } = options;
  if (!(fatBits in CLUSTERS)) throw invalid("fatBits", `${String(fatBits)} is not 12, 16 or 32`);
  const inBlocks = clusterSizeBytes >= target.blockSizeBytes;
  if (
    options.clusterSizeBytes !== undefined &&
    !(
      Number.isInteger(Math.log2(clusterSizeBytes)) &&
      inBlocks &&
      clusterSizeBytes <= MAX_CLUSTER_BYTES
    )
  )
    throw invalid(
      "clusterSizeBytes",
      `${clusterSizeBytes} is no power of two from ${target.blockSizeBytes} to ${MAX_CLUSTER_BYTES}`,
    );
  const perSector = target.blockSizeBytes / ENTRY_BYTES;
  if (options.rootEntries !== undefined && fatBits === 32 && options.fatBits !== undefined)
    throw invalid("rootEntries", "FAT32's root directory grows: leave this out");
  if (!(rootEntries >= perSector && rootEntries <= 65520 && Number.isInteger(rootEntries)))
    throw invalid("rootEntries", `${rootEntries} is no number from ${perSector} to 65520`);
  if (target.startBytes / target.blockSizeBytes > MAX_SECTORS)
    throw invalid("startBytes", "FAT counts the blocks before it with 32 bits");
}

/** The first choice of a cluster's size, then larger ones, then smaller ones, until one fits. */
function findLayout(
  target: Target,
  options: VfatOptions,
  bits: FatBits,
  sectors: number,
): Layout | undefined {
  const medium = mediumOf(target, options, bits, sectors);
  const first = Math.max(target.blockSizeBytes, medium.clusterBytes);
  const sizes = [first];
  if (options.clusterSizeBytes === undefined) {
    for (let bytes = 2 * first; bytes <= MAX_CLUSTER_BYTES; bytes *= 2) sizes.push(bytes);
    for (let bytes = first / 2; bytes >= target.blockSizeBytes; bytes /= 2) sizes.push(bytes);
  }
  const [least, most] = CLUSTERS[bits];
  return sizes
    .map((clusterBytes) =>
      layOut(bits, sectors, target.blockSizeBytes, { ...medium, clusterBytes }),
    )
    .find(({ clusters }) => clusters >= least && clusters <= most);
}

/** What is usual for a disk of this size, with what the options say. */
function mediumOf(target: Target, options: VfatOptions, bits: FatBits, sectors: number): Medium {
  const sizeBytes = sectors * target.blockSizeBytes;
  const whole = target.blockSizeBytes === 512 && target.startBytes === 0;
  const usual = (whole && bits === 12 ? FLOPPIES[sectors] : undefined) ?? {
    clusterBytes: usualClusterBytes(sizeBytes, bits),
    rootEntries: sizeBytes < SMALL_BYTES ? 224 : 512,
    media: 0xf8,
    trackSectors: 63,
    heads: 255,
    drive: 0x80,
  };
  return {
    ...usual,
    clusterBytes: options.clusterSizeBytes ?? usual.clusterBytes,
    rootEntries: options.rootEntries ?? usual.rootEntries,
  };
}

function usualClusterBytes(sizeBytes: number, bits: FatBits): number {
  if (bits === 12) return 512;
  if (bits === 16) return 2048;
  return FAT32_CLUSTERS.find(([below]) => sizeBytes < below)?.[1] ?? MAX_CLUSTER_BYTES;
}

/** The sizes of tables: as short as they can be and still count all clusters. */
function layOut(bits: FatBits, sectors: number, sectorBytes: number, medium: Medium): Layout {
  const clusterSectors = medium.clusterBytes / sectorBytes;
  const tiny = sectors * sectorBytes < SMALL_BYTES;
  const unit = tiny ? 1 : Math.max(1, ALIGNMENT_BYTES / sectorBytes, clusterSectors);
  const align = (value: number) => Math.ceil(value / unit) * unit;
  const perSector = sectorBytes / ENTRY_BYTES;
  const rootSectors = bits === 32 ? 0 : Math.ceil(medium.rootEntries / perSector);
  const reservedSectors =
    bits === 32 ? align(FAT32_RESERVED) : align(1 + rootSectors) - rootSectors;
  const clustersWith = (fatSectors: number) =>
    Math.floor((sectors - reservedSectors - rootSectors - FATS * fatSectors) / clusterSectors);
  const suffices = (fatSectors: number) =>
    Math.ceil(((clustersWith(fatSectors) + 2) * bits) / 8) <= fatSectors * sectorBytes;
  let fatSectors = align(Math.ceil(((sectors / clusterSectors + 2) * bits) / 8 / sectorBytes));
  while (fatSectors > unit && suffices(fatSectors - unit)) fatSectors -= unit;
  return {
    bits,
    sectors,
    sectorBytes,
    clusterSectors,
    clusters: clustersWith(fatSectors),
    reservedSectors,
    fatSectors,
    rootEntries: rootSectors * perSector,
    rootSectors,
    medium,
  };
}

/** Why no cluster's size fits: there are too many sectors, or too few. */
function misfit(target: Target, options: VfatOptions, bits: FatBits, sectors: number): Error {
  const { sizeBytes, blockSizeBytes } = target;
  const fits = (count: number) => findLayout(target, options, bits, count) !== undefined;
  const most =
    CLUSTERS[bits][1] * ((options.clusterSizeBytes ?? MAX_CLUSTER_BYTES) / blockSizeBytes);
  if (sectors > most) {
    const largest = boundary(sectors, Math.floor(most / 2), fits);
    return tooLarge(`FAT${bits}`, sizeBytes, largest * blockSizeBytes);
  }
  const least = leastFitting(sectors, MAX_SECTORS, fits);
  return tooSmall(`FAT${bits}`, sizeBytes, least * blockSizeBytes);
}

/** The label as it is stored. */
function labelText(label: string): string {
  const upper = label.toUpperCase();
  if (!/^[\x20-\x7e]*$/.test(label) || /["*+,./:;<=>?[\\\]|]/.test(label))
    throw invalid(
      "label",
      `"${label}": a label of FAT has ASCII letters, digits, spaces and !#$%&'()-@^_\`{}~`,
    );
  if (upper.length > LABEL_LENGTH)
    throw invalid("label", `"${label}" has more than ${LABEL_LENGTH} characters`);
  if (upper.startsWith(" ") || upper.endsWith(" "))
    throw invalid("label", `"${label}" begins or ends with a space, which would be lost`);
  return upper;
}

function write(target: Target, layout: Layout, label: string, serial: number): void {
  const { image } = target;
  const { sectorBytes, reservedSectors, fatSectors, rootSectors, clusterSectors } = layout;
  const boot = bootSector(target, layout, label, serial).bytes;
  image.write(0, boot);
  if (layout.bits === 32) {
    const info = infoSector(layout).bytes;
    image.write(FSINFO_SECTOR * sectorBytes, info);
    image.write(BACKUP_SECTOR * sectorBytes, boot);
    image.write((BACKUP_SECTOR + FSINFO_SECTOR) * sectorBytes, info);
  }
  const dataSector = reservedSectors + FATS * fatSectors + rootSectors;
  const rootClusterSectors = layout.bits === 32 ? clusterSectors : 0;
  image.zero(0, (dataSector + rootClusterSectors) * sectorBytes);
  const table = tableStart(layout);
  for (let i = 0; i < FATS; i++)
    image.write((reservedSectors + i * fatSectors) * sectorBytes, table);
  if (label) {
    const at = layout.bits === 32 ? dataSector : dataSector - rootSectors;
    image.write(at * sectorBytes, labelEntry(label, target.timeSeconds));
  }
}

/** Entries of no cluster: the medium, and "cleanly unmounted"; then the root directory's end. */
function tableStart({ bits, medium }: Layout): Uint8Array {
  if (bits === 12) return Uint8Array.of(medium.media, 0xff, 0xff);
  if (bits === 16) return Uint8Array.of(medium.media, 0xff, 0xff, 0xff);
  return new Record(12)
    .u32(0, 0x0fffff00 + medium.media)
    .u32(4, 0x0fffffff)
    .u32(8, 0x0fffffff).bytes;
}

function bootSector(target: Target, layout: Layout, label: string, serial: number): Record {
  const { bits, sectors, sectorBytes, medium, fatSectors } = layout;
  const wide = bits === 32;
  const short = !wide && sectors < 65536;
  const record = new Record(sectorBytes)
    .set(0, [0xeb, wide ? 0x58 : 0x3c, 0x90])
    .ascii(3, SYSTEM)
    .u16(11, sectorBytes)
    .u8(13, layout.clusterSectors)
    .u16(14, layout.reservedSectors)
    .u8(16, FATS)
    .u16(17, layout.rootEntries)
    .u16(19, short ? sectors : 0)
    .u8(21, medium.media)
    .u16(22, wide ? 0 : fatSectors)
    .u16(24, medium.trackSectors)
    .u16(26, medium.heads)
    .u32(28, target.startBytes / sectorBytes)
    .u32(32, short ? 0 : sectors)
    .u16(510, 0xaa55);
  if (wide)
    record.u32(36, fatSectors).u32(44, ROOT_CLUSTER).u16(48, FSINFO_SECTOR).u16(50, BACKUP_SECTOR);
  return record
    .u8(wide ? 64 : 36, medium.drive)
    .u8(wide ? 66 : 38, EXTENDED_SIGNATURE)
    .u32(wide ? 67 : 39, serial)
    .ascii(wide ? 71 : 43, (label || NO_LABEL).padEnd(LABEL_LENGTH))
    .ascii(wide ? 82 : 54, `FAT${bits}`.padEnd(8))
    .set(wide ? 90 : 62, NOT_BOOTABLE);
}

/** FAT32's count of free clusters; the root directory has one. */
function infoSector({ sectorBytes, clusters }: Layout): Record {
  return new Record(sectorBytes)
    .ascii(0, "RRaA")
    .ascii(484, "rrAa")
    .u32(488, clusters - 1)
    .u32(492, ROOT_CLUSTER)
    .u16(510, 0xaa55);
}

/** The root directory's entry that has the label. */
function labelEntry(label: string, timeSeconds: number): Uint8Array {
  const { date, time } = fatTime(timeSeconds);
  return new Record(ENTRY_BYTES)
    .ascii(0, label.padEnd(LABEL_LENGTH))
    .u8(11, ATTRIBUTE_LABEL)
    .u16(14, time)
    .u16(16, date)
    .u16(18, date)
    .u16(22, time)
    .u16(24, date).bytes;
}
