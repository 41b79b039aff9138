// Commands that look at names and change them.

import { AT_FDCWD, AT_REMOVEDIR } from "../abi/constants/fcntl.ts";
import { KernelTimespec } from "../abi/structs/time.ts";
import { stat } from "../fs/stat.ts";
import type { FileStatus } from "../fs/stat.ts";
import type { Command, Commands } from "./command.ts";
import { absolute, nameOf, workingDirectory } from "./names.ts";
import { FtpError, hasBreak, join, quoted, reply } from "./reply.ts";
import type { Reply } from "./reply.ts";
import type { Session } from "./session.ts";
import { parseStamp, stamp } from "./times.ts";

/** Leaves a time as it is (include/linux/stat.h). */
const UTIME_OMIT = 0x3ffffffen;
/** Permissions of a new directory, before the mask. */
const DIRECTORY_MODE = 0o777;

async function changeDirectory(session: Session, name: Uint8Array): Promise<Reply> {
  await session.process.chdir(name);
  return reply(250, "You are there.");
}

async function printDirectory(session: Session): Promise<Reply> {
  const path = await workingDirectory(session);
  if (hasBreak(path)) throw new FtpError(550, "Its name has a line break, which has no form here.");
  return reply(257, join(quoted(path), " is where you are."));
}

async function makeDirectory(session: Session, argument: Buffer): Promise<Reply> {
  const name = nameOf(argument);
  await session.process.mkdirat(AT_FDCWD, name, DIRECTORY_MODE);
  return reply(257, join(quoted(await absolute(session, name)), " is there now."));
}

async function remove(session: Session, argument: Buffer, flags: number): Promise<Reply> {
  await session.process.unlinkat(AT_FDCWD, nameOf(argument), flags);
  return reply(250, "It is gone.");
}

async function renameFrom(session: Session, argument: Buffer): Promise<Reply> {
  const name = nameOf(argument);
  await stat(session.process, name, { follow: false });
  session.preferences.renameFrom = name;
  return reply(350, "And the new name?");
}

async function renameTo(session: Session, argument: Buffer): Promise<Reply> {
  const { preferences, process } = session;
  const from = preferences.renameFrom;
  preferences.renameFrom = null;
  if (!from) throw new FtpError(503, "Say RNFR first.");
  await process.renameat2(AT_FDCWD, from, AT_FDCWD, nameOf(argument), 0);
  return reply(250, "It has its new name.");
}

/** The status of a file that has content. */
async function fileStatus(session: Session, name: Uint8Array): Promise<FileStatus> {
  const status = await stat(session.process, name);
  if (status.type !== "file") throw new FtpError(550, "It is no file.");
  return status;
}

async function size(session: Session, argument: Buffer): Promise<Reply> {
  // What would have to be told is how much is transferred, which only reading it all can tell.
  if (session.preferences.type === "A") throw new FtpError(550, "SIZE needs TYPE I.");
  return reply(213, String((await fileStatus(session, nameOf(argument))).sizeBytes));
}

async function modified(session: Session, argument: Buffer): Promise<Reply> {
  const time = stamp((await fileStatus(session, nameOf(argument))).modifiedNs);
  if (time === null) throw new FtpError(550, "Its time has no form here.");
  return reply(213, time);
}

/** MFMT: draft-somers-ftp-mfxx, section 3. */
async function modify(session: Session, argument: Buffer): Promise<Reply> {
  const space = argument.indexOf(" ");
  if (space < 0) throw new FtpError(501, "It is MFMT, a time and a name.");
  const time = argument.toString("latin1", 0, space);
  const name = nameOf(argument.subarray(space + 1));
  const ns = parseStamp(time);
  const times = new DataView(new ArrayBuffer(2 * KernelTimespec.size));
  new KernelTimespec(times).tv_nsec = UTIME_OMIT;
  const second = new KernelTimespec(times, KernelTimespec.size);
  second.tv_sec = ns / 1_000_000_000n;
  second.tv_nsec = ns % 1_000_000_000n;
  if (ns < 0n && second.tv_nsec !== 0n) {
    second.tv_sec -= 1n;
    second.tv_nsec += 1_000_000_000n;
  }
  await session.process.utimensat_time64(AT_FDCWD, name, new Uint8Array(times.buffer), 0);
  return reply(213, join(`Modify=${time}; `, name));
}

async function site(session: Session, argument: Buffer): Promise<Reply> {
  const text = argument.toString("latin1");
  if (/^HELP$/i.test(text)) return reply(214, "SITE CHMOD mode name");
  const [, mode, name] = /^CHMOD ([0-7]{3,4}) ([^]+)$/i.exec(text) ?? [];
  if (mode === undefined || name === undefined)
    throw new FtpError(/^CHMOD\b/i.test(text) ? 501 : 504, "It is SITE CHMOD, a mode and a name.");
  if (session.account?.readOnly) throw new FtpError(550, "This is read-only.");
  const path = nameOf(Buffer.from(name, "latin1"));
  await session.process.fchmodat(AT_FDCWD, path, Number.parseInt(mode, 8));
  return reply(200, "It has its new mode.");
}

const WORKING_DIRECTORY: Command = { usage: "", argument: "none", run: printDirectory };
const UP: Command = {
  usage: "",
  argument: "none",
  run: (session) => changeDirectory(session, Buffer.from("..")),
};
const CHANGE: Command = {
  usage: "directory",
  argument: "required",
  run: (session, argument) => changeDirectory(session, nameOf(argument)),
};
const MAKE: Command = {
  usage: "directory",
  argument: "required",
  writes: true,
  run: makeDirectory,
};
const REMOVE: Command = {
  usage: "directory",
  argument: "required",
  writes: true,
  run: (session, argument) => remove(session, argument, AT_REMOVEDIR),
};

export const files: Commands = {
  CWD: CHANGE,
  XCWD: CHANGE,
  CDUP: UP,
  XCUP: UP,
  PWD: WORKING_DIRECTORY,
  XPWD: WORKING_DIRECTORY,
  MKD: MAKE,
  XMKD: MAKE,
  RMD: REMOVE,
  XRMD: REMOVE,
  DELE: {
    usage: "file",
    argument: "required",
    writes: true,
    run: (session, argument) => remove(session, argument, 0),
  },
  RNFR: { usage: "name", argument: "required", writes: true, run: renameFrom },
  RNTO: { usage: "name", argument: "required", writes: true, run: renameTo },
  SIZE: { usage: "file", argument: "required", run: size },
  MDTM: { usage: "file", argument: "required", run: modified },
  MFMT: { usage: "YYYYMMDDHHMMSS name", argument: "required", writes: true, run: modify },
  SITE: { usage: "CHMOD mode name", argument: "required", run: site },
};
