// How a value is laid into an attribute's payload, and read out of it.

import { InvalidOptionError } from "../../machine/errors.ts";
import { MalformedMessageError } from "./errors.ts";
import type { Writer } from "./writer.ts";

/** Writes and reads values of one type. */
export interface Codec<T> {
  /** @throws {InvalidOptionError} that names the attribute */
  write(to: Writer, value: T): void;
  /** @throws {MalformedMessageError} and nothing else, whatever the bytes are */
  read(bytes: Uint8Array): T;
  /** Whether the payload is attributes again. */
  readonly nested?: boolean;
  /** Whether the names inside stand without that of the attribute, as objects have them. */
  readonly transparent?: boolean;
  /** The name of an attribute in the payload. */
  nameOf?(type: number): string | undefined;
}

/** The type of what a codec writes and reads. */
export type Value<C> = C extends Codec<infer T> ? T : never;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** @throws {MalformedMessageError} if there are fewer bytes */
export function atLeast(bytes: Uint8Array, lengthBytes: number): DataView {
  if (bytes.length < lengthBytes)
    throw new MalformedMessageError(`${bytes.length} bytes where there should be ${lengthBytes}`);
  return viewOf(bytes);
}

/** Checks a whole number that somebody gave. @throws {InvalidOptionError} */
export function whole(value: number, least: number, most: number, option: string): number {
  if (!(Number.isInteger(value) && value >= least && value <= most))
    throw new InvalidOptionError(
      option,
      `${String(value)}: it is a whole number from ${least} to ${most}`,
    );
  return value;
}

function small(bits: 8 | 16 | 32, signed: boolean, littleEndian: boolean): Codec<number> {
  const bytes = bits / 8;
  const least = signed ? -(2 ** (bits - 1)) : 0;
  const most = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  return {
    write(to, value) {
      whole(value, least, most, to.path);
      const at = to.reserve(bytes);
      if (bits === 8) to.view.setUint8(at, value);
      else if (bits === 16) to.view.setUint16(at, value, littleEndian);
      else to.view.setUint32(at, value, littleEndian);
    },
    read(payload) {
      const view = atLeast(payload, bytes);
      if (bits === 8) return signed ? view.getInt8(0) : view.getUint8(0);
      if (bits === 16)
        return signed ? view.getInt16(0, littleEndian) : view.getUint16(0, littleEndian);
      return signed ? view.getInt32(0, littleEndian) : view.getUint32(0, littleEndian);
    },
  };
}

export const u8 = small(8, false, true);
export const u16 = small(16, false, true);
export const u32 = small(32, false, true);
export const s8 = small(8, true, true);
export const s32 = small(32, true, true);
export const be16 = small(16, false, false);
export const be32 = small(32, false, false);

function large(littleEndian: boolean): Codec<number> {
  return {
    write(to, value) {
      whole(value, 0, Number.MAX_SAFE_INTEGER, to.path);
      const at = to.reserve(8);
      to.view.setBigUint64(at, BigInt(value), littleEndian);
    },
    read: (payload) => Number(atLeast(payload, 8).getBigUint64(0, littleEndian)),
  };
}

/** Exact up to 2⁵³ − 1; what the kernel has above that is rounded. */
export const u64 = large(true);
/** Exact up to 2⁵³ − 1; what the kernel has above that is rounded. */
export const be64 = large(false);

/** A number of 4 or 8 bytes, as the kernel pleases (NLA_UINT). */
export const uint: Codec<number> = {
  write: (to, value) => (value > 0xffffffff ? u64 : u32).write(to, value),
  read: (payload) => (payload.length >= 8 ? u64 : u32).read(payload),
};

/** A number that stands for yes or no. */
export function yes(codec: Codec<number>): Codec<boolean> {
  return {
    write(to, value) {
      if (typeof value !== "boolean") throw to.wrong(`${String(value)}: it is true or false`);
      codec.write(to, value ? 1 : 0);
    },
    read: (payload) => codec.read(payload) !== 0,
  };
}

/** What is there or not, without a value: true. */
export const flag: Codec<true> = {
  write() {},
  read: () => true,
};

/** A number of a unit, as one of another: `scaled(u32, 100)` has seconds in, hundredths out. */
export function scaled(codec: Codec<number>, factor: number): Codec<number> {
  return {
    write: (to, value) => codec.write(to, Math.round(value * factor)),
    read: (payload) => codec.read(payload) / factor,
  };
}

/** Any bytes. The value read is a copy. */
export const raw: Codec<Uint8Array> = {
  write(to, value) {
    if (!(value instanceof Uint8Array)) throw to.wrong("it is a Uint8Array");
    to.put(value);
  },
  read: (payload) => payload.slice(),
};

/** So many bytes. */
export function fixed(lengthBytes: number): Codec<Uint8Array> {
  return {
    write(to, value) {
      if (!(value instanceof Uint8Array && value.length === lengthBytes))
        throw to.wrong(`it is a Uint8Array of ${lengthBytes} bytes`);
      to.put(value);
    },
    read(payload) {
      atLeast(payload, lengthBytes);
      return payload.slice(0, lengthBytes);
    },
  };
}

