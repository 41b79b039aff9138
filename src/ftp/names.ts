// Names that commands bring: bytes, as the kernel has them.

import { FtpError, join } from "./reply.ts";
import type { Session } from "./session.ts";

const SLASH = 47;
/** PATH_MAX of the kernel (include/uapi/linux/limits.h). */
const PATH_MAX = 4096;

/** A name that can be given to the kernel. @throws {FtpError} 501, 553 */
export function nameOf(argument: Uint8Array): Uint8Array {
  if (!argument.length) throw new FtpError(501, "Which file?");
  if (argument.includes(0)) throw new FtpError(501, "A name has no NUL in it.");
  if (argument.length >= PATH_MAX) throw new FtpError(553, "File name too long (ENAMETOOLONG).");
  return argument;
}

/** The working directory. @throws {SystemError} ENOENT if it has been removed */
export async function workingDirectory(session: Session): Promise<Uint8Array> {
  const bytes = new Uint8Array(PATH_MAX);
  const length = await session.process.getcwd(bytes, bytes.length);
  return bytes.subarray(0, length - 1);
}

/** From the root on, as far as it can be told without looking anything up. */
export async function absolute(session: Session, name: Uint8Array): Promise<Uint8Array> {
  if (name[0] === SLASH) return name;
  const folder = await workingDirectory(session);
  return join(folder, folder.at(-1) === SLASH ? "" : "/", name);
}

/** The directory that a name is in, and whether the name is the entry's own. */
export function parentOf(name: Uint8Array): { folder: Uint8Array; entry: boolean } {
  const slash = name.lastIndexOf(SLASH);
  const last = Buffer.from(name.subarray(slash + 1)).toString("latin1");
  const folder = slash < 0 ? Buffer.from(".") : name.subarray(0, slash + 1);
  return { folder, entry: !["", ".", ".."].includes(last) };
}
