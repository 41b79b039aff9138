// Where files are copied from: this machine, or a volume.

import fs from "node:fs";
import type { BigIntStats } from "node:fs";

import { readXattrs } from "../fs/xattr.ts";
import type { MountedVolume } from "../image/index.ts";

/** What is known of a file: by Node's names, as both kinds of sources have them. */
export type SourceStatus = Pick<
  BigIntStats,
  | "mode"
  | "nlink"
  | "uid"
  | "gid"
  | "rdev"
  | "dev"
  | "ino"
  | "size"
  | "blocks"
  | "atimeNs"
  | "mtimeNs"
>;

/** A file that is open to be read. */
export interface SourceFile extends AsyncDisposable {
  /** @returns how many bytes: fewer than there is room for, 0 only at the end */
  read(into: Uint8Array, position: number): Promise<number>;
}

/** Names are bytes, since they need not be UTF-8. */
export interface CopySource {
  /** Of a symbolic link itself. */
  status(path: Buffer): Promise<SourceStatus>;
  /** The same path without symbolic links. */
  resolve(path: Buffer): Promise<Buffer>;
  names(path: Buffer): Promise<Buffer[]>;
  target(path: Buffer): Promise<Buffer>;
  open(path: Buffer): Promise<SourceFile>;
  /** Whether {@link attributes} tells what there is. */
  readonly hasAttributes: boolean;
  /** Extended attributes; none where they cannot be read. */
  attributes(path: Buffer): Promise<(readonly [name: string, value: Uint8Array])[]>;
}

/** Node cannot read extended attributes: those of this machine are not copied. */
export const hostSource: CopySource = {
  status: (path) => fs.promises.lstat(path, { bigint: true }),
  resolve: (path) => fs.promises.realpath(path, { encoding: "buffer" }),
  names: (path) => fs.promises.readdir(path, { encoding: "buffer" }),
  target: (path) => fs.promises.readlink(path, { encoding: "buffer" }),
  async open(path) {
    const file = await fs.promises.open(path, "r");
    return {
      read: async (into, position) => (await file.read(into, 0, into.length, position)).bytesRead,
      [Symbol.asyncDispose]: () => file.close(),
    };
  },
  hasAttributes: false,
  attributes: async () => [],
};

export function volumeSource({
  fs: files,
  process,
}: Pick<MountedVolume, "fs" | "process">): CopySource {
  return {
    status: (path) => files.promises.lstat(path, { bigint: true }),
    async resolve(path) {
      return Buffer.from(await files.promises.realpath(path, { encoding: "buffer" }));
    },
    async names(path) {
      const names = await files.promises.readdir(path, { encoding: "buffer" });
      return names.map((name) => Buffer.from(name));
    },
    async target(path) {
      return Buffer.from(await files.promises.readlink(path, { encoding: "buffer" }));
    },
    async open(path) {
      const file = await files.promises.open(path, "r");
      return {
        read: async (into, position) => (await file.read(into, 0, into.length, position)).bytesRead,
        [Symbol.asyncDispose]: () => file.close(),
      };
    },
    hasAttributes: true,
    async attributes(path) {
      return [...(await readXattrs(process, path, { follow: false }))];
    },
  };
}
