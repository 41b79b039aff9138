// The kernel's calls as Node's fs names them: one function an operation, with checked arguments, whose
// errors are Node's.

import type { CallOptions, KernelMemory, Out } from "../../abi/calls.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_LARGEFILE,
} from "../../abi/constants/fcntl.ts";
import { STATX_BASIC_STATS, STATX_BTIME } from "../../abi/constants/stat.ts";
import { errno } from "../../abi/errno.ts";
import { Statfs64, Statx } from "../../abi/structs/fs.ts";
import { SystemError } from "../../syscall/errors.ts";
import type { Process } from "../../syscall/process.ts";
import type { Name } from "./arguments.ts";
import { decode } from "./encoding.ts";
import { FsError, abortError } from "./errors.ts";
import { FsMemory, SMALLEST_BYTES, SMALL_TRANSFER_BYTES } from "./memory.ts";
import type { Slot, Transfer } from "./memory.ts";

const STATX_MASK = STATX_BASIC_STATS | STATX_BTIME;
/** SYMLOOP_MAX of the kernel (MAXSYMLINKS, include/linux/namei.h). */
export const MAX_LINKS = 40;
const NAME_OF_TARGET_BYTES = 4096;
const NS_PER_SECOND = 1_000_000_000;

/** Where a name starts from, if not from the working directory: a directory's descriptor. */
export interface At {
  readonly at?: number;
}

const encoder = new TextEncoder();

/** A name as an error shows it. */
const shown = (name: Name | undefined) =>
  name === undefined || typeof name === "string" ? name : decode(name);

/** What a caller sees for what a call failed with. */
export function translated(
  error: unknown,
  syscall: string,
  path?: Name,
  dest?: Name,
  signal?: AbortSignal,
): unknown {
  if (error instanceof SystemError)
    return new FsError(error.errno, syscall, shown(path), shown(dest));
  if (signal?.aborted && error === signal.reason) return abortError(signal);
  return error;
}

export class Files {
  readonly process: Process;
  readonly memory: FsMemory;
  /** What calls with names wait for. */
  #first: Promise<void> | null = null;

  constructor(process: Process) {
    this.process = process;
    this.memory = new FsMemory(process);
  }

  /** Do something before all calls with names that begin from now on. */
  async first<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#first;
    const working = (async () => {
      await before;
      return work();
    })();
    const done = working.then(
      () => {},
      () => {},
    );
    this.#first = done;
    try {
      return await working;
    } finally {
      if (this.#first === done) this.#first = null;
    }
  }

  /** Make a call with a slot. */
  async #with<T>(
    syscall: string,
    path: Name | undefined,
    dest: Name | undefined,
    call: (slot: Slot) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    if (this.#first) await this.#first;
    const slot = this.memory.takeSlot() ?? (await this.memory.moreSlots());
    try {
      return await call(slot);
    } catch (error) {
      throw translated(error, syscall, path, dest, signal);
    } finally {
      this.memory.giveSlot(slot);
    }
  }

