// What of Node's own a socket of the kernel stands on: the class below node:tls's streams of JavaScript,
// and the method that gives a net.Socket its handle.
//
// node:net, node:http, node:tls and node:http2 know sockets by their handles, objects with readStart(),
// writeBuffer() and so on that C++ can read from as well. JSStream is the one that is written for
// streams made in JavaScript. Node has no public name for it; it has been the same since Node 8.

import { Socket } from "node:net";
import type { LookupFunction } from "node:net";
import process from "node:process";
import { getSystemErrorMap } from "node:util";

/** A request of C++'s: connect, write, shutdown. */
export interface NativeRequest {
  oncomplete(
    status: number,
    handle: NativeStream,
    request: NativeRequest,
    readable: boolean,
    writable: boolean,
  ): void;
}

/** An address as node:net's handles give it. */
export interface NativeAddress {
  address?: string;
  family?: string;
  port?: number;
}

/** What every handle has. Numbers that are returned are 0, or libuv's of an error. */
export interface NativeHandle {
  getsockname(out: NativeAddress): number;
  close(done?: () => void): void;
  ref(): void;
  unref(): void;
  hasRef(): boolean;
}

/** JSStream: what is below is called, what is above calls the rest. */
export interface NativeStream extends NativeHandle {
  readBuffer(bytes: Uint8Array): void;
  emitEOF(): void;
  finishWrite(request: NativeRequest, status: number): void;
  finishShutdown(request: NativeRequest, status: number): void;

  /** How many calls of JavaScript's that write are under way: 0 where C++ writes by itself. */
  readonly depth: number;

  isClosing(): boolean;
  onreadstart(): number;
  onreadstop(): number;
  onwrite(request: NativeRequest, chunks: readonly Uint8Array[]): number;
  onshutdown(request: NativeRequest): number;

  // As a TCP handle's.
  connect(request: NativeRequest, address: string, port: number): number;
  connect6(request: NativeRequest, address: string, port: number): number;
  bind(address: string, port?: number): number;
  bind6(address: string, port?: number): number;
  getpeername(out: NativeAddress): number;
  setNoDelay(enable: boolean): number;
  setKeepAlive(enable: boolean, delayS: number, intervalS?: number, count?: number): number;
  setTypeOfService(value: number): number;
  getTypeOfService(): number;
  reset(done?: () => void): number;
}

type Method<R = unknown> = (this: unknown, ...args: unknown[]) => R;
type StreamClass = new () => NativeStream;

/** By which node:net writes, and ends. */
const WRITES = [
  "shutdown",
  "writev",
  "writeBuffer",
  "writeAsciiString",
  "writeLatin1String",
  "writeUcs2String",
  "writeUtf8String",
];

/** This version of Node is made otherwise. */
export class UnsupportedNodeError extends Error {
  override readonly name = "UnsupportedNodeError";
  readonly code = "ERR_UNSUPPORTED_NODE";

  constructor(what: string) {
    super(`Node ${process.version} has no ${what}, which sockets of the kernel are made of`);
  }
}

/** A method of net.Socket whose name is a symbol. */
function methodOf(description: string): Method {
  const { prototype } = Socket;
  const symbol = Object.getOwnPropertySymbols(prototype).find(
    (symbol) => symbol.description === description,
  );
  const method: unknown = symbol && Reflect.get(prototype, symbol);
  if (typeof method !== "function") throw new UnsupportedNodeError(description);
  return method as Method;
}

function streamClass(): StreamClass {
  const binding = Reflect.get(process, "binding") as Method | undefined;
  const found = binding?.call(process, "js_stream") as { JSStream?: StreamClass } | undefined;
  if (!found?.JSStream) throw new UnsupportedNodeError("JSStream");
  class Stream extends found.JSStream {
    override depth = 0;
  }
  for (const name of WRITES) {
    const method: unknown = Reflect.get(found.JSStream.prototype as object, name);
    if (typeof method !== "function") throw new UnsupportedNodeError(name);
    Reflect.set(Stream.prototype, name, function write(this: Stream, ...args: unknown[]) {
      this.depth++;
      try {
        return Reflect.apply(method, this, args) as unknown;
      } finally {
        this.depth--;
      }
    });
  }
  return Stream;
}

/** The handle of a net.Socket or net.Server. */
export function handleOf(owner: object): NativeHandle | null {
  return (Reflect.get(owner, "_handle") as NativeHandle | null | undefined) ?? null;
}

/** Only for what has none, or is not to have one any more. */
export function putHandle(owner: object, handle: NativeHandle | null): void {
  Reflect.set(owner, "_handle", handle);
}

/** Node's own things, found once. @throws {UnsupportedNodeError} */
export class NodeInternals {
  readonly Stream: StreamClass = streamClass();
  readonly #setHandle: Method = methodOf("kReinitializeHandle");
  readonly #normalize = Reflect.get(
    process.getBuiltinModule("node:net"),
    "_normalizeArgs",
  ) as Method<[ConnectOptions, (() => void) | null]>;
  #owner: symbol | undefined;

  /** Give a socket a handle. The one that it had, if it was destroyed, is closed already. */
  setHandle(socket: Socket, handle: NativeHandle): void {
    putHandle(socket, null);
    this.#setHandle.call(socket, handle);
  }

  /** The socket that a handle belongs to, once it does. */
  ownerOf(handle: NativeHandle): Socket | undefined {
    this.#owner ??= Object.getOwnPropertySymbols(handle).find(
      (symbol) => symbol.description === "owner_symbol",
    );
    return this.#owner && (Reflect.get(handle, this.#owner) as Socket | undefined);
  }

  /** What connect() is called with, its listener last. */
  connectArguments(args: readonly unknown[]): [ConnectOptions, (() => void) | null] {
    const [first] = args;
    // node:net calls itself with what it has put in order.
    if (Array.isArray(first)) return first as [ConnectOptions, (() => void) | null];
    return this.#normalize.call(null, args);
  }
}

/** Of net.connect(), as far as it is looked at here. */
export interface ConnectOptions {
  readonly host?: string | undefined;
  readonly port?: number | string | undefined;
  readonly path?: string | null | undefined;
  readonly lookup?: LookupFunction | undefined;
  readonly family?: number | string | undefined;
  readonly localAddress?: string | undefined;
  readonly autoSelectFamily?: boolean | undefined;
  readonly autoSelectFamilyAttemptTimeout?: number | undefined;
}

const numbers = new Map(
  Array.from(getSystemErrorMap(), ([number, [code]]) => [code, number] as const),
);

/** Libuv's number of an error, negative: EIO if it has none. */
export function uvNumber(code: string): number {
  return numbers.get(code) ?? numbers.get("EIO")!;
}
