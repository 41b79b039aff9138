// What was typed in a shell, kept for the next one.

import fs from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** Older lines are forgotten. */
export const MAX_HISTORY_LINES = 1000;

/** Where applications keep their state (XDG Base Directory Specification). */
const file = () =>
  join(process.env["XDG_STATE_HOME"] || join(homedir(), ".local/state"), "liblinux/shell-history");

/** The newest first, as readline has it. */
export function readHistory(): string[] {
  try {
    const lines = fs.readFileSync(file(), "utf8").split("\n");
    return lines.filter(Boolean).slice(-MAX_HISTORY_LINES).toReversed();
  } catch {
    return [];
  }
}

/** A shell without a history is better than none: what goes wrong here is not told. */
export function writeHistory(lines: readonly string[]): void {
  try {
    fs.mkdirSync(dirname(file()), { recursive: true, mode: 0o700 });
    const text = lines.toReversed().slice(-MAX_HISTORY_LINES).join("\n");
    fs.writeFileSync(file(), `${text}\n`, { mode: 0o600 });
  } catch {}
}
