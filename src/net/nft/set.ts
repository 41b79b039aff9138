// Sets and maps of nf_tables: elements as they are said, and as the kernel has them.

import { NFT_SET_ELEM_CATCHALL, NFT_SET_ELEM_INTERVAL_END } from "../../abi/constants/netfilter.ts";
import { InvalidOptionError } from "../../machine/errors.ts";
import { networkOf, parsePrefix } from "../address.ts";
import type { Value } from "../netlink/codec.ts";
import type { NftSet, NftSetSpec, RawElement, setAttributes } from "./objects.ts";
import type { NftFamily } from "./objects.ts";
import { VERDICT_TYPE, typeNamed, typeOf } from "./types.ts";

/** An element of a set: a key, or with `to` all from that key on. */
export interface NftElement {
  /** In a set with intervals also a network: "10.0.0.0/8". */
  readonly key: string | number;
  readonly to?: string | number;
  /** In a map: what it leads to. For verdicts: accept, drop, return, continue, or where to. */
  readonly value?: string | number | { readonly jump: string } | { readonly goto: string };
  /** After which it goes. */
  readonly timeoutMs?: number;
  /** When it will be gone. Only told. */
  readonly expiresMs?: number;
}

/** What is known of a set that elements are said of. */
export type SetShape = Pick<NftSetSpec, "type" | "map" | "flags">;

