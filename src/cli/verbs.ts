// The verbs of the command line, and their help.

import { readFileSync } from "node:fs";

import { UsageError } from "./errors.ts";
import type { Scope } from "./places.ts";

/** Settles with the exit code. */
export type Run = (args: string[], scope?: Scope) => Promise<number>;

interface Verb {
  readonly usage: string;
  readonly about: string;
  /** What `help VERB` adds. */
  readonly details: string;
  readonly load: () => Promise<Run>;
  /** Not for people. */
  readonly hidden?: boolean;
  /** The exit code of what fails; default 1. */
  readonly failed?: number;
}

const ADDRESS = `IMAGE[:VOLUME]:/PATH names a file in a disk image. VOLUME is a partition's number, as
\`liblinux info\` shows it (disk.img:2:/etc or disk.img:p2:/etc); 0 is the whole disk. It can be
left out where only one volume has a file system. IMAGE is a file, also one compressed by gzip, xz or
zstd, or an http: or https: URL; what is compressed or on a server is only read.`;

const KERNEL_OPTIONS = `  --profile NAME   the kernel: fs or full (default: fs, and full for what fs cannot do)
  --memory MIB     the kernel's memory (default 128)`;

const READ_OPTIONS = `  --replay, --overlay  keep in memory what is written, as the replay of a journal does: the image
                   stays as it is
${KERNEL_OPTIONS}`;

const JSON_OPTION = "  --json           print JSON";

