// How a hijacked program ends: what it has sent leaves, what it has written is written back.
//
// When the program has nothing left to do, Node emits "beforeExit", where all of that can be done. After
// process.exit(), an uncaught error or a signal nothing can be waited for: then the images are as after
// a power failure.

import process from "node:process";

import { readText } from "../fs/files.ts";
import { tell } from "./boot.ts";
import type { Machine } from "./boot.ts";
import type { Images } from "./images.ts";
import type { Open, Stack } from "./stack.ts";

/** How long what was sent may take to leave. */
const DRAIN_MS = 2000;
/** How long the end may take altogether. */
const END_MS = 30_000;

/** Those that would end a program at once which does not listen to them. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** What the program did that the end has to do with. */
export interface Activity {
  /** Sockets that were made, and calls for files. */
  count: number;
}

export class Ending {
  readonly #machine: Machine;
  readonly #images: Images | null;
  readonly #handles: ReadonlySet<Open>;
  readonly #activity: Activity;
  /** Files of the kernel's that are shown at the end. */
  readonly #dump: readonly string[];
  #seen = -1;
  #ending: Promise<void> | null = null;
  #ended = false;

  constructor(
    machine: Machine,
    images: Images | null,
    { handles, activity }: Pick<Stack, "handles" | "activity">,
    dump: string | undefined,
  ) {
    this.#machine = machine;
    this.#images = images;
    this.#handles = handles;
    this.#activity = activity;
    this.#dump = (dump ?? "").split(",").filter(Boolean);
  }

  listen(): void {
    process.on("beforeExit", () => this.#idle());
    process.on("exit", () => this.#exits());
    if (!this.#images?.writable.length) return;
    for (const signal of SIGNALS) process.on(signal, this.#signalled);
  }

  /** Write back what was written, and let what was sent leave. */
  async sync(): Promise<void> {
    if (!this.#machine.kernel.running) return;
    await this.#machine.drained(DRAIN_MS);
    await this.#images?.sync();
  }

  /** Unmount the images, halt the kernel, let go of all. Once: later calls give the first one's result. */
  end(): Promise<void> {
    return (this.#ending ??= this.#end());
  }

  async #end(): Promise<void> {
    const { kernel } = this.#machine;
    if (kernel.running) {
      await this.#machine.drained(DRAIN_MS);
      for (const path of this.#dump) await this.#show(path);
      for (const handle of this.#handles) handle.end();
      await this.#images?.end();
    }
    await this.#machine.end();
    this.#ended = true;
  }

  async #show(path: string): Promise<void> {
    try {
      process.stderr.write(await readText(this.#machine.kernel.init, path));
    } catch (error) {
      tell(`dump: ${(error as Error).message}`);
    }
  }

  /** The program has nothing left to do, unless another listener finds something. */
  #idle(): void {
    if (this.#ending) return;
    const { count } = this.#activity;
    const alone = process.listenerCount("beforeExit") === 1;
    if (alone || count === this.#seen) this.#hold(() => this.end());
    else {
      // Once more, when all listeners have had their turn.
      this.#seen = count;
      this.#hold(() => this.sync());
    }
  }

  /**
   * Do something that the program does not end before, in bounded time. It takes a turn of the loop at
   * least: Node emits "beforeExit" again only if there was one.
   */
  #hold(work: () => Promise<void>): void {
    const timer = setTimeout(() => {
      tell(`what is left could not be written in ${END_MS / 1000} s`);
      process.exit(1);
    }, END_MS);
    work()
      .catch((error: unknown) => {
        tell(error instanceof Error ? error.message : String(error));
        process.exitCode ||= 1;
      })
      .finally(() => setImmediate(() => clearTimeout(timer)));
  }

  #exits(): void {
    const { writable = [] } = this.#images ?? {};
    if (this.#ended || !writable.length || !this.#activity.count) return;
    if (!this.#machine.kernel.running) return;
    tell(
      `the program ended at once: ${writable.join(", ")} has what was synced (fsync), ` +
        "the rest is lost as by a power failure",
    );
  }

  readonly #signalled = (signal: NodeJS.Signals): void => {
    // The program knows what to do.
    if (process.listenerCount(signal) > 1) return;
    process.off(signal, this.#signalled);
    // Without a listener it ends the program; so does the next one meanwhile.
    const die = () => void process.kill(process.pid, signal);
    const timer = setTimeout(die, END_MS);
    void this.end()
      .catch((error: unknown) => tell(String(error)))
      .then(() => {
        clearTimeout(timer);
        die();
      });
  };
}