/** Text with a NUL behind it, and without one inside. `maxBytes` counts the NUL. */
export function text(maxBytes = 0xfff0): Codec<string> {
  return {
    write(to, value) {
      if (typeof value !== "string") throw to.wrong(`${String(value)}: it is text`);
      if (value.includes("\0")) throw to.wrong("it contains a NUL character");
      const bytes = encoder.encode(value);
      if (bytes.length >= maxBytes)
        throw to.wrong(`"${value}": it has at most ${maxBytes - 1} bytes`);
      to.put(bytes);
      to.reserve(1);
    },
    read(payload) {
      const end = payload.indexOf(0);
      return decoder.decode(payload.slice(0, end < 0 ? payload.length : end));
    },
  };
}

/** A number by its name. One without a name is read, and may be written, as the number. */
export function named<N extends string>(
  codec: Codec<number>,
  names: Readonly<Record<N, number>>,
): Codec<N | number> {
  const byNumber = new Map(
    Object.entries<number>(names)
      .toReversed()
      .map(([name, number]) => [number, name as N]),
  );
  return {
    write(to, value) {
      if (typeof value === "string" && !Object.hasOwn(names, value))
        throw to.wrong(`${value}: it is one of ${Object.keys(names).join(", ")}`);
      codec.write(to, typeof value === "string" ? names[value] : value);
    },
    read(payload) {
      const number = codec.read(payload);
      return byNumber.get(number) ?? number;
    },
  };
}

/** The names of the bits that are set; one without a name is in hexadecimal. */
export function bitNames<N extends string>(
  bits: number,
  names: Readonly<Record<N, number>>,
): (N | `0x${string}`)[] {
  let rest = bits >>> 0;
  const found: (N | `0x${string}`)[] = [];
  for (const [name, bit] of Object.entries<number>(names))
    if ((rest & bit) >>> 0 === bit >>> 0 && bit !== 0) {
      found.push(name as N);
      rest = (rest & ~bit) >>> 0;
    }
  if (rest) found.push(`0x${rest.toString(16)}`);
  return found;
}

/** The number of a list of names of bits. @throws {InvalidOptionError} */
export function bitsOf<N extends string>(
  list: readonly (N | `0x${string}`)[],
  names: Readonly<Record<N, number>>,
  option: string,
): number {
  if (!Array.isArray(list)) throw new InvalidOptionError(option, "it is a list of names");
  let bits = 0;
  for (const name of list) {
    const known = Object.hasOwn(names, name) ? names[name as N] : undefined;
    if (known === undefined && !/^0x[\da-f]{1,8}$/.test(name))
      throw new InvalidOptionError(
        option,
        `${String(name)}: it is one of ${Object.keys(names).join(", ")}`,
      );
    bits |= known ?? Number(name);
  }
  return bits >>> 0;
}

/** Bits by their names. */
export function bits<N extends string>(
  codec: Codec<number>,
  names: Readonly<Record<N, number>>,
): Codec<readonly (N | `0x${string}`)[]> {
  return {
    write: (to, value) => codec.write(to, bitsOf(value, names, to.path)),
    read: (payload) => bitNames(codec.read(payload), names),
  };
}

/** Another form of what a codec reads and writes. */
export function mapped<S, T>(
  codec: Codec<S>,
  read: (value: S) => T,
  write: (value: T, option: string) => S,
): Codec<T> {
  return {
    write: (to, value) => codec.write(to, write(value, to.path)),
    read: (payload) => read(codec.read(payload)),
  };
}

/** Refuses names that nothing has. @throws {InvalidOptionError} */
export function onlyKnown(to: Writer, value: object, known: readonly string[]): void {
  if (typeof value !== "object" || value === null) throw to.wrong("it is an object");
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined) throw to.wrong(`unknown: it is one of ${known.join(", ")}`, unknown);
}

/**
 * A structure: `read` gets as many bytes as it has at least, `write` fills zeroed ones. What it is
 * told it may be given: no other names.
 */
export function record<T extends object>(
  sizeBytes: number,
  read: (view: DataView) => T,
  write: (view: DataView, value: T, option: (name: string) => string) => void,
): Codec<T> {
  const known = Object.keys(read(new DataView(new ArrayBuffer(sizeBytes))));
  return {
    write(to, value) {
      onlyKnown(to, value, known);
      const bytes = new Uint8Array(sizeBytes);
      const { path } = to;
      write(viewOf(bytes), value, (name) => (path === "" ? name : `${path}.${name}`));
      to.put(bytes);
    },
    read: (payload) => read(atLeast(payload, sizeBytes)),
  };
}

/** What is only read: the kernel takes it in no request. */
export function readOnly<T>(codec: { read(bytes: Uint8Array): T }): Codec<T> {
  return {
    write(to) {
      throw to.wrong("the kernel tells it, it cannot be set");
    },
    read: (payload) => codec.read(payload),
  };
}
