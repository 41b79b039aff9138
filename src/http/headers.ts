// Header fields of requests: the user's over the client's.

import { validateHeaderName, validateHeaderValue } from "node:http";

import { InvalidOptionError } from "../machine/errors.ts";

/** Fields in the order in which they came, with names as they were written. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** What a request has by itself; null leaves out what the client would say. */
export type HeaderInit = Readonly<Record<string, string | readonly string[] | null>>;

/** By the name in lower case; several values are several fields. */
export type Fields = Map<string, { readonly name: string; readonly values: readonly string[] }>;

/** @throws {InvalidOptionError} */
export function fieldsOf(headers: HeaderInit): Fields {
  const fields: Fields = new Map();
  for (const [name, value] of Object.entries(headers)) {
    const values = value === null ? [] : typeof value === "string" ? [value] : value;
    try {
      validateHeaderName(name);
      for (const one of values) validateHeaderValue(name, one);
    } catch (error) {
      throw new InvalidOptionError("headers", (error as Error).message);
    }
    fields.set(name.toLowerCase(), { name, values });
  }
  return fields;
}

/** Of pairs in a row, as Node's messages have them. */
export function pairsOf(raw: readonly string[]): HeaderList {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i], raw[2 * i + 1]] as const);
}

/** The first field's value. */
export function valueOf(headers: HeaderList, name: string): string | undefined {
  return headers.find(([own]) => own.toLowerCase() === name)?.[1];
}

/** These tell another server what only this one is to know. */
export const SECRET: readonly string[] = ["authorization", "cookie", "proxy-authorization"];
