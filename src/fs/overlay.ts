// Directories laid over each other (Documentation/filesystems/overlayfs.rst).

import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY } from "../abi/constants/mount.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { SystemError } from "../syscall/errors.ts";
import { formatMountOptions } from "./mount-options.ts";
import type { OptionsOf } from "./mount-options.ts";
import { makeTarget, Mount, MountError, removeDirectory } from "./mount.ts";
import type { MountHost } from "./mount.ts";

export interface OverlayOptions extends OptionsOf<"overlay"> {
  /** A directory; default: a new one below /mnt. */
  readonly target?: string;
  /** Default: true without `upper`. */
  readonly readOnly?: boolean;
  /** Obey device nodes, set-user-ID bits and programs. Default false. */
  readonly trusted?: boolean;
}

const TYPE = "overlay";
/** The kernel takes one page of options, with the NUL at its end. */
const MAX_OPTIONS_BYTES = 4095;

/**
 * Mount directories over each other, of most file systems that are mounted (not of those to which
 * letters of either case are the same: vfat, exfat): those of `lower` are seen
 * through what is in `upper`, which takes all changes. Without `upper` it is read-only, and `lower`
 * are two or more.
 *
 * @param options `upper` and `work` go together, and are on one file system that has extended
 *   attributes
 * @throws {InvalidOptionError} if something is missing, or too long
 * @throws {MountError} if the kernel refused it
 */
export async function mountOverlay(host: MountHost, options: OverlayOptions): Promise<Mount> {
  const { target: given, readOnly = false, trusted = false, ...own } = options;
  if (!own.lower) throw new InvalidOptionError("lower", "there has to be one directory, or more");
  if ((own.upper === undefined) !== (own.work === undefined))
    throw new InvalidOptionError(
      "work",
      "there is one if there is an upper directory, and only then",
    );
  const text = formatMountOptions(TYPE, own);
  const length = new TextEncoder().encode(text).length;
  if (length > MAX_OPTIONS_BYTES)
    throw new InvalidOptionError(
      "lower",
      `all options have ${length} bytes: the kernel takes ${MAX_OPTIONS_BYTES}; use shorter paths`,
    );
  const { init, log } = host;
  const target = given ?? (await makeTarget(init, TYPE));
  const flags = (readOnly ? MS_RDONLY : 0) | (trusted ? 0 : MS_NOSUID | MS_NODEV | MS_NOEXEC);
  const before = [...log].at(-1)?.sequence ?? -1;
  try {
    await init.mount(TYPE, target, TYPE, flags, text);
  } catch (error) {
    if (given === undefined) await removeDirectory(init, target);
    if (!(error instanceof SystemError)) throw error;
    const said = [...log].filter(
      (record) => record.sequence > before && record.text.includes(TYPE),
    );
    throw new MountError(
      error,
      { source: TYPE },
      TYPE,
      said.map((record) => record.text.trim()),
    );
  }
  const facts = { source: TYPE, target, type: TYPE, content: null, journalSkipped: false };
  return new Mount(init, facts, given === undefined);
}