const VERBS: Readonly<Record<string, Verb>> = {
  demo: {
    usage: "demo",
    about: "boot a kernel and show a file of a fresh ext4 image",
    details: "Needs mke2fs (e2fsprogs) to make the image.",
    load: async () => (await import("./demo.ts")).demo,
  },
  boot: {
    usage: "boot [--log LEVEL] [--append ARGUMENTS] [--json]",
    about: "boot a kernel, print its log and how long it took",
    details: `  --log LEVEL      what to show of the log: none, err, warning, notice, info, debug (default info)
  --append TEXT    the kernel's command line
  --profile NAME   the kernel: fs, full or kunit (default fs)
  --memory MIB     the kernel's memory (default 128)
  --json           print a JSON object a line: the log's records, then the timings`,
    load: async () => (await import("./boot.ts")).boot,
  },
  info: {
    usage: "info IMAGE [--json]",
    about: "partitions, file systems, labels, UUIDs and usage of an image",
    details: `${JSON_OPTION}\n${READ_OPTIONS}`,
    load: async () => (await import("./info.ts")).info,
  },
  ls: {
    usage: "ls [-l] [-R] [--json] IMAGE[:VOLUME][:/PATH]...",
    about: "list directories of an image",
    details: `${ADDRESS}

  -l, --long       modes, links, owners, sizes and times as well
  -R, --recursive  and all directories below
${JSON_OPTION}
${READ_OPTIONS}`,
    load: async () => (await import("./ls.ts")).ls,
  },
  cat: {
    usage: "cat IMAGE[:VOLUME]:/PATH...",
    about: "print files of an image",
    details: `${ADDRESS}\n\n${READ_OPTIONS}`,
    load: async () => (await import("./cat.ts")).cat,
  },
  cp: {
    usage: "cp [-r] [-p] [--owner UID[:GID]] [--json] SOURCE... TARGET",
    about: "copy files out of an image, into one, or from one to another",
    details: `${ADDRESS}

A source or the target, or both, are IMAGE[:VOLUME]:/PATH; the others are names of this machine.
TARGET is a directory, or a new name. Modes, times, hard links and holes are kept, and symbolic
links stay links. A file appears when it is complete.

Out of an image devices, pipes and sockets are reported and left out, and nothing is ever written
outside of TARGET, whatever names and links the image has. Into an image they are made, and all
belongs to root unless -p or --owner says otherwise; extended attributes are kept between images.

  -r, --recursive  directories with all below them
  -p, --preserve   owners, and set-user-ID and set-group-ID bits, too (out of an image: as root)
  --owner UID:GID  whose the copies in an image become
  -q, --quiet      no progress
  --progress       progress also where standard error is no terminal
  --json           print a JSON list with counts and what was left out
${READ_OPTIONS}`,
    load: async () => (await import("./cp.ts")).cp,
  },
  tar: {
    usage: "tar [-z | --zstd] [-S] [-o FILE] IMAGE[:VOLUME][:/PATH]",
    about: "write a directory of an image as a tar archive",
    details: `${ADDRESS}

The archive goes to standard output, or to a file, which is there when it is complete. It is of
POSIX's format (pax) and has all that there is: names in their own bytes, owners in numbers, times to the
nanosecond, hard links, devices, pipes and extended attributes (as GNU tar's --xattrs and bsdtar
have them). Names start with ./ in it. Sockets are left out.

  -o, --output FILE  to this file; - is standard output
  -z, --gzip       compressed by gzip
  --zstd           compressed by zstd
  -S, --sparse     holes of files are no zeroes in the archive (GNU's format 1.0)
  -q, --quiet      no progress
  --progress       progress also where standard error is no terminal
${READ_OPTIONS}

  liblinux tar -z -o etc.tar.gz disk.img:2:/etc
  liblinux tar disk.img:/ | tar -tv

Exit codes: 0 done, 1 something could not be read (the rest is in the archive), 2 usage.`,
    load: async () => (await import("./tar.ts")).tar,
  },
  untar: {
    usage: "untar [--owner UID[:GID]] [--strip N] [--json] ARCHIVE IMAGE[:VOLUME]:/PATH",
    about: "unpack a tar archive into a directory of an image",
    details: `${ADDRESS}

The directory is made if need be. ARCHIVE is a file, or - for standard input: ustar, pax, GNU tar's or
an old one, as it is or compressed by gzip, zstd or (in a file) xz. What is there already is replaced, but a directory
stays one, and so does a link to one.

Nothing is ever written outside of the directory, whatever names and links the archive has: the
process that writes has it as its root. Names with ".." are told, and left out.

  --owner UID:GID  whose everything becomes (default: as in the archive, in numbers)
  --strip N        without the first N directories of each name
  -q, --quiet      no progress
  --progress       progress also where standard error is no terminal
  --json           print counts, and what failed
${KERNEL_OPTIONS}

  liblinux untar rootfs.tar.xz card.img:2:/
  bzip2 -dc data.tar.bz2 | liblinux untar - disk.img:/opt

Exit codes: 0 done, 1 something failed (the rest is there), 2 usage.`,
    load: async () => (await import("./untar.ts")).untar,
  },
  sync: {
    usage: "sync [--delete] [-n] [-c] [-v] [--exclude PATTERN]... [--json] SOURCE TARGET",
    about: "make a directory like another one, in an image or of this machine",
    details: `${ADDRESS}

SOURCE or TARGET, or both, are IMAGE[:VOLUME]:/PATH; both are directories. TARGET gets what SOURCE has
in it, as by rsync -a: content, modes, times, links, hard links, holes, devices, and between images
extended attributes. Only what is different is written; files of the same size and time are taken for
the same. Each file appears when it is complete.

In an image owners are those of SOURCE unless --owner says otherwise. On this machine all becomes the
user's unless -p is given, devices, pipes and sockets are reported and left out, and nothing is ever
written outside of TARGET, whatever names and links the image has.

  --delete         remove from TARGET what SOURCE has not
  -n, --dry-run    change nothing, list what would be changed
  -c, --checksum   compare contents instead of sizes and times
  --exclude PATTERN  leave out names such as '*.log', or paths from the top on such as /var/cache
  -p, --preserve   on this machine: owners, and set-user-ID and set-group-ID bits, too (as root)
  --owner UID:GID  in an image: whose everything becomes
  -v, --verbose    list what is changed: + new, ~ changed, - removed
  -q, --quiet      no progress
  --progress       progress also where standard error is no terminal
  --json           print changes, counts and what was left out
${READ_OPTIONS}

  liblinux sync --delete ./rootfs disk.img:2:/
  liblinux sync -n --delete old.img:/ new.img:/
  liblinux sync card.img:2:/home ./backup

Exit codes: 0 done, 1 something failed (the rest is done), 2 usage.`,
    load: async () => (await import("./sync.ts")).sync,
  },
  diff: {
    usage: "diff [-i WHAT]... [--exclude PATTERN]... [--json] A B",
    about: "what two images, or an image and a directory, have different",
    details: `${ADDRESS}

A and B are images, directories or files in them, or directories of this machine. Images of several
volumes are compared volume by volume. A line for each difference: - only in A, + only in B, ~ in both,
with what is different: type, content or size, a link's target, mode, owner, time of modification,
extended attributes (between images).

  -i, --ignore WHAT  content, mode, owner, time or attributes; can be repeated, or a list with commas
  --exclude PATTERN  leave out names such as '*.log', or paths from the top on such as /var/cache
  --json             print JSON
${READ_OPTIONS}

  liblinux diff before.img after.img
  liblinux diff -i owner,time ./rootfs disk.img:2:/

Exit codes: 0 no differences, 1 some, 2 something failed.`,
    load: async () => (await import("./diff.ts")).diff,
    failed: 2,
  },
  stat: {
    usage: "stat [-L] [--json] IMAGE[:VOLUME]:/PATH...",
    about: "all that is known of files of an image",
    details: `${ADDRESS}

  -L, --dereference  of what a symbolic link points to
  --json           print JSON
${READ_OPTIONS}

  liblinux stat disk.img:2:/etc/passwd`,
    load: async () => (await import("./stat.ts")).stat,
  },
  shell: {
    usage: "shell [--write] [-c COMMAND]... IMAGE[:VOLUME][:/PATH]",
    about: "look around in an image, and change it, by commands",
    details: `${ADDRESS}

Commands are the verbs, with names from the directory on where one is, and cd, pwd, get, put, lcd, lpwd,
help and exit; help lists them. On a terminal the tabulator completes, and what was typed is kept for
the next time. Elsewhere commands are lines of standard input, with # for comments, and the first one
that fails ends the shell.

  -w, --write      let commands change the image (default: it is only read); with --overlay changes
                   are forgotten in the end
  -c, --command COMMAND  this instead of what is typed; can be repeated
${READ_OPTIONS}

  liblinux shell disk.img:2
  liblinux shell --write -c 'put -r ./site /var/www' -c 'chown -R 33:33 /var/www' disk.img:2

Exit codes: 0 done, 1 a command failed, 2 usage.`,
    load: async () => (await import("./shell.ts")).shell,
  },
  tree: {
    usage: "tree [-d] [-L LEVELS] [--json] IMAGE[:VOLUME][:/PATH]",
    about: "draw a directory of an image with all below it",
    details: `${ADDRESS}

  -d, --directories  only directories
  -L, --level N      so many levels
${JSON_OPTION}
${READ_OPTIONS}`,
    load: async () => (await import("./tree.ts")).tree,
  },
  find: {
    usage: "find [TEST...] IMAGE[:VOLUME][:/PATH]...",
    about: "names in an image that have what is asked for",
    details: `${ADDRESS}

Without tests everything is found. All tests have to hold:

  --name PATTERN   the last part of the path, as in '*.conf'
  --path PATTERN   the whole path
  --type LETTER    f file, d directory, l symbolic link, b or c device, p pipe, s socket
  --size SIZE      exactly, or with + larger, with - smaller: 4096, +100K, -1.5G
  --newer DATE     changed after this moment, as in 2026-01-31 or 2026-01-31T12:00:00Z
  --uid N          owned by this user
  --gid N          owned by this group
  -0, --print0     a NUL after each name, and every byte as it is
${JSON_OPTION}
${READ_OPTIONS}`,
    load: async () => (await import("./find.ts")).find,
  },
  du: {
    usage: "du [-s] [-d LEVELS] [-b] [--apparent] [--json] IMAGE[:VOLUME][:/PATH]...",
    about: "what directories of an image take on the disk",
    details: `${ADDRESS}

  -s, --summarize    only the sums
  -d, --max-depth N  only so many levels below
  -b, --bytes        in bytes
  --apparent         sizes of files instead of what they take
${JSON_OPTION}
${READ_OPTIONS}`,
    load: async () => (await import("./du.ts")).du,
  },
  df: {
    usage: "df [--json] IMAGE[:VOLUME]",
    about: "how full the file systems of an image are",
    details: `${JSON_OPTION}\n${READ_OPTIONS}`,
    load: async () => (await import("./df.ts")).df,
  },
  write: {
    usage: "write [-a] [-m MODE] IMAGE[:VOLUME]:/PATH",
    about: "put standard input into a file of an image",
    details: `${ADDRESS}

The file is made, or its content is replaced.

  -a, --append     after what is there already
  -m, --mode MODE  its permissions, as 0644
  -q, --quiet      no progress
  --progress       progress also where standard error is no terminal
${KERNEL_OPTIONS}`,
    load: async () => (await import("./write.ts")).write,
  },
  mkdir: {
    usage: "mkdir [-p] [-m MODE] IMAGE[:VOLUME]:/PATH...",
    about: "make directories in an image",
    details: `${ADDRESS}

  -p, --parents    those above, too; those that are there are no error
  -m, --mode MODE  permissions, as 0755
${KERNEL_OPTIONS}`,
    load: async () => (await import("./mkdir.ts")).mkdir,
  },
  rm: {
    usage: "rm [-r] [-f] IMAGE[:VOLUME]:/PATH...",
    about: "remove files and directories of an image",
    details: `${ADDRESS}

  -r, --recursive  directories with all below them
  -f, --force      what is not there is no error
${KERNEL_OPTIONS}`,
    load: async () => (await import("./rm.ts")).rm,
  },
  mv: {
    usage: "mv IMAGE[:VOLUME]:/PATH... /TARGET",
    about: "rename files of an image, or move them to another of its directories",
    details: `${ADDRESS}

/TARGET is a directory of the same volume, or a new name.

${KERNEL_OPTIONS}`,
    load: async () => (await import("./mv.ts")).mv,
  },
  ln: {
    usage: "ln [-s] [-f] TARGET IMAGE[:VOLUME]:/PATH",
    about: "make a link in an image",
    details: `${ADDRESS}

TARGET is a path in the same volume; of a symbolic link, any text.

  -s, --symbolic   a symbolic link
  -f, --force      instead of what is there
${KERNEL_OPTIONS}`,
    load: async () => (await import("./ln.ts")).ln,
  },
  chmod: {
    usage: "chmod [-R] MODE IMAGE[:VOLUME]:/PATH...",
    about: "change permissions of files of an image",
    details: `${ADDRESS}

MODE is octal, as 0644, or like u+x,go-w.

  -R, --recursive  directories with all below them
${KERNEL_OPTIONS}`,
    load: async () => (await import("./chmod.ts")).chmod,
  },
  chown: {
    usage: "chown [-R] [-h] UID[:GID] IMAGE[:VOLUME]:/PATH...",
    about: "change owners of files of an image",
    details: `${ADDRESS}

Users and groups are numbers: the names are the image's own.

  -R, --recursive  directories with all below them
  -h               of a symbolic link itself
${KERNEL_OPTIONS}`,
    load: async () => (await import("./chown.ts")).chown,
  },
  xattr: {
    usage: "xattr [--get NAME | --set NAME=VALUE... --remove NAME...] IMAGE[:VOLUME]:/PATH",
    about: "show or change extended attributes of a file of an image",
    details: `${ADDRESS}

Without options all are shown. A value can be 0x and hexadecimal digits.

  --get NAME         print one value as it is
  --set NAME=VALUE   as in user.note=hello; can be repeated
  --remove NAME      can be repeated
  -h                 of a symbolic link itself
${JSON_OPTION}
${KERNEL_OPTIONS}`,
    load: async () => (await import("./xattr.ts")).xattr,
  },
  mkfs: {
    usage: "mkfs -t TYPE [--size SIZE] [-L LABEL] [-U UUID] [-o NAME=VALUE]... IMAGE[:VOLUME]",
    about: "make a file system in an image",
    details: `Needs no kernel: the file system is written as it is to be.

  -t, --type TYPE    ext2, ext3, ext4, xfs, btrfs, f2fs, vfat, exfat or swap
  -s, --size SIZE    make a new image of this size, as 512M or 4G; the file is sparse
  -L, --label TEXT   its name
  -U, --uuid UUID    default: a random one
  -o, --option N=V   the file system's own, as in blockBytes=1024; can be repeated
  -f, --force        what is in the image is lost
${JSON_OPTION}

  liblinux mkfs -t ext4 --size 2G -L data disk.img
  liblinux mkfs -t vfat -L BOOT card.img:1`,
    load: async () => (await import("./mkfs.ts")).mkfs,
  },
  partition: {
    usage: "partition [--table gpt|mbr] [--size SIZE] IMAGE SIZE[:TYPE[:NAME]]...",
    about: "write a partition table to an image",
    details: `Each partition is a size or "rest", a type (linux, esp, swap, …, a GUID, or a number for MBR) and
a name. With a "*" at the end it is the active one.

  --table NAME     gpt (default) or mbr
  -s, --size SIZE  make a new image of this size
  -f, --force      what is in the image is lost
${JSON_OPTION}

  liblinux partition --size 8G card.img 256M:esp:boot rest:linux:root`,
    load: async () => (await import("./partition.ts")).partition,
  },
  resize: {
    usage: "resize [--json] IMAGE[:VOLUME] SIZE|+SIZE",
    about: "enlarge an image with its last partition and file system, or shrink it",
    details: `The image gets the size, the partition what is left, and the file system all of it, while the
kernel has it mounted: ext2/3/4, xfs, btrfs and f2fs. What can shrink (btrfs) shrinks.

${JSON_OPTION}
${KERNEL_OPTIONS}

  liblinux resize card.img:2 16G`,
    load: async () => (await import("./resize.ts")).resize,
  },
  serve: {
    usage: "serve ftp [--write] --user NAME:PASSWORD[:UID[:GID]]... IMAGE[:VOLUME][:/PATH]",
    about: "serve a volume of an image by FTP until it is interrupted",
    details: `Prints the address when it listens. On SIGINT and SIGTERM sessions are ended, the volume is
unmounted, and all that was written is in the image. With /PATH that directory is all there is.

  --write          let users change files (default: everything is read-only)
  --user USER      somebody who may log in; can be repeated. Without UID with all rights
  --anonymous      let anybody in, as user 65534 (nobody)
  --host HOST      the address to listen at (default 127.0.0.1: this machine only)
  --port N         default 2121; 0 is any that is free
  --tls-cert FILE  a certificate in PEM, with its chain: clients may use TLS (AUTH TLS)
  --tls-key FILE   its private key in PEM
  --json           print a JSON object on one line instead of the address
${KERNEL_OPTIONS}

  liblinux serve ftp --user me:secret disk.img:2`,
    load: async () => (await import("./serve.ts")).serve,
  },
  completion: {
    usage: "completion bash|zsh|fish",
    about: "print a script that lets a shell complete verbs, options, and names in images",
    details: `For this session, or with the same line in ~/.bashrc or ~/.zshrc for all that follow:

  eval "$(liblinux completion bash)"
  eval "$(liblinux completion zsh)"

and for fish, once:

  liblinux completion fish > ~/.config/fish/completions/liblinux.fish`,
    load: async () => (await import("./completion.ts")).completion,
  },
  complete: {
    usage: "complete --line TEXT --breaks CHARACTERS | complete -- WORD...",
    about: "candidates for the scripts of liblinux completion",
    details: "The last word is the one that is completed.",
    load: async () => (await import("./complete.ts")).complete,
    hidden: true,
  },
};

