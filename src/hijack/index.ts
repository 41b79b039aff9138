// `node --import liblinux/hijack app.js`: an unchanged program whose network is a kernel's in the process.

import process from "node:process";

import { loadImage } from "../platform/image.ts";
import { hasKernel } from "./children.ts";
import { HijackConfigError, PACKAGED, readConfig } from "./config.ts";
import type { Hijack } from "./hijack.ts";

export { HijackConfigError } from "./config.ts";
export type { Hijack } from "./hijack.ts";

/** Compiles a kernel while the rest is loaded. What goes wrong, booting it tells. */
function preload(kernel: string): void {
  if (kernel !== PACKAGED) return;
  loadImage(kernel)
    .then((image) => image.module(false))
    .catch(() => {});
}

/** Of what is wrong with a configuration, or with what it names, no stack tells more. */
function describe(error: unknown): string {
  if (error instanceof HijackConfigError) return error.message;
  if (!(error instanceof Error)) return `liblinux/hijack: ${String(error)}`;
  return `liblinux/hijack: ${"code" in error ? error.message : (error.stack ?? error.message)}`;
}

async function start(): Promise<Hijack | null> {
  try {
    const config = readConfig(process.env);
    if (hasKernel(config)) preload(config.kernel);
    const { startHijack } = await import("./hijack.ts");
    return await startHijack(config);
  } catch (error) {
    process.stderr.write(`${describe(error)}\n`);
    return process.exit(1);
  }
}

/**
 * The kernel of this program, for those that know that they have one. Null in threads and child
 * processes that have none of their own.
 */
export const hijack: Hijack | null = await start();
