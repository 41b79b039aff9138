// Ethernet addresses: as text, as bytes, and as numbers (48 bits fit), which are keys of tables.

import { ETH_ALEN } from "../abi/constants/packet.ts";
import { InvalidOptionError } from "../machine/errors.ts";

const HIGH = 0x1_0000_0000;
/** The address of all stations. */
export const BROADCAST = 0xffff_ffff_ffff;

/** The address at an offset of some bytes, as a number. */
export function macAt(bytes: Uint8Array, offset: number): number {
  const high = (bytes[offset] << 8) | bytes[offset + 1];
  const low =
    (bytes[offset + 2] << 24) |
    (bytes[offset + 3] << 16) |
    (bytes[offset + 4] << 8) |
    bytes[offset + 5];
  return high * HIGH + (low >>> 0);
}

/** Whether an address is that of a group: broadcast, or multicast. */
export function isGroup(mac: number): boolean {
  return (Math.floor(mac / HIGH) & 0x100) !== 0;
}

/** "02:00:00:00:00:01" of its number. */
export function formatMac(mac: number): string {
  return mac
    .toString(16)
    .padStart(2 * ETH_ALEN, "0")
    .replace(/..(?!$)/g, "$&:");
}

/** An address that nobody else has, most likely: locally administered (IEEE 802, section 8.4). */
export function randomMac(): Uint8Array<ArrayBuffer> {
  const bytes = crypto.getRandomValues(new Uint8Array(ETH_ALEN));
  bytes[0] = (bytes[0] & 0xfc) | 0x02;
  return bytes;
}

/**
 * The six bytes of a station's address such as "02:00:00:00:00:01".
 *
 * @throws {InvalidOptionError} if it is none, or that of a group, or all zeroes
 */
export function parseMac(text: string): Uint8Array<ArrayBuffer> {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text))
    throw new InvalidOptionError("mac", `"${text}": it is written as 02:00:00:00:00:01`);
  const bytes = Uint8Array.from(text.split(":"), (byte) => parseInt(byte, 16));
  if (bytes[0] & 1) throw new InvalidOptionError("mac", `"${text}" is the address of a group`);
  if (bytes.every((byte) => byte === 0))
    throw new InvalidOptionError("mac", `"${text}" is the address of nobody`);
  return bytes;
}
