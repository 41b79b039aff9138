// Arguments of a call into words, and results back out.
//
// A call's buffers are laid one behind the other in one block of the arena, each with room
// for any structure, so that a buffer that is too short cannot make the kernel write over
// another call's. Sizes that the caller gives are checked against the buffers.

import type { Argument, CallDescriptor, KernelMemory } from "../abi/calls.ts";
import { MIN_BLOCK_BYTES } from "./arena.ts";
import type { Arena } from "./arena.ts";
import { BufferSizeError } from "./errors.ts";

const encoder = new TextEncoder();
const IOVEC_BYTES = 8;
const ALIGN = 16;

interface Part {
  readonly bytes: Uint8Array;
  readonly terminated: boolean;
  readonly copyIn: boolean;
  readonly copyOut: boolean;
  /** Which parameter, for copyBack. */
  readonly param: number;
  offset: number;
}

interface Vector {
  readonly parts: readonly Part[];
  offset: number;
}

/** The sizes that are given must not exceed the buffers. @throws {BufferSizeError} */
function checkLengths(call: CallDescriptor, args: readonly Argument[]): void {
  if (!call.lengths) return;
  for (const [buffer, count, unit] of call.lengths) {
    const arg = args[buffer];
    if (typeof arg !== "object" || arg === null || Array.isArray(arg)) continue;
    const { length } = arg as Uint8Array | KernelMemory;
    // As the kernel sees it: a length below 0 is one near 4 GiB.
    const wanted = (Number(args[count]) >>> 0) * unit;
    if (wanted > length)
      throw new BufferSizeError(
        `${call.name}: ${wanted} bytes are asked for, but the buffer has ${length}`,
      );
  }
}

/** The names among the arguments, for an error: at most two. */
export function namesAmong(args: readonly Argument[]): string[] {
  return args.filter((arg) => typeof arg === "string").slice(0, 2);
}

function placeLong(words: Int32Array, at: number, arg: number | bigint): void {
  const value = BigInt(arg);
  words[at] = Number(BigInt.asIntN(32, value));
  words[at + 1] = Number(BigInt.asIntN(32, value >> 32n));
}

/**
 * The words of a call that needs no copies: whose buffers are in the kernel's memory already.
 *
 * @returns whether it is one
 * @throws {BufferSizeError}
 */
export function placeDirect(
  call: CallDescriptor,
  args: readonly Argument[],
  words: Int32Array,
): boolean {
  let word = 0;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (typeof arg === "number" || typeof arg === "bigint") {
      if (call.params[i] === "long64") {
        placeLong(words, word, arg);
        word += 2;
      } else words[word++] = Number(arg);
    } else if (arg === null || arg === undefined) words[word++] = 0;
    else if (typeof arg === "object" && isMemory(arg)) words[word++] = arg.address;
    else return false;
  }
  checkLengths(call, args);
  return true;
}

const isMemory = (value: object): value is KernelMemory => "address" in value;

/** One call on its way: its words once it is placed, and what has to come back. */
export class Marshalled {
  readonly #call: CallDescriptor;
  readonly #args: readonly Argument[];
  readonly #parts: (Part | Vector | null)[] = [];
  /** How many bytes of the arena it needs; 0 if none. */
  size = 0;

  /** @throws {BufferSizeError} @throws {TypeError} */
  constructor(call: CallDescriptor, args: readonly Argument[]) {
    this.#call = call;
    this.#args = args;
    checkLengths(call, args);
    for (let i = 0; i < args.length; i++) this.#parts.push(this.#part(i));
  }

  #part(index: number): Part | Vector | null {
    const arg = this.#args[index]!;
    const kind = this.#call.params[index];
    if (typeof arg === "string") {
      if (arg.includes("\0"))
        throw new TypeError(`${this.#call.name}: a name cannot contain a NUL character`);
      return this.#reserve(encoder.encode(arg), index, true, true, false);
    }
    if (typeof arg !== "object" || arg === null) return null;
    if (arg instanceof Uint8Array)
      return this.#reserve(
        arg,
        index,
        kind === "string",
        // What the kernel does not write must come back as it was.
        kind !== "out" || this.#call.copyBack !== index,
        kind === "out" || kind === "inout",
      );
    if (Array.isArray(arg)) {
      const buffers = arg as readonly Uint8Array[];
      const count = Number(this.#args[index + 1]) >>> 0;
      if (count > buffers.length)
        throw new BufferSizeError(
          `${this.#call.name}: ${count} buffers are asked for, but there are ${buffers.length}`,
        );
      const offset = this.#room(buffers.length * IOVEC_BYTES);
      const parts = buffers.map((bytes) =>
        this.#reserve(bytes, index, false, kind === "iov-in", kind === "iov-out"),
      );
      return { parts, offset };
    }
    if (isMemory(arg)) return null;
    throw new TypeError(`${this.#call.name}: argument ${index + 1} is no buffer`);
  }

  #reserve(
    bytes: Uint8Array,
    param: number,
    terminated: boolean,
    copyIn: boolean,
    copyOut: boolean,
  ): Part {
    const least = copyOut ? MIN_BLOCK_BYTES : 0;
    const offset = this.#room(Math.max(least, bytes.length + (terminated ? 1 : 0)));
    return { bytes, terminated, copyIn, copyOut, param, offset };
  }

  #room(bytes: number): number {
    const offset = this.size;
    this.size = (offset + bytes + ALIGN - 1) & -ALIGN;
    return offset;
  }

  /** Copy in what goes in, and write the argument words. */
  place(arena: Arena, block: number, words: Int32Array): void {
    const { u8, i32 } = arena.memory;
    let word = 0;
    for (let i = 0; i < this.#args.length; i++) {
      const arg = this.#args[i]!;
      const part = this.#parts[i];
      if (part) {
        if ("parts" in part) {
          let at = (block + part.offset) >>> 2;
          for (const piece of part.parts) {
            copyIn(u8, block, piece);
            i32[at++] = block + piece.offset;
            i32[at++] = piece.bytes.length;
          }
        } else copyIn(u8, block, part);
        words[word++] = block + part.offset;
      } else if (this.#call.params[i] === "long64") {
        placeLong(words, word, arg as number | bigint);
        word += 2;
      } else if (typeof arg === "object" && arg !== null)
        words[word++] = (arg as KernelMemory).address;
      else words[word++] = Number(arg ?? 0);
    }
  }

  /** Copy out what the kernel wrote. */
  collect(arena: Arena, block: number, result: number): void {
    const { u8 } = arena.memory;
    for (const part of this.#parts) {
      if (!part) continue;
      if ("parts" in part) {
        let left = result;
        for (const piece of part.parts) {
          if (!piece.copyOut || left <= 0) break;
          copyOut(u8, block, piece, left);
          left -= piece.bytes.length;
        }
      } else if (part.copyOut)
        copyOut(u8, block, part, part.param === this.#call.copyBack ? result : part.bytes.length);
    }
  }
}

function copyIn(u8: Uint8Array, block: number, part: Part): void {
  const at = block + part.offset;
  if (part.copyIn) u8.set(part.bytes, at);
  if (part.terminated) u8[at + part.bytes.length] = 0;
}

function copyOut(u8: Uint8Array, block: number, part: Part, count: number): void {
  const at = block + part.offset;
  const length = Math.min(count, part.bytes.length);
  part.bytes.set(u8.subarray(at, at + length));
}
