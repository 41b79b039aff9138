// Verbs that make images, and give them other sizes.

import { JSON_OPTION, KERNEL_OPTIONS } from "./verb.ts";
import type { Verb } from "./verb.ts";

export const MAKE_VERBS: Readonly<Record<string, Verb>> = {
  mkfs: {
    usage: "mkfs -t TYPE [--size SIZE] [-L LABEL] [-U UUID] [-o NAME=VALUE]... IMAGE[:VOLUME]",
    about: "make a file system in an image",
    text: "Needs no kernel: the file system is written as it is to be.",
    options: {
      "-t, --type TYPE": "ext2, ext3, ext4, xfs, btrfs, f2fs, vfat, exfat, minix or swap",
      "-s, --size SIZE": "make a new image of this size, as 512M or 4G; the file is sparse",
      "-L, --label TEXT": "its name",
      "-U, --uuid UUID": "default: a random one",
      "-o, --option N=V": "the file system's own, as in blockBytes=1024; can be repeated",
      "-f, --force": "what is in the image is lost",
      ...JSON_OPTION,
    },
    examples: [
      "liblinux mkfs -t ext4 --size 2G -L data disk.img",
      "liblinux mkfs -t vfat -L BOOT card.img:1",
    ],
    load: async () => (await import("../mkfs.ts")).mkfs,
  },
  partition: {
    usage: "partition [--table gpt|mbr] [--size SIZE] IMAGE SIZE[:TYPE[:NAME]]...",
    about: "write a partition table to an image",
    text: `Each partition is a size or "rest", a type (linux, esp, swap, …, a GUID, or a number for MBR) and
a name. With a "*" at the end it is the active one.`,
    options: {
      "--table NAME": "gpt (default) or mbr",
      "-s, --size SIZE": "make a new image of this size",
      "-f, --force": "what is in the image is lost",
      ...JSON_OPTION,
    },
    examples: ["liblinux partition --size 8G card.img 256M:esp:boot rest:linux:root"],
    load: async () => (await import("../partition.ts")).partition,
  },
  resize: {
    usage: "resize [--json] IMAGE[:VOLUME] SIZE|+SIZE",
    about: "enlarge an image with its last partition and file system, or shrink it",
    text: `The image gets the size, the partition what is left, and the file system all of it, while the
kernel has it mounted: ext2, ext3, ext4, xfs and btrfs. What can shrink (btrfs, f2fs) shrinks, where
the image has no partitions.`,
    options: {
      ...JSON_OPTION,
      ...KERNEL_OPTIONS,
    },
    examples: ["liblinux resize card.img:2 16G"],
    load: async () => (await import("../resize.ts")).resize,
  },
};
