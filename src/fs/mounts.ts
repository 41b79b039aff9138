// Mounts: of file systems on directories, and their end.

import {
  MNT_DETACH,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_REMOUNT,
  UMOUNT_NOFOLLOW,
} from "../abi/constants/mount.ts";
import { SIGKILL } from "../abi/constants/signal.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { ensureDirectory, readText } from "./files.ts";

/** A line of /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export interface MountEntry {
  readonly target: string;
  /** E.g. `ext4`. */
  readonly type: string;
  /** E.g. `/dev/vda1`, or `none`. */
  readonly source: string;
  readonly readOnly: boolean;
  /** Of the file system. */
  readonly options: string;
}

const unescape = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));

/** What is mounted, in the order in which it was. */
export async function readMounts(process: Process): Promise<MountEntry[]> {
  const text = await readText(process, "/proc/self/mountinfo");
  return text
    .split("\n")
    .filter((line) => line)
    .map((line) => {
      const [own = "", fs = ""] = line.split(" - ");
      const [, , , , target = "", flags = ""] = own.split(" ");
      const [type = "", source = "", options = ""] = fs.split(" ");
      return {
        target: unescape(target),
        type,
        source: unescape(source),
        readOnly: flags.split(",").includes("ro") || options.split(",").includes("ro"),
        options,
      };
    });
}

/** What every system has mounted, for pid 1 and all that come from it. */
const SYSTEM = [
  ["proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, null],
  ["sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, null],
  ["devtmpfs", "/dev", MS_NOSUID, null],
  ["tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777"],
] as const;

const SYSTEM_TYPES: ReadonlySet<string> = new Set([
  "rootfs",
  "devpts",
  ...SYSTEM.map(([type]) => type),
]);

/** Mount /proc, /sys, /dev and /tmp. A kernel may lack some: then they stay away. */
export async function mountSystem(init: Process): Promise<void> {
  for (const [type, target, flags, options] of SYSTEM) {
    await ensureDirectory(init, target);
    try {
      await init.mount(type, target, type, flags, options);
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "ENODEV")) throw error;
    }
  }
}

/**
 * Unmount what is mounted on `target` so that its journal ends clean: read-only first. What
 * is still in use stays alive, read-only, until its last user is gone.
 */
export async function unmount(process: Process, target: string): Promise<void> {
  let busy: unknown;
  try {
    await process.mount(null, target, null, MS_REMOUNT | MS_RDONLY, null);
  } catch (error) {
    busy = error;
  }
  try {
    await process.umount2(target, UMOUNT_NOFOLLOW);
  } catch (error) {
    if (!(error instanceof SystemError && error.code === "EBUSY")) throw error;
    // Writers are at work: nothing may be torn away from them.
    if (busy) throw error;
    await process.umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW);
  }
}

/** How often it is looked whether processes that were killed are gone: they end at once, or never. */
const MAX_LOOKS = 1000;

/** Ends with ESRCH when there is no process but this one and pid 1, whose files are closed then. */
async function untilAlone(process: Process): Promise<void> {
  for (let look = 0; look < MAX_LOOKS; look++) {
    await process.kill(-1, 0);
    await process.sched_yield();
  }
}

/**
 * Before the machine is switched off: end every other process, close pid 1's descriptors,
 * write back, and unmount all that is stored somewhere.
 *
 * @returns what went wrong: data may be lost
 */
export async function unmountAll(init: Process): Promise<Error[]> {
  const problems: Error[] = [];
  const attempt = async (work: Promise<unknown>, ...expected: string[]) => {
    try {
      await work;
    } catch (error) {
      if (error instanceof SystemError && expected.includes(error.code)) return;
      problems.push(error as Error);
    }
  };
  await attempt(init.kill(-1, SIGKILL), "ESRCH");
  await attempt(untilAlone(init), "ESRCH");
  await attempt(init.close_range(0, -1, 0));
  await attempt(init.sync());
  let mounts: MountEntry[] = [];
  try {
    mounts = await readMounts(init);
  } catch {
    // No /proc: then nothing was mounted by name either.
  }
  for (const { target, type } of mounts.toReversed()) {
    if (SYSTEM_TYPES.has(type)) continue;
    await attempt(unmount(init, target), "EBUSY");
  }
  return problems;
}
