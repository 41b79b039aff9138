// Files of this machine that are written as an image has them.
//
// Invariants: a name of an image is a single component here. A file is made under a name of ours that
// must not exist, and renamed when it is complete: rename() replaces a link, it does not follow it.

import fs from "node:fs";
import { sep } from "node:path";

const PERMISSIONS = 0o777;
const STICKY = 0o1000;
export const SET_ID = 0o6000;

/** The name cannot be used on this machine. */
export class NameError extends Error {
  override readonly name = "NameError";
}

const decoder = new TextDecoder();

/** A name in an image must be one component here, too. */
function checkName(rawName: Uint8Array): void {
  const name = decoder.decode(rawName);
  const bad =
    name === "" ||
    name === "." ||
    name === ".." ||
    rawName.includes(0) ||
    rawName.includes(47) ||
    (sep === "\\" && /[\\:*?"<>|\u0000-\u001f]|[ .]$/.test(name)); // eslint-disable-line no-control-regex
  if (bad) throw new NameError("a name that this system cannot have");
}

/** Paths of this machine are bytes, since names in images need not be UTF-8. @throws {NameError} */
export function joinHost(folder: Buffer, rawName: Uint8Array): Buffer {
  checkName(rawName);
  return Buffer.concat([folder, Buffer.from(sep), rawName]);
}

/** What is there, links not followed; null if nothing. */
export function lookUp(path: Buffer): fs.Stats | null {
  return fs.lstatSync(path, { throwIfNoEntry: false }) ?? null;
}

export function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;)
    done += fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
}

/** What is being written, to be removed if it ends early. */
export class Temporary {
  #path: Buffer | null = null;
  #serial = 0;

  /** A new name in a directory. */
  in(folder: Buffer): Buffer {
    this.#path = joinHost(folder, Buffer.from(`.liblinux-${process.pid}-${this.#serial++}`));
    return this.#path;
  }

  /** It gets its name. */
  complete(path: Buffer): void {
    try {
      fs.renameSync(this.#path!, path);
      this.#path = null;
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  /** Remove what is incomplete: at once, for the process may be ending. */
  abandon(): void {
    if (!this.#path) return;
    fs.rmSync(this.#path, { force: true });
    this.#path = null;
  }

  /** There is none. */
  forget(): void {
    this.#path = null;
  }
}

/** What a file of this machine gets besides its content. */
export interface HostMetadata {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly accessedNs: bigint;
  readonly modifiedNs: bigint;
}

export const seconds = (ns: bigint): number => Number(ns) / 1e9;

/**
 * The mode that a copy gets. A set-ID bit for a file of another owner would be a gift.
 *
 * @param preserve owners are kept, too
 */
export const keptMode = (mode: number, preserve: boolean): number =>
  mode & (PERMISSIONS | STICKY | (preserve ? SET_ID : 0));

/** Owner, mode and times of an open file, or of a directory. */
export function finishHost(target: Buffer | number, of: HostMetadata, preserve: boolean): void {
  const times = [seconds(of.accessedNs), seconds(of.modifiedNs)] as const;
  const mode = keptMode(of.mode, preserve);
  if (typeof target === "number") {
    if (preserve) fs.fchownSync(target, of.uid, of.gid);
    fs.fchmodSync(target, mode);
    fs.futimesSync(target, ...times);
  } else {
    if (preserve) fs.lchownSync(target, of.uid, of.gid);
    fs.chmodSync(target, mode);
    fs.utimesSync(target, ...times);
  }
}

/** The same of a symbolic link, which has no mode. */
export function finishHostLink(target: Buffer, of: HostMetadata, preserve: boolean): void {
  if (preserve) fs.lchownSync(target, of.uid, of.gid);
  fs.lutimesSync(target, seconds(of.accessedNs), seconds(of.modifiedNs));
}