export const SHELLS: readonly string[] = ["bash", "zsh", "fish"];

const shown = () => Object.entries(VERBS).filter(([, { hidden }]) => !hidden);

export const verbNames = (): string[] => shown().map(([name]) => name);

export function verbsWithAbout(): { value: string; about: string }[] {
  const rows = shown().map(([value, { about }]) => ({ value, about }));
  return [...rows, { value: "help", about: "the verbs, or a verb's options" }];
}

export function findVerb(name: string): Verb {
  const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (verb) return verb;
  const what = name.startsWith("-") ? "option" : "verb";
  throw new UsageError(undefined, `${name}: there is no such ${what}`);
}

/** An option, as the help has it. */
export interface OptionHelp {
  /** E.g. `-l` and `--long`. */
  readonly names: readonly string[];
  /** What has to follow; empty for a flag. */
  readonly argument: string;
  readonly about: string;
}

/** Lines of a verb's help such as `  -l, --long NAME  what it does`. */
const OPTION = /^ {2}((?:-[\w-]+)(?:, -[\w-]+)*)((?: [A-Z][A-Z0-9:=-]*)?) {2,}(.*)$/gm;

export function optionsOf(name: string): OptionHelp[] {
  const { details } = findVerb(name);
  return Array.from(details.matchAll(OPTION), ([, names, argument, about]) => ({
    names: names.split(", "),
    argument: argument.trim(),
    about,
  }));
}

export function helpText(topic: string | undefined): string {
  if (topic !== undefined && topic !== "help") {
    const { usage, about, details } = findVerb(topic);
    return `liblinux ${usage}\n\n${about[0].toUpperCase()}${about.slice(1)}.\n\n${details}\n`;
  }
  const rows = shown().map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`);
  return `liblinux: the Linux kernel as a library, and disk images without mounting them

usage: liblinux VERB [ARGUMENT...]

${rows.join("\n")}
  help       this, or a verb's options: liblinux help ls

${ADDRESS}

  liblinux ls -l disk.img:/etc
  liblinux cat disk.img:2:/etc/fstab
  liblinux cp -r disk.img:/var/log ./logs

Exit codes: 0 done, 1 failed, 2 the command line makes no sense.
`;
}

export function packageVersion(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
