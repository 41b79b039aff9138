// Files that share their bytes on the disk: ioctl_ficlonerange(2), ioctl_fideduperange(2).

import { AT_FDCWD, O_CREAT, O_EXCL, O_RDWR, O_WRONLY } from "../abi/constants/fcntl.ts";
import {
  FICLONE,
  FICLONERANGE,
  FIDEDUPERANGE,
  FILE_DEDUPE_RANGE_DIFFERS,
} from "../abi/constants/ioctl.ts";
import { viewOf } from "../abi/struct.ts";
import { FileCloneRange, FileDedupeRange, FileDedupeRangeInfo, Stat64 } from "../abi/structs/fs.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { checkBytes } from "./range.ts";
import type { ByteRange } from "./range.ts";
import { pathOf, withDescriptor } from "./target.ts";
import type { Target } from "./target.ts";

/**
 * Make a file share all bytes of another on the same file system: a copy that takes no room, until
 * one of them is written to. A path `to` is created, or has what the other one has afterwards, and
 * is as it was if that fails; a descriptor `to` must be open for writing, and keeps what it has
 * beyond the other's length.
 *
 * @throws {SystemError} EOPNOTSUPP where the file system cannot, EXDEV between two, EINVAL…
 */
export async function reflink(process: Process, from: Target, to: Target): Promise<void> {
  await withDescriptor(process, from, async (source) => {
    if (typeof to === "number") await process.ioctl(to, FICLONE, source);
    else if (!(await reflinkNew(process, source, to))) await reflinkOver(process, source, to);
  });
}

/** @returns false if there is a file of that name already */
async function reflinkNew(
  process: Process,
  source: number,
  path: string | Uint8Array,
): Promise<boolean> {
  try {
    const clone = (target: number) => process.ioctl(target, FICLONE, source);
    await withDescriptor(process, path, clone, O_WRONLY | O_CREAT | O_EXCL);
    return true;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.code === "EEXIST") return false;
    if (error.syscall === "ioctl") await process.unlinkat(AT_FDCWD, path, 0);
    throw error;
  }
}

async function reflinkOver(
  process: Process,
  source: number,
  path: string | Uint8Array,
): Promise<void> {
  await withDescriptor(
    process,
    path,
    async (target) => {
      await process.ioctl(target, FICLONE, source);
      const status = Stat64.alloc();
      await process.fstat64(source, status.bytes);
      await process.ftruncate64(target, status.st_size);
    },
    O_WRONLY,
  );
}

/**
 * Make a part of a file share the bytes of a part of another, or of another part of it.
 *
 * @param range multiples of the file system's block, but for the end of the file; a length of 0
 *   means up to that end
 * @param to a path of a file that is there, or a descriptor open for writing
 * @param toOffsetBytes a multiple of the file system's block
 * @throws {SystemError} EINVAL if the parts overlap or are no whole blocks, EOPNOTSUPP, EXDEV…
 */
export async function reflinkRange(
  process: Process,
  from: Target,
  range: ByteRange,
  to: Target,
  toOffsetBytes: number,
): Promise<void> {
  const raw = FileCloneRange.alloc();
  raw.src_offset = BigInt(checkBytes("offsetBytes", range.offsetBytes));
  raw.src_length = BigInt(checkBytes("lengthBytes", range.lengthBytes));
  raw.dest_offset = BigInt(checkBytes("toOffsetBytes", toOffsetBytes));
  await withDescriptor(process, from, (source) => {
    raw.src_fd = BigInt(source);
    return withDescriptor(
      process,
      to,
      (target) => process.ioctl(target, FICLONERANGE, raw.bytes),
      O_WRONLY,
    );
  });
}

/** What is compared at once: it becomes shared as a whole, or not at all. */
const DEDUPE_BYTES = 1 << 20;

/** What became of {@link dedupe}. */
export interface Deduped {
  /** From the start of the range: so much is shared now. */
  readonly sharedBytes: number;
  /** Whether it ended there because the next bytes, 1 MiB of them at most, are not the same. */
  readonly differs: boolean;
}

/**
 * Make a part of a file share the bytes of a part of another, where they are the same: the kernel
 * compares them, under lock, and changes nothing that can be read.
 *
 * @param range multiples of the file system's block, but for the end of the file
 * @throws {SystemError} EINVAL if the range is beyond a file's end, EOPNOTSUPP, EXDEV…
 */
export async function dedupe(
  process: Process,
  from: Target,
  range: ByteRange,
  to: Target,
  toOffsetBytes: number,
): Promise<Deduped> {
  const offset = checkBytes("offsetBytes", range.offsetBytes);
  const length = checkBytes("lengthBytes", range.lengthBytes);
  const toOffset = checkBytes("toOffsetBytes", toOffsetBytes);
  return withDescriptor(process, from, (source) =>
    withDescriptor(
      process,
      to,
      async (target) => {
        let done = 0;
        while (done < length) {
          const info = await dedupeOnce(process, source, target, {
            fromBytes: offset + done,
            toBytes: toOffset + done,
            lengthBytes: Math.min(length - done, DEDUPE_BYTES),
          });
          if (info.status === FILE_DEDUPE_RANGE_DIFFERS)
            return { sharedBytes: done, differs: true };
          if (info.status < 0) throw new SystemError(info.status, "ioctl", pathOf(to));
          const shared = Number(info.bytes_deduped);
          if (!shared) break;
          done += shared;
        }
        return { sharedBytes: done, differs: false };
      },
      O_RDWR,
    ),
  );
}

async function dedupeOnce(
  process: Process,
  source: number,
  target: number,
  piece: { fromBytes: number; toBytes: number; lengthBytes: number },
): Promise<FileDedupeRangeInfo> {
  const bytes = new Uint8Array(FileDedupeRange.size + FileDedupeRangeInfo.size);
  const view = viewOf(bytes);
  const raw = new FileDedupeRange(view);
  raw.src_offset = BigInt(piece.fromBytes);
  raw.src_length = BigInt(piece.lengthBytes);
  raw.dest_count = 1;
  const info = new FileDedupeRangeInfo(view, FileDedupeRange.offsets.info);
  info.dest_fd = BigInt(target);
  info.dest_offset = BigInt(piece.toBytes);
  await process.ioctl(source, FIDEDUPERANGE, bytes);
  return info;
}
