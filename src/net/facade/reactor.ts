// Readiness: which sockets can be read and written, as epoll tells it.
//
// Invariants: `readable` and `writable` of a source are hints that may be true too often, never
// false too long: they are cleared before a call, and set by every edge that the kernel reports
// (EPOLLET), so that an edge during the call is not lost. While the lane makes calls it looks for
// events itself. Soon after, another thread of the process waits for them in the kernel, as long as
// there are sources and it does not doze; else no call of this process is in the kernel.

import {
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
} from "../../abi/constants/epoll.ts";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "../../abi/constants/eventfd.ts";
import { NR } from "../../abi/numbers.ts";
import { EpollEvent } from "../../abi/structs/io.ts";
import type { KernelBuffer } from "../../syscall/buffer.ts";
import { DisposedError, SystemError, isError } from "../../syscall/errors.ts";
import type { Process } from "../../syscall/process.ts";
import { SocketClosedError } from "./errors.ts";
import { Grace } from "./grace.ts";
import { Gate } from "./job.ts";
import type { Job, Task } from "./job.ts";
import { succeeded } from "./lane.ts";
import type { Lane, Watcher } from "./lane.ts";

/** How many events one call takes; what is beyond comes with the next. */
const MAX_EVENTS = 256;
/** To epoll_pwait(2). */
const FOREVER = -1;
const SIGSET_BYTES = 8;
const WORD_BYTES = 8;
const INTEREST = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI;
const READABLE = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
const WRITABLE = EPOLLOUT | EPOLLHUP | EPOLLERR;
/** What stays true: there is an end or an error to be read. */
const ENDED = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
/**
 * Where in the memory what is: events for the thread that waits, and for the lane that looks, one
 * event for epoll_ctl(), and what the bell is rung with.
 */
const EVENTS_BYTES = MAX_EVENTS * EpollEvent.size;
const SEEN_AT = EVENTS_BYTES;
const INTEREST_AT = SEEN_AT + EVENTS_BYTES;
const WORD_AT = INTEREST_AT + EpollEvent.size;
const MEMORY_BYTES = WORD_AT + WORD_BYTES;

/** One descriptor, and what is known of its readiness. */
export class Source {
  readonly fd: number;
  /** Its number in the kernel's set; 0 while it is in none. */
  id = 0;
  readable = false;
  writable = false;
  /** Whether reading leads to an end or an error, however little is there. */
  ended = false;
  /** Whether there may be more to be read though less came than was asked for. */
  pieces = false;
  /** Whether the descriptor is closed by another than its socket. */
  released = false;
  /** Opened when reading is worth a try, or writing. */
  readonly reading = new Gate(this);
  readonly writing = new Gate(this);
  #failed: Error | null = null;
  #closed = false;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Why nothing can be done with it any more. */
  get failed(): Error | null {
    // Made when asked for: of most sockets nobody asks.
    if (this.#closed) this.#failed ??= new SocketClosedError();
    return this.#failed;
  }

  /** Its descriptor is no longer its own. */
  close(): void {
    this.#closed = true;
    if (this.reading.crowded || this.writing.crowded) this.fail(this.failed!);
  }

  notify(events: number, lane: Lane): void {
    if (events & ENDED) this.ended = true;
    // What comes is read as far as the urgent byte, and then what is behind it: tcp(7).
    if (events & EPOLLPRI) this.pieces = true;
    if (events & READABLE) {
      this.readable = true;
      this.reading.open(lane);
    }
    if (events & WRITABLE) {
      this.writable = true;
      this.writing.open(lane);
    }
  }

  /** Reject all who wait, now and later. */
  fail(why: Error): void {
    this.#failed ??= why;
    this.reading.fail(why);
    this.writing.fail(why);
  }
}

export class Reactor implements Watcher {
  readonly #process: Process;
  readonly #lane: Lane;
  readonly #epoll: number;
  /** An eventfd: to ring it ends the wait. */
  readonly #bell: number;
  readonly #memory: KernelBuffer;
  readonly #view: DataView;
  readonly #address: number;
  readonly #sources = new Map<number, Source>();
  #lastId = 0;
  #waiting: Promise<void> | null = null;
  readonly #grace: Grace;
  #dozing = false;
  #failed: Error | null = null;

