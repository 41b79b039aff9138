// How far the types of an fs object are those of `typeof import("node:fs")`. The compiler runs this: a
// function that comes to differ, or no longer does, is an error here.

import type nodeFs from "node:fs";

import type { FileHandle, FsPromises, LinuxFs } from "../../../src/fs/index.ts";

type Node = typeof nodeFs;
type NodeHandle = Awaited<ReturnType<Node["promises"]["open"]>>;

/** What is declared of util.promisify() is of types only. */
type Promisified<Theirs, Ours> = Theirs extends { __promisify__: infer P }
  ? Ours & { __promisify__: P }
  : Ours;

/** The names of what cannot be used where Node's own is asked for. */
type Differing<Theirs, Ours> = {
  [Name in keyof Theirs]: Name extends keyof Ours
    ? Promisified<Theirs[Name], Ours[Name]> extends Theirs[Name]
      ? never
      : Name
    : Name;
}[keyof Theirs];

/** Are these all, and no more? */
type Are<Found, Known> = [Found] extends [Known] ? ([Known] extends [Found] ? true : never) : never;

export const promises: Are<
  Differing<Node["promises"], FsPromises>,
  // O_SYMLINK, which Node declares everywhere and macOS alone has.
  | "constants"
  // What a FileHandle lacks: see below.
  | "open"
  // Of names as bytes, the directory they are in is given as bytes too, and declared so.
  | "readdir"
> = true;

export const handles: Are<
  Differing<NodeHandle, FileHandle>,
  // An experiment of Node 26 that has to be switched on.
  | "pull"
  | "writer"
  // Streams have all of Node's methods, but are declared with those that are made here.
  | "createReadStream"
  | "createWriteStream"
  // A generator of lines, not readline's Interface.
  | "readLines"
  // The web's own type of it.
  | "readableWebStream"
> = true;

export const functions: Are<
  Exclude<Differing<Node, LinuxFs>, `${string}Sync`>,
  // Classes: whose constructors Node declares, and does not document.
  | "Dir"
  | "Dirent"
  | "Stats"
  | "StatsFs"
  // Streams and watchers have fewer methods declared than an EventEmitter.
  | "ReadStream"
  | "WriteStream"
  | "createReadStream"
  | "createWriteStream"
  | "watch"
  | "watchFile"
  // Writes synchronously.
  | "Utf8Stream"
  // Undefined on Linux.
  | "lchmod"
  // As above.
  | "constants"
  | "promises"
  | "readdir"
> = true;
