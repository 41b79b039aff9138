// Access control lists as tar has them: text, as acl_to_text(3) writes it, of star, GNU tar and bsdtar.

import {
  XATTR_NAME_POSIX_ACL_ACCESS,
  XATTR_NAME_POSIX_ACL_DEFAULT,
} from "../../abi/constants/xattr.ts";
import { AclError, encodeAcl } from "../../fs/acl.ts";
import type { AclEntry } from "../../fs/acl.ts";

const ATTRIBUTES: Readonly<Record<string, string>> = {
  "SCHILY.acl.access": XATTR_NAME_POSIX_ACL_ACCESS,
  "SCHILY.acl.default": XATTR_NAME_POSIX_ACL_DEFAULT,
};

/** Whether a record of an extended header is a list. */
export const isAcl = (key: string): boolean => Object.hasOwn(ATTRIBUTES, key);

/** `user:1000:rw-`, `group::r--`; after a name there may be its number: `user:me:rw-:1000`. */
const ENTRY = /^(user|group|mask|other):([^:]*):([r-])([w-])([x-])(?::(\d+))?$/;

/**
 * The attribute that a list is on Linux. One that names users without their numbers stays what it is:
 * whom it means only the machine knew that wrote it, and no volume keeps an attribute called so.
 */
export function aclAttribute(key: string, text: Uint8Array): [name: string, value: Uint8Array] {
  try {
    const lines = Buffer.from(text).toString().split(/[\n,]/);
    const entries = lines.map((line) => line.replace(/#.*/, "").trim()).filter(Boolean);
    return [ATTRIBUTES[key], encodeAcl(entries.map(entryOf))];
  } catch (error) {
    if (!(error instanceof AclError)) throw error;
    return [key, text];
  }
}

function entryOf(line: string): AclEntry {
  const [, tag, name, read, write, execute, number] = ENTRY.exec(line) ?? [];
  if (tag === undefined) throw new AclError(`${line}: is no entry`);
  const permissions = (read === "r" ? 4 : 0) + (write === "w" ? 2 : 0) + (execute === "x" ? 1 : 0);
  if (name === "") return { tag: tag as AclEntry["tag"], permissions };
  const id = number ?? name;
  if (!/^\d+$/.test(id)) throw new AclError(`${line}: nobody knows the number of ${id}`);
  return { tag: tag as AclEntry["tag"], id: Number(id), permissions };
}
