// Commands that set how things are transferred, and those that only tell something.

import { usage } from "../fs/stat.ts";
import type { Commands } from "./command.ts";
import { FtpError, reply } from "./reply.ts";
import type { Reply } from "./reply.ts";
import { FACTS } from "./session.ts";
import type { Fact, Session } from "./session.ts";

const upper = (argument: Buffer) => argument.toString("latin1").toUpperCase();

function type({ preferences }: Session, argument: Buffer): Reply {
  const name = upper(argument);
  if (/^A( N)?$/.test(name)) preferences.type = "A";
  else if (name === "I" || name === "L 8" || name === "L8") preferences.type = "I";
  else if (/^[AEIL]( \w+)?$/.test(name)) throw new FtpError(504, "It is TYPE A, I or L 8.");
  else throw new FtpError(501, "It is TYPE A, I or L 8.");
  return reply(200, preferences.type === "A" ? "Lines end with CR LF." : "Bytes as they are.");
}

/** A command that has one value only. */
function only(command: string, value: string, others: string) {
  return (_: Session, argument: Buffer): Reply => {
    const name = upper(argument);
    if (name === value) return reply(200, `${command} ${value}.`);
    throw new FtpError(others.includes(name) ? 504 : 501, `It is ${command} ${value}.`);
  };
}

function features({ context, preferences }: Session): Reply {
  const facts = FACTS.map((fact) => `${fact}${preferences.facts.has(fact) ? "*" : ""};`).join("");
  const secure = context.secureContext ? ["AUTH TLS", "PBSZ", "PROT"] : [];
  const lines = ["AVBL", "EPRT", "EPSV", "MDTM", "MFMT", `MLST ${facts}`, "REST STREAM", "SIZE"];
  const rest = ["SITE CHMOD", "TVFS", "UTF8"];
  return reply(211, "Beyond RFC 959:", ...secure, ...lines, ...rest, "End.");
}

function options({ preferences }: Session, argument: Buffer): Reply {
  const [name = "", ...more] = argument.toString("latin1").split(" ");
  const value = more.join(" ");
  switch (name.toUpperCase()) {
    case "UTF8":
    case "UTF-8":
      if (!/^(ON)?$/i.test(value)) throw new FtpError(504, "Names are in UTF-8.");
      return reply(200, "Names are in UTF-8.");
    case "MLST": {
      const wanted = new Set(value.toLowerCase().split(";"));
      preferences.facts = new Set<Fact>(FACTS.filter((fact) => wanted.has(fact.toLowerCase())));
      const chosen = Array.from(preferences.facts, (fact) => `${fact};`).join("");
      return reply(200, `MLST OPTS ${chosen}`.trimEnd());
    }
    default:
      throw new FtpError(501, "There are options of MLST and UTF8.");
  }
}

function allocate(_: Session, argument: Buffer): Reply {
  if (!/^\d+( R \d+)?$/i.test(argument.toString("latin1")))
    throw new FtpError(501, "It is ALLO and a number of bytes.");
  return reply(202, "Nothing has to be reserved.");
}

async function available({ process }: Session, argument: Buffer): Promise<Reply> {
  const { availableBytes } = await usage(process, argument.length ? argument : ".");
  return reply(213, String(availableBytes));
}

export const parameters: Commands = {
  TYPE: { usage: "A|I|L 8", argument: "required", run: type },
  STRU: { usage: "F", argument: "required", run: only("STRU", "F", "RP") },
  MODE: { usage: "S", argument: "required", run: only("MODE", "S", "BC") },
  ALLO: { usage: "bytes", argument: "required", run: allocate },
  AVBL: { usage: "[directory]", run: available },
  FEAT: { usage: "", argument: "none", open: true, run: features },
  OPTS: { usage: "name [value]", argument: "required", open: true, run: options },
  SYST: { usage: "", argument: "none", open: true, run: () => reply(215, "UNIX Type: L8") },
  NOOP: { usage: "", open: true, run: () => reply(200, "Yes.") },
};
