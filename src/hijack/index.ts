// `node --import liblinux/hijack app.js`: an unchanged program whose network is a kernel's in the process.

import process from "node:process";

import { HijackConfigError, readConfig } from "./config.ts";
import type { Hijack } from "./hijack.ts";

export { HijackConfigError } from "./config.ts";
export type { Hijack } from "./hijack.ts";

async function start(): Promise<Hijack | null> {
  try {
    const config = readConfig(process.env);
    // All the rest is loaded when it is known what it is for.
    const { startHijack } = await import("./hijack.ts");
    return await startHijack(config);
  } catch (error) {
    // Of what is wrong with a configuration no stack tells more.
    const text =
      error instanceof HijackConfigError
        ? error.message
        : `liblinux/hijack: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    process.stderr.write(`${text}\n`);
    return process.exit(1);
  }
}

/**
 * The kernel of this program, for those that know that they have one. Null in threads and child
 * processes that have none of their own.
 */
export const hijack: Hijack | null = await start();
