// Arguments of scripts as numbers, addresses and structures.

import { AF_INET, AF_INET6 } from "../../src/abi/constants/socket.ts";
import { Linger, SockaddrIn, SockaddrIn6 } from "../../src/abi/structs/socket.ts";
import { ipOf } from "../../src/net/address.ts";
import { Mismatch } from "./errors.ts";
import type { Expression } from "./script.ts";
import { symbols } from "./symbols.ts";

const WORD_BYTES = 4;

/** What an argument says, for messages. */
export function show(expression: Expression): string {
  switch (expression.kind) {
    case "ellipsis":
      return "...";
    case "number":
      return String(expression.value);
    case "word":
      return expression.name;
    case "string":
      return JSON.stringify(expression.value);
    case "or":
      return `${show(expression.left)}|${show(expression.right)}`;
    case "call":
      return `${expression.name}(${expression.args.map(show).join(", ")})`;
    case "list":
      return `[${expression.items.map(show).join(", ")}]`;
    case "record":
      break;
  }
  const fields = Array.from(expression.fields, ([name, value]) => `${name}=${show(value)}`);
  return `{${fields.join(", ")}}`;
}

function addressOf(expression: Expression): Uint8Array {
  const [text] = expression.kind === "call" ? expression.args : [expression];
  const found = text?.kind === "string" ? ipOf(text.value) : undefined;
  if (!found) throw new Mismatch(`${show(expression)}: it is no IP address`);
  return found.bytes;
}

/** A number. @throws {Mismatch} if it is none */
export function numberOf(expression: Expression): number {
  switch (expression.kind) {
    case "number":
      return expression.value;
    case "word": {
      const value = symbols.get(expression.name);
      if (value === undefined) throw new Mismatch(`unknown symbol: '${expression.name}'`);
      return value;
    }
    case "or":
      // Flags may have the highest of 32 bits.
      return Number(BigInt(numberOf(expression.left)) | BigInt(numberOf(expression.right)));
    case "call":
      if (expression.name === "inet_addr")
        return new DataView(addressOf(expression).buffer).getUint32(0, true);
      if (expression.name === "htons" && expression.args.length === 1) {
        const value = numberOf(expression.args[0]);
        return ((value & 0xff) << 8) | (value >> 8);
      }
      throw new Mismatch(`unknown function: ${show(expression)}`);
    case "ellipsis":
    case "string":
    case "list":
    case "record":
      break;
  }
  throw new Mismatch(`a number is expected, not ${show(expression)}`);
}

/** The items of a list; anything else is a list of one. */
export function itemsOf(expression: Expression): readonly Expression[] {
  return expression.kind === "list" ? expression.items : [expression];
}

/** A field of a record. @throws {Mismatch} if it has none of the name */
export function fieldOf(expression: Expression, name: string): Expression {
  const field = expression.kind === "record" ? expression.fields.get(name) : undefined;
  if (!field) throw new Mismatch(`${show(expression)}: ${name} is missing`);
  return field;
}

/** The bytes of a sockaddr_in or sockaddr_in6. */
export function socketAddress({
  address,
  port,
}: {
  readonly address: Uint8Array;
  readonly port: number;
}): Uint8Array {
  if (address.length === 4) {
    const sockaddr = SockaddrIn.alloc();
    sockaddr.sin_family = AF_INET;
    sockaddr.sin_port = port;
    sockaddr.bytes.set(address, SockaddrIn.offsets.sin_addr);
    return sockaddr.bytes;
  }
  const sockaddr = SockaddrIn6.alloc();
  sockaddr.sin6_family = AF_INET6;
  sockaddr.sin6_port = port;
  sockaddr.bytes.set(address, SockaddrIn6.offsets.sin6_addr);
  return sockaddr.bytes;
}

/** `{sa_family = AF_INET, sin_port = htons(80), sin_addr = inet_addr("10.0.0.1")}` */
export function addressFrom(expression: Expression): { address: Uint8Array; port: number } {
  const port = fieldOf(expression, "sin_port");
  const [inner] = port.kind === "call" && port.name === "htons" ? port.args : [port];
  return { address: addressOf(fieldOf(expression, "sin_addr")), port: numberOf(inner) };
}

function isLinger(expression: Expression): boolean {
  return expression.kind === "record" && expression.fields.has("onoff");
}

/** An option's value as bytes: `[1]`, `{onoff=1, linger=0}`, `"cubic"`, 1. */
export function optionBytes(expression: Expression): Uint8Array {
  const items = itemsOf(expression);
  if (items.length === 1 && isLinger(items[0])) {
    const linger = Linger.alloc();
    linger.l_onoff = numberOf(fieldOf(items[0], "onoff"));
    linger.l_linger = numberOf(fieldOf(items[0], "linger"));
    return linger.bytes;
  }
  if (items.length === 1 && items[0].kind === "string")
    return Uint8Array.from(items[0].value, (char) => char.charCodeAt(0));
  if (items.length === 1 && items[0].kind === "call" && items[0].name === "inet6_addr")
    return addressOf(items[0]);
  const bytes = new Uint8Array(items.length * WORD_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, item] of items.entries())
    view.setUint32(index * WORD_BYTES, Number(BigInt.asUintN(32, BigInt(numberOf(item)))), true);
  return bytes;
}
