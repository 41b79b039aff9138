// Random work on a mounted file system, noted in a ledger: what was begun, and what was promised.

import {
  AT_FDCWD,
  FALLOC_FL_ALLOCATE_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_SYNC,
} from "../../../src/abi/constants/fcntl.ts";
import { SYNC_FILE_RANGE_WRITE } from "../../../src/abi/constants/ioctl.ts";
import type { RecorderDisk } from "../../../src/disk/index.ts";
import { SystemError } from "../../../src/index.ts";
import type { Process, VirtualClock } from "../../../src/index.ts";
import { Ledger } from "./ledger.ts";
import type { LedgerFile, Manner, Named } from "./ledger.ts";
import { Chooser } from "./numbers.ts";

const BLOCK_BYTES = 4096;
const MAX_FILES = 24;
const MAX_FILE_BYTES = 60_000;
const DIRECTORIES = ["", "/a", "/b"];
const SECOND_NS = 1e9;

interface Place {
  readonly process: Process;
  /** Where the file system is mounted. */
  readonly root: string;
  readonly recorder: RecorderDisk;
  readonly clock: VirtualClock;
  /** Whether fsync() promises nothing if it did not flush. */
  readonly forgets: boolean;
}

type Step = "appended" | "overwritten" | "resized" | "allocated";

export class Workload {
  readonly ledger = new Ledger();
  readonly #place: Place;
  readonly #choose: Chooser;
  /** How often something was written to be lasting, and not flushed. */
  forgotten = 0;
  #version = 0;
  #names = 0;

  constructor(place: Place, seed: number) {
    this.#place = place;
    this.#choose = new Chooser(seed);
  }

