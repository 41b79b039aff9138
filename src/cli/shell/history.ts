// What was typed in a shell, kept for the next one.

import fs from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** Older lines are forgotten. */
export const MAX_HISTORY_LINES = 1000;

/** Where applications keep their state (XDG Base Directory Specification). */
const file = (name: string) =>
  join(process.env["XDG_STATE_HOME"] || join(homedir(), ".local/state"), "liblinux", name);

/** The newest first, as readline has it. */
export function readHistory(name: string): string[] {
  try {
    const lines = fs.readFileSync(file(name), "utf8").split("\n");
    return lines.filter(Boolean).slice(-MAX_HISTORY_LINES).toReversed();
  } catch {
    return [];
  }
}

/** A shell without a history is better than none: what goes wrong here is not told. */
export function writeHistory(name: string, lines: readonly string[]): void {
  try {
    fs.mkdirSync(dirname(file(name)), { recursive: true, mode: 0o700 });
    const text = lines.toReversed().slice(-MAX_HISTORY_LINES).join("\n");
    fs.writeFileSync(file(name), `${text}\n`, { mode: 0o600 });
  } catch {}
}