  /** Make a call that takes no memory. */
  async #plain<T>(syscall: string, call: Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await call;
    } catch (error) {
      throw translated(error, syscall, undefined, undefined, signal);
    }
  }

  /** Make a call with two names, of which errors tell. */
  #pair(
    syscall: string,
    from: Name,
    to: Name,
    call: (from: KernelMemory, to: KernelMemory) => Promise<number>,
  ): Promise<number> {
    return this.#with(syscall, from, to, (slot) => call(slot.first.put(from), slot.second.put(to)));
  }

  // --- Descriptors -------------------------------------------------------------------------

  /** @param mode of a file that is made; the umask is taken from it */
  open(
    path: Name,
    flags: number,
    mode = 0o666,
    options: At & { syscall?: string; signal?: AbortSignal | undefined } = {},
  ): Promise<number> {
    const { at = AT_FDCWD, syscall = "open", signal } = options;
    return this.#with(
      syscall,
      path,
      undefined,
      (slot) =>
        this.process.openat(
          at,
          slot.first.put(path),
          flags | O_CLOEXEC | O_LARGEFILE,
          mode,
          signal && { signal },
        ),
      signal,
    );
  }

  close(fd: number): Promise<unknown> {
    return this.#plain("close", this.process.close(fd));
  }

  /** Run something with a descriptor, and close it. */
  async using<T>(fd: number, use: (fd: number) => Promise<T>): Promise<T> {
    try {
      return await use(fd);
    } finally {
      await this.process.close(fd).catch(() => {});
    }
  }

  fsync(fd: number): Promise<unknown> {
    return this.#plain("fsync", this.process.fsync(fd));
  }

  fdatasync(fd: number): Promise<unknown> {
    return this.#plain("fdatasync", this.process.fdatasync(fd));
  }

  // --- Contents ----------------------------------------------------------------------------

  /** Read up to `target.length` bytes, less at the end or where no more is there yet. */
  read(
    fd: number,
    target: Uint8Array,
    position: number | bigint | null,
    signal?: AbortSignal,
  ): Promise<number> {
    return this.#transfer("read", target, signal, async (memory, part, done, call) => {
      const buffer = memory?.memory ?? part;
      const count =
        position === null
          ? await this.process.read(fd, buffer, part.length, call)
          : await this.process.pread64(fd, buffer, part.length, plus(position, done), call);
      if (memory && count) part.set(memory.bytes.subarray(0, count));
      return count;
    });
  }

  /** Write; less than all where there is no room for all. */
  write(
    fd: number,
    source: Uint8Array,
    position: number | bigint | null,
    signal?: AbortSignal,
  ): Promise<number> {
    return this.#transfer("write", source, signal, async (memory, part, done, call) => {
      if (memory) memory.bytes.set(part);
      const buffer = memory?.memory ?? part;
      return position === null
        ? this.process.write(fd, buffer, part.length, call)
        : this.process.pwrite64(fd, buffer, part.length, plus(position, done), call);
    });
  }

  /** Move bytes piece by piece until one falls short. */
  async #transfer(
    syscall: string,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
    move: (
      memory: Transfer | null,
      part: Uint8Array,
      done: number,
      call: CallOptions | undefined,
    ) => Promise<number>,
  ): Promise<number> {
    const call = signal && { signal };
    let done = 0;
    let memory: Transfer | null = null;
    try {
      const taken = this.memory.takeTransfer(bytes.length);
      memory = taken instanceof Promise ? await taken : taken;
      const most = memory ? memory.bytes.length : SMALL_TRANSFER_BYTES;
      do {
        const part = bytes.length <= most && !done ? bytes : bytes.subarray(done, done + most);
        const count = await move(memory, part, done, call);
        done += count;
        if (count < part.length) break;
      } while (done < bytes.length);
      return done;
    } catch (error) {
      // What was moved was moved: the next call tells the error.
      if (done && error instanceof SystemError) return done;
      throw translated(error, syscall, undefined, undefined, signal);
    } finally {
      if (memory) this.memory.giveTransfer(memory);
    }
  }

  /** Fill several views: in one call of the kernel, if they are not many or large. */
  async readv(fd: number, parts: readonly Uint8Array[], position?: number | null): Promise<number> {
    const at = typeof position === "number" ? position : null;
    if (!isOneVector(parts)) return this.#each(parts, at, (part, to) => this.read(fd, part, to));
    const call =
      at === null
        ? this.process.readv(fd, parts, parts.length)
        : this.process.preadv(fd, parts, parts.length, at);
    return this.#plain("read", call);
  }

  /** Write several views. */
  async writev(
    fd: number,
    parts: readonly Uint8Array[],
    position?: number | null,
  ): Promise<number> {
    const at = typeof position === "number" ? position : null;
    if (!isOneVector(parts)) return this.#each(parts, at, (part, to) => this.write(fd, part, to));
    const call =
      at === null
        ? this.process.writev(fd, parts, parts.length)
        : this.process.pwritev(fd, parts, parts.length, at);
    return this.#plain("write", call);
  }

  async #each(
    parts: readonly Uint8Array[],
    position: number | null,
    move: (part: Uint8Array, position: number | null) => Promise<number>,
  ): Promise<number> {
    let total = 0;
    for (const part of parts) {
      if (!part.length) continue;
      const count = await move(part, position === null ? null : position + total);
      total += count;
      if (count < part.length) break;
    }
    return total;
  }

  /** Write text in UTF-8 that one transfer can hold, without a copy in between. */
  async writeText(fd: number, text: string, signal?: AbortSignal): Promise<void> {
    const most = text.length * MAX_UTF8_BYTES;
    const taken = most <= SMALLEST_BYTES ? this.memory.takeTransfer(most) : null;
    const memory = taken instanceof Promise ? await taken : taken;
    if (!memory) return this.writeAll(fd, encoder.encode(text), null, signal);
    try {
      const { written } = encoder.encodeInto(text, memory.bytes);
      if (!written) return undefined;
      const count = await this.process.write(fd, memory.memory, written, signal && { signal });
      if (count === written) return undefined;
      return await this.writeAll(fd, memory.bytes.slice(count, written), null, signal);
    } catch (error) {
      throw translated(error, "write", undefined, undefined, signal);
    } finally {
      this.memory.giveTransfer(memory);
    }
  }

  /** Write all, or fail. */
  async writeAll(
    fd: number,
    bytes: Uint8Array,
    position: number | null,
    signal?: AbortSignal,
  ): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const at = position === null ? null : position + done;
      done += await this.write(fd, done ? bytes.subarray(done) : bytes, at, signal);
    }
  }

  ftruncate(fd: number, lengthBytes: number): Promise<unknown> {
    return this.#plain("ftruncate", this.process.ftruncate64(fd, Math.max(0, lengthBytes)));
  }

  // --- Status ------------------------------------------------------------------------------

  /** The status of a file, by `decode` of its struct statx. */
  statx<T>(
    syscall: string,
    path: Name,
    flags: number,
    read: (view: DataView) => T,
    at = AT_FDCWD,
    signal?: AbortSignal,
  ): Promise<T> {
    const call = signal && { signal };
    return this.#with(
      syscall,
      path,
      undefined,
      async (slot) => {
        await this.process.statx(at, slot.first.put(path), flags, STATX_MASK, slot.record, call);
        return read(slot.recordView);
      },
      signal,
    );
  }

  /** The status of a file as it is before all that begins from now on. */
  async statxFirst<T>(path: Name, read: (view: DataView) => T): Promise<T> {
    const raw = Statx.alloc();
    try {
      await this.first(() => this.process.statx(AT_FDCWD, path, 0, STATX_MASK, raw.bytes));
    } catch (error) {
      throw translated(error, "stat", path);
    }
    return read(new DataView(raw.bytes.buffer));
  }

  fstat<T>(fd: number, read: (view: DataView) => T, signal?: AbortSignal): Promise<T> {
    const call = signal && { signal };
    return this.#with(
      "fstat",
      undefined,
      undefined,
      async (slot) => {
        const name = slot.first.put("");
        await this.process.statx(fd, name, AT_EMPTY_PATH, STATX_MASK, slot.record, call);
        return read(slot.recordView);
      },
      signal,
    );
  }

  statfs<T>(path: Name, read: (raw: Statfs64) => T): Promise<T> {
    return this.#with("statfs", path, undefined, async (slot) => {
      await this.process.statfs64(slot.first.put(path), Statfs64.size, slot.record);
      return read(new Statfs64(slot.recordView));
    });
  }

  /** Whether this is allowed with the real user and group, as access(2) has it. */
  access(path: Name, mode: number): Promise<number> {
    return this.#with("access", path, undefined, (slot) =>
      this.process.faccessat(AT_FDCWD, slot.first.put(path), mode),
    );
  }

  // --- Attributes --------------------------------------------------------------------------

  chmod(path: Name, mode: number): Promise<number> {
    return this.#with("chmod", path, undefined, (slot) =>
      this.process.fchmodat(AT_FDCWD, slot.first.put(path), mode & 0o7777),
    );
  }

  fchmod(fd: number, mode: number): Promise<unknown> {
    return this.#plain("fchmod", this.process.fchmod(fd, mode & 0o7777));
  }

  chown(path: Name, uid: number, gid: number, follow = true): Promise<number> {
    return this.#with(follow ? "chown" : "lchown", path, undefined, (slot) =>
      this.process.fchownat(
        AT_FDCWD,
        slot.first.put(path),
        uid,
        gid,
        follow ? 0 : AT_SYMLINK_NOFOLLOW,
      ),
    );
  }

  fchown(fd: number, uid: number, gid: number): Promise<unknown> {
    return this.#plain("fchown", this.process.fchown(fd, uid, gid));
  }

  /** @param atime in seconds, as mtime */
  utimes(path: Name, atime: number, mtime: number, follow = true): Promise<number> {
    return this.#with(follow ? "utime" : "lutime", path, undefined, (slot) =>
      this.process.utimensat_time64(
        AT_FDCWD,
        slot.first.put(path),
        times(slot, atime, mtime),
        follow ? 0 : AT_SYMLINK_NOFOLLOW,
      ),
    );
  }

  futimes(fd: number, atime: number, mtime: number): Promise<number> {
    return this.#with("futime", undefined, undefined, (slot) =>
      this.process.utimensat_time64(fd, null, times(slot, atime, mtime), 0),
    );
  }

  // --- Names -------------------------------------------------------------------------------

  mkdir(path: Name, mode: number, shownPath: Name = path): Promise<number> {
    return this.#with("mkdir", shownPath, undefined, (slot) =>
      this.process.mkdirat(AT_FDCWD, slot.first.put(path), mode),
    );
  }

  mkdtemp(path: Name): Promise<number> {
    return this.#with("mkdtemp", path, undefined, (slot) =>
      this.process.mkdirat(AT_FDCWD, slot.first.put(path), 0o700),
    );
  }

  rmdir(path: Name, at = AT_FDCWD, shownPath: Name = path): Promise<number> {
    return this.#with("rmdir", shownPath, undefined, (slot) =>
      this.process.unlinkat(at, slot.first.put(path), AT_REMOVEDIR),
    );
  }

  unlink(path: Name, at = AT_FDCWD, shownPath: Name = path): Promise<number> {
    return this.#with("unlink", shownPath, undefined, (slot) =>
      this.process.unlinkat(at, slot.first.put(path), 0),
    );
  }

  rename(from: Name, to: Name): Promise<number> {
    return this.#pair("rename", from, to, (first, second) =>
      this.process.renameat2(AT_FDCWD, first, AT_FDCWD, second, 0),
    );
  }

  link(from: Name, to: Name): Promise<number> {
    return this.#pair("link", from, to, (first, second) =>
      this.process.linkat(AT_FDCWD, first, AT_FDCWD, second, 0),
    );
  }

  symlink(target: Name, path: Name): Promise<number> {
    return this.#pair("symlink", target, path, (first, second) =>
      this.process.symlinkat(first, AT_FDCWD, second),
    );
  }

  /** The target of a symbolic link, as it is stored. */
  readlink(path: Name, syscall = "readlink", shownPath: Name = path): Promise<Uint8Array> {
    return this.#with(syscall, shownPath, undefined, async (slot) => {
      const { memory, bytes } = slot.second;
      const length = await this.process.readlinkat(
        AT_FDCWD,
        slot.first.put(path),
        memory,
        NAME_OF_TARGET_BYTES,
      );
      return bytes.slice(0, length);
    });
  }

  /** The working directory. */
  cwd(): Promise<Uint8Array> {
    return this.#with("getcwd", undefined, undefined, async (slot) => {
      const { memory, bytes } = slot.first;
      return bytes.slice(0, (await this.process.getcwd(memory, memory.length)) - 1);
    });
  }

  // --- The rest ----------------------------------------------------------------------------

  /** Records of a directory into memory. @returns how many bytes; 0 at its end */
  getdents(fd: number, into: Out, lengthBytes: number, path: Name): Promise<number> {
    return this.process.getdents64(fd, into, lengthBytes).catch((error: unknown) => {
      throw translated(error, "scandir", path);
    });
  }

  error(number: keyof typeof errno, syscall: string, path?: Name, dest?: Name): FsError {
    return new FsError(-errno[number], syscall, shown(path), shown(dest));
  }
}

/** What a unit of UTF-16 may become. */
const MAX_UTF8_BYTES = 3;
/** UIO_MAXIOV of the kernel. */
const MAX_VECTOR = 1024;

const isOneVector = (parts: readonly Uint8Array[]) =>
  parts.length <= MAX_VECTOR && parts.reduce((sum, part) => sum + part.length, 0) <= SMALLEST_BYTES;

const plus = (position: number | bigint, done: number) =>
  typeof position === "bigint" ? position + BigInt(done) : position + done;

/** Two struct __kernel_timespec, for the calls that set times. */
function times(slot: Slot, ...seconds: readonly [atime: number, mtime: number]): KernelMemory {
  const view = slot.recordView;
  for (const [i, time] of seconds.entries()) {
    // Cut off, as Node's.
    let whole = Math.trunc(time);
    let ns = Math.trunc((time - whole) * NS_PER_SECOND);
    if (ns < 0) [whole, ns] = [whole - 1, ns + NS_PER_SECOND];
    view.setBigInt64(16 * i, BigInt(whole), true);
    view.setUint32(16 * i + 8, ns, true);
    view.setUint32(16 * i + 12, 0, true);
  }
  return slot.record;
}
