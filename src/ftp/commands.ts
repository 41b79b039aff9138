// All commands, and how a line becomes a call of one.

import { access } from "./access.ts";
import { addresses } from "./addresses.ts";
import type { Command, Commands } from "./command.ts";
import { files } from "./files.ts";
import type { Line } from "./lines.ts";
import { MAX_LINE_BYTES } from "./lines.ts";
import { listings } from "./listings.ts";
import { parameters } from "./parameters.ts";
import { FtpError, reply } from "./reply.ts";
import type { Reply } from "./reply.ts";
import type { Session } from "./session.ts";
import { transfers } from "./transfers.ts";

/** How many commands HELP names in a line. */
const NAMES_PER_LINE = 10;
const SPACE = 32;

function help(_: Session, argument: Buffer): Reply {
  const name = argument.toString("latin1").toUpperCase();
  if (name) {
    const command = find(name);
    if (!command) throw new FtpError(502, "There is no such command.");
    return reply(214, `${name} ${command.usage}`.trimEnd());
  }
  const names = Object.keys(commands);
  const lines: string[] = [];
  for (let i = 0; i < names.length; i += NAMES_PER_LINE)
    lines.push(names.slice(i, i + NAMES_PER_LINE).join(" "));
  return reply(214, "What there is:", ...lines, "End.");
}

function quit(session: Session): null {
  void session.control.reply(reply(221, "Goodbye."));
  session.control.finish();
  return null;
}

const commands: Commands = {
  ...access,
  ...parameters,
  ...addresses,
  ...files,
  ...transfers,
  ...listings,
  HELP: { usage: "[command]", open: true, run: help },
  QUIT: { usage: "", argument: "none", open: true, run: quit },
};

function find(name: string): Command | undefined {
  return Object.hasOwn(commands, name) ? commands[name] : undefined;
}

interface Call {
  readonly command: Command;
  readonly argument: Buffer;
}

/** What a line asks for. @throws {FtpError} 500, 501, 502 */
function parse(line: Line): Call {
  if (!line) throw new FtpError(500, `A line has at most ${MAX_LINE_BYTES} bytes.`);
  const space = line.indexOf(SPACE);
  const name = line.toString("latin1", 0, space < 0 ? line.length : space).toUpperCase();
  const argument = space < 0 ? Buffer.alloc(0) : line.subarray(space + 1);
  if (!/^[A-Z]{3,8}$/.test(name)) throw new FtpError(500, "That is no command.");
  const command = find(name);
  if (!command) throw new FtpError(502, "There is no such command; HELP tells which there are.");
  if (command.argument === "required" && !argument.length)
    throw new FtpError(501, `It is ${name} ${command.usage}.`);
  if (command.argument === "none" && argument.length)
    throw new FtpError(501, `${name} has no argument.`);
  return { command, argument };
}

async function run(session: Session, command: Command, argument: Buffer): Promise<Reply | null> {
  try {
    if (command.writes && session.account?.readOnly) throw new FtpError(550, "This is read-only.");
    return await command.run(session, argument);
  } finally {
    // A transfer that has begun holds it itself.
    if (command.moves) session.setPath(null);
  }
}

/** Do what a line asks for, and reply. Rejects never. */
export async function perform(session: Session, line: Line): Promise<void> {
  try {
    const { command, argument } = parse(line);
    const { transfer } = session;
    if (transfer && !command.urgent) await transfer.done;
    if (!command.open && !session.account) throw new FtpError(530, "Log in with USER and PASS.");
    const answer = await run(session, command, argument);
    if (answer) await session.control.reply(answer);
  } catch (error) {
    await session.fail(error);
  }
}
