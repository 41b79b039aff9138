// SPDX-License-Identifier: GPL-2.0
// One build at a time in a cache: a file that names the process that holds it.

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { kill, pid } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 500;

function isAlive(holder: number): boolean {
  try {
    kill(holder, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

function tryLock(path: string): number | undefined {
  try {
    writeFileSync(path, String(pid), { flag: "wx" });
    return undefined;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return 0;
  }
}

/** Runs @body while holding the lock file @path; waits for whoever has it. */
export async function withLock<T>(path: string, body: () => Promise<T>): Promise<T> {
  let told = false;
  for (;;) {
    const holder = tryLock(path);
    if (holder === undefined) break;
    // An empty file is one being written; 0 is not a process to ask about.
    if (holder > 0 && !isAlive(holder)) {
      rmSync(path, { force: true });
      continue;
    }
    if (!told) console.log(`kernel: waiting for another build (process ${holder})`);
    told = true;
    await sleep(POLL_MS);
  }
  try {
    return await body();
  } finally {
    rmSync(path, { force: true });
  }
}
