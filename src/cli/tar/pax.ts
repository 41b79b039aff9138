// Extended headers: records of `LENGTH KEY=VALUE\n` (POSIX.1-2001, pax: "pax Extended Header").

import { TarError } from "./entry.ts";

/** Keys and values of one file, in the order of the archive: sparse maps repeat keys. */
export type PaxRecords = readonly (readonly [key: string, value: Uint8Array])[];

const SPACE = 0x20;
const NEWLINE = 0x0a;
const EQUALS = 0x3d;
const NS = 1_000_000_000n;

export function decodePax(bytes: Uint8Array): PaxRecords {
  const records: (readonly [string, Uint8Array])[] = [];
  for (let at = 0; at < bytes.length && bytes[at] !== 0;) {
    const space = bytes.indexOf(SPACE, at);
    const digits = Buffer.from(bytes.subarray(at, Math.max(at, space))).toString("latin1");
    const length = /^\d{1,10}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    const equals = bytes.indexOf(EQUALS, space);
    const sound = equals > 0 && equals < end && end <= bytes.length && bytes[end - 1] === NEWLINE;
    if (!sound) throw new TarError("an extended header is damaged");
    const key = Buffer.from(bytes.subarray(space + 1, equals)).toString();
    records.push([key, bytes.slice(equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

export function encodePax(records: PaxRecords): Uint8Array {
  return Buffer.concat(
    records.map(([key, value]) => {
      const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
      // The length counts its own digits.
      let length = rest.length + 1;
      while (rest.length + String(length).length !== length)
        length = rest.length + String(length).length;
      return Buffer.concat([Buffer.from(String(length)), rest]);
    }),
  );
}

/** Seconds with a fraction, as `1234567890.123456789`. */
export function decodeTime(text: string): bigint {
  const [, sign, whole, fraction = ""] = /^(-?)(\d{1,18})(?:\.(\d*))?$/.exec(text) ?? [];
  if (whole === undefined) throw new TarError(`${JSON.stringify(text)} is no time`);
  const ns = BigInt(whole) * NS + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  return sign ? -ns : ns;
}

export function encodeTime(ns: bigint): string {
  const size = ns < 0n ? -ns : ns;
  const fraction = String(size % NS)
    .padStart(9, "0")
    .replace(/0+$/, "");
  return `${ns < 0n ? "-" : ""}${size / NS}${fraction && `.${fraction}`}`;
}

/** A number of bytes or an identity. */
export function decodeNumber(text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) throw new TarError(`${JSON.stringify(text)} is no number`);
  return value;
}
