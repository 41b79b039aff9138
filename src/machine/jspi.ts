// JavaScript Promise Integration: WebAssembly stacks that can be suspended.
// https://github.com/WebAssembly/js-promise-integration

type Callable = (...args: never[]) => unknown;

interface JspiEngine {
  Suspending: new (fn: Callable) => WebAssembly.ImportValue;
  promising: <A extends number[]>(fn: WebAssembly.ExportValue) => (...args: A) => Promise<void>;
}

/** Thrown where the JavaScript engine cannot suspend WebAssembly. */
export class UnsupportedEngineError extends Error {
  override readonly name = "UnsupportedEngineError";
  readonly code = "ERR_UNSUPPORTED_ENGINE";
}

function engine(): JspiEngine {
  const wasm = WebAssembly as unknown as Partial<JspiEngine>;
  if (typeof wasm.Suspending !== "function" || typeof wasm.promising !== "function")
    throw new UnsupportedEngineError(
      "liblinux needs WebAssembly stack switching (JSPI), which this JavaScript engine lacks: " +
        "use Node 24 or newer, Deno 2.9, Bun 1.4, or a browser with JSPI such as Chrome 137.",
    );
  return wasm as JspiEngine;
}

/** Throws {@link UnsupportedEngineError} where stacks cannot be suspended. */
export function assertJspi(): void {
  engine();
}

/** An import that suspends its caller's stack until the promise that it returns settles. */
export function suspending(fn: Callable): WebAssembly.ImportValue {
  const { Suspending } = engine();
  return new Suspending(fn);
}

/** An export that runs on a stack of its own, which ends when the promise settles. */
export function promising<A extends number[]>(
  fn: WebAssembly.ExportValue,
): (...args: A) => Promise<void> {
  return engine().promising<A>(fn);
}
