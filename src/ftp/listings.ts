// Commands that list.

import { openDirectory } from "../fs/directory.ts";
import type { Commands } from "./command.ts";
import type { DataConnection } from "./data.ts";
import { factsOf, Listing, nowNs, parentAt, showFacts, showLong } from "./listing.ts";
import type { Show } from "./listing.ts";
import { absolute, nameOf, parentOf } from "./names.ts";
import { FtpError, hasBreak, join, reply } from "./reply.ts";
import type { Reply, Text } from "./reply.ts";
import type { Session } from "./session.ts";

/** What is sent of a listing at once. */
const PART_BYTES = 16384;
const HERE = Buffer.from(".");

/** LIST's argument: options as of `ls`, which change nothing, and the name behind them. */
function withoutOptions(argument: Buffer): Uint8Array {
  const options = /^(?:-[A-Za-z0-9]+(?: +|$))+/.exec(argument.toString("latin1"))?.[0] ?? "";
  const name = argument.subarray(options.length);
  return name.length ? nameOf(name) : HERE;
}

async function sendLines(lines: AsyncIterable<Text>, connection: DataConnection): Promise<void> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const line of lines) {
    const bytes = join(line, "\r\n");
    parts.push(bytes);
    length += bytes.length;
    if (length < PART_BYTES) continue;
    await connection.write(Buffer.concat(parts));
    parts = [];
    length = 0;
  }
  if (length) await connection.write(Buffer.concat(parts));
  await connection.finish();
}

function summary(listing: Listing): string {
  const { leftOut } = listing;
  return leftOut ? `Done, but for ${leftOut} that cannot be shown.` : "Done.";
}

/** Send a listing, which is closed in any case. */
async function send(session: Session, listing: Listing, show: Show): Promise<null> {
  try {
    session.begin(
      "Here it comes.",
      (connection) => sendLines(listing.lines(show), connection),
      () => listing.close(),
      () => summary(listing),
    );
    return null;
  } catch (error) {
    await listing.close();
    throw error;
  }
}

async function list(session: Session, argument: Buffer): Promise<null> {
  const { process } = session;
  const listing = await Listing.open(process, withoutOptions(argument));
  return send(session, listing, showLong(process, await nowNs(process)));
}

async function names(session: Session, argument: Buffer): Promise<null> {
  const name = withoutOptions(argument);
  const listing = await Listing.open(session.process, name);
  // So that each is a name from here.
  const prefix = !listing.isDirectory || name === HERE ? "" : join(name, "/");
  return send(session, listing, async (_, entry) => join(prefix, entry));
}

async function machineList(session: Session, argument: Buffer): Promise<null> {
  const { process } = session;
  const name = argument.length ? nameOf(argument) : HERE;
  const listing = await Listing.open(process, name);
  if (!listing.isDirectory) {
    await listing.close();
    throw new FtpError(501, "It is no directory: MLST tells of it.");
  }
  const parent = await parentAt(process, listing.fd);
  return send(session, listing, showFacts(process, parent, factOptions(session)));
}

function factOptions({ preferences, account }: Session) {
  return { facts: preferences.facts, readOnly: account?.readOnly ?? true };
}

async function machineStatus(session: Session, argument: Buffer): Promise<Reply> {
  const { process } = session;
  const name = argument.length ? nameOf(argument) : HERE;
  const { folder, entry } = parentOf(name);
  const here = await openDirectory(process, HERE);
  try {
    const parent = entry ? await parentAt(process, here, folder) : null;
    const facts = await factsOf(process, here, name, parent, factOptions(session));
    const path = await absolute(session, name);
    if (hasBreak(path))
      throw new FtpError(550, "Its name has a line break, which has no form here.");
    return reply(250, "What there is to tell:", join(facts, path), "End.");
  } finally {
    await process.close(here);
  }
}

function ownStatus(session: Session): Reply {
  const { transfer, preferences, user, secure } = session;
  return reply(
    211,
    "This session:",
    `${user === null ? "nobody has logged in" : `logged in as ${user}`}${secure ? ", over TLS" : ""}`,
    `TYPE ${preferences.type}, STRU F, MODE S`,
    transfer ? `a transfer goes on: ${transfer.bytes} bytes so far` : "no transfer goes on",
    "End.",
  );
}

/** Without an argument about the session, with one as LIST, over the control connection. */
async function status(session: Session, argument: Buffer): Promise<Reply | null> {
  if (!argument.length) return ownStatus(session);
  if (session.transfer) throw new FtpError(450, "Not while a transfer goes on.");
  const { control, process } = session;
  await using listing = await Listing.open(process, withoutOptions(argument));
  await control.line(213, "What there is:", "first");
  for await (const line of listing.lines(showLong(process, await nowNs(process))))
    await control.line(213, line, "middle");
  await control.line(213, summary(listing), "last");
  return null;
}

export const listings: Commands = {
  LIST: { usage: "[name]", moves: true, run: list },
  NLST: { usage: "[directory]", moves: true, run: names },
  MLSD: { usage: "[directory]", moves: true, run: machineList },
  MLST: { usage: "[name]", run: machineStatus },
  STAT: { usage: "[name]", open: true, urgent: true, run: status },
};
