// The verbs of the command line, and their help.

import { readFileSync } from "node:fs";

import { UsageError } from "./errors.ts";

/** Settles with the exit code. */
export type Run = (args: string[]) => Promise<number>;

interface Verb {
  readonly usage: string;
  readonly about: string;
  /** What `help VERB` adds. */
  readonly details: string;
  readonly load: () => Promise<Run>;
}

const ADDRESS = `IMAGE[:VOLUME]:/PATH names a file in a disk image. VOLUME is a partition's number, as
\`liblinux info\` shows it (disk.img:2:/etc or disk.img:p2:/etc); 0 is the whole disk. It can be
left out where only one volume has a file system. Images are opened read-only.`;

const KERNEL_OPTIONS = `  --profile NAME   the kernel: fs or full (default: fs, and full for what fs cannot do)
  --memory MIB     the kernel's memory (default 128)`;

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
    details: `${JSON_OPTION}\n${KERNEL_OPTIONS}`,
    load: async () => (await import("./info.ts")).info,
  },
  ls: {
    usage: "ls [-l] [-R] [--json] IMAGE[:VOLUME][:/PATH]",
    about: "list a directory of an image",
    details: `${ADDRESS}

  -l, --long       modes, links, owners, sizes and times as well
  -R, --recursive  and all directories below
${JSON_OPTION}
${KERNEL_OPTIONS}`,
    load: async () => (await import("./ls.ts")).ls,
  },
  cat: {
    usage: "cat IMAGE[:VOLUME]:/PATH...",
    about: "print files of an image",
    details: `${ADDRESS}\n\n${KERNEL_OPTIONS}`,
    load: async () => (await import("./cat.ts")).cat,
  },
  cp: {
    usage: "cp [-r] [-p] [--json] IMAGE[:VOLUME]:/PATH... TARGET",
    about: "copy files out of an image",
    details: `${ADDRESS}

TARGET is a directory of this machine, or a new name. Modes and times are kept, symbolic links
stay links; devices, pipes and sockets are reported and left out. Nothing is ever written
outside of TARGET, whatever names and links the image has. A file appears when it is complete.

  -r, --recursive  directories with all below them
  -p, --preserve   owners, and set-user-ID and set-group-ID bits, too (as root)
  -q, --quiet      no progress
  --json           print a JSON object with counts and what was left out
${KERNEL_OPTIONS}`,
    load: async () => (await import("./cp.ts")).cp,
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
};

export function findVerb(name: string): Verb {
  const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (verb) return verb;
  const what = name.startsWith("-") ? "option" : "verb";
  throw new UsageError(undefined, `${name}: there is no such ${what}`);
}

export function helpText(topic: string | undefined): string {
  if (topic !== undefined && topic !== "help") {
    const { usage, about, details } = findVerb(topic);
    return `liblinux ${usage}\n\n${about[0].toUpperCase()}${about.slice(1)}.\n\n${details}\n`;
  }
  const rows = Object.entries(VERBS).map(([name, { about }]) => `  ${name.padEnd(6)} ${about}`);
  return `liblinux: the Linux kernel as a library, and disk images without mounting them

usage: liblinux VERB [ARGUMENT...]

${rows.join("\n")}
  help   this, or a verb's options: liblinux help ls

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
