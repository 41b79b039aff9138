// What the functions of node:net are called with.

import type { LookupFunction } from "node:net";

import {
  argumentTypeError,
  argumentValueError,
  badPortError,
  missingArgumentsError,
} from "./errors.ts";

/** A listener as emitters take it. */
export type Handler = (...values: unknown[]) => void;

/** Of connect(): node:net's, as far as they are used. */
export interface ConnectArguments {
  readonly port?: number | string;
  readonly host?: string;
  readonly path?: string;
  readonly localAddress?: string;
  readonly localPort?: number;
  /** 4, 6, or 0 for both. */
  readonly family?: number | "IPv4" | "IPv6";
  readonly hints?: number;
  readonly lookup?: LookupFunction;
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  readonly keepAliveInitialDelay?: number;
  readonly timeout?: number;
  readonly autoSelectFamily?: boolean;
  readonly autoSelectFamilyAttemptTimeout?: number;
  readonly allowHalfOpen?: boolean;
  readonly signal?: AbortSignal;
  /** IPPROTO_MPTCP, or what else the kernel has; default TCP. */
  readonly protocol?: number;
}

/** Of listen(). */
export interface ListenArguments {
  readonly port?: number | string | null;
  readonly host?: string | null;
  readonly path?: string;
  readonly backlog?: number;
  readonly ipv6Only?: boolean;
  readonly reusePort?: boolean;
  readonly signal?: AbortSignal;
  readonly protocol?: number;
}

/** The function among the arguments. */
export function lastFunction(args: readonly unknown[]): Handler | undefined {
  return args.findLast((arg) => typeof arg === "function") as Handler | undefined;
}

const isPath = (value: unknown): value is string =>
  typeof value === "string" && !/^\s*\d+\s*$/.test(value);

/** Options without those that are null, as agents give them. */
function given(options: object): ConnectArguments {
  const entries = Object.entries(options);
  return Object.fromEntries(
    entries.filter(
      ([name, value]) => value !== null && value !== undefined && (name !== "path" || value !== ""),
    ),
  );
}

/** connect(options), connect(path), connect(port, host): with a listener behind. */
export function connectArguments(
  args: readonly unknown[],
): [ConnectArguments, Handler | undefined] {
  const [first, second] = args;
  const callback = lastFunction(args);
  if (typeof first === "object" && first !== null) return [given(first), callback];
  if (isPath(first)) return [{ path: first }, callback];
  const port = typeof first === "function" || first === undefined ? {} : { port: first as number };
  return [{ ...port, ...(typeof second === "string" && { host: second }) }, callback];
}

function toBacklog(value: unknown): number | undefined {
  const number = Number(value);
  return value === undefined || typeof value === "function" || Number.isNaN(number)
    ? undefined
    : number;
}

function backlogOf(...candidates: readonly unknown[]): { backlog?: number } {
  const backlog = candidates.map(toBacklog).find((value) => value !== undefined);
  return backlog === undefined ? {} : { backlog };
}

/** listen(options), listen(path, backlog), listen(port, host, backlog): with a listener behind. */
export function listenArguments(args: readonly unknown[]): [ListenArguments, Handler | undefined] {
  const [first, second, third] = args;
  const callback = lastFunction(args);
  if (typeof first === "object" && first !== null) {
    const options = first as ListenArguments;
    if (options.path === undefined && !("port" in options))
      throw argumentValueError("options", first, 'must have the property "port" or "path"');
    if (options.path !== undefined && typeof options.path !== "string")
      throw argumentValueError("options", first, 'must have the property "port" or "path"');
    return [options, callback];
  }
  if (isPath(first)) return [{ path: first, ...backlogOf(second) }, callback];
  if (typeof first === "boolean") throw argumentValueError("options", { port: first });
  const port = typeof first === "function" || first === undefined || first === null ? 0 : first;
  const host = typeof second === "string" ? { host: second } : {};
  return [{ port: port as number, ...host, ...backlogOf(third, second) }, callback];
}

/** @throws {RangeError} ERR_SOCKET_BAD_PORT */
export function toPort(value: unknown, name = "Port", zero = true): number {
  const number = typeof value === "string" && value.trim() === "" ? NaN : Number(value);
  const plain = typeof value === "number" || typeof value === "string";
  if (!plain || !Number.isInteger(number) || number < (zero ? 0 : 1) || number > 65535)
    throw badPortError(name, value, zero);
  return number;
}

/** @throws {TypeError} ERR_MISSING_ARGS, and others for what cannot be connected to */
export function checkConnect(options: ConnectArguments): void {
  if (options.path !== undefined) {
    if (typeof options.path !== "string")
      throw argumentTypeError("options.path", "of type string", options.path);
    return;
  }
  if (options.host !== undefined && typeof options.host !== "string")
    throw argumentTypeError("options.host", "of type string", options.host);
  if (options.port === undefined)
    throw missingArgumentsError('"options" or "port" or "path" argument');
  if (typeof options.port !== "number" && typeof options.port !== "string")
    throw argumentTypeError("options.port", "one of type number or string", options.port);
  toPort(options.port);
  if (options.lookup !== undefined && typeof options.lookup !== "function")
    throw argumentTypeError("options.lookup", "of type function", options.lookup);
}
