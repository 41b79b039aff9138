// What went wrong, for people and for scripts: a line, and curl's exit code.

import { HttpClientError } from "../../http/index.ts";
import type { HttpPhase } from "../../http/index.ts";
import { FailedError } from "../errors.ts";

/** Exit codes that no phase of a request has. */
export const EXIT = { status: 22, write: 23, read: 26, range: 33, empty: 52 } as const;

const BY_PHASE: Readonly<Record<HttpPhase, number>> = {
  lookup: 6,
  connect: 7,
  body: 18,
  timeout: 28,
  tls: 35,
  redirect: 47,
  request: 55,
  response: 56,
  certificate: 60,
  encoding: 61,
};

const UNREACHABLE: ReadonlySet<string> = new Set(["EHOSTUNREACH", "ENETUNREACH", "EADDRNOTAVAIL"]);

/** What Node says to those who start it themselves. */
const NODES_ADVICE = /; if the root CA is installed locally.*$/s;

function sentence({ phase, code, message, url, cause }: HttpClientError): string {
  const { host, hostname } = new URL(url);
  if (code === "ENOTFOUND" && cause !== undefined) return `${hostname} has no address`;
  if (code === "EAI_AGAIN")
    return `no name server told where ${hostname} is (--dns ADDRESS asks another one)`;
  if (code === "ECONNREFUSED") return `nobody listens at ${host} (ECONNREFUSED)`;
  if (UNREACHABLE.has(code)) return `${host} cannot be reached (${code})`;
  if (phase === "connect" && code === "ETIMEDOUT") return `${host} does not answer (ETIMEDOUT)`;
  if (phase === "certificate")
    return `the certificate is not trusted: ${message.replace(NODES_ADVICE, "")} (--cacert FILE trusts one, --insecure anybody)`;
  if (code === "HPE_HEADER_OVERFLOW") return "the head of the response is too large";
  if (code.startsWith("HPE_")) return `the response is no HTTP: ${message}`;
  if (phase === "response" && code === "ECONNRESET")
    return "the server ended the connection without a response";
  return message;
}

function exitCode({ phase, code }: HttpClientError): number {
  if (phase === "response" && code === "ECONNRESET") return EXIT.empty;
  return BY_PHASE[phase];
}

/** A request's failure as the command line tells it; others as they are. */
export function told(error: unknown): unknown {
  if (!(error instanceof HttpClientError)) return error;
  return new FailedError(`${error.url}: ${sentence(error)}`, exitCode(error), error);
}
