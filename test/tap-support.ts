// What the tests of TAP devices share: a network namespace of the host's, and what runs in it.

import { execFile, execFileSync, spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { promisify } from "node:util";

import { LinkError } from "../src/link/errors.ts";
import { TapLink } from "../src/platform/node/index.ts";

const run = promisify(execFile);
/** What the longest answer of a program may have. */
const MAX_OUTPUT_BYTES = 256 << 20;

let names = 0;

/** A network namespace of the host's. Gone when it is disposed, with all devices in it. */
export class Namespace implements Disposable {
  readonly name = `liblinux-${process.pid}-${names++}`;

  constructor() {
    execFileSync("ip", ["netns", "add", this.name], { stdio: "pipe" });
  }

  #inside(command: readonly string[]): string[] {
    return ["netns", "exec", this.name, ...command];
  }

  /** Run a program in it, to its end, while this one goes on. @returns what it wrote */
  async run(...command: readonly string[]): Promise<string> {
    const options = { maxBuffer: MAX_OUTPUT_BYTES };
    return (await run("ip", this.#inside(command), options)).stdout;
  }

  /** Start a program in it. It is there when it has written something. */
  async start(...command: readonly string[]): Promise<Program> {
    const child = spawn("ip", this.#inside(command), { stdio: ["ignore", "pipe", "pipe"] });
    const program = new Program(child);
    await program.spoken;
    return program;
  }

  [Symbol.dispose](): void {
    execFileSync("ip", ["netns", "del", this.name], { stdio: "pipe" });
  }
}

/** A program that runs until it is disposed. */
export class Program implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly spoken: Promise<void>;
  output = "";

  constructor(child: ChildProcessByStdio<null, Readable, Readable>) {
    this.#child = child;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.spoken = promise;
    child.stderr.on("data", (text) => (this.output += String(text)));
    child.stdout.on("data", (text) => {
      this.output += String(text);
      resolve();
    });
    child.on("close", () => reject(new Error(`${child.spawnargs.join(" ")}: ${this.output}`)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const closed = once(this.#child, "close");
    this.#child.kill();
    await closed;
  }
}

/**
 * Why this machine has no TAP devices for us, in the words that an application would be told; null if it
 * has. What this says is what the tests then check instead.
 */
export async function whyNoTap(): Promise<string | null> {
  try {
    using host = new Namespace();
    const tap = await TapLink.open({ device: "probe", netns: host.name });
    await tap.close();
    return null;
  } catch (error) {
    if (error instanceof LinkError) return error.message;
  }
  // Whoever may not make namespaces may perhaps not make devices either: that says more.
  try {
    const tap = await TapLink.open({ device: "liblinux-probe" });
    await tap.close();
    return "TAP devices are there, but no network namespaces (ip netns add)";
  } catch (error) {
    if (error instanceof LinkError) return error.message;
    throw error;
  }
}
