// Programs that are hijacked: run to their ends, in an environment without what the tests' own has.

import { execFile, spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What is imported before a program. */
export const entry = join(import.meta.dirname, "../src/hijack/index.ts");
const programs = join(import.meta.dirname, "hijack");

/** A program that never ended would fail by this. */
const LIMIT_MS = 60_000;

/** What Node has compiled of the library, which many programs load. */
const compiled = mkdtempSync(join(tmpdir(), "liblinux-test-"));
process.on("exit", () => rmSync(compiled, { recursive: true, force: true }));

/** Of programs: nothing of what this one was told. */
export const environment = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(LIBLINUX_HIJACK|NODE_OPTIONS|NODE_TEST_CONTEXT|FORCE_COLOR)/.test(name),
    ),
  ),
  NODE_COMPILE_CACHE: compiled,
};

export interface HijackRun {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface HijackOptions {
  /** LIBLINUX_HIJACK: an object is JSON. */
  readonly config?: object | string;
  readonly env?: Readonly<Record<string, string>>;
  /** Of Node's. */
  readonly flags?: readonly string[];
}

function argumentsOf(
  program: string,
  args: readonly string[],
  { config, env, flags = [] }: HijackOptions,
): [string[], NodeJS.ProcessEnv] {
  const text = typeof config === "object" ? JSON.stringify(config) : config;
  return [
    ["--import", entry, ...flags, join(programs, program), ...args],
    { ...environment, ...(text !== undefined && { LIBLINUX_HIJACK: text }), ...env },
  ];
}

/** Run a program of test/hijack to its end. */
export function runHijacked(
  program: string,
  args: readonly string[] = [],
  options: HijackOptions = {},
): Promise<HijackRun> {
  const [all, env] = argumentsOf(program, args, options);
  return new Promise((resolve, reject) => {
    const child = execFile(
      process.execPath,
      all,
      { env, timeout: LIMIT_MS },
      (_error, stdout, stderr) =>
        child.killed
          ? reject(new Error(`${program} did not end:\n${stdout}\n${stderr}`))
          : resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr }),
    );
  });
}

/** A program that runs, and what it prints. Disposing it kills it. */
export class Hijacked implements Disposable {
  readonly child: ChildProcessWithoutNullStreams;
  stdout = "";
  stderr = "";
  #told: (() => void) | null = null;

  constructor(program: string, args: readonly string[] = [], options: HijackOptions = {}) {
    const [all, env] = argumentsOf(program, args, options);
    this.child = spawn(process.execPath, all, { env, timeout: LIMIT_MS });
    this.child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      this.#told?.();
    });
    this.child.stderr.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
  }

  /** Settles when it has printed something. */
  async printed(text: string): Promise<void> {
    const ended = once(this.child, "close").then(() => {
      if (!this.stdout.includes(text))
        throw new Error(`it ended before "${text}":\n${this.stdout}\n${this.stderr}`);
    });
    while (!this.stdout.includes(text))
      await Promise.race([ended, new Promise<void>((resolve) => (this.#told = resolve))]);
  }

  /** Settles when it has ended. */
  async end(): Promise<HijackRun> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) await once(child, "close");
    const { stdout, stderr } = this;
    return { code: child.exitCode, signal: child.signalCode, stdout, stderr };
  }

  [Symbol.dispose](): void {
    this.child.kill("SIGKILL");
  }
}
