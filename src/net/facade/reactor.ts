// Readiness: one thread of a process waits, in epoll, for all of its sockets.
//
// Invariants: `readable` and `writable` of a source are hints that may be true too often, never
// false too long: they are cleared before a call, and set by every edge that the kernel reports
// (EPOLLET), so that an edge during the call is not lost. The thread waits only while there are
// sources and it does not doze; else no call of this process is in the kernel.

import type { KernelMemory } from "../../abi/calls.ts";
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
import { EpollEvent } from "../../abi/structs/io.ts";
import type { KernelBuffer } from "../../syscall/buffer.ts";
import { DisposedError } from "../../syscall/errors.ts";
import type { Process } from "../../syscall/process.ts";
import { SocketClosedError } from "./errors.ts";

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
/** Where in the memory the events end: behind them one for epoll_ctl(), and what the bell is rung with. */
const EVENTS_BYTES = MAX_EVENTS * EpollEvent.size;

type Waiters = PromiseWithResolvers<void> | null;

/** One descriptor, and what is known of its readiness. */
export class Source {
  readonly fd: number;
  readable = false;
  writable = false;
  /** Whether reading leads to an end or an error, however little is there. */
  ended = false;
  /** Whether the descriptor is closed by another than its socket. */
  released = false;
  #reading: Waiters = null;
  #writing: Waiters = null;
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
    if (this.#reading || this.#writing) this.fail(this.failed!);
  }

  notify(events: number): void {
    if (events & ENDED) this.ended = true;
    if (events & READABLE) {
      this.readable = true;
      this.#reading?.resolve();
      this.#reading = null;
    }
    if (events & WRITABLE) {
      this.writable = true;
      this.#writing?.resolve();
      this.#writing = null;
    }
  }