  get #now(): number {
    return this.#place.recorder.log.length;
  }

  /** Whether what was begun at a position, and has returned, is lasting. */
  #lasts(begun: number): boolean {
    const since = this.#place.recorder.log.slice(begun);
    if (since.some(({ kind }) => kind === "flush")) return true;
    if (since.length) this.forgotten++;
    return !this.#place.forgets;
  }

  #path(path: string): string {
    return `${this.#place.root}${path}`;
  }

  async #open(path: string, flags: number): Promise<number> {
    return this.#place.process.openat(AT_FDCWD, this.#path(path), flags, 0o644);
  }

  async #with<T>(path: string, flags: number, use: (fd: number) => Promise<T>): Promise<T> {
    const fd = await this.#open(path, flags);
    try {
      return await use(fd);
    } finally {
      await this.#place.process.close(fd);
    }
  }

  /** Bytes that no other version of any file has; none is 0. */
  #bytes(length: number): Uint8Array {
    const version = ++this.#version;
    const bytes = new Uint8Array(length);
    let word = Math.imul(version, 0x9e3779b1);
    for (let i = 0; i < length; i++) {
      word = (Math.imul(word, 1664525) + 1013904223) | 0;
      bytes[i] = ((word >>> 24) % 255) + 1;
    }
    return bytes;
  }

  #newPath(): string {
    return `${this.#choose.of(DIRECTORIES)}/f${this.#names++}`;
  }

  /** The directories, made to last: the rest of the work is in them. */
  async start(): Promise<void> {
    for (const path of DIRECTORIES.slice(1)) {
      await this.#place.process.mkdirat(AT_FDCWD, this.#path(path), 0o755);
      this.ledger.name(path).add("directory", this.#now);
    }
    await this.#syncDirectory("");
    for (let i = 0; i < 6; i++) await this.#create();
  }

  /** Do something. */
  async step(): Promise<void> {
    const files = this.ledger.files();
    const choice = this.#choose.below(100);
    if (files.length < 6 || (choice < 14 && files.length < MAX_FILES)) return this.#create();
    const { path, file } = this.#choose.of(files);
    if (choice < 26) return this.#replace(path);
    if (choice < 40) return this.#change(path, file, "appended");
    if (choice < 54) return this.#change(path, file, "overwritten");
    if (choice < 62) return this.#change(path, file, "resized");
    if (choice < 69) return this.#change(path, file, "allocated");
    if (choice < 76) return this.#unlink(path);
    if (choice < 82) return this.#rename(path, files);
    if (choice < 86) return this.#link(path, file);
    if (choice < 91) return this.#syncDirectory(this.#choose.of(DIRECTORIES));
    if (choice < 93) return this.#syncAll();
    if (choice < 97) return this.#startWriting(path);
    // The journal's and the flusher's own time comes.
    await this.#place.clock.advance(this.#choose.of([1, 6, 40]) * SECOND_NS);
  }

  async #create(): Promise<void> {
    const manner: Manner = this.#choose.once(2) ? "blocks" : "any";
    const file = this.ledger.newFile(manner);
    const path = this.#newPath();
    const name = this.ledger.name(path);
    const size =
      manner === "blocks"
        ? this.#choose.between(1, 8) * BLOCK_BYTES
        : this.#choose.below(MAX_FILE_BYTES / 3);
    const synchronous = this.#choose.once(6) && size > 0;
    const flags = O_CREAT | O_EXCL | O_RDWR | (synchronous ? O_SYNC : 0);
    const begun = this.#now;
    await this.#with(path, flags, async (fd) => {
      name.add(file, begun);
      await this.#write(fd, file, 0, this.#bytes(size));
      if (!synchronous && this.#choose.once(3)) return;
      if (!synchronous) await this.#place.process.fsync(fd);
      if (!this.#lasts(begun)) return;
      file.content.promise(this.#now);
      // The promise of a new file's fsync() is good for its name too.
      name.promise(this.#now);
    });
    if (this.#choose.once(2)) await this.#syncDirectory(path.slice(0, path.lastIndexOf("/")));
  }

  /** The file's content changes to what it was, but for these bytes. */
  async #write(fd: number, file: LedgerFile, offset: number, bytes: Uint8Array): Promise<void> {
    const before = file.content.last;
    const after = new Uint8Array(Math.max(before.length, offset + bytes.length));
    after.set(before);
    after.set(bytes, offset);
    file.content.add(after, this.#now);
    await this.#place.process.pwrite64(fd, bytes, bytes.length, offset);
  }

  async #maybeSync(fd: number, file: LedgerFile): Promise<void> {
    const choice = this.#choose.below(4);
    if (choice === 0) return;
    const begun = this.#now;
    if (choice === 1) await this.#place.process.fdatasync(fd);
    else await this.#place.process.fsync(fd);
    if (this.#lasts(begun)) file.content.promise(this.#now);
  }

  async #syncDirectory(path: string): Promise<void> {
    const begun = this.#now;
    await this.#with(path, O_RDONLY | O_DIRECTORY, async (fd) => this.#place.process.fsync(fd));
    if (this.#lasts(begun)) this.ledger.promiseNames(path, this.#now);
  }

  async #maybeSyncDirectories(...paths: string[]): Promise<void> {
    if (this.#choose.once(2)) return;
    const folders = new Set(paths.map((path) => path.slice(0, path.lastIndexOf("/"))));
    for (const folder of folders) await this.#syncDirectory(folder);
  }

  async #syncAll(): Promise<void> {
    await this.#place.process.sync();
    // XFS flushes only what its log has to do with, which what was written in place has not, if no
    // time passed: sync(2) is not fsync(2).
    if (this.#place.recorder.log.at(-1)?.kind === "flush") this.ledger.promiseAll(this.#now);
  }

  /** Write-back, of which nothing is promised. */
  async #startWriting(path: string): Promise<void> {
    await this.#with(path, O_RDWR, (fd) =>
      this.#place.process.sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE),
    );
  }

  /** The way to change a file that is never seen half done. */
  async #replace(path: string): Promise<void> {
    const temporary = `${path}~${this.#names++}`;
    const file = this.ledger.newFile("any");
    const begun = this.#now;
    await this.#with(temporary, O_CREAT | O_EXCL | O_RDWR, async (fd) => {
      this.ledger.name(temporary).add(file, begun);
      await this.#write(fd, file, 0, this.#bytes(this.#choose.between(1, MAX_FILE_BYTES / 3)));
      await this.#place.process.fsync(fd);
      if (!this.#lasts(begun)) return;
      file.content.promise(this.#now);
      this.ledger.name(temporary).promise(this.#now);
    });
    await this.#move(temporary, path);
    await this.#maybeSyncDirectories(path);
  }

  async #move(from: string, to: string): Promise<void> {
    const { process } = this.#place;
    this.ledger.move(from, to, this.#now);
    await process.renameat2(AT_FDCWD, this.#path(from), AT_FDCWD, this.#path(to), 0);
  }

  async #rename(path: string, files: readonly { path: string; file: LedgerFile }[]): Promise<void> {
    const over = this.#choose.once(3);
    const to = over ? this.#choose.of(files).path : this.#newPath();
    // Two names of one file: rename(2) does nothing.
    if (this.ledger.name(to).last === this.ledger.name(path).last) return;
    await this.#move(path, to);
    await this.#maybeSyncDirectories(path, to);
  }

  async #link(path: string, file: Named): Promise<void> {
    const { process } = this.#place;
    const to = this.#newPath();
    this.ledger.name(to).add(file, this.#now);
    await process.linkat(AT_FDCWD, this.#path(path), AT_FDCWD, this.#path(to), 0);
    await this.#maybeSyncDirectories(to);
  }

  async #unlink(path: string): Promise<void> {
    this.ledger.name(path).add(null, this.#now);
    await this.#place.process.unlinkat(AT_FDCWD, this.#path(path), 0);
    await this.#maybeSyncDirectories(path);
  }

  async #change(path: string, file: LedgerFile, how: Step): Promise<void> {
    const synchronous = this.#choose.once(5);
    await this.#with(path, O_RDWR | (synchronous ? O_SYNC : 0), async (fd) => {
      const written = file.manner === "blocks" || how === "overwritten" || how === "appended";
      // O_SYNC is for the bytes of that write, not for what waited before.
      const promised = synchronous && written && file.content.settled;
      const begun = this.#now;
      if (file.manner === "blocks") await this.#overwriteBlocks(fd, file);
      else if (how === "overwritten") await this.#overwrite(fd, file);
      else if (how === "appended") await this.#append(fd, file);
      else if (how === "resized") await this.#resize(fd, file);
      else await this.#allocate(fd, file);
      if (promised && this.#lasts(begun)) file.content.promise(this.#now);
      else await this.#maybeSync(fd, file);
    });
  }

  async #overwriteBlocks(fd: number, file: LedgerFile): Promise<void> {
    const blocks = file.content.last.length / BLOCK_BYTES;
    for (let i = 0, count = this.#choose.between(1, 3); i < count; i++) {
      const block = this.#choose.below(blocks);
      await this.#write(fd, file, block * BLOCK_BYTES, this.#bytes(BLOCK_BYTES));
    }
  }

  async #overwrite(fd: number, file: LedgerFile): Promise<void> {
    const size = file.content.last.length;
    const offset = this.#choose.below(size + 1);
    const bytes = this.#bytes(this.#choose.between(1, 6000));
    await this.#write(fd, file, offset, bytes);
  }

  async #append(fd: number, file: LedgerFile): Promise<void> {
    const size = file.content.last.length;
    if (size > MAX_FILE_BYTES) return this.#resize(fd, file);
    await this.#write(fd, file, size, this.#bytes(this.#choose.between(1, 9000)));
  }

  async #resize(fd: number, file: LedgerFile): Promise<void> {
    const before = file.content.last;
    const size = this.#choose.below(before.length + 5000);
    const after = new Uint8Array(size);
    after.set(before.subarray(0, size));
    file.content.add(after, this.#now);
    await this.#place.process.ftruncate64(fd, size);
  }

  async #allocate(fd: number, file: LedgerFile): Promise<void> {
    const before = file.content.last;
    const keep = FALLOC_FL_KEEP_SIZE;
    const mode = this.#choose.of([
      FALLOC_FL_ALLOCATE_RANGE,
      keep,
      FALLOC_FL_PUNCH_HOLE | keep,
      FALLOC_FL_ZERO_RANGE,
    ]);
    const offset = this.#choose.below(before.length + 1);
    const wanted = this.#choose.between(1, 9000);
    const punches = mode & FALLOC_FL_PUNCH_HOLE;
    // F2FS (6.12) forgets the size of a file that was punched beyond its end, fsync() or not.
    const inside = punches && this.#place.forgets;
    const length = inside ? Math.min(wanted, before.length - offset) : wanted;
    if (length === 0) return;
    const grows = !(mode & keep);
    const after = new Uint8Array(grows ? Math.max(before.length, offset + length) : before.length);
    after.set(before);
    const clears = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
    if (clears) after.fill(0, offset, offset + length);
    file.content.add(after, this.#now);
    try {
      await this.#place.process.fallocate(fd, mode, offset, length);
    } catch (error) {
      // Not every file system has every mode; then nothing was done.
      if (!(error instanceof SystemError && error.code === "EOPNOTSUPP")) throw error;
      file.content.add(before, this.#now);
    }
  }
}
