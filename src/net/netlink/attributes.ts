// Sets of attributes, by names: what a message or a nested attribute may contain.
//
// Invariant: what cannot be read is a MalformedMessageError; what is not known is passed over, as
// newer kernels say more.

import { NLA_HDRLEN, NLA_TYPE_MASK } from "../../abi/constants/netlink.ts";
import { onlyKnown } from "./codec.ts";
import type { Codec, Value } from "./codec.ts";
import { MalformedMessageError } from "./errors.ts";
import { aligned } from "./writer.ts";
import type { Writer } from "./writer.ts";

/** An attribute of another type that has some of the values, such as addresses of IPv6. */
export interface Alternate {
  readonly type: number;
  readonly has: (value: unknown) => boolean;
}

/** The attributes of a set: their types, and what is in them. */
export type Fields = Readonly<
  Record<string, readonly [type: number, codec: Codec<unknown>, alternate?: Alternate]>
>;

/** Contents of one attribute, of which there is one for each kind of thing. */
export type Cases = Readonly<Record<string, readonly [kind: string, codec: Codec<unknown>]>>;

/** An attribute whose content another one tells, such as TCA_OPTIONS by TCA_KIND. */
export interface Variant<C extends Cases> {
  /** The field with the kind. */
  readonly selector: string;
  readonly type: number;
  /** By the names that they have in objects: those of the kinds, mostly. */
  readonly cases: C;
}

type FieldValues<F extends Fields> = { -readonly [K in keyof F]?: Value<F[K][1]> };

/** The keys of each of several cases. */
type CaseNames<C> = C extends unknown ? keyof C : never;
type CaseValue<C, K> = C extends unknown
  ? K extends keyof C
    ? C[K] extends readonly [string, infer One]
      ? Value<One>
      : never
    : never
  : never;
type CasesOf<V extends readonly Variant<Cases>[]> = V[number]["cases"];
type CaseValues<V extends readonly Variant<Cases>[]> = {
  -readonly [K in CaseNames<CasesOf<V>>]?: CaseValue<CasesOf<V>, K>;
};

/** Calls `visit` for each attribute. @throws {MalformedMessageError} */
export function eachAttribute(
  bytes: Uint8Array,
  visit: (type: number, payload: Uint8Array) => void,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + NLA_HDRLEN <= bytes.length;) {
    const lengthBytes = view.getUint16(at, true);
    if (lengthBytes < NLA_HDRLEN || at + lengthBytes > bytes.length)
      throw new MalformedMessageError(
        `an attribute of ${lengthBytes} bytes at ${at} of ${bytes.length}`,
      );
    visit(
      view.getUint16(at + 2, true) & NLA_TYPE_MASK,
      bytes.subarray(at + NLA_HDRLEN, at + lengthBytes),
    );
    at += aligned(lengthBytes);
  }
}

/** Read something inside of an attribute. @throws {MalformedMessageError} that names it */
function readInside<T>(name: string, codec: Codec<T>, payload: Uint8Array): T {
  try {
    return codec.read(payload);
  } catch (error) {
    throw error instanceof MalformedMessageError ? error.within(name) : error;
  }
}

/** A set of attributes: plain objects in and out. */
export class AttributeSet<
  F extends Fields,
  const V extends readonly Variant<Cases>[] = [],
> implements Codec<FieldValues<F> & CaseValues<V>> {
  readonly nested: boolean = true;
  readonly #fields: F;
  readonly #variants: readonly Variant<Cases>[];
  readonly #names = new Map<number, string>();

  constructor(fields: F, ...variants: V) {
    this.#fields = fields;
    this.#variants = variants;
    for (const [name, [type, , alternate]] of Object.entries(fields)) {
      this.#names.set(type, name);
      if (alternate) this.#names.set(alternate.type, name);
    }
    for (const { type, selector } of variants) this.#names.set(type, `options of the ${selector}`);
  }

  nameOf(type: number): string | undefined {
    return this.#names.get(type);
  }

  /** All names that an object may have. */
  get known(): string[] {
    return [
      ...Object.keys(this.#fields),
      ...this.#variants.flatMap(({ cases }) => Object.keys(cases)),
    ];
  }

  write(to: Writer, value: FieldValues<F> & CaseValues<V>): void {
    onlyKnown(to, value, this.known);
    const all: Readonly<Record<string, unknown>> = value;
    for (const [name, [type, codec, alternate]] of Object.entries(this.#fields)) {
      const one = all[name];
      if (one === undefined) continue;
      const chosen = alternate?.has(one) ? alternate.type : type;
      to.attribute(chosen, name, () => codec.write(to, one), codec);
    }
    for (const variant of this.#variants) writeVariant(to, variant, all);
  }

  read(bytes: Uint8Array): FieldValues<F> & CaseValues<V> {
    const values: Record<string, unknown> = {};
    const payloads = new Map<number, Uint8Array>();
    eachAttribute(bytes, (type, payload) => {
      payloads.set(type, payload);
    });
    for (const [type, payload] of payloads) {
      const name = this.#names.get(type);
      if (name === undefined || !Object.hasOwn(this.#fields, name)) continue;
      values[name] = readInside(name, this.#fields[name][1], payload);
    }
    for (const { type, selector, cases } of this.#variants) {
      const payload = payloads.get(type);
      const found = Object.entries(cases).find(([, [kind]]) => kind === values[selector]);
      if (payload === undefined || found === undefined) continue;
      const [name, [, codec]] = found;
      values[name] = readInside(name, codec, payload);
    }
    return values as FieldValues<F> & CaseValues<V>;
  }
}

function writeVariant(
  to: Writer,
  { selector, type, cases }: Variant<Cases>,
  all: Readonly<Record<string, unknown>>,
): void {
  const kind = all[selector];
  for (const [name, [of, codec]] of Object.entries(cases)) {
    if (all[name] === undefined) continue;
    if (kind !== of)
      throw to.wrong(`this is of the ${selector} "${of}", not of "${String(kind)}"`, name);
    to.attribute(type, name, () => codec.write(to, all[name]), codec);
  }
}

/**
 * A list inside of one attribute: one attribute each, of the type given, or numbered from
 * `first` on.
 */
export function list<T>(
  codec: Codec<T>,
  { type, first = 1 }: { type?: number; first?: number } = {},
): Codec<readonly T[]> {
  return {
    nested: true,
    write(to, values) {
      if (!Array.isArray(values)) throw to.wrong("it is a list");
      for (const [index, value] of values.entries())
        to.attribute(type ?? first + index, String(index), () => codec.write(to, value), codec);
    },
    read(bytes) {
      const values: T[] = [];
      eachAttribute(bytes, (_, payload) => {
        values.push(readInside(String(values.length), codec, payload));
      });
      return values;
    },
  };
}

/** The same attributes, whose names stand without that of the attribute which they are in. */
export function transparent<T>(codec: Codec<T>): Codec<T> {
  return {
    nested: codec.nested ?? false,
    transparent: true,
    nameOf: (type) => codec.nameOf?.(type),
    write: (to, value) => codec.write(to, value),
    read: (bytes) => codec.read(bytes),
  };
}
