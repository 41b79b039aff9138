// What goes wrong with commands, and what to do about it.

import { describeError } from "../errors.ts";
import type { Line } from "./lines.ts";

/** A command failed, for a reason of ours. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code: string;

  constructor(code: string, problem: string, cause?: unknown) {
    super(`${code}: ${problem}`, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** A command of a script failed. */
export class LineError extends Error {
  override readonly name = "LineError";
  /** Of what went wrong, if it has one. */
  readonly code: string | undefined;
  /** Where: `network.net:3`; "" if it is the command line itself. */
  readonly place: string;

  constructor(line: Line, cause: unknown) {
    const place = line.place === "" ? "" : `${line.place}: `;
    super(`${place}${shortened(line.text)}: ${explained(cause, line.text)}`, { cause });
    this.place = line.place;
    this.code = codeOf(cause);
  }
}

const MAX_TEXT = 60;

/** A command in an error: on one line, and not too long. */
function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT - 1)}…` : line;
}

export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** A cure, for an error of a command that looks like this. */
interface Cure {
  readonly code: string;
  /** What the command is. */
  readonly command: RegExp;
  /** What the error says, if that matters. */
  readonly says?: RegExp;
  readonly cure: string;
}

const CURES: readonly Cure[] = [
  {
    code: "ENETUNREACH",
    command: /\b(r|ro|rou|rout|route)\s+(a|ad|add|rep|replace|app|append|ch|change)\b/,
    cure: "the gateway is in no network of an interface that is up: ip addr add ADDRESS/LENGTH dev DEVICE, ip link set DEVICE up, or onlink",
  },
  {
    code: "ENETUNREACH",
    command: /./,
    cure: "no route leads there: ip route add NETWORK via GATEWAY, or dhcp eth0",
  },
  {
    code: "EHOSTUNREACH",
    command: /./,
    cure: "the next host on the way does not answer: ip neigh shows it",
  },
  {
    code: "ENETDOWN",
    command: /./,
    cure: "an interface is down: ip link set DEVICE up",
  },
  {
    code: "ENODEV",
    command: /./,
    says: /there is no network interface/,
    cure: "ip link shows those that there are",
  },
  {
    code: "EEXIST",
    command: /\bqdisc\s+add\b/,
    cure: "there is one at that place: tc qdisc replace, or del first",
  },
  {
    code: "EEXIST",
    command: /\b(add|a)\b/,
    cure: "there is one already: replace, or del first",
  },
  {
    code: "EPERM",
    command: /\bping\b/,
    cure: "the packet filter drops it: nft list ruleset",
  },
  {
    code: "EAI_AGAIN",
    command: /./,
    cure: "no name server answers: nameserver ADDRESS says who is asked, and dhcp finds out",
  },
  {
    code: "ENOENT",
    command: /\bnft\b(?=[^]*\blog\b)(?![^]*\bgroup\b)/,
    cure: "the kernel here writes no log of packets by itself: log group NUMBER",
  },
  {
    code: "ESRCH",
    command: /\broute\s+del/,
    cure: "there is no such route: ip route shows those that there are",
  },
  {
    code: "EADDRNOTAVAIL",
    command: /\baddr(ess)?\s+del/,
    cure: "the interface has no such address: ip addr shows those that it has",
  },
];

/** What went wrong, and what to do. */
export function explained(error: unknown, command: string): string {
  const message = describeError(error);
  const code = codeOf(error);
  const found = CURES.find(
    (one) => one.code === code && one.command.test(command) && (one.says?.test(message) ?? true),
  );
  return found ? `${message} (${found.cure})` : message;
}
