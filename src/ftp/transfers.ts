// Commands that move contents of files.

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
} from "../abi/constants/fcntl.ts";
import { STATX_BASIC_STATS } from "../abi/constants/stat.ts";
import { errno } from "../abi/errno.ts";
import { Statx } from "../abi/structs/fs.ts";
import { typeOfMode } from "../fs/stat.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import type { Commands } from "./command.ts";
import { receiveFile, sendFile } from "./content.ts";
import type { DataConnection } from "./data.ts";
import { nameOf } from "./names.ts";
import { FtpError, join, reply } from "./reply.ts";
import type { Reply } from "./reply.ts";
import type { Session } from "./session.ts";

/** Permissions of a new file, before the mask. */
const FILE_MODE = 0o666;
/** Neither a pipe without another end nor a terminal may hold the session up. */
const CAREFUL = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
/** How many names STOU tries. */
const MAX_UNIQUE = 1000;

interface OpenFile {
  readonly fd: number;
  readonly sizeBytes: number;
}

/** Open what has content: no directory, device or pipe. @throws {SystemError} @throws {FtpError} 550 */
async function openFile(process: Process, name: Uint8Array, flags: number): Promise<OpenFile> {
  const fd = await process.openat(AT_FDCWD, name, flags | CAREFUL, FILE_MODE);
  try {
    const status = Statx.alloc();
    await process.statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, status.bytes);
    if (typeOfMode(status.stx_mode) !== "file") throw new FtpError(550, "It is no file.");
    return { fd, sizeBytes: Number(status.stx_size) };
  } catch (error) {
    await process.close(fd);
    throw error;
  }
}

/** Where the transfer that comes now starts: said once. */
function takeRestart({ preferences }: Session): number {
  const { restartBytes, type } = preferences;
  preferences.restartBytes = 0;
  if (restartBytes && type === "A") throw new FtpError(504, "REST needs TYPE I.");
  return restartBytes;
}

const representation = ({ preferences }: Session) => (preferences.type === "A" ? "ascii" : "image");

/** Do what may begin a transfer; the file is closed if that does not come to be. */
async function orClose(process: Process, fd: number, begin: () => void): Promise<null> {
  try {
    begin();
    return null;
  } catch (error) {
    await process.close(fd);
    throw error;
  }
}

async function retrieve(session: Session, argument: Buffer): Promise<null> {
  const { process } = session;
  const start = takeRestart(session);
  const { fd, sizeBytes } = await openFile(process, nameOf(argument), O_RDONLY);
  return orClose(process, fd, () => {
    if (start > sizeBytes) throw new FtpError(554, `The file has only ${sizeBytes} bytes.`);
    session.begin(
      `Here it comes: ${sizeBytes - start} bytes.`,
      (connection) => sendFile(process, fd, start, representation(session), connection),
      () => process.close(fd),
    );
  });
}

/** Store what comes, from an offset on, and see to it that it lasts, if that was asked for. */
async function receive(
  session: Session,
  fd: number,
  offsetBytes: number,
  connection: DataConnection,
): Promise<void> {
  const { process, settings } = session;
  await receiveFile(process, fd, offsetBytes, representation(session), connection);
  if (settings.durable) await process.fsync(fd);
}

async function store(session: Session, argument: Buffer): Promise<null> {
  const { process } = session;
  const start = takeRestart(session);
  const { fd, sizeBytes } = await openFile(process, nameOf(argument), O_WRONLY | O_CREAT);
  return orClose(process, fd, () => {
    // Otherwise there would be zeroes that nobody has sent.
    if (start > sizeBytes) throw new FtpError(554, `The file has only ${sizeBytes} bytes.`);
    session.begin(
      "Send it.",
      async (connection) => {
        // Not before the data comes: a file is not emptied for a connection that fails.
        await process.ftruncate64(fd, start);
        await receive(session, fd, start, connection);
      },
      () => process.close(fd),
    );
  });
}

async function append(session: Session, argument: Buffer): Promise<null> {
  const { process } = session;
  takeRestart(session);
  const { fd } = await openFile(process, nameOf(argument), O_WRONLY | O_CREAT | O_APPEND);
  return orClose(process, fd, () =>
    session.begin(
      "Send it.",
      // The kernel appends, whatever the offset.
      (connection) => receive(session, fd, 0, connection),
      () => process.close(fd),
    ),
  );
}

/** A file of a name that was free: the one wished for, or one with a number behind it. */
async function openUnique(
  process: Process,
  wish: Uint8Array,
): Promise<OpenFile & { name: Buffer }> {
  for (let i = 0; i < MAX_UNIQUE; i++) {
    const name = i ? join(wish, `.${i}`) : join(wish);
    try {
      const file = await openFile(process, name, O_WRONLY | O_CREAT | O_EXCL);
      return { ...file, name };
    } catch (error) {
      if (!(error instanceof SystemError && error.errno === -errno.EEXIST)) throw error;
    }
  }
  throw new FtpError(450, "There are too many files of this name.");
}

async function storeUnique(session: Session, argument: Buffer): Promise<null> {
  const { process } = session;
  takeRestart(session);
  const wish = argument.length ? nameOf(argument) : Buffer.from("upload");
  const { fd, name } = await openUnique(process, wish);
  return orClose(process, fd, () =>
    session.begin(
      // RFC 1123, section 4.1.2.9, wants this form.
      join("FILE: ", name),
      (connection) => receive(session, fd, 0, connection),
      () => process.close(fd),
    ),
  );
}

function restart({ preferences }: Session, argument: Buffer): Reply {
  const digits = argument.toString("latin1");
  const offset = Number(digits);
  if (!/^\d+$/.test(digits) || !Number.isSafeInteger(offset))
    throw new FtpError(501, "It is REST and a number of bytes.");
  preferences.restartBytes = offset;
  return reply(350, `From byte ${offset} on. Now RETR or STOR.`);
}

async function abort(session: Session): Promise<Reply> {
  const { transfer } = session;
  session.setPath(null);
  if (!transfer) return reply(226, "There is nothing to abort.");
  transfer.abort("The transfer was aborted.");
  await transfer.done;
  return reply(226, "The transfer was aborted.");
}

export const transfers: Commands = {
  RETR: { usage: "file", argument: "required", moves: true, run: retrieve },
  STOR: { usage: "file", argument: "required", writes: true, moves: true, run: store },
  APPE: { usage: "file", argument: "required", writes: true, moves: true, run: append },
  STOU: { usage: "[file]", writes: true, moves: true, run: storeUnique },
  REST: { usage: "bytes", argument: "required", run: restart },
  ABOR: { usage: "", argument: "none", urgent: true, run: abort },
};
