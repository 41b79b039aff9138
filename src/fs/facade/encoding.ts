// Text to bytes and back, in the encodings that Node knows, with or without a Buffer.

import { RuntimeBuffer } from "./runtime.ts";

/** The encodings by the name that is used here. */
export type Encoding = "utf8" | "utf16le" | "latin1" | "ascii" | "base64" | "base64url" | "hex";

const NAMES: Readonly<Record<string, Encoding>> = {
  utf8: "utf8",
  "utf-8": "utf8",
  utf16le: "utf16le",
  "utf-16le": "utf16le",
  ucs2: "utf16le",
  "ucs-2": "utf16le",
  latin1: "latin1",
  binary: "latin1",
  ascii: "ascii",
  base64: "base64",
  base64url: "base64url",
  hex: "hex",
};

/** The encoding that a name means, or undefined. */
export function encodingOf(name: string): Encoding | undefined {
  return NAMES[name] ?? NAMES[name.toLowerCase()];
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** Text that bytes stand for. */
export function decode(bytes: Uint8Array, encoding: Encoding = "utf8"): string {
  if (RuntimeBuffer)
    return RuntimeBuffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(encoding);
  // Decoders refuse memory that is shared.
  return DECODERS[encoding](new Uint8Array(bytes));
}

const DECODERS: Readonly<Record<Encoding, (bytes: Uint8Array) => string>> = {
  utf8: (bytes) => utf8.decode(bytes),
  utf16le: pairs,
  latin1: (bytes) => characters(bytes, 0xff),
  ascii: (bytes) => characters(bytes, 0x7f),
  base64: (bytes) => btoa(characters(bytes, 0xff)),
  base64url: (bytes) =>
    btoa(characters(bytes, 0xff)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, ""),
  hex: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
};

function characters(bytes: Uint8Array, mask: number): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte & mask);
  return text;
}

/** Also halves of surrogates, which a TextDecoder would replace. */
function pairs(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i + 1 < bytes.length; i += 2)
    text += String.fromCharCode(bytes[i] | (bytes[i + 1] << 8));
  return text;
}

/** Bytes that text stands for; what is no digit of "hex" ends it, as in Node. */
export function encode(text: string, encoding: Encoding = "utf8"): Uint8Array {
  if (encoding === "utf8") return encoder.encode(text);
  return RuntimeBuffer ? RuntimeBuffer.from(text, encoding) : ENCODERS[encoding](text);
}

const ENCODERS: Readonly<Record<Encoding, (text: string) => Uint8Array>> = {
  utf8: (text) => encoder.encode(text),
  utf16le: (text) => units(text, 2),
  latin1: (text) => units(text, 1),
  ascii: (text) => units(text, 1),
  base64: fromBase64,
  base64url: fromBase64,
  hex: fromHex,
};

function fromBase64(text: string): Uint8Array {
  const digits = text
    .replaceAll("-", "+")
    .replaceAll("_", "/")
    .replaceAll(/[^A-Za-z0-9+/]/g, "");
  return units(atob(digits), 1);
}

function fromHex(text: string): Uint8Array {
  const digits = /^(?:[0-9a-f]{2})*/i.exec(text)![0];
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

function units(text: string, bytesPerUnit: 1 | 2): Uint8Array {
  const bytes = new Uint8Array(text.length * bytesPerUnit);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    bytes[i * bytesPerUnit] = unit;
    if (bytesPerUnit === 2) bytes[2 * i + 1] = unit >> 8;
  }
  return bytes;
}
