// Names of disciplines and classes.

import { parseHandle } from "../../../net/qdisc.ts";
import { WordError } from "../words.ts";
import type { Words } from "../words.ts";

/** `1:`, `1:10`, in hexadecimal. */
export function handle(words: Words): string {
  const given = words.take("a handle");
  const text = /^[\da-f]{1,4}$/i.test(given) ? `${given}:` : given;
  try {
    parseHandle(text, "handle");
    return text;
  } catch {
    throw new WordError(`"${given}" is no handle: it is like 1: or 1:10, in hexadecimal`);
  }
}
