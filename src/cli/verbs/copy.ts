// Verbs that copy files into images, out of them, and between them.

import { ADDRESS, KERNEL_OPTIONS, PROGRESS_OPTIONS, READ_OPTIONS } from "./verb.ts";
import type { Verb } from "./verb.ts";

export const COPY_VERBS: Readonly<Record<string, Verb>> = {
  cp: {
    usage: "cp [-r] [-p] [--owner UID[:GID]] [--json] SOURCE... TARGET",
    about: "copy files out of an image, into one, or from one to another",
    text: `${ADDRESS}

A source or the target, or both, are IMAGE[:VOLUME]:/PATH; the others are names of this machine.
TARGET is a directory, or a new name. Modes, times, hard links and holes are kept, and symbolic
links stay links. A file appears when it is complete.

Out of an image devices, pipes and sockets are reported and left out, and nothing is ever written
outside of TARGET, whatever names and links the image has. Into an image they are made, and all
belongs to root unless -p or --owner says otherwise; extended attributes are kept between images.`,
    options: {
      "-r, --recursive": "directories with all below them",
      "-p, --preserve":
        "owners, and set-user-ID and set-group-ID bits, too (out of an image: as root)",
      "--owner UID:GID": "whose the copies in an image become",
      "--json": "print a JSON list with counts and what was left out",
      ...PROGRESS_OPTIONS,
      ...READ_OPTIONS,
    },
    examples: [
      "liblinux cp disk.img:2:/etc/fstab .",
      "liblinux cp -r ./site disk.img:2:/var/www",
      "liblinux cp -rp old.img:/home new.img:/",
    ],
    load: async () => (await import("../cp.ts")).cp,
  },
  sync: {
    usage: "sync [--delete] [-n] [-c] [-v] [--exclude PATTERN]... [--json] SOURCE TARGET",
    about: "make a directory like another one, in an image or of this machine",
    text: `${ADDRESS}

SOURCE or TARGET, or both, are IMAGE[:VOLUME]:/PATH; both are directories. TARGET gets what SOURCE
has in it, as by rsync -a: content, modes, times, links, hard links, holes, devices, and between
images extended attributes. Only what is different is written; files of the same size and time are
taken for the same. Each file appears when it is complete.

In an image owners are those of SOURCE unless --owner says otherwise. On this machine all becomes
the user's unless -p is given, devices, pipes and sockets are reported and left out, and nothing
is ever written outside of TARGET, whatever names and links the image has.`,
    options: {
      "--delete": "remove from TARGET what SOURCE has not",
      "-n, --dry-run": "change nothing, list what would be changed",
      "-c, --checksum": "compare contents instead of sizes and times",
      "--exclude PATTERN":
        "leave out names such as '*.log', or paths from the top on such as /var/cache",
      "-p, --preserve":
        "on this machine: owners, and set-user-ID and set-group-ID bits, too (as root)",
      "--owner UID:GID": "in an image: whose everything becomes",
      "-v, --verbose": "list what is changed: + new, ~ changed, - removed",
      "--json": "print changes, counts and what was left out",
      ...PROGRESS_OPTIONS,
      ...READ_OPTIONS,
    },
    examples: [
      "liblinux sync --delete ./rootfs disk.img:2:/",
      "liblinux sync -n --delete old.img:/ new.img:/",
      "liblinux sync card.img:2:/home ./backup",
    ],
    exits: "0 done, 1 something failed (the rest is done), 2 usage.",
    load: async () => (await import("../sync.ts")).sync,
  },
  tar: {
    usage: "tar [-z | --zstd] [-S] [-o FILE] IMAGE[:VOLUME][:/PATH]",
    about: "write a directory of an image as a tar archive",
    text: `${ADDRESS}

The archive goes to standard output, or to a file, which is there when it is complete. It is of
POSIX's format (pax) and has all that there is: names in their own bytes, owners in numbers, times
to the nanosecond, hard links, devices, pipes and extended attributes (as GNU tar's --xattrs and
bsdtar have them). Names start with ./ in it. Sockets are left out.`,
    options: {
      "-o, --output FILE": "to this file; - is standard output",
      "-z, --gzip": "compressed by gzip",
      "--zstd": "compressed by zstd",
      "-S, --sparse": "holes of files are no zeroes in the archive (GNU's format 1.0)",
      ...PROGRESS_OPTIONS,
      ...READ_OPTIONS,
    },
    examples: [
      "liblinux tar -z -o etc.tar.gz disk.img:2:/etc",
      "liblinux tar disk.img:/ | tar -tv",
    ],
    exits: "0 done, 1 something could not be read (the rest is in the archive), 2 usage.",
    load: async () => (await import("../tar.ts")).tar,
  },
  untar: {
    usage: "untar [--owner UID[:GID]] [--strip N] [--json] ARCHIVE IMAGE[:VOLUME]:/PATH",
    about: "unpack a tar archive into a directory of an image",
    text: `${ADDRESS}

The directory is made if need be. ARCHIVE is a file, or - for standard input: ustar, pax, GNU
tar's or an old one, as it is or compressed by gzip, zstd or (in a file) xz. What is there already
is replaced, but a directory stays one, and so does a link to one.

Nothing is ever written outside of the directory, whatever names and links the archive has: the
process that writes has it as its root. Names with ".." are told, and left out.`,
    options: {
      "--owner UID:GID": "whose everything becomes (default: as in the archive, in numbers)",
      "--strip N": "without the first N directories of each name",
      "--json": "print counts, and what failed",
      ...PROGRESS_OPTIONS,
      ...KERNEL_OPTIONS,
    },
    examples: [
      "liblinux untar rootfs.tar.xz card.img:2:/",
      "bzip2 -dc data.tar.bz2 | liblinux untar - disk.img:/opt",
    ],
    exits: "0 done, 1 something failed (the rest is there), 2 usage.",
    load: async () => (await import("../untar.ts")).untar,
  },
};
