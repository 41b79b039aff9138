// Changes of files, by inotify(7): as events, and one by one.
//
// Invariants: a watch has one inotify descriptor, which is closed when its loop ends; the loop ends
// when the signal does, or when what is watched cannot be read any more.

import { O_CLOEXEC } from "../../abi/constants/fcntl.ts";
import {
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_DONT_FOLLOW,
  IN_ISDIR,
  IN_MODIFY,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_MOVE_SELF,
  IN_ONLYDIR,
  IN_Q_OVERFLOW,
} from "../../abi/constants/inotify.ts";
import { errno } from "../../abi/errno.ts";
import { InotifyEvent } from "../../abi/structs/io.ts";
import { readDirectory } from "../directory.ts";
import type { Name } from "./arguments.ts";
import { Emitter } from "./emitter.ts";
import { decode } from "./encoding.ts";
import type { Encoding } from "./encoding.ts";
import {
  abortError,
  argumentTypeError,
  argumentValueError,
  failedWith,
  queueOverflowError,
} from "./errors.ts";
import { translated } from "./files.ts";
import type { Files } from "./files.ts";
import { matches } from "./glob.ts";
import { append, basename } from "./paths.ts";
import { asBytes } from "./runtime.ts";
import type { Bytes } from "./runtime.ts";

/** What is told, as libuv has it. */
const CHANGES = IN_ATTRIB | IN_MODIFY;
const MASK =
  CHANGES | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_MOVED_FROM | IN_MOVED_TO;
/** Room for many events; the longest has 272 bytes. */
const EVENTS_BYTES = 4096;
const AT = InotifyEvent.offsets;

export interface Change<N = string | Bytes | null> {
  /** "rename" if a name came or went, else "change". */
  readonly eventType: "rename" | "change";
  readonly filename: N;
}

export interface WatchOptions {
  /** Default utf8; "buffer" for bytes. */
  readonly encoding?: string | null | undefined;
  /**
   * Keep the runtime from ending as long as it watches. Default true. False need not let it end: a call
   * waits in the kernel, whose own timers may hold the runtime then.
   */
  readonly persistent?: boolean | undefined;
  /** With all directories below, also those made later. Default false. */
  readonly recursive?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What not to tell of. Default: all is told. */
  readonly ignore?: Ignored | readonly Ignored[] | null | undefined;
}

/** What is not told of: a pattern (of the last part of a name, if it has no slash), or what it is true for. */
export type Ignored = string | RegExp | ((filename: string) => boolean);

/** @throws as Node, unless it is one or several of {@link Ignored} */
export function checkIgnored(ignore: unknown): void {
  if (ignore === undefined || ignore === null) return;
  const all: readonly unknown[] = Array.isArray(ignore) ? ignore : [ignore];
  for (const [i, one] of all.entries()) {
    const name = Array.isArray(ignore) ? `options.ignore[${i}]` : "options.ignore";
    if (one === "") throw argumentValueError(name, one, "must be a non-empty string");
    if (!(typeof one === "string" || one instanceof RegExp || typeof one === "function"))
      throw argumentTypeError(name, "one of type string or function or an instance of RegExp", one);
  }
}

/** Whether to leave out a name. */
function isIgnored(filename: string | Uint8Array, ignore: Ignored | readonly Ignored[]): boolean {
  const name = typeof filename === "string" ? filename : decode(filename);
  const all: readonly Ignored[] = Array.isArray(ignore) ? ignore : [ignore];
  return all.some((one) => {
    if (typeof one === "string") return matches(one.includes("/") ? name : basename(name), one);
    return typeof one === "function" ? one(name) : name.search(one) >= 0;
  });
}

export type Told = (change: Change) => void;

/** A watch that is set up: it runs until its signal. */
export class Watch {
  readonly #files: Files;
  readonly #fd: number;
  readonly #encoding: Encoding | "buffer";
  /** The directory of a watch descriptor, from where the watch began. */
  readonly #places = new Map<number, Name>();
  readonly #path: Name;
  readonly #recursive: boolean;

