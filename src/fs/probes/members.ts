// Parts of volumes: what has to be unlocked or put together before there is a file system.
// They come first, since an old superblock is often left at its place inside them.

import { dashed } from "../bytes.ts";
import type { Fields } from "../bytes.ts";
import type { Content, Probe } from "./content.ts";

// cryptsetup's "LUKS1 on-disk format specification" 1.2.3 and "LUKS2 on-disk format" 1.1: big-endian.
const luks: Probe = async (context) => {
  const header = await context.fields(0, 512);
  if (!header.is(0, "LUKS\xba\xbe")) return null;
  const version = header.u16be(6);
  return {
    type: "crypto_LUKS",
    title: `LUKS ${version} encryption`,
    kind: "encrypted",
    label: (version === 2 && header.text(24, 48)) || undefined,
    uuid: header.text(168, 40) || undefined,
    version: String(version),
  };
};

// Microsoft's BitLocker: the boot sector's OEM name (cryptsetup, lib/bitlk).
const bitlocker: Probe = async (context) => {
  const boot = await context.fields(0, 16);
  if (!boot.is(3, "-FVE-FS-")) return null;
  return { type: "BitLocker", title: "BitLocker encryption", kind: "encrypted" };
};

// LVM2, lib/format_text/layout.h: a label in one of the first four sectors.
const lvm: Probe = async (context) => {
  for (let sector = 0; sector < 4; sector++) {
    const label = await context.fields(sector * 512, 512);
    if (!label.is(0, "LABELONE") || !label.is(24, "LVM2 001")) continue;
    return {
      type: "LVM2_member",
      title: "LVM physical volume",
      kind: "member",
      uuid: dashed(label.text(32, 32, "latin1"), [6, 4, 4, 4, 4, 4, 6]),
    };
  }
  return null;
};

// include/uapi/linux/raid/md_p.h, struct mdp_superblock_1 and mdp_super_s.
const MD_MAGIC = 0xa92b4efc;
const MD_RESERVED_BYTES = 65536;

function mdContent(block: Fields, version: string): Content {
  return {
    type: "linux_raid_member",
    title: `member of a RAID ${block.u32(72) | 0} array`,
    kind: "member",
    label: block.text(32, 32) || undefined,
    uuid: block.uuid(16),
    version,
  };
}

const md: Probe = async (context) => {
  const { sizeBytes } = context;
  const places: readonly (readonly [string, number])[] = [
    ["1.2", 4096],
    ["1.1", 0],
    // At least 8 KiB before the end, at a multiple of 4 KiB.
    ["1.0", Math.floor((sizeBytes - 8192) / 4096) * 4096],
  ];
  for (const [version, at] of places) {
    if (at < 0 || at + 256 > sizeBytes) continue;
    const block = await context.fields(at, 256);
    if (block.u32(0) === MD_MAGIC && block.u32(4) === 1) return mdContent(block, version);
  }
  const at = Math.floor(sizeBytes / MD_RESERVED_BYTES) * MD_RESERVED_BYTES - MD_RESERVED_BYTES;
  if (at < 0) return null;
  const block = await context.fields(at, 128);
  if (block.u32(0) !== MD_MAGIC || block.u32(4) !== 0) return null;
  const level = block.u32(28) | 0;
  const title = `member of a RAID ${level} array`;
  return { type: "linux_raid_member", title, kind: "member", version: "0.90" };
};

export const memberProbes: readonly Probe[] = [luks, bitlocker, lvm, md];
