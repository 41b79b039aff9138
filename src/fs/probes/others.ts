// Whatever else a file given as a disk image often is: to be able to say so.

import type { Content, Probe } from "./content.ts";

interface Signature {
  readonly at: number;
  readonly text: string;
  readonly type: string;
  readonly title: string;
  readonly kind?: Content["kind"];
}

/** Most are from the magic file of file(1); the file systems' from their drivers in the kernel. */
const SIGNATURES: readonly Signature[] = [
  { at: 1024, text: "H+", type: "hfsplus", title: "HFS+" },
  { at: 1024, text: "HX", type: "hfsplus", title: "HFSX" },
  { at: 1024, text: "BD", type: "hfs", title: "HFS" },
  { at: 32, text: "NXSB", type: "apfs", title: "APFS" },
  { at: 0x8000, text: "JFS1", type: "jfs", title: "JFS" },
  { at: 0x10034, text: "ReIsEr", type: "reiserfs", title: "ReiserFS" },
  { at: 1024 + 6, text: "\x34\x34", type: "nilfs2", title: "NILFS2" },
  { at: 0x1018, text: "\xc6\x85\x73\xf6\x4e\x1a\x45\xca", type: "bcachefs", title: "bcachefs" },
  { at: 0, text: "-rom1fs-", type: "romfs", title: "romfs" },
  { at: 0, text: "\x45\x3d\xcd\x28", type: "cramfs", title: "cramfs" },
  { at: 0, text: "\x31\x18\x10\x06", type: "ubifs", title: "UBIFS" },
  { at: 0, text: "UBI#", type: "ubi", title: "UBI volume", kind: "member" },
  { at: 0, text: "\x85\x19", type: "jffs2", title: "JFFS2" },
  { at: 0, text: "QFI\xfb", type: "qcow2", title: "QEMU's qcow2 format", kind: "container" },
  { at: 0, text: "KDMV", type: "vmdk", title: "VMware's vmdk format", kind: "container" },
  { at: 0, text: "vhdxfile", type: "vhdx", title: "Hyper-V's vhdx format", kind: "container" },
  { at: 0, text: "conectix", type: "vpc", title: "the vhd format", kind: "container" },
  {
    at: 64,
    text: "\x7f\x10\xda\xbe",
    type: "vdi",
    title: "VirtualBox's vdi format",
    kind: "container",
  },
  { at: 0, text: "\x1f\x8b\x08", type: "gzip", title: "compressed by gzip", kind: "container" },
  { at: 0, text: "\xfd7zXZ", type: "xz", title: "compressed by xz", kind: "container" },
  { at: 0, text: "\x28\xb5\x2f\xfd", type: "zstd", title: "compressed by zstd", kind: "container" },
  { at: 0, text: "BZh", type: "bzip2", title: "compressed by bzip2", kind: "container" },
  { at: 0, text: "\x04\x22\x4d\x18", type: "lz4", title: "compressed by lz4", kind: "container" },
  { at: 0, text: "PK\x03\x04", type: "zip", title: "a zip archive", kind: "container" },
  { at: 0, text: "7z\xbc\xaf\x27\x1c", type: "7z", title: "a 7z archive", kind: "container" },
  { at: 257, text: "ustar", type: "tar", title: "a tar archive", kind: "container" },
  { at: 0, text: "070701", type: "cpio", title: "a cpio archive", kind: "container" },
  { at: 0, text: "\x7fELF", type: "elf", title: "a program (ELF)", kind: "container" },
];

const signatures: Probe = async (context) => {
  for (const { at, text, type, title, kind = "filesystem" } of SIGNATURES) {
    const fields = await context.fields(at, text.length);
    if (fields.is(0, text)) return { type, title, kind };
  }
  return null;
};

export const otherProbes: readonly Probe[] = [signatures];
