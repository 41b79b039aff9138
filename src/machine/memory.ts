// The kernel's memory. It is made once and never grows, so views stay valid.

const WASM_PAGE = 65536;
const MIB = 1048576;

export const MIN_MEMORY_BYTES = 16 * MIB;
/** Below 4 GiB, so that no pointer looks like a negative errno. */
export const MAX_MEMORY_BYTES = 3584 * MIB;

const decoder = new TextDecoder();

export class Memory {
  readonly object: WebAssembly.Memory;
  readonly size: number;
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly view: DataView;

  /** @param sizeBytes a multiple of 64 KiB; the engine commits pages when they are touched */
  constructor(sizeBytes: number, shared: boolean) {
    const pages = sizeBytes / WASM_PAGE;
    this.object = new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
    const buffer = this.object.buffer;
    this.size = sizeBytes;
    this.u8 = new Uint8Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.view = new DataView(buffer);
  }

  /** A view of kernel memory: no copy. */
  subarray(address: number, length: number): Uint8Array {
    return this.u8.subarray(address >>> 0, (address >>> 0) + length);
  }

  /** A copy of kernel memory. */
  copy(address: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.subarray(address, length));
  }

  /** Text of so many bytes. Decoders refuse shared memory, so from a copy. */
  text(address: number, length: number): string {
    return decoder.decode(this.copy(address, length));
  }

  /** NUL-terminated text of at most `limit` bytes. */
  string(address: number, limit = 4096): string {
    const bytes = this.subarray(address, limit);
    const end = bytes.indexOf(0);
    return this.text(address, end < 0 ? bytes.length : end);
  }
}
