// FAT, exFAT and NTFS: boot sectors of DOS and Windows.

import { dashed, hexOf } from "../bytes.ts";
import type { Fields } from "../bytes.ts";
import type { Probe, ProbeContext } from "./content.ts";

/** Directories of volumes are looked at this far for the label. */
const MAX_LABEL_BYTES = 65536;
const isPowerOfTwo = (value: number) => value > 0 && (value & (value - 1)) === 0;

/** The serial number of a FAT volume, as DOS writes it. */
function serialOf(number: number): string | undefined {
  return dashed(number.toString(16).padStart(8, "0").toUpperCase(), [4, 4]);
}

// Microsoft, "FAT: General Overview of On-Disk Format", and include/uapi/linux/msdos_fs.h, struct
// fat_boot_sector. FAT has no signature of its own: the fields must make sense together.
const ATTRIBUTE_VOLUME = 0x08;
const ATTRIBUTE_DIRECTORY = 0x10;
const DELETED = 0xe5;
const MAX_FAT12_CLUSTERS = 4084;
const MAX_FAT16_CLUSTERS = 65524;

interface FatGeometry {
  readonly bits: 12 | 16 | 32;
  readonly rootOffset: number;
  readonly rootBytes: number;
}

function fatGeometry(boot: Fields): FatGeometry | null {
  const sectorBytes = boot.u16(11);
  const clusterSectors = boot.u8(13);
  const reserved = boot.u16(14);
  const fats = boot.u8(16);
  const media = boot.u8(21);
  const plausible =
    isPowerOfTwo(sectorBytes) &&
    sectorBytes >= 512 &&
    sectorBytes <= 4096 &&
    isPowerOfTwo(clusterSectors) &&
    reserved > 0 &&
    (fats === 1 || fats === 2) &&
    (media === 0xf0 || media >= 0xf8);
  if (!plausible) return null;
  const fatSectors = boot.u16(22) || boot.u32(36);
  const sectors = boot.u16(19) || boot.u32(32);
  const rootEntries = boot.u16(17);
  if (!fatSectors || !sectors) return null;
  const rootStart = reserved + fats * fatSectors;
  const rootSectors = Math.ceil((rootEntries * 32) / sectorBytes);
  const dataStart = rootStart + rootSectors;
  const clusters = Math.floor((sectors - dataStart) / clusterSectors);
  if (clusters <= 0) return null;
  if (!boot.u16(22)) {
    const rootCluster = boot.u32(44);
    const rootOffset = (dataStart + (rootCluster - 2) * clusterSectors) * sectorBytes;
    return { bits: 32, rootOffset, rootBytes: clusterSectors * sectorBytes };
  }
  const bits = clusters > MAX_FAT12_CLUSTERS ? 16 : 12;
  if (clusters > MAX_FAT16_CLUSTERS) return null;
  return { bits, rootOffset: rootStart * sectorBytes, rootBytes: rootEntries * 32 };
}

/** The label is a nameless file's name in the root directory; that in the boot sector may be old. */
async function fatLabel(context: ProbeContext, geometry: FatGeometry): Promise<string> {
  const length = Math.min(geometry.rootBytes, MAX_LABEL_BYTES);
  const root = await context.fields(geometry.rootOffset, length);
  for (let at = 0; at + 32 <= length; at += 32) {
    const first = root.u8(at);
    if (first === 0) break;
    const attributes = root.u8(at + 11) & (ATTRIBUTE_VOLUME | ATTRIBUTE_DIRECTORY);
    const long = (root.u8(at + 11) & 0x0f) === 0x0f;
    if (first !== DELETED && attributes === ATTRIBUTE_VOLUME && !long)
      return root.text(at, 11, "latin1");
  }
  return "";
}

const fat: Probe = async (context) => {
  const boot = await context.fields(0, 512);
  const jump = boot.u8(0) === 0xeb || boot.u8(0) === 0xe9;
  const signed = boot.u16(510) === 0xaa55;
  if (!jump && !signed) return null;
  const geometry = fatGeometry(boot);
  if (!geometry) return null;
  const label = await fatLabel(context, geometry);
  return {
    type: "vfat",
    title: `FAT${geometry.bits}`,
    kind: "filesystem",
    label: label || undefined,
    uuid: serialOf(boot.u32(geometry.bits === 32 ? 67 : 39)),
    version: `FAT${geometry.bits}`,
  };
};

// Microsoft, "exFAT file system specification", chapters 3 (boot sector) and 7.3 (volume label).
const EXFAT_LABEL = 0x83;

const exfat: Probe = async (context) => {
  const boot = await context.fields(0, 512);
  if (!boot.is(3, "EXFAT   ")) return null;
  const sectorBytes = 2 ** Math.min(boot.u8(108), 12);
  const clusterBytes = sectorBytes * 2 ** Math.min(boot.u8(109), 25);
  const rootOffset = boot.u32(88) * sectorBytes + (boot.u32(96) - 2) * clusterBytes;
  const length = Math.min(clusterBytes, MAX_LABEL_BYTES);
  const root = await context.fields(rootOffset, length);
  let label = "";
  for (let at = 0; at + 32 <= length && root.u8(at); at += 32)
    if (root.u8(at) === EXFAT_LABEL)
      label = root.text(at + 2, Math.min(root.u8(at + 1), 11) * 2, "utf-16le");
  return {
    type: "exfat",
    title: "exFAT",
    kind: "filesystem",
    label: label || undefined,
    uuid: serialOf(boot.u32(100)),
  };
};

// fs/ntfs3/ntfs.h, struct NTFS_BOOT, MFT_REC and ATTRIB. The label is an attribute of file 3.
const NTFS_VOLUME_FILE = 3;
const NTFS_VOLUME_NAME = 0x60;

async function ntfsLabel(context: ProbeContext, boot: Fields): Promise<string> {
  const clusterBytes = boot.u16(11) * boot.u8(13);
  const size = boot.u8(64);
  // From 0x80 on it is the negative of a logarithm.
  const recordBytes = size < 0x80 ? size * clusterBytes : 2 ** (256 - size);
  if (!isPowerOfTwo(recordBytes) || recordBytes > MAX_LABEL_BYTES) return "";
  const at = boot.u64(48) * clusterBytes + NTFS_VOLUME_FILE * recordBytes;
  const record = await context.fields(at, recordBytes);
  if (!record.is(0, "FILE")) return "";
  for (let at = record.u16(20); at + 24 <= recordBytes;) {
    const length = record.u32(at + 4);
    const start = at + record.u16(at + 20);
    if (record.u32(at) === NTFS_VOLUME_NAME && record.u8(at + 8) === 0)
      return record.text(start, Math.min(record.u32(at + 16), 256), "utf-16le");
    if (length < 16) break;
    at += length;
  }
  return "";
}

const ntfs: Probe = async (context) => {
  const boot = await context.fields(0, 512);
  if (!boot.is(3, "NTFS    ")) return null;
  return {
    type: "ntfs3",
    title: "NTFS",
    kind: "filesystem",
    label: (await ntfsLabel(context, boot)) || undefined,
    uuid: hexOf(boot.bytes.slice(72, 80).toReversed()).toUpperCase(),
  };
};

export const fatProbes: readonly Probe[] = [exfat, ntfs, fat];
