// Swap areas, as mkswap makes them. Layout: union swap_header of the kernel's include/linux/swap.h.

import { tooLarge, tooSmall } from "./errors.ts";
import type { CommonOptions, Formatted, Target } from "./formatter.ts";
import { checkUuid, labelBytes, newUuid } from "./identity.ts";
import { Record } from "./record.ts";

export interface SwapOptions extends CommonOptions {
  type: "swap";
}

/** Of the machine that is to use it: all that liblinux runs on, and most others. */
const PAGE_BYTES = 4096;
const SIGNATURE = "SWAPSPACE2";
/** mkswap makes none with less; the kernel itself needs two pages. */
const LEAST_PAGES = 10;
const VERSION = 1;
const LABEL_BYTES = 16;

/** A swap area for pages of 4096 bytes. */
export function formatSwap(target: Target, options: SwapOptions): Formatted {
  const { image, sizeBytes } = target;
  const pages = Math.floor(sizeBytes / PAGE_BYTES);
  if (pages < LEAST_PAGES) throw tooSmall("swap", sizeBytes, LEAST_PAGES * PAGE_BYTES);
  if (pages > 2 ** 32) throw tooLarge("swap", sizeBytes, 2 ** 32 * PAGE_BYTES);
  const label = options.label ?? "";
  const uuid = options.uuid === undefined ? newUuid(target.random) : checkUuid(options.uuid);
  const header = new Record(PAGE_BYTES)
    .u32(1024, VERSION)
    .u32(1028, pages - 1)
    .uuid(1036, uuid)
    .set(1052, labelBytes("swap", label, LABEL_BYTES))
    .ascii(PAGE_BYTES - SIGNATURE.length, SIGNATURE);
  image.write(0, header.bytes);
  return { type: "swap", label, uuid, sizeBytes: pages * PAGE_BYTES, blockSizeBytes: PAGE_BYTES };
}
