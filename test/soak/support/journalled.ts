// The file systems that promise something for after a crash: how they are made, mounted and checked.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

import { emptyImage, run } from "../../images/native.ts";

/** What a native checker has to say. */
export interface Verdict {
  readonly clean: boolean;
  readonly output: string;
}

export interface Journalled {
  readonly name: string;
  readonly type: string;
  readonly mountOptions: string | null;
  /** An empty file system. */
  make(folder: string): Uint8Array<ArrayBuffer>;
  /**
   * Whether what points to new content is on the disk only after the content, however the disk orders
   * what it was not told to flush. F2FS writes both and flushes once, after them: till then a file
   * that is being changed may be found with blocks that were never written.
   */
  readonly orders: boolean;
  /**
   * Whether fsync() can forget to flush what it wrote. F2FS (6.12) does: of a file that has several
   * names, or was renamed, it makes a checkpoint instead; and where only content was changed, in
   * place, there is nothing to checkpoint, and nothing is flushed. Then nothing was promised.
   */
  readonly forgets: boolean;
  /** Command and arguments that check a file, changing nothing. */
  readonly checker: readonly string[];
  /** What the checker prints only if something is wrong, whatever its exit code says. */
  readonly complaint?: RegExp;
}

const maker =
  (mib: number, command: string, ...args: string[]) =>
  (folder: string): Uint8Array<ArrayBuffer> => {
    const path = emptyImage(join(folder, "base.img"), mib);
    run(command, ...args, path);
    return new Uint8Array(readFileSync(path));
  };

/** So that what is made is always the same, as far as the tools let it. */
const UUID = "4c696e75-7820-6173-2061-206c69627279";

const ext4 = {
  type: "ext4",
  orders: true,
  forgets: false,
  make: maker(16, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-U", UUID),
  checker: ["e2fsck", "-fn"],
};

export const JOURNALLED: readonly Journalled[] = [
  { ...ext4, name: "ext4 data=ordered", mountOptions: "data=ordered" },
  { ...ext4, name: "ext4 data=journal", mountOptions: "data=journal" },
  {
    name: "xfs",
    type: "xfs",
    mountOptions: null,
    orders: true,
    forgets: false,
    make: maker(32, "mkfs.xfs", "--unsupported", "-q", "-s", "size=4096", "-m", `uuid=${UUID}`),
    checker: ["xfs_repair", "-n"],
  },
  {
    name: "btrfs",
    type: "btrfs",
    mountOptions: null,
    orders: true,
    forgets: false,
    make: maker(112, "mkfs.btrfs", "-q", "-U", UUID),
    checker: ["btrfs", "check", "--readonly"],
  },
  {
    name: "f2fs",
    type: "f2fs",
    mountOptions: null,
    orders: false,
    forgets: true,
    make: maker(64, "mkfs.f2fs", "-q", "-w", "4096"),
    checker: ["fsck.f2fs", "--dry-run"],
    complaint: /\[Fail\]|\[ASSERT\]|Error/,
  },
];

const path = [process.env.PATH, "/usr/sbin", "/sbin"].join(":");

/** Run the native checker on a file. */
export function check(kind: Journalled, file: string): Promise<Verdict> {
  const [command, ...args] = kind.checker;
  return new Promise((resolve) => {
    execFile(
      command,
      [...args, file],
      { env: { ...process.env, PATH: path }, encoding: "utf8", maxBuffer: 1 << 24 },
      (error, stdout, stderr) => {
        const output = `${stdout}${stderr}`;
        resolve({ clean: !error && !kind.complaint?.test(output), output });
      },
    );
  });
}