/** @throws {InvalidOptionError} */
export function setValues(spec: NftSetSpec, id: number): Value<typeof setAttributes> {
  const { table, name, type, map, flags = [], timeoutMs, size } = spec;
  const key = typeOf(type, "type");
  const all = new Set([
    ...flags,
    ...(map === undefined ? [] : ["map" as const]),
    ...(timeoutMs === undefined ? [] : ["timeout" as const]),
  ]);
  const value = map === undefined || map === "verdict" ? undefined : typeOf(map, "map");
  return {
    table,
    name,
    id,
    flags: [...all],
    keyType: key.number,
    keyBytes: key.lengthBytes,
    ...(map === "verdict" && { dataType: VERDICT_TYPE, dataBytes: 0 }),
    ...(value && { dataType: value.number, dataBytes: value.lengthBytes }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(size !== undefined && { description: { size } }),
  };
}

/** @internal */
export function shapeOf(raw: { family: NftFamily } & Value<typeof setAttributes>): NftSet {
  const { family, table = "", name = "", handle = 0, flags = [], keyType = 0, dataType } = raw;
  const map = dataType === VERDICT_TYPE ? "verdict" : dataType && (typeNamed(dataType) ?? dataType);
  const size = raw.description?.size;
  return {
    family,
    table,
    name,
    handle,
    type: typeNamed(keyType) ?? keyType,
    ...(map !== undefined && flags.includes("map") && { map }),
    flags,
    ...(raw.timeoutMs !== undefined && { timeoutMs: raw.timeoutMs }),
    ...(size !== undefined && { size }),
  };
}

/** The number after a big one, or undefined if there is none in so many bytes. */
function next(bytes: Uint8Array): Uint8Array | undefined {
  const after = bytes.slice();
  for (let at = after.length - 1; at >= 0; at--) {
    after[at] = (after[at] + 1) & 0xff;
    if (after[at] !== 0) return after;
  }
  return undefined;
}

function before(bytes: Uint8Array): Uint8Array {
  const less = bytes.slice();
  for (let at = less.length - 1; at >= 0; at--) {
    less[at] = (less[at] - 1) & 0xff;
    if (less[at] !== 0xff) break;
  }
  return less;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return a[at] - b[at];
  return 0;
}

/** First and last key of an element. @throws {InvalidOptionError} */
function boundsOf(element: NftElement, { type }: SetShape): [Uint8Array, Uint8Array] {
  const { key, to } = element;
  const codec = typeOf(type, "type");
  if (to !== undefined) {
    const bounds: [Uint8Array, Uint8Array] = [codec.write(key, "key"), codec.write(to, "to")];
    if (compareBytes(bounds[0], bounds[1]) > 0)
      throw new InvalidOptionError("to", `${to} is before ${key}`);
    return bounds;
  }
  if (typeof key === "string" && key.includes("/") && /^ipv[46]_addr$/.test(type)) {
    const prefix = networkOf(parsePrefix(key, "key"));
    if (prefix.bytes.length !== codec.lengthBytes)
      throw new InvalidOptionError("key", `"${key}" is of the other family`);
    const last = prefix.bytes.map((byte, index) => {
      const kept = Math.min(8, Math.max(0, prefix.prefixLength - index * 8));
      return byte | (0xff >> kept);
    });
    return [prefix.bytes, last];
  }
  const bytes = codec.write(key, "key");
  return [bytes, bytes];
}

function dataOf(value: NftElement["value"], { map }: SetShape): RawElement["data"] {
  if (map === undefined) {
    if (value === undefined) return undefined;
    throw new InvalidOptionError("value", "the set is no map");
  }
  if (value === undefined) throw new InvalidOptionError("value", "an element of a map has one");
  if (map !== "verdict") {
    if (typeof value === "object")
      throw new InvalidOptionError("value", `it is of the type ${map}`);
    return { value: typeOf(map, "map").write(value, "value") };
  }
  if (typeof value === "object")
    return {
      verdict:
        "jump" in value ? { code: "jump", chain: value.jump } : { code: "goto", chain: value.goto },
    };
  if (value !== "accept" && value !== "drop" && value !== "return" && value !== "continue")
    throw new InvalidOptionError("value", `${value}: there is no such verdict`);
  return { verdict: { code: value } };
}

/** What the kernel is told: of an interval two elements, its beginning and what is behind it. */
export function rawElements(elements: readonly NftElement[], shape: SetShape): RawElement[] {
  const interval = shape.flags?.includes("interval") ?? false;
  return elements.flatMap((element) => {
    const [first, last] = boundsOf(element, shape);
    const { timeoutMs } = element;
    const value = dataOf(element.value, shape);
    const start: RawElement = {
      key: { value: first },
      ...(value && { data: value }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    };
    if (!interval) {
      if (compareBytes(first, last) !== 0)
        throw new InvalidOptionError("key", `${element.key}: the set has no flag "interval"`);
      return [start];
    }
    const end = next(last);
    return end ? [start, { key: { value: end }, flags: NFT_SET_ELEM_INTERVAL_END }] : [start];
  });
}

/** What the kernel tells. */
export function elementsOf(raw: readonly RawElement[], set: NftSet): NftElement[] {
  if (typeof set.type === "number") return [];
  const codec = typeOf(set.type, "type");
  const valid = raw.filter(
    ({ key, flags = 0 }) =>
      key?.value?.length === codec.lengthBytes && !(flags & NFT_SET_ELEM_CATCHALL),
  );
  if (!set.flags.includes("interval"))
    return valid.map((one) => elementOf(one, codec.read(one.key!.value!), set));
  const keyOf = (one: RawElement) => one.key!.value!;
  const sorted = valid.toSorted((a, b) => compareBytes(keyOf(a), keyOf(b)));
  return sorted.flatMap((one, index) => {
    if ((one.flags ?? 0) & NFT_SET_ELEM_INTERVAL_END) return [];
    // The end of one may be the beginning of the next.
    let behind = index + 1;
    while (behind < sorted.length && !compareBytes(keyOf(sorted[behind]), keyOf(one))) behind++;
    const last =
      behind < sorted.length ? before(keyOf(sorted[behind])) : keyOf(one).map(() => 0xff);
    const element = elementOf(one, codec.read(keyOf(one)), set);
    return [compareBytes(last, keyOf(one)) ? { ...element, to: codec.read(last) } : element];
  });
}

function elementOf(raw: RawElement, key: string | number, { map }: NftSet): NftElement {
  const { data, timeoutMs, expiresMs } = raw;
  let value: NftElement["value"];
  if (data?.verdict) {
    const { code, chain = "" } = data.verdict;
    if (code === "jump") value = { jump: chain };
    else if (code === "goto") value = { goto: chain };
    else if (code === "accept" || code === "drop" || code === "return" || code === "continue")
      value = code;
  } else if (data?.value && typeof map === "string" && map !== "verdict")
    value = typeOf(map, "map").read(data.value);
  return {
    key,
    ...(value !== undefined && { value }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(expiresMs !== undefined && { expiresMs }),
  };
}
