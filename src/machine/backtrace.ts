// The names of the kernel's functions on an engine stack.

import type { Backtrace } from "./errors.ts";

// V8: "at linux.wasm.panic (wasm://wasm/linux.wasm-0a1b2c:wasm-function[12]:0x34)"
const V8_FRAME = /at (?:async )?(\S+) \(wasm:/;
// JavaScriptCore: "<?>.wasm-function[panic]@[wasm code]"
const JSC_FRAME = /wasm-function\[([^\]]+)\]@/;
const MODULE_PREFIX = "linux.wasm.";

/** The kernel's functions in a stack trace, innermost first. */
export function kernelFrames(stack: string | undefined): Backtrace {
  const names: string[] = [];
  for (const line of stack?.split("\n") ?? []) {
    const name = (V8_FRAME.exec(line) ?? JSC_FRAME.exec(line))?.[1];
    if (!name) continue;
    names.push(name.startsWith(MODULE_PREFIX) ? name.slice(MODULE_PREFIX.length) : name);
  }
  return names;
}

const DEPTH = 64;

/** V8 and JavaScriptCore have it; the language does not. */
const depth = Error as { stackTraceLimit?: number };

/** Who called the import that calls this. */
export function currentFrames(): Backtrace {
  const limit = depth.stackTraceLimit;
  depth.stackTraceLimit = DEPTH;
  const { stack } = new Error();
  if (limit === undefined) delete depth.stackTraceLimit;
  else depth.stackTraceLimit = limit;
  return kernelFrames(stack);
}
