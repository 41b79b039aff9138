// Changes of a file's status, by looking at it again and again: fs.watchFile().

import { errno } from "../../abi/errno.ts";
import { setHold } from "../../machine/hold.ts";
import type { Name, PathLike } from "./arguments.ts";
import { toBag, toFunction, toInteger, toName } from "./arguments.ts";
import { Emitter } from "./emitter.ts";
import { decode } from "./encoding.ts";
import { failedWith } from "./errors.ts";
import type { Files } from "./files.ts";
import { BigIntStats, Stats } from "./stats.ts";

const DEFAULT_INTERVAL_MS = 5007;
const STATX_BYTES = 256;

export interface WatchFileOptions {
  readonly bigint?: boolean | undefined;
  /** Keep the runtime from ending as long as it watches. Default true. */
  readonly persistent?: boolean | undefined;
  /** In milliseconds; default 5007. */
  readonly interval?: number | undefined;
}

export type WatchFileListener = (current: never, previous: never) => void;

type Status = Stats | BigIntStats;

/** Of what is not there: all zeroes. */
function nothing(bigint: boolean): Status {
  const view = new DataView(new ArrayBuffer(STATX_BYTES));
  return bigint ? new BigIntStats(view) : new Stats(view);
}

const sameStatus = (a: Status, b: Status) =>
  a.ctimeMs === b.ctimeMs && a.mtimeMs === b.mtimeMs && a.ino === b.ino && a.size === b.size;

/** Looks at one file. */
export class StatWatcher extends Emitter {
  readonly #files: Files;
  readonly #name: Name;
  readonly #bigint: boolean;
  #timer: ReturnType<typeof setInterval> | undefined;
  #previous: Status | null = null;
  #looking = false;

  /** @internal Use `fs.watchFile()`. */
  constructor(files: Files, name: Name, bigint: boolean, intervalMs: number) {
    super();
    this.#bigint = bigint;
    this.#files = files;
    this.#name = name;
    this.#timer = setInterval(() => void this.#tick(), intervalMs);
    void this.#tick();
  }

  async #tick(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const current = await this.#status();
      const previous = this.#previous;
      this.#previous = current;
      if (this.#timer === undefined) return;
      // What is not there at first is told, as Node does.
      if (previous ? !sameStatus(previous, current) : Number(current.mode) === 0)
        queueMicrotask(() => void this.emit("change", current, previous ?? current));
    } catch {
      // The kernel or the process ended: there is nothing to look at any more.
      this.stop();
    } finally {
      this.#looking = false;
    }
  }

  async #status(): Promise<Status> {
    try {
      const read = (view: DataView) => (this.#bigint ? new BigIntStats(view) : new Stats(view));
      if (this.#previous) return await this.#files.statx("stat", this.#name, 0, read);
      return await this.#files.statxFirst<Status>(this.#name, read);
    } catch (error) {
      if (failedWith(error, errno.ENOENT, errno.ENOTDIR)) return nothing(this.#bigint);
      throw error;
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Keep the runtime from ending as long as it watches. */
  ref(): this {
    setHold(this.#timer, true);
    return this;
  }

  /** Let the runtime end. */
  unref(): this {
    setHold(this.#timer, false);
    return this;
  }
}

/** The files that an fs object looks at. */
export class FileWatches {
  readonly #files: Files;
  readonly #watchers = new Map<string, StatWatcher>();

  constructor(files: Files) {
    this.#files = files;
  }

  watch(path: PathLike, given: unknown, listener?: WatchFileListener): StatWatcher {
    const told = toFunction(typeof given === "function" ? given : listener, "listener");
    const options = typeof given === "function" ? {} : toBag<WatchFileOptions>(given);
    const { interval = DEFAULT_INTERVAL_MS, bigint = false, persistent = true } = options;
    const name = toName(path);
    const key = keyOf(name);
    let watcher = this.#watchers.get(key);
    if (!watcher) {
      const intervalMs = toInteger(interval, "interval", 0);
      watcher = new StatWatcher(this.#files, name, bigint, intervalMs);
      if (!persistent) watcher.unref();
      this.#watchers.set(key, watcher);
    }
    return watcher.on("change", told as WatchFileListener);
  }

  unwatch(path: PathLike, listener?: WatchFileListener): void {
    const key = keyOf(toName(path));
    const watcher = this.#watchers.get(key);
    if (!watcher) return;
    if (listener) watcher.off("change", listener);
    else watcher.removeAllListeners("change");
    if (watcher.listenerCount("change")) return;
    watcher.stop();
    this.#watchers.delete(key);
  }

  end(): void {
    for (const watcher of this.#watchers.values()) watcher.stop();
    this.#watchers.clear();
  }
}

const keyOf = (name: Name) => (typeof name === "string" ? name : decode(name));