  static async open(lane: Lane): Promise<Reactor> {
    const { process } = lane;
    const memory = await process.buffer(MEMORY_BYTES);
    const epoll = await process.epoll_create1(EPOLL_CLOEXEC);
    const bell = await process.eventfd2(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const reactor = new Reactor(lane, epoll, bell, memory);
    await lane.run(reactor.#heed());
    lane.watcher = reactor;
    return reactor;
  }

  private constructor(lane: Lane, epoll: number, bell: number, memory: KernelBuffer) {
    this.#process = lane.process;
    this.#grace = new Grace(
      () => lane.process.callsBegun,
      () => this.#wait(),
    );
    this.#lane = lane;
    this.#epoll = epoll;
    this.#bell = bell;
    this.#memory = memory;
    this.#address = memory.address;
    this.#view = memory.view;
    this.#view.setUint32(WORD_AT, 1, true);
  }

  /** How many descriptors are waited for. */
  get size(): number {
    return this.#sources.size;
  }

  /** Wait for a descriptor as well. */
  *add(source: Source): Job<void> {
    if (this.#failed) throw this.#failed;
    const id = ++this.#lastId;
    source.id = id;
    this.#sources.set(id, source);
    const result = yield this.#watch(source.fd, id, INTEREST);
    if (!isError(result)) return;
    this.#sources.delete(id);
    throw new SystemError(result, "epoll_ctl");
  }

  #watch(fd: number, id: number, events: number): undefined {
    const view = this.#view;
    view.setUint32(INTEREST_AT + EpollEvent.offsets.events, (events | EPOLLET) >>> 0, true);
    view.setUint32(INTEREST_AT + EpollEvent.offsets.data, id, true);
    const address = this.#address + INTEREST_AT;
    return this.#lane.call(NR.epoll_ctl, this.#epoll, EPOLL_CTL_ADD, fd, address);
  }

  /** Wait for the bell. */
  *#heed(): Job<void> {
    succeeded(yield this.#watch(this.#bell, 0, EPOLLIN), "epoll_ctl");
  }

  /** The descriptor is about to be closed, which takes it out of the kernel's set. */
  remove(source: Source): void {
    source.close();
    this.#sources.delete(source.id);
    if (this.#waiting && !this.#wanted) this.#ring();
  }

  get #wanted(): boolean {
    return this.#sources.size > 0 && !this.#dozing && !this.#failed;
  }

  /** Whether no thread waits, and looking is left to {@link poll}: so no call holds the program. */
  get dozing(): boolean {
    return this.#dozing;
  }

  set dozing(value: boolean) {
    if (value === this.#dozing) return;
    this.#dozing = value;
    if (!value) this.#wait();
    else if (this.#waiting) this.#ring();
  }

  #ring(): void {
    const word = this.#memory.slice(WORD_AT, WORD_BYTES);
    // If it cannot be rung, the kernel has stopped, and the wait with it.
    this.#process.write(this.#bell, word, WORD_BYTES).catch(() => {});
  }

  // --- Waiting -------------------------------------------------------------------------------

  /** The lane has paused: wait in its place, unless it goes on soon. */
  paused(): void {
    if (this.#waiting || !this.#wanted) return;
    this.#grace.begin();
  }

  /** The lane could not make a call: there may be no thread for now, or no process any more. */
  broken(why: Error): void {
    if (why instanceof SystemError) this.paused();
    else this.fail(why);
  }

  /** It goes on. */
  started(): void {
    this.#grace.cancel();
  }

  #wait(): void {
    if (this.#waiting || !this.#wanted) return;
    const events = this.#memory.slice(0, EVENTS_BYTES);
    this.#waiting = this.#process
      .epoll_pwait(this.#epoll, events, MAX_EVENTS, FOREVER, null, SIGSET_BYTES)
      .then(
        (count) => {
          this.#waiting = null;
          this.#tell(0, count);
          // It goes on to look as long as it finds something.
          this.#lane.start();
        },
        (error: unknown) => {
          this.#waiting = null;
          this.fail(error as Error);
        },
      );
  }

  /** While it dozes: look once, without waiting. */
  poll(): void {
    if (this.#dozing && !this.#failed) this.#lane.start();
  }

  // --- Looking -------------------------------------------------------------------------------

  /** What the lane does last. */
  look(): Task | null {
    // Another thread waits already, and is told of everything.
    if (this.#waiting || this.#failed || !this.#sources.size) return null;
    return { job: this.#look(), resolve: () => {}, reject: (why) => this.fail(why) };
  }

  *#look(): Job<void> {
    for (let count = MAX_EVENTS; count === MAX_EVENTS;) {
      const address = this.#address + SEEN_AT;
      count = yield this.#lane.call(NR.epoll_pwait, this.#epoll, address, MAX_EVENTS, 0);
      succeeded(count, "epoll_pwait");
      this.#tell(SEEN_AT, count);
    }
  }

  /** Tell the sources of so many events. */
  #tell(at: number, count: number): void {
    const view = this.#view;
    for (const end = at + count * EpollEvent.size; at < end; at += EpollEvent.size) {
      const source = this.#sources.get(view.getUint32(at + EpollEvent.offsets.data, true));
      source?.notify(view.getUint32(at + EpollEvent.offsets.events, true), this.#lane);
    }
  }

  /** Nothing can be waited for any more. */
  fail(why: Error): void {
    this.#failed ??= why;
    for (const source of this.#sources.values()) source.fail(why);
    this.#sources.clear();
  }

  /** Close all descriptors, and the lane. Settles when no thread waits, and the memory is given back. */
  async dispose(): Promise<void> {
    const open = Array.from(this.#sources.values());
    for (const source of open) source.released = true;
    const why = new DisposedError("these sockets were disposed");
    this.fail(why);
    await this.#lane.close(why);
    if (this.#waiting) {
      this.#ring();
      await this.#waiting;
    }
    const own = [...open.map(({ fd }) => fd), this.#bell, this.#epoll];
    for (const fd of own) await this.#process.close(fd).catch(() => {});
    await this.#memory.dispose();
  }
}
