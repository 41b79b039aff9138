// Files that hold nothing: devices, named pipes, the names of sockets (mknod(2)).

import { AT_FDCWD } from "../abi/constants/fcntl.ts";
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK } from "../abi/constants/stat.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import type { Process } from "../syscall/process.ts";

const TYPES = {
  "character device": S_IFCHR,
  "block device": S_IFBLK,
  fifo: S_IFIFO,
  socket: S_IFSOCK,
} as const satisfies Readonly<Record<string, number>>;

export type SpecialType = keyof typeof TYPES;

/** The kernel's MINORBITS, and what is left of the 32 bits that a call takes. */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;
const MAX_MODE = 0o7777;

export interface SpecialOptions {
  /** Permissions, less the umask. Default 0o666. */
  readonly mode?: number;
  /** Of a device: which. Major 0 to 4095, minor 0 to 1048575. */
  readonly device?: { readonly major: number; readonly minor: number };
}

/**
 * Make a device's file, a named pipe, or a socket's name.
 *
 * @throws {InvalidOptionError} for a type that is none, or a number out of range
 * @throws {SystemError} EEXIST, EPERM without the right to or where the file system has no such files
 */
export async function makeSpecial(
  process: Process,
  path: string | Uint8Array,
  type: SpecialType,
  options: SpecialOptions = {},
): Promise<void> {
  if (!Object.hasOwn(TYPES, type))
    throw new InvalidOptionError(
      "type",
      `"${type}": it is one of ${Object.keys(TYPES).join(", ")}`,
    );
  const { mode = 0o666, device = { major: 0, minor: 0 } } = options;
  checkNumber("mode", mode, MAX_MODE);
  checkNumber("device.major", device.major, MAX_MAJOR);
  checkNumber("device.minor", device.minor, MAX_MINOR);
  await process.mknodat(AT_FDCWD, path, TYPES[type] | mode, encodeDevice(device));
}

function checkNumber(option: string, value: number, most: number): void {
  if (!(Number.isInteger(value) && value >= 0 && value <= most))
    throw new InvalidOptionError(option, `${value}: it is a whole number from 0 to ${most}`);
}

/** A device's number as mknod(2) takes it (new_encode_dev(), include/linux/kdev_t.h). */
export const encodeDevice = ({ major, minor }: { major: number; minor: number }): number =>
  ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
