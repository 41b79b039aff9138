// `node --import liblinux/hijack app.js`: an unchanged program whose network is a kernel's in the process.

import process from "node:process";

import { tell } from "./boot.ts";
import { HijackConfigError } from "./config.ts";
import { startHijack } from "./hijack.ts";
import type { Hijack } from "./hijack.ts";

export { HijackConfigError } from "./config.ts";
export type { Hijack } from "./hijack.ts";

async function start(): Promise<Hijack | null> {
  try {
    return await startHijack(process.env);
  } catch (error) {
    // Of what is wrong with a configuration no stack tells more.
    if (error instanceof HijackConfigError) process.stderr.write(`${error.message}\n`);
    else tell(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return process.exit(1);
  }
}

/**
 * The kernel of this program, for those that know that they have one. Null in threads and child
 * processes that are left to the host.
 */
export const hijack: Hijack | null = await start();
