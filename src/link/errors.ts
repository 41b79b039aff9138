// What goes wrong with links.

export type LinkErrorCode =
  | "EACCES"
  | "EBUSY"
  | "ECONNRESET"
  | "EINVAL"
  | "EIO"
  | "ENOENT"
  | "ENOSPC"
  | "ENOTSUP"
  | "EPROTO"
  | "ETIMEDOUT";

/** A link cannot be used as it was tried to. */
export class LinkError extends Error {
  override readonly name = "LinkError";
  readonly code: LinkErrorCode;

  constructor(code: LinkErrorCode, problem: string, cause?: unknown) {
    super(`${code}: ${problem}`, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