  /** Settles when reading is worth a try. */
  untilReadable(): Promise<void> {
    const { failed } = this;
    if (failed) return Promise.reject(failed);
    if (this.readable) return Promise.resolve();
    return (this.#reading ??= Promise.withResolvers<void>()).promise;
  }

  /** Settles when writing is worth a try. */
  untilWritable(): Promise<void> {
    const { failed } = this;
    if (failed) return Promise.reject(failed);
    if (this.writable) return Promise.resolve();
    return (this.#writing ??= Promise.withResolvers<void>()).promise;
  }

  /** Reject all who wait, now and later. */
  fail(why: Error): void {
    this.#failed ??= why;
    this.#reading?.reject(why);
    this.#writing?.reject(why);
    this.#reading = this.#writing = null;
  }
}

export class Reactor {
  readonly #process: Process;
  readonly #epoll: number;
  /** An eventfd: to ring it ends the wait. */
  readonly #bell: number;
  readonly #memory: KernelBuffer;
  /** The part of it where events come. */
  readonly #events: KernelMemory;
  readonly #view: DataView;
  readonly #sources = new Map<number, Source>();
  #lastId = 0;
  #waiting: Promise<void> | null = null;
  #dozing = false;
  #failed: Error | null = null;
  /** How often the thread woke up. */
  wakes = 0;

  static async open(process: Process): Promise<Reactor> {
    const memory = await process.buffer(EVENTS_BYTES + EpollEvent.size + WORD_BYTES);
    const epoll = await process.epoll_create1(EPOLL_CLOEXEC);
    const bell = await process.eventfd2(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const reactor = new Reactor(process, epoll, bell, memory);
    await reactor.#watch(bell, 0, EPOLLIN);
    return reactor;
  }

  private constructor(process: Process, epoll: number, bell: number, memory: KernelBuffer) {
    this.#process = process;
    this.#epoll = epoll;
    this.#bell = bell;
    this.#memory = memory;
    this.#events = memory.slice(0, EVENTS_BYTES);
    this.#view = memory.view;
    this.#view.setUint32(EVENTS_BYTES + EpollEvent.size, 1, true);
  }

  /** How many descriptors are waited for. */
  get size(): number {
    return this.#sources.size;
  }

  /** Wait for a descriptor as well. A job of the lane's: the memory is one. */
  async add(source: Source): Promise<void> {
    if (this.#failed) throw this.#failed;
    const id = ++this.#lastId;
    this.#sources.set(id, source);
    this.#ids.set(source, id);
    try {
      await this.#watch(source.fd, id, INTEREST);
    } catch (error) {
      this.#forget(source);
      throw error;
    }
    this.#start();
  }

  readonly #ids = new WeakMap<Source, number>();

  #watch(fd: number, id: number, events: number): Promise<number> {
    const record = new EpollEvent(this.#view, EVENTS_BYTES);
    record.events = (events | EPOLLET) >>> 0;
    record.data = BigInt(id);
    const memory = this.#memory.slice(EVENTS_BYTES, EpollEvent.size);
    return this.#process.epoll_ctl(this.#epoll, EPOLL_CTL_ADD, fd, memory);
  }

  #forget(source: Source): void {
    const id = this.#ids.get(source);
    if (id !== undefined) this.#sources.delete(id);
  }

  /** The descriptor is about to be closed, which takes it out of the kernel's set. */
  remove(source: Source): void {
    source.close();
    this.#forget(source);
    if (this.#waiting && !this.#wanted) this.#ring();
  }

  get #wanted(): boolean {
    return this.#sources.size > 0 && !this.#dozing && !this.#failed;
  }

  /** Whether the thread leaves waiting to {@link poll}: so no call of it holds the program. */
  get dozing(): boolean {
    return this.#dozing;
  }

  set dozing(value: boolean) {
    if (value === this.#dozing) return;
    this.#dozing = value;
    if (!value) this.#start();
    else if (this.#waiting) this.#ring();
  }

  #ring(): void {
    const word = this.#memory.slice(EVENTS_BYTES + EpollEvent.size, WORD_BYTES);
    // If it cannot be rung, the kernel has stopped, and the wait with it.
    this.#process.write(this.#bell, word, WORD_BYTES).catch(() => {});
  }

  #start(): void {
    if (this.#waiting || !this.#wanted) return;
    this.#waiting = this.#wait();
  }

  async #wait(): Promise<void> {
    try {
      while (this.#wanted) this.#tell(await this.#look(FOREVER));
    } catch (error) {
      this.#fail(error as Error);
    }
    this.#waiting = null;
    // It may have been wanted again after the loop's last look.
    this.#start();
  }

  #look(timeoutMs: number): Promise<number> {
    const events = this.#events;
    return this.#process.epoll_pwait(
      this.#epoll,
      events,
      MAX_EVENTS,
      timeoutMs,
      null,
      SIGSET_BYTES,
    );
  }

  /** Tell the sources of so many events. */
  #tell(count: number): void {
    this.wakes++;
    for (let at = 0; at < count * EpollEvent.size; at += EpollEvent.size) {
      const id = this.#view.getUint32(at + EpollEvent.offsets.data, true);
      this.#sources.get(id)?.notify(this.#view.getUint32(at + EpollEvent.offsets.events, true));
    }
  }

  /** While it dozes: look once, without waiting. */
  async poll(): Promise<void> {
    if (!this.#dozing || this.#waiting || this.#failed) return;
    this.#waiting = this.#look(0).then(
      (count) => this.#tell(count),
      (error: unknown) => this.#fail(error as Error),
    );
    await this.#waiting;
    this.#waiting = null;
    this.#start();
  }

  #fail(why: Error): void {
    this.#failed ??= why;
    for (const source of this.#sources.values()) source.fail(why);
    this.#sources.clear();
  }

  /** Close all descriptors. Settles when the thread no longer waits, and the memory is given back. */
  async dispose(): Promise<void> {
    const open = Array.from(this.#sources.values());
    for (const source of open) source.released = true;
    this.#fail(new DisposedError("these sockets were disposed"));
    if (this.#waiting) {
      this.#ring();
      await this.#waiting;
    }
    const own = [...open.map(({ fd }) => fd), this.#bell, this.#epoll];
    for (const fd of own) await this.#process.close(fd).catch(() => {});
    await this.#memory.dispose();
  }
}
