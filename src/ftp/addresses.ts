// Commands that say how the next data connection comes about: RFC 959 and RFC 2428.

import { isIPv4, isIPv6 } from "node:net";

import type { Commands } from "./command.ts";
import { ActivePath, MIN_ACTIVE_PORT, PassivePath, plainAddress } from "./data.ts";
import { FtpError, reply } from "./reply.ts";
import type { Reply } from "./reply.ts";
import type { Session } from "./session.ts";

/** Address families as RFC 2428 numbers them. */
const IPV4 = "1";
const IPV6 = "2";

function pathOptions(session: Session) {
  return {
    net: session.settings.net,
    local: session.control.localAddress,
    peer: session.remoteAddress,
    timeoutMs: session.settings.connectTimeoutMs,
    track: session.context.track,
  };
}

const familyOf = (session: Session) => (isIPv4(session.remoteAddress) ? IPV4 : IPV6);

function checkExtended(session: Session): void {
  if (session.preferences.onlyExtendedPassive)
    throw new FtpError(501, "After EPSV ALL there is EPSV only.");
}

async function listen(session: Session): Promise<number> {
  session.setPath(null);
  const path = await PassivePath.open(pathOptions(session), session.settings.passivePorts ?? null);
  session.setPath(path);
  return path.port;
}

async function pasv(session: Session): Promise<Reply> {
  checkExtended(session);
  const local = plainAddress(session.control.localAddress);
  if (!isIPv4(local)) throw new FtpError(425, "Over IPv6 there is EPSV only.");
  const port = await listen(session);
  const address = (session.settings.publicAddress ?? local).replaceAll(".", ",");
  return reply(227, `Entering Passive Mode (${address},${port >> 8},${port & 0xff}).`);
}

async function epsv(session: Session, argument: Buffer): Promise<Reply> {
  const wanted = argument.toString("latin1").toUpperCase();
  if (wanted === "ALL") {
    session.preferences.onlyExtendedPassive = true;
    return reply(200, "EPSV only from now on.");
  }
  const family = familyOf(session);
  if (wanted !== "" && wanted !== family) {
    if (!/^\d+$/.test(wanted)) throw new FtpError(501, "It is EPSV, EPSV 1, EPSV 2 or EPSV ALL.");
    throw new FtpError(522, `Network protocol not supported, use (${family}).`);
  }
  const port = await listen(session);
  return reply(229, `Entering Extended Passive Mode (|||${port}|).`);
}

/** Some clients tell this address of a socket that listens at all. */
const ANY: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** Only the client itself is called: anybody else has not asked for it. */
function callBack(session: Session, address: string, port: number): Reply {
  const own = address === session.remoteAddress || ANY.has(address);
  if (!own || port < MIN_ACTIVE_PORT)
    throw new FtpError(504, "Data goes to your own address, and to no port below 1024.");
  session.setPath(new ActivePath(port, pathOptions(session)));
  return reply(200, "That is where data will go.");
}

function port(session: Session, argument: Buffer): Reply {
  checkExtended(session);
  const numbers = argument.toString("latin1").split(",");
  const fit = numbers.length === 6 && numbers.every((n) => /^\d{1,3}$/.test(n) && Number(n) < 256);
  if (!fit) throw new FtpError(501, "It is PORT and six numbers with commas between them.");
  const [a, b, c, d, high, low] = numbers.map(Number);
  return callBack(session, `${a}.${b}.${c}.${d}`, (high << 8) | low);
}

/** As the sockets write it: IPv6 has many forms for one address. */
function canonical(address: string, family: string): string | null {
  if (family === IPV4) return isIPv4(address) ? address : null;
  if (!isIPv6(address) || address.includes("%")) return null;
  return plainAddress(new URL(`ftp://[${address}]/`).hostname.slice(1, -1));
}

function eprt(session: Session, argument: Buffer): Reply {
  checkExtended(session);
  const text = argument.toString("latin1");
  const delimiter = text[0] ?? "";
  const [start, family = "", address = "", digits = "", end, ...more] = text.split(delimiter);
  const number = /^\d{1,5}$/.test(digits) ? Number(digits) : -1;
  if (start !== "" || end !== "" || more.length || number < 0 || number > 65535)
    throw new FtpError(501, "It is EPRT |1|132.235.1.2|6275|, or |2| and an IPv6 address.");
  const own = familyOf(session);
  if (family !== own) throw new FtpError(522, `Network protocol not supported, use (${own}).`);
  const known = canonical(address, family);
  if (known === null) throw new FtpError(501, "That is no address of this protocol.");
  return callBack(session, known, number);
}

export const addresses: Commands = {
  PASV: { usage: "", argument: "none", run: pasv },
  EPSV: { usage: "[1|2|ALL]", run: epsv },
  PORT: { usage: "h1,h2,h3,h4,p1,p2", argument: "required", run: port },
  EPRT: { usage: "|family|address|port|", argument: "required", run: eprt },
};
