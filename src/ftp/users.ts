// Who may log in, and as which process of the kernel.

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

import type { Process } from "../syscall/process.ts";
import type { FtpIdentity, FtpUser, Settings } from "./options.ts";

const NOBODY = 65534;
/** The names that mean anybody (RFC 1635). */
const ANONYMOUS: ReadonlySet<string> = new Set(["anonymous", "ftp"]);
/** A session makes one call at a time, and one more for a transfer. */
const MAX_THREADS = 4;

/** Somebody who has logged in. */
export interface Account {
  readonly name: string;
  readonly identity: FtpIdentity;
  readonly readOnly: boolean;
}

export class Users {
  readonly #users: ReadonlyMap<string, FtpUser>;
  readonly #anonymous: FtpIdentity | null;
  readonly #readOnly: boolean;
  /** Digests of one length can be compared in constant time, whatever the passwords are. */
  readonly #key = randomBytes(32);

  constructor({ users, anonymous, readOnly }: Settings) {
    this.#users = new Map(users.map((user) => [user.name, { ...user }]));
    this.#anonymous =
      anonymous === false ? null : { uid: NOBODY, ...(anonymous === true ? {} : anonymous) };
    this.#readOnly = readOnly;
  }

  /** The account, or null. It takes as long for a name that is not there. */
  check(name: string, password: Uint8Array): Account | null {
    const user = this.#users.get(name);
    const given = this.#digest(password);
    const right = timingSafeEqual(given, this.#digest(Buffer.from(user?.password ?? "")));
    if (user) return right ? this.#account(name, user) : null;
    if (this.#anonymous && ANONYMOUS.has(name.toLowerCase()))
      return this.#account("anonymous", this.#anonymous);
    return null;
  }

  #digest(password: Uint8Array): Buffer {
    return createHmac("sha256", this.#key).update(password).digest();
  }

  #account(name: string, identity: FtpIdentity): Account {
    return { name, identity, readOnly: this.#readOnly || (identity.readOnly ?? false) };
  }
}

/**
 * A process that is this account to the kernel: with its credentials, and its root for a root, so
 * that the kernel resolves every name and every link inside of it.
 *
 * @throws {SystemError} e.g. ENOENT if the root or the home is not there
 */
export async function openJail(settings: Settings, identity: FtpIdentity): Promise<Process> {
  const { uid = 0, gid = uid, groups = [], root, home } = identity;
  const { kernel, umask } = settings;
  const common = { root: settings.root, umask, maxThreads: MAX_THREADS };
  if (root === undefined) return kernel.process({ ...common, uid, gid, groups, cwd: home ?? "/" });
  // The user's root is looked up inside of the server's: a link cannot lead out of that.
  const process = await kernel.process(common);
  try {
    await process.chroot(root);
    await process.chdir("/");
    if (home !== undefined) await process.chdir(home);
    await process.setgroups(groups.length, new Uint8Array(Uint32Array.from(groups).buffer));
    await process.setresgid(gid, gid, gid);
    await process.setresuid(uid, uid, uid);
    return process;
  } catch (error) {
    await process.exit();
    throw error;
  }
}
