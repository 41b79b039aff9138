// The kernel's binary: checked, and compiled once for each kind of memory.

import { NotAKernelError } from "./errors.ts";
import { assertJspi } from "./jspi.ts";

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const SECTION_IMPORT = 2;
const KIND_FUNCTION = 0;
const KIND_MEMORY = 2;
const LIMITS_SHARED = 2;
const REQUIRED = ["boot", "thread", "syscall", "lkl_board", "__indirect_function_table"];

/** A kernel's binary. Compiled lazily, once for shared and once for unshared memory. */
export class KernelImage {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #flag: number;
  #shared: Promise<WebAssembly.Module> | undefined;
  #unshared: Promise<WebAssembly.Module> | undefined;

  /**
   * @param bytes the module as linked, with an imported shared memory. Kept, not copied:
   *   the caller gives it up.
   * @throws {NotAKernelError}
   */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    assertJspi();
    if (MAGIC.some((byte, i) => bytes[i] !== byte))
      throw new NotAKernelError(
        `not a WebAssembly module (${bytes.length} bytes): pass the uncompressed linux.wasm ` +
          "that `npm run kernel:build` made or that the package carries",
      );
    this.#bytes = bytes;
    this.#flag = findMemoryFlag(bytes);
  }

  /** The size of the module, uncompressed. */
  get sizeBytes(): number {
    return this.#bytes.length;
  }

  /** The compiled module; the second call returns the same promise. */
  module(shared: boolean): Promise<WebAssembly.Module> {
    if (shared) return (this.#shared ??= this.#compile(true));
    return (this.#unshared ??= this.#compile(false));
  }

  async #compile(shared: boolean): Promise<WebAssembly.Module> {
    // The engine copies the bytes before compile() returns, so both can share them.
    if (shared) this.#bytes[this.#flag] |= LIMITS_SHARED;
    else this.#bytes[this.#flag] &= ~LIMITS_SHARED;
    let module;
    try {
      module = await WebAssembly.compile(this.#bytes);
    } catch (cause) {
      throw new NotAKernelError(`the module does not compile: ${(cause as Error).message}`, {
        cause,
      });
    }
    const exports = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
    const missing = REQUIRED.filter((name) => !exports.has(name));
    if (missing.length)
      throw new NotAKernelError(`a WebAssembly module without ${missing.join(", ")}: no kernel`);
    return module;
  }
}

/** Where the flags of the imported memory's limits are. */
function findMemoryFlag(bytes: Uint8Array): number {
  let at = MAGIC.length;
  const leb = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw new NotAKernelError("the module is cut short");
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const skipName = () => {
    const length = leb();
    at += length;
  };
  while (at < bytes.length) {
    const id = bytes[at++];
    const size = leb();
    if (id !== SECTION_IMPORT) {
      at += size;
      continue;
    }
    for (let left = leb(); left > 0; left--) {
      skipName();
      skipName();
      const kind = bytes[at++];
      if (kind === KIND_MEMORY) return at;
      if (kind !== KIND_FUNCTION) break;
      leb();
    }
    break;
  }
  throw new NotAKernelError("a WebAssembly module that imports no memory: no kernel");
}