  private constructor(
    files: Files,
    fd: number,
    path: Name,
    encoding: Encoding | "buffer",
    recursive: boolean,
  ) {
    this.#files = files;
    this.#fd = fd;
    this.#path = path;
    this.#encoding = encoding;
    this.#recursive = recursive;
  }

  /** Settles when all is set up. What is done with the files from this call on is told. */
  static start(
    files: Files,
    path: Name,
    encoding: Encoding | "buffer",
    recursive: boolean,
  ): Promise<Watch> {
    return files.first(() => Watch.#open(files, path, encoding, recursive));
  }

  static async #open(
    files: Files,
    path: Name,
    encoding: Encoding | "buffer",
    recursive: boolean,
  ): Promise<Watch> {
    const { process } = files;
    try {
      // IN_CLOEXEC has O_CLOEXEC's value.
      const fd = await process.inotify_init1(O_CLOEXEC);
      const watch = new Watch(files, fd, path, encoding, recursive);
      try {
        await watch.#add("", 0);
        if (recursive) await watch.#addBelow("");
        return watch;
      } catch (error) {
        await process.close(fd).catch(() => {});
        throw error;
      }
    } catch (error) {
      throw translated(error, "watch", path);
    }
  }

  async #add(place: Name, flags: number): Promise<void> {
    const path = place.length ? append(this.#path, place) : this.#path;
    const wd = await this.#files.process.inotify_add_watch(this.#fd, path, MASK | flags);
    this.#places.set(wd, place);
  }

