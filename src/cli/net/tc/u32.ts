// `match ip dst 10.0.0.0/8`: what tc's u32 looks at, as words of a packet.

import { networkOf, parsePrefix } from "../../../net/address.ts";
import type { U32Key } from "../../../net/index.ts";
import { PROTOCOLS } from "../../../net/nft/match.ts";
import { number, prefix } from "../values.ts";
import { unknownWord, WordError } from "../words.ts";
import type { Words } from "../words.ts";

/** Part of a word: how many bits, and where, from the beginning of the network header on. */
interface Field {
  readonly bits: 8 | 16 | 32;
  readonly offsetBytes: number;
}

/** Where the header has them: RFC 791, and what follows one without options. */
const IP_FIELDS: Readonly<Record<string, Field>> = {
  tos: { bits: 8, offsetBytes: 1 },
  dsfield: { bits: 8, offsetBytes: 1 },
  ttl: { bits: 8, offsetBytes: 8 },
  protocol: { bits: 8, offsetBytes: 9 },
  icmp_type: { bits: 8, offsetBytes: 20 },
  icmp_code: { bits: 8, offsetBytes: 21 },
  sport: { bits: 16, offsetBytes: 20 },
  dport: { bits: 16, offsetBytes: 22 },
};
/** RFC 8200, and what follows without other headers. */
const IP6_FIELDS: Readonly<Record<string, Field>> = {
  protocol: { bits: 8, offsetBytes: 6 },
  icmp_type: { bits: 8, offsetBytes: 40 },
  icmp_code: { bits: 8, offsetBytes: 41 },
  sport: { bits: 16, offsetBytes: 40 },
  dport: { bits: 16, offsetBytes: 42 },
};
/** Where the addresses are. */
const ADDRESSES = {
  ip: { src: 12, dst: 16 },
  ip6: { src: 8, dst: 24 },
} as const;

/** The word that a part is in. */
function keyOf(field: Field, value: number, mask: number): U32Key {
  const offsetBytes = field.offsetBytes & ~3;
  const shift = 32 - field.bits - (field.offsetBytes - offsetBytes) * 8;
  const at = (part: number) => (part << shift) >>> 0;
  return { value: at(value & mask), mask: at(mask), offsetBytes };
}

/** The words of an address that its length leaves something of. */
function addressKeys(words: Words, family: "ip" | "ip6", field: "src" | "dst"): U32Key[] {
  const given = prefix(words, "an address or a network");
  const { bytes, prefixLength } = networkOf(parsePrefix(given, field));
  if ((bytes.length === 4) !== (family === "ip"))
    throw new WordError(`${family} ${field} "${given}": it is of the other family`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const keys: U32Key[] = [];
  for (let at = 0; at * 8 < prefixLength; at += 4) {
    const bits = Math.min(32, prefixLength - at * 8);
    const mask = (0xffffffff << (32 - bits)) >>> 0;
    keys.push({ value: view.getUint32(at), mask, offsetBytes: ADDRESSES[family][field] + at });
  }
  // A network of length 0 is any: a key that fits everything.
  return keys.length ? keys : [{ value: 0, mask: 0, offsetBytes: ADDRESSES[family][field] }];
}

function headerKeys(words: Words, family: "ip" | "ip6"): U32Key[] {
  const fields = family === "ip" ? IP_FIELDS : IP6_FIELDS;
  const given = words.take(`a field of ${family}`);
  if (given === "src" || given === "dst") return addressKeys(words, family, given);
  if (!Object.hasOwn(fields, given))
    throw unknownWord(given, `field of ${family}`, ["src", "dst", ...Object.keys(fields)]);
  const field = fields[given];
  const most = 2 ** field.bits - 1;
  const name = Object.entries(PROTOCOLS).find(([one]) => one === words.next);
  const value = given === "protocol" && name ? name[1] : number(words, 0, most);
  if (given === "protocol" && name) words.take("a protocol");
  // The mask may be left out.
  const isMask = /^(0x[\da-f]+|\d+)$/i.test(words.next ?? "");
  return [keyOf(field, value, isMask ? number(words, 0, most) : most)];
}

/** `match ip …`, `match ip6 …`, `match u32|u16|u8 VALUE MASK at OFFSET`. @throws {WordError} */
export function readMatch(words: Words): U32Key[] {
  const kinds = ["ip", "ip6", "u32", "u16", "u8"] as const;
  const kind = words.oneOf(kinds, "thing to match");
  if (kind === "ip" || kind === "ip6") return headerKeys(words, kind);
  const bits = ({ u32: 32, u16: 16, u8: 8 } as const)[kind];
  const most = 2 ** bits - 1;
  const value = hexNumber(words, most);
  const mask = hexNumber(words, most);
  if (!words.accept("at")) throw new WordError('"at" is missing: where it is');
  const offsetBytes = number(words, 0, 0x7ffc);
  if (offsetBytes % (bits / 8))
    throw new WordError(`at ${offsetBytes}: it is a multiple of ${bits / 8}`);
  return [keyOf({ bits, offsetBytes }, value, mask)];
}

/** Also without 0x if there are letters in it, as tc(8) takes it. */
function hexNumber(words: Words, most: number): number {
  const given = words.take("a number");
  const value = /^[\da-f]*[a-f][\da-f]*$/i.test(given) ? parseInt(given, 16) : Number(given);
  if (!(Number.isInteger(value) && value >= 0 && value <= most))
    throw new WordError(`"${given}": it is a number up to 0x${most.toString(16)}`);
  return value;
}
