// What goes wrong with disks.

/** Names of errors, as the kernel and Node have them. */
export type DiskErrorCode =
  | "EACCES"
  | "EBADF"
  | "EBUSY"
  | "EINVAL"
  | "EIO"
  | "EISDIR"
  | "ENODEV"
  | "ENOENT"
  | "ENOSPC"
  | "EROFS"
  | "EUNKNOWN";

/** A disk cannot be opened, or could not do what it was asked for. */
export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly code: DiskErrorCode;
  /** Where the disk's bytes are, if they have a name. */
  readonly path: string | undefined;

  constructor(code: DiskErrorCode, problem: string, path?: string, cause?: unknown) {
    super(
      `${code}: ${path === undefined ? "" : `${path}: `}${problem}`,
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
    this.path = path;
  }
}
