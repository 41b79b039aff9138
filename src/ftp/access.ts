// Commands of logging in and of protection: RFC 959 and RFC 4217.

import { setTimeout as delay } from "node:timers/promises";

import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import type { Commands } from "./command.ts";
import { FtpError, reply } from "./reply.ts";
import type { Reply } from "./reply.ts";
import type { Session } from "./session.ts";
import { openJail } from "./users.ts";
import type { Account } from "./users.ts";

/** The level of TLS in words: AUTH's argument, and whether it means PROT P as well. */
const MECHANISMS: ReadonlyMap<string, boolean> = new Map([
  ["TLS", false],
  ["TLS-C", false],
  ["TLS-P", true],
  ["SSL", true],
]);

async function user(session: Session, argument: Buffer): Promise<Reply> {
  if (session.settings.tls?.required && !session.secure)
    return reply(530, "Log in over TLS only: say AUTH TLS first.");
  if (session.account) await session.reset();
  session.preferences.pendingName = argument.toString();
  // The same for every name: it does not tell which there are.
  return reply(331, "And the password?");
}

async function pass(session: Session, argument: Buffer): Promise<Reply | null> {
  const { preferences, settings, context } = session;
  const name = preferences.pendingName;
  if (name === null) return reply(503, "Say USER first.");
  preferences.pendingName = null;
  const account = context.users.check(name, argument);
  if (account) {
    session.logIn(account, await openAccount(session, account));
    session.loginAttempts = 0;
    return reply(230, account.readOnly ? "Logged in; you can read." : "Logged in.");
  }
  session.loginAttempts++;
  await Promise.race([
    delay(settings.loginDelayMs, undefined, { ref: false }),
    session.control.closed,
  ]);
  if (session.loginAttempts < settings.maxLoginAttempts)
    return reply(530, "That is not the password.");
  session.dismiss("Too many wrong passwords.");
  return null;
}

/** What is wrong with an account is for whoever runs the server to know. */
async function openAccount({ settings }: Session, account: Account): Promise<Process> {
  try {
    return await openJail(settings, account.identity);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    settings.onError(error);
    throw new FtpError(451, "Your account cannot be used now.");
  }
}

async function auth(session: Session, argument: Buffer): Promise<Reply | null> {
  const { secureContext } = session.context;
  const protects = MECHANISMS.get(argument.toString("latin1").toUpperCase());
  if (protects === undefined) throw new FtpError(504, "It is AUTH TLS.");
  if (!secureContext) throw new FtpError(534, "This server has no certificate.");
  if (session.secure) throw new FtpError(503, "There is TLS already.");
  await session.reset();
  session.protectionBuffer = protects;
  session.protected = protects;
  await session.control.secureWith(secureContext, reply(234, "Begin TLS."));
  return null;
}

function pbsz(session: Session, argument: Buffer): Reply {
  if (!session.secure) throw new FtpError(503, "Say AUTH TLS first.");
  if (!/^\d{1,10}$/.test(argument.toString("latin1"))) throw new FtpError(501, "It is PBSZ 0.");
  session.protectionBuffer = true;
  return reply(200, "PBSZ=0");
}

function prot(session: Session, argument: Buffer): Reply {
  if (!session.protectionBuffer) throw new FtpError(503, "Say PBSZ first.");
  const level = argument.toString("latin1").toUpperCase();
  if (level === "S" || level === "E") throw new FtpError(536, "TLS has no such level.");
  if (level !== "C" && level !== "P") throw new FtpError(504, "It is PROT P or PROT C.");
  if (level === "C" && session.settings.tls?.required)
    throw new FtpError(534, "Data connections have to be protected.");
  session.protected = level === "P";
  return reply(200, level === "P" ? "Data connections have TLS." : "Data connections are clear.");
}

async function rein(session: Session): Promise<Reply> {
  await session.reset();
  return reply(220, "As if you had just come.");
}

export const access: Commands = {
  USER: { usage: "name", argument: "required", open: true, run: user },
  PASS: { usage: "password", open: true, run: pass },
  ACCT: { usage: "account", open: true, run: () => reply(202, "There are no accounts.") },
  REIN: { usage: "", argument: "none", open: true, run: rein },
  AUTH: { usage: "TLS", argument: "required", open: true, run: auth },
  PBSZ: { usage: "0", argument: "required", open: true, run: pbsz },
  PROT: { usage: "P|C", argument: "required", open: true, run: prot },
  CCC: {
    usage: "",
    argument: "none",
    open: true,
    run: () => reply(534, "The control connection keeps its TLS."),
  },
};
