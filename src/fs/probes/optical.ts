// ISO 9660 and UDF: what optical discs have.

import type { Fields } from "../bytes.ts";
import type { Content, Probe, ProbeContext } from "./content.ts";

const SECTOR = 2048;
const FIRST_DESCRIPTOR = 16 * SECTOR;
const MAX_DESCRIPTORS = 64;

// ECMA-119, chapters 8.4 (primary volume descriptor) and 8.5; Joliet: escape sequences %/@, C and E.
function isoTime(volume: Fields, at: number): string | undefined {
  const digits = volume.text(at, 16, "latin1");
  if (!/^\d{16}$/.test(digits) || /^0+$/.test(digits)) return undefined;
  const [year, ...pairs] = [digits.slice(0, 4), ...digits.slice(4).match(/../g)!];
  return [year, ...pairs].join("-");
}

const iso9660: Probe = async (context) => {
  let primary: Fields | null = null;
  let joliet = "";
  for (let i = 0; i < MAX_DESCRIPTORS; i++) {
    const volume = await context.fields(FIRST_DESCRIPTOR + i * SECTOR, SECTOR);
    if (!volume.is(1, "CD001") || volume.u8(0) === 255) break;
    if (volume.u8(0) === 1) primary ??= volume;
    const wide = volume.is(88, "%/@") || volume.is(88, "%/C") || volume.is(88, "%/E");
    if (volume.u8(0) === 2 && wide) joliet = volume.text(40, 32, "utf-16be");
  }
  if (!primary) return null;
  const short = primary.text(40, 32, "latin1");
  return {
    type: "iso9660",
    title: joliet ? "ISO 9660 with Joliet" : "ISO 9660",
    kind: "filesystem",
    // Joliet has room for 16 characters.
    label: (joliet.length < 16 && joliet ? joliet : short) || undefined,
    uuid: isoTime(primary, 830) ?? isoTime(primary, 813),
  };
};

// ECMA-167 3/7.2 (descriptor tags), 3/10.1 (primary), 3/10.2 (anchor), 3/10.6 (logical volume).
const ANCHOR = 256;
const TAG_PRIMARY = 1;
const TAG_ANCHOR = 2;
const TAG_LOGICAL = 6;
const MAX_VOLUME_DESCRIPTORS = 64;
const UDF_SECTORS = [512, 1024, 2048, 4096];

/** Characters with their width before, and the length in the last byte. */
function dstring(fields: Fields, at: number, length: number): string {
  const used = Math.min(fields.u8(at + length - 1), length - 1);
  if (used < 2) return "";
  return fields.u8(at) === 16
    ? fields.text(at + 1, used - 1, "utf-16be")
    : fields.text(at + 1, used - 1, "latin1");
}

async function hasUdfSequence(context: ProbeContext): Promise<boolean> {
  for (let i = 0; i < MAX_DESCRIPTORS; i++) {
    const volume = await context.fields(FIRST_DESCRIPTOR + i * SECTOR, 8);
    if (volume.is(1, "NSR02") || volume.is(1, "NSR03")) return true;
    if (!volume.is(1, "BEA01") && !volume.is(1, "CD001") && !volume.is(1, "BOOT2")) return false;
  }
  return false;
}

async function udfNames(context: ProbeContext): Promise<Pick<Content, "label" | "uuid">> {
  for (const sector of UDF_SECTORS) {
    const anchor = await context.fields(ANCHOR * sector, 32);
    if (anchor.u16(0) !== TAG_ANCHOR || anchor.u32(12) !== ANCHOR) continue;
    const count = Math.min(Math.floor(anchor.u32(16) / sector), MAX_VOLUME_DESCRIPTORS);
    let label: string | undefined;
    let uuid: string | undefined;
    for (let i = 0; i < count; i++) {
      const volume = await context.fields((anchor.u32(20) + i) * sector, 512);
      if (volume.u16(0) === TAG_LOGICAL) label ??= dstring(volume, 84, 128) || undefined;
      const set = volume.u16(0) === TAG_PRIMARY ? dstring(volume, 72, 128).slice(0, 16) : "";
      if (/^[0-9a-f]{16}$/i.test(set)) uuid ??= set.toLowerCase();
    }
    return { label, uuid };
  }
  return {};
}

const udf: Probe = async (context) => {
  if (!(await hasUdfSequence(context))) return null;
  return { type: "udf", title: "UDF", kind: "filesystem", ...(await udfNames(context)) };
};

/** Discs with both are meant to be read as UDF. */
export const opticalProbes: readonly Probe[] = [udf, iso9660];
