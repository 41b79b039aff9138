// Extended attributes: names with bytes on a file (xattr(7)).

import {
  XATTR_CREATE,
  XATTR_LIST_MAX,
  XATTR_REPLACE,
  XATTR_SIZE_MAX,
} from "../abi/constants/xattr.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import type { Target } from "./target.ts";

/** What nearly all values and lists fit; those that do not are asked for again, at their greatest. */
const USUAL_BYTES = 4096;

/** There is no such attribute, or there are none at all. */
const UNREADABLE = new Set(["ENODATA", "EOPNOTSUPP"]);

export interface XattrOptions {
  /**
   * Of a path that is a symbolic link, the attributes of what it points to; false: of the link
   * itself. Default true. Of a descriptor it says nothing.
   */
  readonly follow?: boolean;
}

export interface SetXattrOptions extends XattrOptions {
  /**
   * "create": fail with EEXIST if there is one of that name; "replace": with ENODATA if there is
   * none. Default: whichever it is.
   */
  readonly mode?: "create" | "replace";
}

/**
 * The value of an attribute, in a buffer of its own.
 *
 * @param name with its namespace: `user.mime_type`
 * @throws {SystemError} ENODATA if there is none of that name, EOPNOTSUPP if the file system has
 *   no such namespace, ENOENT…
 */
export function getXattr(
  process: Process,
  target: Target,
  name: string | Uint8Array,
  options: XattrOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  return filled(XATTR_SIZE_MAX, (into) => {
    if (typeof target === "number") return process.fgetxattr(target, name, into, into.length);
    if (options.follow ?? true) return process.getxattr(target, name, into, into.length);
    return process.lgetxattr(target, name, into, into.length);
  });
}

/**
 * Give an attribute a value: at most 64 KiB, and less where the file system has no room for so many.
 *
 * @throws {SystemError} ENOSPC or E2BIG if it is too long, EPERM for `user.` on what is neither a
 *   file nor a directory, EOPNOTSUPP, EROFS…
 */
export async function setXattr(
  process: Process,
  target: Target,
  name: string | Uint8Array,
  value: Uint8Array,
  options: SetXattrOptions = {},
): Promise<void> {
  const { follow = true, mode } = options;
  const flags = mode === "create" ? XATTR_CREATE : mode === "replace" ? XATTR_REPLACE : 0;
  if (typeof target === "number") await process.fsetxattr(target, name, value, value.length, flags);
  else if (follow) await process.setxattr(target, name, value, value.length, flags);
  else await process.lsetxattr(target, name, value, value.length, flags);
}

/** The names of all attributes as they are stored: bytes, for they need not be UTF-8. */
export async function listRawXattrs(
  process: Process,
  target: Target,
  options: XattrOptions = {},
): Promise<Uint8Array<ArrayBuffer>[]> {
  const list = await filled(XATTR_LIST_MAX, async (into) => {
    try {
      if (typeof target === "number") return await process.flistxattr(target, into, into.length);
      if (options.follow ?? true) return await process.listxattr(target, into, into.length);
      return await process.llistxattr(target, into, into.length);
    } catch (error) {
      // HFS+ says so of what has none, where others give an empty list.
      if (error instanceof SystemError && UNREADABLE.has(error.code)) return 0;
      throw error;
    }
  });
  const names: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < list.length;) {
    const end = list.indexOf(0, at);
    names.push(list.subarray(at, end));
    at = end + 1;
  }
  return names;
}

/**
 * The names of all attributes that the process may know of, in the file system's own order, with
 * U+FFFD for what is no UTF-8.
 *
 * @throws {SystemError} ENOENT…; E2BIG if they are more than 64 KiB
 */
export async function listXattrs(
  process: Process,
  target: Target,
  options: XattrOptions = {},
): Promise<string[]> {
  const decoder = new TextDecoder();
  const names = await listRawXattrs(process, target, options);
  return names.map((name) => decoder.decode(name));
}

/**
 * All attributes that the process may know of, with their values, each in a buffer of its own. One
 * that is listed and cannot be asked for is left out: it went away meanwhile, or its name was wrong
 * (HFS+ of Linux 6.12 lists names without their last letter).
 *
 * @throws {SystemError} ENOENT…
 */
export async function readXattrs(
  process: Process,
  target: Target,
  options: XattrOptions = {},
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const all = new Map<string, Uint8Array<ArrayBuffer>>();
  const decoder = new TextDecoder();
  for (const raw of await listRawXattrs(process, target, options))
    try {
      all.set(decoder.decode(raw), await getXattr(process, target, raw, options));
    } catch (error) {
      if (!(error instanceof SystemError && UNREADABLE.has(error.code))) throw error;
    }
  return all;
}

/** Take an attribute away. @throws {SystemError} ENODATA if there is none of that name */
export async function removeXattr(
  process: Process,
  target: Target,
  name: string | Uint8Array,
  options: XattrOptions = {},
): Promise<void> {
  if (typeof target === "number") await process.fremovexattr(target, name);
  else if (options.follow ?? true) await process.removexattr(target, name);
  else await process.lremovexattr(target, name);
}

/** What a call writes, whose length is known only then. */
async function filled(
  mostBytes: number,
  call: (into: Uint8Array) => Promise<number>,
): Promise<Uint8Array<ArrayBuffer>> {
  let into = new Uint8Array(USUAL_BYTES);
  try {
    return into.subarray(0, await call(into));
  } catch (error) {
    if (!(error instanceof SystemError && error.code === "ERANGE")) throw error;
    into = new Uint8Array(mostBytes);
    return into.subarray(0, await call(into));
  }
}
