// Verbs that look at what is in images.

import { ADDRESS, JSON_OPTION, READ_OPTIONS } from "./verb.ts";
import type { Verb } from "./verb.ts";

export const LOOK_VERBS: Readonly<Record<string, Verb>> = {
  info: {
    usage: "info IMAGE [--json]",
    about: "partitions, file systems, labels, UUIDs and usage of an image",
    text: "",
    options: {
      ...JSON_OPTION,
      ...READ_OPTIONS,
    },
    examples: ["liblinux info disk.img", "liblinux info --json https://example.com/disk.img.xz"],
    load: async () => (await import("../info.ts")).info,
  },
  ls: {
    usage: "ls [-l] [-R] [--json] IMAGE[:VOLUME][:/PATH]...",
    about: "list directories of an image",
    text: ADDRESS,
    options: {
      "-l, --long": "modes, links, owners, sizes and times as well",
      "-R, --recursive": "and all directories below",
      ...JSON_OPTION,
      ...READ_OPTIONS,
    },
    examples: ["liblinux ls -l disk.img:2:/etc", "liblinux ls 'disk.img:/var/log/*.gz'"],
    load: async () => (await import("../ls.ts")).ls,
  },
  tree: {
    usage: "tree [-d] [-L LEVELS] [--json] IMAGE[:VOLUME][:/PATH]",
    about: "draw a directory of an image with all below it",
    text: ADDRESS,
    options: {
      "-d, --directories": "only directories",
      "-L, --level N": "so many levels",
      ...JSON_OPTION,
      ...READ_OPTIONS,
    },
    examples: ["liblinux tree -L 2 disk.img:2:/etc"],
    load: async () => (await import("../tree.ts")).tree,
  },
  find: {
    usage: "find [TEST...] IMAGE[:VOLUME][:/PATH]...",
    about: "names in an image that have what is asked for",
    text: `${ADDRESS}

Without tests everything is found. All tests have to hold:`,
    options: {
      "--name PATTERN": "the last part of the path, as in '*.conf'",
      "--path PATTERN": "the whole path",
      "--type LETTER": "f file, d directory, l symbolic link, b or c device, p pipe, s socket",
      "--size SIZE": "exactly, or larger, or smaller: 4096, +100K, or as --size=-1.5G",
      "--newer DATE": "changed after this moment, as in 2026-01-31 or 2026-01-31T12:00:00Z",
      "--uid N": "owned by this user",
      "--gid N": "owned by this group",
      "-0, --print0": "a NUL after each name, and every byte as it is",
      ...JSON_OPTION,
      ...READ_OPTIONS,
    },
    examples: [
      "liblinux find --type f --name '*.conf' disk.img:2:/etc",
      "liblinux find --size +100M --newer 2026-01-31 disk.img",
    ],
    load: async () => (await import("../find.ts")).find,
  },
  du: {
    usage: "du [-s] [-d LEVELS] [-b] [--apparent] [--json] IMAGE[:VOLUME][:/PATH]...",
    about: "what directories of an image take on the disk",
    text: ADDRESS,
    options: {
      "-s, --summarize": "only the sums",
      "-d, --max-depth N": "only so many levels below",
      "-b, --bytes": "in bytes",
      "--apparent": "sizes of files instead of what they take",
      ...JSON_OPTION,
      ...READ_OPTIONS,
    },
    examples: ["liblinux du -d 1 disk.img:2:/var"],
    load: async () => (await import("../du.ts")).du,
  },
  df: {
    usage: "df [--json] IMAGE[:VOLUME]",
    about: "how full the file systems of an image are",
    text: "",
    options: {
      ...JSON_OPTION,
      ...READ_OPTIONS,
    },
    examples: ["liblinux df disk.img"],
    load: async () => (await import("../df.ts")).df,
  },
  stat: {
    usage: "stat [-L] [--json] IMAGE[:VOLUME]:/PATH...",
    about: "all that is known of files of an image",
    text: ADDRESS,
    options: {
      "-L, --dereference": "of what a symbolic link points to",
      ...JSON_OPTION,
      ...READ_OPTIONS,
    },
    examples: ["liblinux stat disk.img:2:/etc/passwd"],
    load: async () => (await import("../stat.ts")).stat,
  },
  cat: {
    usage: "cat IMAGE[:VOLUME]:/PATH...",
    about: "print files of an image",
    text: ADDRESS,
    options: {
      ...READ_OPTIONS,
    },
    examples: [
      "liblinux cat disk.img:2:/etc/fstab",
      "liblinux cat 'disk.img:/var/log/syslog*' | grep panic",
    ],
    load: async () => (await import("../cat.ts")).cat,
  },
  diff: {
    usage: "diff [-i WHAT]... [--exclude PATTERN]... [--json] A B",
    about: "what two images, or an image and a directory, have different",
    text: `${ADDRESS}

A and B are images, directories or files in them, or directories of this machine. Images of
several volumes are compared volume by volume. A line for each difference: - only in A, + only in
B, ~ in both, with what is different: type, content or size, a link's target, mode, owner, time of
modification, extended attributes (between images).`,
    options: {
      "-i, --ignore WHAT":
        "content, mode, owner, time or attributes; can be repeated, or a list with commas",
      "--exclude PATTERN":
        "leave out names such as '*.log', or paths from the top on such as /var/cache",
      ...JSON_OPTION,
      ...READ_OPTIONS,
    },
    examples: [
      "liblinux diff before.img after.img",
      "liblinux diff -i owner,time ./rootfs disk.img:2:/",
    ],
    exits: "0 no differences, 1 some, 2 something failed.",
    failed: 2,
    load: async () => (await import("../diff.ts")).diff,
  },
};
