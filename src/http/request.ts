// A request: what is asked for, checked, and what becomes of it on a redirect.

import { METHODS } from "node:http";

import { InvalidOptionError } from "../machine/errors.ts";
import { HttpClientError } from "./errors.ts";
import { fieldsOf, SECRET } from "./headers.ts";
import type { Fields, HeaderInit } from "./headers.ts";

/**
 * What is sent. A Blob (of a file: `fs.openAsBlob()`) is read as it is sent, and can be sent again
 * after a redirect; what is iterated over can not.
 */
export type RequestBody = string | Uint8Array | Blob | AsyncIterable<Uint8Array>;

/** Null: whatever the server takes. */
export type HttpVersion = "1.1" | "2" | null;

export interface RequestOptions {
  /** Default GET, or POST with a body. */
  readonly method?: string;
  /** Null leaves out what would be there: host, user-agent, accept, content-length… */
  readonly headers?: HeaderInit;
  readonly body?: RequestBody;
  /**
   * "1.1" or "2" and nothing else. Default: with TLS, what the server chooses by ALPN; without, 1.1.
   * "2" without TLS is without asking first (RFC 9113, section 3.3).
   */
  readonly version?: HttpVersion;
  /** How many redirects are followed. Default 0: the redirect itself is the response. */
  readonly maxRedirects?: number;
  /** Ask for gzip, deflate, br or zstd, and decode it. Default false. */
  readonly decompress?: boolean;
  /** How long it may take until the connection stands, TLS included. Default: as long as it does. */
  readonly connectTimeoutMs?: number;
  /** How long everything may take, to the body's last byte. Default: as long as it does. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Told how many more bytes of the body are on their way: their pace is the connection's. */
  readonly onSent?: (bytes: number) => void;
}

/** One request of those that redirects make. */
export interface Plan {
  readonly url: URL;
  readonly method: string;
  readonly fields: Fields;
  readonly body: RequestBody | undefined;
  readonly version: HttpVersion;
}

/** Servers are asked by these. */
const PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };
const MAX_MS = 2 ** 31 - 1;
const MAX_REDIRECTS = 100;

export const isSecure = (url: URL): boolean => url.protocol === "https:";
export const portOf = (url: URL): number => (url.port ? Number(url.port) : PORTS[url.protocol]);
/** The host as sockets take it: IPv6 without brackets. */
export const hostOf = (url: URL): string => url.hostname.replace(/^\[(.*)\]$/, "$1");

/** @throws {InvalidOptionError} */
export function parseUrl(text: string | URL): URL {
  const url = URL.parse(String(text));
  if (!url || !(url.protocol in PORTS))
    throw new InvalidOptionError("url", `"${String(text)}": it is like https://example.com/`);
  return url;
}

function checkNumber(option: string, value: number | undefined, least: number, most: number): void {
  if (value !== undefined && !(Number.isInteger(value) && value >= least && value <= most))
    throw new InvalidOptionError(option, `${value}: it is a whole number from ${least} to ${most}`);
}

/** @throws {InvalidOptionError} */
export function planOf(text: string | URL, options: RequestOptions): Plan {
  const url = parseUrl(text);
  const { body, version = null } = options;
  const method = (options.method ?? (body === undefined ? "GET" : "POST")).toUpperCase();
  if (!METHODS.includes(method) || method === "CONNECT")
    throw new InvalidOptionError("method", `${method}: it is one of ${METHODS.join(", ")}`);
  if (version !== null && version !== "1.1" && version !== "2")
    throw new InvalidOptionError("version", `${String(version)}: it is "1.1" or "2"`);
  checkNumber("maxRedirects", options.maxRedirects, 0, MAX_REDIRECTS);
  checkNumber("connectTimeoutMs", options.connectTimeoutMs, 1, MAX_MS);
  checkNumber("timeoutMs", options.timeoutMs, 1, MAX_MS);
  const fields = fieldsOf(options.headers ?? {});
  if (url.username && !fields.has("authorization")) {
    const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    const value = `Basic ${Buffer.from(pair).toString("base64")}`;
    fields.set("authorization", { name: "Authorization", values: [value] });
  }
  // They are nobody else's.
  url.username = url.password = "";
  return { url, method, fields, body, version };
}

/** In bytes; null if nobody knows before it has ended. */
export function lengthOf(body: RequestBody): number | null {
  if (typeof body === "string") return Buffer.byteLength(body);
  if (body instanceof Uint8Array) return body.length;
  return body instanceof Blob ? body.size : null;
}

export function isReplayable(body: RequestBody | undefined): boolean {
  return body === undefined || lengthOf(body) !== null;
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** What describes a body that is not sent any more. */
const OF_BODY = ["content-type", "content-length", "content-encoding", "transfer-encoding"];

/** Whether a response sends elsewhere, and where to; RFC 9110, section 15.4. */
export function locationOf(plan: Plan, status: number, location: string | undefined): URL | null {
  if (!REDIRECTS.has(status) || location === undefined) return null;
  const url = URL.parse(location, plan.url.href);
  if (url && url.protocol in PORTS) {
    // What is behind # stays with whoever asks.
    if (!url.hash) url.hash = plan.url.hash;
    return url;
  }
  throw new HttpClientError(
    "redirect",
    "ERR_HTTP_REDIRECT",
    plan.url.href,
    `the server redirects to ${JSON.stringify(location)}, which is no http or https URL`,
  );
}

/** The request after a redirect. @throws {HttpClientError} if the body cannot be sent again */
export function redirected(plan: Plan, status: number, url: URL): Plan {
  const fields: Fields = new Map(plan.fields);
  if (url.origin !== plan.url.origin) for (const name of [...SECRET, "host"]) fields.delete(name);
  url.username = url.password = "";
  // As browsers do, and RFC 9110 allows: 301 and 302 make a GET of a POST.
  const keeps =
    status >= 307 || plan.method === "HEAD" || (status !== 303 && plan.method !== "POST");
  if (!keeps) {
    for (const name of OF_BODY) fields.delete(name);
    return { ...plan, url, fields, method: "GET", body: undefined };
  }
  if (!isReplayable(plan.body))
    throw new HttpClientError(
      "redirect",
      "ERR_HTTP_NOT_REPLAYABLE",
      plan.url.href,
      `the server redirects to ${url.href}, but the body was read already: send a file`,
    );
  return { ...plan, url, fields };
}
