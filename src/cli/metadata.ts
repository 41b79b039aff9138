// What a file of a volume has besides its content.

import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from "../abi/constants/fcntl.ts";
import { KernelTimespec } from "../abi/structs/time.ts";
import { typeOfMode } from "../fs/stat.ts";
import { setXattr } from "../fs/xattr.ts";
import type { MountedVolume } from "../image/index.ts";

/** Files, as a process sees them, and the process. */
export type Files = Pick<MountedVolume, "fs" | "process">;

export interface Metadata {
  readonly uid: number;
  readonly gid: number;
  /** Type and permissions. */
  readonly mode: number;
  readonly accessedNs: bigint;
  readonly modifiedNs: bigint;
  readonly attributes: readonly (readonly [name: string, value: Uint8Array])[];
}

const PERMISSIONS = 0o7777;
const NS = 1_000_000_000n;

/**
 * Owner, permissions, attributes and times, in the order in which none undoes another.
 *
 * @returns the attributes that the volume cannot keep
 */
export async function applyMetadata(
  { fs, process }: Files,
  path: Buffer,
  metadata: Metadata,
): Promise<string[]> {
  const { uid, gid, mode, attributes } = metadata;
  const lost: string[] = [];
  await ignoring(["EPERM", "EOPNOTSUPP", "EINVAL"], fs.promises.lchown(path, uid, gid));
  if (typeOfMode(mode) !== "symlink")
    await ignoring(["EPERM"], fs.promises.chmod(path, mode & PERMISSIONS));
  for (const [attribute, value] of attributes) {
    try {
      await setXattr(process, path, attribute, value, { follow: false });
    } catch {
      lost.push(attribute);
    }
  }
  const times = new Uint8Array(2 * KernelTimespec.size);
  const view = new DataView(times.buffer);
  for (const [i, ns] of [metadata.accessedNs, metadata.modifiedNs].entries()) {
    const time = new KernelTimespec(view, i * KernelTimespec.size);
    time.tv_nsec = BigInt.asUintN(64, ((ns % NS) + NS) % NS);
    time.tv_sec = (ns - time.tv_nsec) / NS;
  }
  await process.utimensat_time64(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
  return lost;
}

export interface DeviceParts {
  readonly major: number;
  readonly minor: number;
}

/** Of a device's number as it is in a status (makedev(3) of the C library). */
export function deviceParts(rdev: bigint): DeviceParts {
  return {
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)),
  };
}

/** Some file systems keep no owners or modes. */
async function ignoring(codes: readonly string[], work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && codes.includes(String(error.code))))
      throw error;
  }
}
