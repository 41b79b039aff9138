// POSIX access control lists (acl(5)), in the form that Linux keeps in the extended attributes
// system.posix_acl_access and system.posix_acl_default (include/uapi/linux/posix_acl_xattr.h).

import {
  ACL_GROUP,
  ACL_GROUP_OBJ,
  ACL_MASK,
  ACL_OTHER,
  ACL_UNDEFINED_ID,
  ACL_USER,
  ACL_USER_OBJ,
  POSIX_ACL_XATTR_VERSION,
  XATTR_NAME_POSIX_ACL_ACCESS,
  XATTR_NAME_POSIX_ACL_DEFAULT,
} from "../abi/constants/xattr.ts";
import { viewOf } from "../abi/struct.ts";
import { PosixAclXattrEntry, PosixAclXattrHeader } from "../abi/structs/fs.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import type { Target } from "./target.ts";
import { getXattr, removeXattr, setXattr } from "./xattr.ts";

/** One line of getfacl(1). */
export interface AclEntry {
  /** "user" and "group" without an id are the file's owner and group. */
  readonly tag: "user" | "group" | "mask" | "other";
  /** Of a named user or group. */
  readonly id?: number;
  /** 4 to read, 2 to write, 1 to execute, added up. */
  readonly permissions: number;
}

/** "access" decides now; "default", of directories only, is given to what is made in them. */
export type AclKind = "access" | "default";

/** A list of access control is not one: an entry is missing, there twice, or out of range. */
export class AclError extends Error {
  override readonly name = "AclError";
  readonly code = "ERR_INVALID_ACL";
}

const ATTRIBUTES: Readonly<Record<AclKind, string>> = {
  access: XATTR_NAME_POSIX_ACL_ACCESS,
  default: XATTR_NAME_POSIX_ACL_DEFAULT,
};

/** The largest user or group; the next number means that there is none. */
const MAX_ID = 0xfffffffe;
const NO_ID = ACL_UNDEFINED_ID >>> 0;
const MAX_PERMISSIONS = 7;

interface Tag {
  readonly tag: AclEntry["tag"];
  readonly named: boolean;
}

/** In the order in which the kernel wants them, which is that of their numbers. */
const TAGS: ReadonlyMap<number, Tag> = new Map<number, Tag>([
  [ACL_USER_OBJ, { tag: "user", named: false }],
  [ACL_USER, { tag: "user", named: true }],
  [ACL_GROUP_OBJ, { tag: "group", named: false }],
  [ACL_GROUP, { tag: "group", named: true }],
  [ACL_MASK, { tag: "mask", named: false }],
  [ACL_OTHER, { tag: "other", named: false }],
]);

interface Line {
  readonly number: number;
  readonly id: number;
  readonly entry: AclEntry;
}

function lineOf(entry: AclEntry): Line {
  const { tag, id, permissions } = entry;
  const named = id !== undefined;
  const number = [...TAGS].find(([, one]) => one.tag === tag && one.named === named)?.[0];
  if (number === undefined)
    throw new AclError(
      named
        ? `"${tag}" has no id: only "user" and "group" have`
        : `tag "${tag}": it is one of user, group, mask, other`,
    );
  if (named && !(Number.isInteger(id) && id >= 0 && id <= MAX_ID))
    throw new AclError(`${tag} ${id}: an id is a whole number from 0 to ${MAX_ID}`);
  if (!(Number.isInteger(permissions) && permissions >= 0 && permissions <= MAX_PERMISSIONS))
    throw new AclError(`permissions ${permissions} of ${describe(entry)}: they are from 0 to 7`);
  return { number, id: id ?? NO_ID, entry };
}

const describe = ({ tag, id }: AclEntry) => `${tag}:${id ?? ""}:`;

