// What tells one file system from another: UUIDs, serial numbers, labels.

import type { Random } from "../machine/random.ts";
import { invalid, MkfsError } from "./errors.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** A random UUID, version 4 of RFC 9562. */
export function newUuid(random: Random): string {
  const bytes = randomBytes(random, 16);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}

/** A UUID given as an option, in lower case. */
export function checkUuid(
  uuid: string,
  option = "uuid",
  syscall: MkfsError["syscall"] = "mkfs",
): string {
  if (!UUID.test(uuid))
    throw new MkfsError("EINVAL", `"${uuid}" is no UUID; it has 8-4-4-4-12 hexadecimal digits`, {
      option,
      syscall,
    });
  return uuid.toLowerCase();
}

/** The 16 bytes in the order of the text. */
export function uuidBytes(uuid: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(uuid.replaceAll("-", "").match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function randomBytes(random: Random, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  random(bytes);
  return bytes;
}

export function randomU32(random: Random): number {
  return new DataView(randomBytes(random, 4).buffer).getUint32(0, true);
}

/**
 * A label in UTF-8.
 *
 * @throws {MkfsError} EINVAL if it has more than `mostBytes`, or a NUL
 */
export function labelBytes(
  type: string,
  label: string,
  mostBytes: number,
): Uint8Array<ArrayBuffer> {
  if (label.includes("\0")) throw invalid("label", "it has a NUL, which ends a label");
  if (!label.isWellFormed()) throw invalid("label", "it has half of a surrogate pair");
  const bytes = new TextEncoder().encode(label);
  if (bytes.length > mostBytes)
    throw invalid(
      "label",
      `"${label}" has ${bytes.length} bytes in UTF-8; a label of ${type} has at most ${mostBytes}`,
    );
  return bytes;
}
