// What a verb is, and what the help of several verbs says.

import type { Scope } from "../places.ts";

/** Settles with the exit code. */
export type Run = (args: string[], scope?: Scope) => Promise<number>;

/** By names, as `-l, --long NAME`: what each does. */
export type Options = Readonly<Record<string, string>>;

export interface Verb {
  /** Behind `liblinux`. */
  readonly usage: string;
  readonly about: string;
  /** What else there is to know; an empty line parts paragraphs. */
  readonly text: string;
  readonly options: Options;
  readonly examples?: readonly string[];
  /** Exit codes, if they are more than usual. */
  readonly exits?: string;
  /** Not for people. */
  readonly hidden?: boolean;
  /** The exit code of what fails; default 1. */
  readonly failed?: number;
  readonly load: () => Promise<Run>;
}

export const ADDRESS = `IMAGE[:VOLUME]:/PATH names a file in a disk image. VOLUME is a partition's number, as \`liblinux
info\` shows it (disk.img:2:/etc or disk.img:p2:/etc); 0 is the whole disk. It can be left out
where only one volume has a file system. In PATH *, ?, [a-z] and {a,b} are patterns, for which a
shell needs quotes. IMAGE is a file or a block device, also one compressed by gzip, xz or zstd, or
an http: or https: URL; what is compressed or on a server is only read.`;

export const KERNEL_OPTIONS: Options = {
  "--profile NAME": "the kernel: fs or full (default: fs, and full for what fs cannot do)",
  "--memory MIB": "the kernel's memory (default 128)",
};

/** Of verbs that only read. */
export const READ_OPTIONS: Options = {
  "--replay, --overlay":
    "keep in memory what is written, as the replay of a journal does: the image stays as it is",
  ...KERNEL_OPTIONS,
};

export const JSON_OPTION: Options = { "--json": "print JSON" };

/** Of verbs that may take long. */
export const PROGRESS_OPTIONS: Options = {
  "-q, --quiet": "no progress",
  "--progress": "progress also where standard error is no terminal",
};