/** What posix_acl_valid() of the kernel asks for, so that the error can say what it is. */
function checkWhole(lines: readonly Line[]): void {
  for (const [i, line] of lines.entries()) {
    const before = lines[i - 1];
    if (before && before.number === line.number && before.id === line.id)
      throw new AclError(`${describe(line.entry)} is there twice`);
  }
  const has = (number: number) => lines.some((line) => line.number === number);
  for (const number of [ACL_USER_OBJ, ACL_GROUP_OBJ, ACL_OTHER])
    if (!has(number)) throw new AclError(`${TAGS.get(number)!.tag}:: is missing`);
  if ((has(ACL_USER) || has(ACL_GROUP)) && !has(ACL_MASK))
    throw new AclError("mask:: is missing: a list that names users or groups has one");
}

/**
 * The bytes of a list, for {@link setXattr}. The entries may be in any order.
 *
 * @throws {AclError}
 */
export function encodeAcl(entries: readonly AclEntry[]): Uint8Array<ArrayBuffer> {
  const lines = entries.map(lineOf).toSorted((a, b) => a.number - b.number || a.id - b.id);
  checkWhole(lines);
  const bytes = new Uint8Array(PosixAclXattrHeader.size + lines.length * PosixAclXattrEntry.size);
  const view = viewOf(bytes);
  new PosixAclXattrHeader(view).a_version = POSIX_ACL_XATTR_VERSION;
  for (const [i, { number, id, entry }] of lines.entries()) {
    const raw = new PosixAclXattrEntry(
      view,
      PosixAclXattrHeader.size + i * PosixAclXattrEntry.size,
    );
    raw.e_tag = number;
    raw.e_perm = entry.permissions;
    raw.e_id = id;
  }
  return bytes;
}

/** The entries of a list, in its own order. @throws {AclError} if the bytes are none */
export function decodeAcl(bytes: Uint8Array): AclEntry[] {
  const listed = bytes.length - PosixAclXattrHeader.size;
  if (listed < 0 || listed % PosixAclXattrEntry.size)
    throw new AclError(
      `${bytes.length} bytes are no list of entries of 8 bytes after a header of 4`,
    );
  const view = viewOf(bytes);
  const version = new PosixAclXattrHeader(view).a_version;
  if (version !== POSIX_ACL_XATTR_VERSION)
    throw new AclError(`version ${version}: only ${POSIX_ACL_XATTR_VERSION} is known`);
  const entries: AclEntry[] = [];
  for (let at = PosixAclXattrHeader.size; at < bytes.length; at += PosixAclXattrEntry.size) {
    const { e_tag, e_perm, e_id } = new PosixAclXattrEntry(view, at);
    const kind = TAGS.get(e_tag);
    if (!kind) throw new AclError(`tag ${e_tag} at byte ${at} is unknown`);
    const permissions = e_perm & MAX_PERMISSIONS;
    entries.push(
      kind.named ? { tag: kind.tag, id: e_id, permissions } : { tag: kind.tag, permissions },
    );
  }
  return entries;
}

/**
 * The access control list of a file; null if it has none beyond its mode.
 *
 * @throws {SystemError} EOPNOTSUPP if the file system keeps none
 */
export async function getAcl(
  process: Process,
  target: Target,
  kind: AclKind = "access",
): Promise<AclEntry[] | null> {
  try {
    return decodeAcl(await getXattr(process, target, ATTRIBUTES[kind]));
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENODATA") return null;
    throw error;
  }
}

/**
 * Give a file an access control list, or take it away with null. "access" sets the mode too: the
 * mask is what the mode shows as the group's permissions.
 *
 * @throws {AclError} if it is no list
 * @throws {SystemError} EACCES for a default list of what is no directory, EOPNOTSUPP…
 */
export async function setAcl(
  process: Process,
  target: Target,
  entries: readonly AclEntry[] | null,
  kind: AclKind = "access",
): Promise<void> {
  if (entries) return setXattr(process, target, ATTRIBUTES[kind], encodeAcl(entries));
  try {
    await removeXattr(process, target, ATTRIBUTES[kind]);
  } catch (error) {
    // There was none.
    if (!(error instanceof SystemError && error.code === "ENODATA")) throw error;
  }
}
