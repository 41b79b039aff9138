// The command line as a child process.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";

export const top = join(import.meta.dirname, "..");
export const main = join(top, "src/cli/main.ts");

export interface Result {
  readonly code: number | null;
  readonly out: Buffer;
  readonly text: string;
  readonly err: string;
}

/** Run a command to its end; `input` is its standard input. */
export function execute(
  command: string,
  args: readonly string[],
  env = process.env,
  input: string | Buffer = "",
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: top, env, stdio: "pipe" });
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (part: Buffer) => out.push(part));
    child.stderr.on("data", (part: Buffer) => err.push(part));
    child.on("error", reject);
    child.on("close", (code) => {
      const all = Buffer.concat(out);
      resolve({ code, out: all, text: all.toString(), err: Buffer.concat(err).toString() });
    });
  });
}

export const liblinux = (...args: string[]) => execute(process.execPath, [main, ...args]);

/** It succeeds, and says nothing on standard error. */
export async function succeeds(...args: string[]): Promise<Result> {
  const result = await liblinux(...args);
  assert.equal(result.err, "");
  assert.equal(result.code, 0);
  return result;
}

/** It fails with this code and one line like this. */
export async function fails(code: number, line: RegExp, ...args: string[]): Promise<void> {
  const result = await liblinux(...args);
  assert.match(result.err, /^liblinux: [^\n]*\n$/);
  assert.match(result.err, line);
  assert.equal(result.code, code);
  assert.equal(result.text, "");
}

/** As {@link succeeds}, with a standard input. */
export async function succeedsWith(input: string | Buffer, ...args: string[]): Promise<Result> {
  const result = await execute(process.execPath, [main, ...args], process.env, input);
  assert.equal(result.err, "");
  assert.equal(result.code, 0);
  return result;
}
