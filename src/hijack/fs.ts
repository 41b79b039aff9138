// node:fs below a prefix: its functions go to the image's files where a path or a descriptor is of those,
// and to the host's otherwise.
//
// Invariant: descriptors of the image's files are numbers from FIRST_DESCRIPTOR on for the program, which
// no host has.

import { Buffer } from "node:buffer";
import fs, { constants } from "node:fs";
import type { PathLike } from "node:fs";
import { resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { FileHandle } from "../fs/facade/index.ts";
import type { LinuxFs } from "../fs/facade/index.ts";
import { uvNumber } from "./native-stream.ts";
import { replace } from "./replace.ts";
import type { Method } from "./replace.ts";

const FIRST_DESCRIPTOR = 0x40000000;
const SLASH = 0x2f;

/** Functions of two paths, which have to be on the same side. */
const OF_TWO = /^(copyFile|cp|link|rename)(Sync)?$/;
/** Its first argument is what the link says, which is no path of ours. */
const OF_LINK = /^symlink(Sync)?$/;
const OF_PATTERN = /^glob(Sync)?$/;

type Where = "host" | "image" | "both";

/** What a function was called with, and where it goes. */
interface Call {
  readonly where: Where;
  readonly args: unknown[];
}

export interface FsHijackOptions {
  /** Absolute paths, without a slash at their ends. */
  readonly prefixes: readonly string[];
  /** Called for each call that goes to an image. */
  readonly used: () => void;
}

/** A path as text, or as bytes where that is how it was given; undefined if it is none. */
function pathOf(path: unknown): string | Buffer | undefined {
  if (typeof path === "string") return path;
  if (path instanceof Uint8Array) return Buffer.from(path.buffer, path.byteOffset, path.length);
  if (!(path instanceof URL)) return undefined;
  try {
    return fileURLToPath(path);
  } catch {
    // node:fs says what is wrong with it.
    return undefined;
  }
}

/** The same, from the root on. */
function absolute(path: string | Buffer): string | Buffer {
  if (typeof path === "string") return path.startsWith("/") ? path : `${process.cwd()}/${path}`;
  return path[0] === SLASH ? path : Buffer.concat([Buffer.from(`${process.cwd()}/`), path]);
}

/** As Node's: `EXDEV: cross-device link not permitted, rename 'a' -> 'b'`. */
function crossDeviceError(name: string, path: string, dest: string): Error {
  const syscall = name.replace(/Sync$/, "").toLowerCase();
  const message = `EXDEV: cross-device link not permitted, ${syscall} '${path}' -> '${dest}'`;
  return Object.assign(new Error(message), {
    code: "EXDEV",
    errno: uvNumber("EXDEV"),
    syscall,
    path,
    dest,
  });
}

class Router {
  readonly #prefixes: readonly string[];
  readonly #own: LinuxFs;

  constructor(own: LinuxFs, prefixes: readonly string[]) {
    this.#own = own;
    this.#prefixes = prefixes;
  }

  /**
   * The absolute path, if it is below a prefix. As it was given where it begins with the prefix: the way
   * that ".." leads behind a link is the kernel's to say.
   */
  inside(path: unknown): string | Buffer | undefined {
    const given = pathOf(path);
    if (given === undefined) return undefined;
    const full = absolute(given);
    const text = String(full);
    const plain = resolve(text);
    const isBelow = (name: string) =>
      this.#prefixes.some((prefix) => name === prefix || name.startsWith(`${prefix}/`));
    if (!isBelow(plain)) return undefined;
    if (isBelow(text)) return full;
    // A name's end may matter, as that of what has to be a directory.
    return text.endsWith("/") ? `${plain}/` : plain;
  }

  call(name: string, args: readonly unknown[]): Call {
    const [first, second] = args;
    if (typeof first === "number")
      return first >= FIRST_DESCRIPTOR
        ? { where: "image", args: [first - FIRST_DESCRIPTOR, ...args.slice(1)] }
        : { where: "host", args: [...args] };
    if (first instanceof FileHandle) return { where: "image", args: [...args] };
    if (OF_LINK.test(name)) {
      const at = this.inside(second);
      return at === undefined
        ? { where: "host", args: [...args] }
        : { where: "image", args: [first, at, ...args.slice(2)] };
    }
    if (OF_TWO.test(name)) return this.#two(args);
    if (OF_PATTERN.test(name)) return this.#pattern(args);
    return this.#one(args);
  }

  #one(args: readonly unknown[]): Call {
    const [first, second, ...rest] = args;
    const path = this.inside(first);
    const fd: unknown = isObject(second) ? Reflect.get(second, "fd") : undefined;
    // Streams on a descriptor, which their path says nothing of.
    if (typeof fd === "number" && fd >= FIRST_DESCRIPTOR)
      return {
        where: "image",
        args: [first, { ...(second as object), fd: fd - FIRST_DESCRIPTOR }, ...rest],
      };
    if (fd instanceof FileHandle) return { where: "image", args: [...args] };
    if (path === undefined || typeof fd === "number") return { where: "host", args: [...args] };
    return { where: "image", args: [path, ...args.slice(1)] };
  }

  #two(args: readonly unknown[]): Call {
    const [first, second, ...rest] = args;
    const [from, to] = [this.inside(first), this.inside(second)];
    if (from !== undefined && to !== undefined)
      return { where: "image", args: [from, to, ...rest] };
    const where = from === undefined && to === undefined ? "host" : "both";
    return { where, args: [...args] };
  }

  #pattern(args: readonly unknown[]): Call {
    const [pattern, options] = args;
    const cwd: unknown = isObject(options) ? Reflect.get(options, "cwd") : undefined;
    const at = this.inside(cwd ?? ".");
    const first: unknown = Array.isArray(pattern) ? pattern[0] : pattern;
    const absolute = typeof first === "string" && first.startsWith("/");
    if (absolute ? this.inside(first) === undefined : at === undefined)
      return { where: "host", args: [...args] };
    if (at === undefined) return { where: "image", args: [...args] };
    const found = isObject(options) ? { ...options, cwd: at } : { cwd: at };
    return { where: "image", args: [pattern, found, ...args.slice(isObject(options) ? 2 : 1)] };
  }

  /** Copy a file from one side to the other: there is no system call for that. */
  async copy(host: typeof fs, from: unknown, to: unknown, mode: unknown): Promise<void> {
    const [source, target] = [this.inside(from), this.inside(to)];
    const exclusive = typeof mode === "number" && (mode & constants.COPYFILE_EXCL) !== 0;
    const flags = exclusive ? "wx" : "w";
    const own = this.#own;
    if (source === undefined) {
      const stat = await host.promises.stat(from as PathLike);
      const options = { flags, mode: stat.mode & 0o777 };
      await pipeline(
        host.createReadStream(from as PathLike),
        own.createWriteStream(target!, options) as unknown as NodeJS.WritableStream,
      );
      return;
    }
    const stat = await own.promises.stat(source);
    const options = { flags, mode: stat.mode & 0o777 };
    await pipeline(
      own.createReadStream(source) as unknown as NodeJS.ReadableStream,
      host.createWriteStream(to as PathLike, options),
    );
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** The functions of one object; classes are left alone. */
function functionsOf(own: object, host: object): string[] {
  return Object.keys(own).filter(
    (name) => /^[a-z]/.test(name) && typeof Reflect.get(host, name) === "function",
  );
}

/**
 * Give the program the files of `own` below the prefixes.
 *
 * Functions whose names end in Sync throw ERR_FEATURE_UNAVAILABLE_ON_PLATFORM there: the kernel's calls
 * suspend.
 */
export function hijackFs(own: LinuxFs, { prefixes, used }: FsHijackOptions): void {
  const router = new Router(own, prefixes);
  const host = { ...fs, promises: { ...fs.promises } };

  /** What refuses, or is done otherwise, as the caller wants to hear of it. */
  const across = (name: string, args: unknown[], isPromise: boolean): unknown => {
    const [from, to] = args;
    const refuse = () => crossDeviceError(name, String(from), String(to));
    if (name.endsWith("Sync")) throw refuse();
    const mode = args[2];
    const work = name === "copyFile" ? router.copy(host, from, to, mode) : Promise.reject(refuse());
    if (isPromise) return work;
    const callback = args.at(-1) as (error: unknown) => void;
    work.then(
      () => process.nextTick(callback, null),
      (error: unknown) => process.nextTick(callback, error),
    );
    return undefined;
  };

  const route =
    (name: string, mine: Method, isPromise: boolean) =>
    (original: Method): Method =>
      function (this: unknown, ...given: unknown[]) {
        const { where, args } = router.call(name, given);
        if (where === "host") return original.apply(this, args);
        used();
        if (where === "both") return across(name, args, isPromise);
        if (name === "open" && !isPromise) shiftDescriptor(args);
        return mine.apply(undefined, args);
      };

  for (const [target, mine] of [
    [fs, own],
    [fs.promises, own.promises],
  ] as const) {
    const isPromise = target === fs.promises;
    for (const name of functionsOf(mine, target)) {
      const ours = Reflect.get(mine, name) as Method;
      replace(target, name, route(name, ours, isPromise));
    }
  }
  // Functions of these functions.
  for (const [target, name, property] of [
    [fs.exists, "exists", promisify.custom],
    [fs.realpath, "realpath", "native"],
  ] as const) {
    const of = Reflect.get(own, name) as object;
    const mine = Reflect.get(of, property) as Method;
    const original = Reflect.get(target, property) as Method;
    const isPromise = property === promisify.custom;
    Object.defineProperty(target, property, {
      value: route(name, mine, isPromise)(original),
      configurable: true,
      writable: true,
    });
  }
}

/** The program gets a descriptor that no file of the host's has. */
function shiftDescriptor(args: unknown[]): void {
  const callback: unknown = args.at(-1);
  if (typeof callback !== "function") return;
  args[args.length - 1] = (error: unknown, fd?: number) =>
    Reflect.apply(callback, undefined, [
      error,
      ...(fd === undefined ? [] : [fd + FIRST_DESCRIPTOR]),
    ]);
}