  /** @param told of all that is there already */
  async #addBelow(place: Name, told?: (place: Name) => void): Promise<void> {
    const path = place.length ? append(this.#path, place) : this.#path;
    try {
      if (place.length) await this.#add(place, IN_ONLYDIR | IN_DONT_FOLLOW);
      for (const { rawName, type } of await readDirectory(this.#files.process, path)) {
        const below = append(place, rawName);
        told?.(below);
        // Where the directory does not tell what it is, watching it does.
        if (type === "directory" || type === "unknown") await this.#addBelow(below, told);
      }
    } catch (error) {
      // It went away meanwhile, or is no directory.
      if (!failedWith(error, errno.ENOENT, errno.ENOTDIR)) throw translated(error, "watch", path);
    }
  }

  /** Tell of changes until the signal ends it. */
  async run(
    signal: AbortSignal,
    tell: Told,
    ignore?: Ignored | readonly Ignored[] | null,
  ): Promise<void> {
    const { process } = this.#files;
    const told: Told = (change) => {
      if (ignore && change.filename !== null && isIgnored(change.filename, ignore)) return;
      tell(change);
    };
    const buffer = new Uint8Array(EVENTS_BYTES);
    try {
      for (;;) {
        const length = await process.read(this.#fd, buffer, buffer.length, { signal });
        await this.#tell(buffer.subarray(0, length), told);
      }
    } catch (error) {
      if (!signal.aborted) throw translated(error, "watch", this.#path);
    } finally {
      await process.close(this.#fd).catch(() => {});
    }
  }

  async #tell(bytes: Uint8Array, told: Told): Promise<void> {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < bytes.length;) {
      const wd = view.getInt32(at + AT.wd, true);
      const mask = view.getUint32(at + AT.mask, true);
      const length = view.getUint32(at + AT.len, true);
      const start = at + AT.name;
      at = start + length;
      const place = this.#places.get(wd);
      if (place === undefined && !(mask & IN_Q_OVERFLOW)) continue;
      const name = length ? bytes.slice(start, bytes.indexOf(0, start)) : null;
      let made: Name | undefined;
      const where = name ? append(place ?? "", name) : place;
      if (this.#recursive && name && mask & IN_ISDIR && mask & (IN_CREATE | IN_MOVED_TO))
        made = where;
      // A directory below tells its parent's watch of its own end.
      if (place?.length && !name) continue;
      if (mask & CHANGES) told({ eventType: "change", filename: this.#shown(where) });
      if (mask & MASK & ~CHANGES) told({ eventType: "rename", filename: this.#shown(where) });
      // What was made in it before it was watched is told of now.
      if (made)
        await this.#addBelow(made, (below) =>
          told({ eventType: "rename", filename: this.#shown(below) }),
        );
    }
  }

  /** Of a change of what is watched itself, its own name. */
  #shown(place: Name | undefined): string | Bytes {
    const name = place?.length
      ? place
      : basename(typeof this.#path === "string" ? this.#path : decode(this.#path));
    const bytes = typeof name === "string" ? new TextEncoder().encode(name) : name;
    return this.#encoding === "buffer" ? asBytes(bytes) : decode(bytes, this.#encoding);
  }
}

/** The longest that a timer may take. */
const MAX_TIMER_MS = 0x7fffffff;

/** Keeps a runtime such as Node from ending: what the kernel waits for does not. */
class Hold {
  #timer: ReturnType<typeof setInterval> | undefined;

  take(): void {
    this.#timer ??= setInterval(() => {}, MAX_TIMER_MS);
  }

  release(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Tells of changes by events: "change", "error", "close". */
export class FSWatcher extends Emitter {
  readonly #end = new AbortController();
  readonly #hold = new Hold();
  #closed = false;

  /** @internal Use `fs.watch()`. */
  constructor(start: () => Promise<Watch>, options: WatchOptions) {
    super();
    const { signal, ignore, persistent = true } = options;
    if (persistent) this.#hold.take();
    const close = () => this.close();
    if (signal?.aborted) queueMicrotask(close);
    else signal?.addEventListener("abort", close, { once: true });
    void this.#run(start, ignore).finally(() => signal?.removeEventListener("abort", close));
  }

  async #run(start: () => Promise<Watch>, ignore: WatchOptions["ignore"]): Promise<void> {
    try {
      const watch = await start();
      const told: Told = ({ eventType, filename }) => {
        if (!this.#closed) this.emit("change", eventType, filename);
      };
      await watch.run(this.#end.signal, told, ignore);
    } catch (error) {
      this.#hold.release();
      // Not from within a promise: nobody would see it.
      if (!this.#closed) queueMicrotask(() => void this.emit("error", error));
    }
  }

  /** Stop. Emits "close". */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#hold.release();
    this.#end.abort();
    queueMicrotask(() => void this.emit("close"));
  }

  /** Keep the runtime from ending as long as it watches. */
  ref(): this {
    if (!this.#closed) this.#hold.take();
    return this;
  }

  /** Let the runtime end, as far as {@link WatchOptions.persistent} can. */
  unref(): this {
    this.#hold.release();
    return this;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** How many changes may wait to be read. */
const DEFAULT_MAX_QUEUE = 2048;

export interface WatchIteratorOptions extends WatchOptions {
  /** How many changes may wait. Default 2048. */
  readonly maxQueue?: number | undefined;
  /** What happens to more: they are left out, or end the iteration. Default "ignore". */
  readonly overflow?: "ignore" | "throw" | "error" | undefined;
}

/** Changes one by one, until the signal or the end of the loop. */
export async function* changes(
  start: () => Promise<Watch>,
  options: WatchIteratorOptions,
): AsyncGenerator<Change, undefined> {
  const { signal, ignore, maxQueue = DEFAULT_MAX_QUEUE, overflow = "ignore" } = options;
  if (signal?.aborted) throw abortError(signal);
  const hold = new Hold();
  const end = new AbortController();
  const queue: Change[] = [];
  let wake = Promise.withResolvers<void>();
  const ended: { why: Error | null } = { why: null };
  const abort = () => {
    ended.why = abortError(signal!);
    wake.resolve();
  };
  signal?.addEventListener("abort", abort, { once: true });
  const told: Told = (change) => {
    if (queue.length < maxQueue) queue.push(change);
    else if (overflow !== "ignore") ended.why = queueOverflowError(maxQueue);
    wake.resolve();
  };
  const running = (await start()).run(end.signal, told, ignore).catch((error: unknown) => {
    ended.why = error as Error;
    wake.resolve();
  });
  if (options.persistent ?? true) hold.take();
  try {
    for (;;) {
      if (ended.why) throw ended.why;
      const change = queue.shift();
      if (change) yield change;
      else {
        await wake.promise;
        wake = Promise.withResolvers();
      }
    }
  } finally {
    hold.release();
    signal?.removeEventListener("abort", abort);
    end.abort();
    await running;
  }
}
