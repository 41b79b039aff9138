// Types of partitions: names of the common ones, for GPT and for MBR.
//
// GPT: the UEFI specification, the UAPI group's "Discoverable Partitions Specification", and the
// systems' own documentation. MBR: no standard has them.

/** By the GUID in lower case. */
export const GPT_TYPE_NAMES: Readonly<Record<string, string>> = {
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

/** By the byte. */
export const MBR_TYPE_NAMES: Readonly<Record<number, string>> = {
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

/** Types of MBR whose partition is a chain of more partitions. */
export const EXTENDED_TYPES: ReadonlySet<number> = new Set([0x05, 0x0f, 0x85]);

const LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4";
const BASIC_DATA = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7";

/** What a type is in both kinds of table; without a byte if MBR has none. */
interface KnownType {
  readonly guid: string;
  readonly byte?: number;
}

const KNOWN_TYPES = {
  linux: { guid: LINUX, byte: 0x83 },
  esp: { guid: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", byte: 0xef },
  swap: { guid: "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", byte: 0x82 },
  home: { guid: "933ac7e1-2eb4-4f13-b844-0e14e2aef915", byte: 0x83 },
  lvm: { guid: "e6d6d379-f507-44c2-a23c-238f2a3df928", byte: 0x8e },
  raid: { guid: "a19d880f-05fc-4d3b-a006-743f0f84911e", byte: 0xfd },
  luks: { guid: "ca7d7ccb-63ed-4c53-861c-1742536059cc", byte: 0x83 },
  fat16: { guid: BASIC_DATA, byte: 0x0e },
  fat32: { guid: BASIC_DATA, byte: 0x0c },
  exfat: { guid: BASIC_DATA, byte: 0x07 },
  ntfs: { guid: BASIC_DATA, byte: 0x07 },
  "bios-boot": { guid: "21686148-6449-6e6f-744e-656564454649" },
  "extended-boot": { guid: "bc13c2ff-59e6-4262-a352-b275fd6f7172", byte: 0xea },
  "root-x86-64": { guid: "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", byte: 0x83 },
  "root-arm64": { guid: "b921b045-1df0-41c3-af44-4c6f280d3fae", byte: 0x83 },
} as const satisfies { readonly [name: string]: KnownType };

/** Types that have a short name here. */
export type PartitionTypeName = keyof typeof KNOWN_TYPES;

export const PARTITION_TYPE_NAMES = Object.keys(KNOWN_TYPES) as PartitionTypeName[];

/** What a short name means; undefined if it is none. */
export function knownType(name: string): KnownType | undefined {
  return PARTITION_TYPE_NAMES.includes(name as PartitionTypeName)
    ? KNOWN_TYPES[name as PartitionTypeName]
    : undefined;
}
