// The control connection: command lines in, replies out, with or without TLS.
//
// Invariants: lines that wait are at most MAX_PENDING_LINES and those of one more piece, since
// nothing is read meanwhile. Replies that wait are at most MAX_REPLY_BACKLOG_BYTES and one more.
// What arrived before TLS was begun is never taken for something that came through it.

import { TLSSocket } from "node:tls";
import type { SecureContext } from "node:tls";

import { LineReader } from "./lines.ts";
import type { Line } from "./lines.ts";
import type { FtpSocket } from "./net.ts";
import { encodeLine, encodeReply } from "./reply.ts";
import type { Reply, Text } from "./reply.ts";

/** Commands that came before their turn. */
const MAX_PENDING_LINES = 64;
/** Replies that the client has not read. */
const MAX_REPLY_BACKLOG_BYTES = 65536;
/** How long the other side may take to end a connection that has ended here. */
export const LINGER_MS = 2000;

export class ControlChannel {
  #socket: FtpSocket;
  #reader = new LineReader();
  #lines: Line[] = [];
  #take: ((line: Line | undefined) => void) | null = null;
  #ended = false;
  /** Settles, never rejects, when the connection is gone. */
  readonly closed: Promise<void>;
  readonly #close: () => void;
  /** Of this side, and of the other: TLS over a kernel's socket does not know them. */
  readonly localAddress: string;
  readonly remoteAddress: string;
  #lingering: NodeJS.Timeout | null = null;

  /** @param socket owned from now on; with `allowHalfOpen` */
  constructor(socket: FtpSocket) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#close = resolve;
    this.#socket = socket;
    this.localAddress = socket.localAddress ?? "";
    this.remoteAddress = socket.remoteAddress ?? "";
    socket.on("close", () => this.#gone());
    if (socket.destroyed) this.#gone();
    this.#attach(socket);
  }

  get secure(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  /** The next line; undefined at the end. */
  next(): Promise<Line | undefined> {
    return new Promise((resolve) => {
      const line = this.#lines.shift();
      if (this.#lines.length < MAX_PENDING_LINES && !this.#ended) this.#socket.resume();
      if (line !== undefined) resolve(line);
      else if (this.#ended) resolve(undefined);
      else this.#take = resolve;
    });
  }

  /** Send a reply. Waits while the client reads none; fails never, since the end is told by next(). */
  async reply(reply: Reply): Promise<void> {
    await this.#write(encodeReply(reply));
  }

  /** A line of a reply that is sent piece by piece. */
  async line(code: number, text: Text, place: "first" | "middle" | "last"): Promise<void> {
    await this.#write(encodeLine(code, text, place));
  }

  /** Begin TLS as its server, after telling so. Lines that came before are dropped. */
  async secureWith(context: SecureContext, go?: Reply): Promise<void> {
    const plain = this.#socket;
    plain.pause();
    plain.removeAllListeners("data");
    plain.removeAllListeners("end");
    this.#lines = [];
    this.#reader = new LineReader();
    if (go) {
      const sent = new Promise<void>(
        (resolve) => void plain.write(encodeReply(go), () => resolve()),
      );
      await Promise.race([sent, this.closed]);
    }
    if (plain.destroyed) return this.#end();
    const secure = new TLSSocket(plain, { isServer: true, secureContext: context });
    this.#socket = secure;
    this.#attach(secure);
  }

  /** Take no more lines, send what was replied, and close. */
  finish(): void {
    this.#drop();
    this.#socket.removeAllListeners("data");
    this.#socket.resume();
    this.#socket.end();
    this.#lingering ??= setTimeout(() => this.destroy(), LINGER_MS);
  }

  /** Break the connection off. Nothing waits for it any more, whatever its socket still does. */
  destroy(): void {
    this.#socket.destroy();
    this.#gone();
  }

  #gone(): void {
    if (this.#lingering) clearTimeout(this.#lingering);
    this.#close();
  }

  #attach(socket: FtpSocket): void {
    socket.on("data", (bytes: Buffer) => this.#received(bytes));
    socket.on("end", () => this.#end());
    socket.on("close", () => this.#drop());
    // Whatever it is, "close" follows.
    socket.on("error", () => socket.destroy());
  }

  #received(bytes: Buffer): void {
    if (this.#ended) return;
    for (const line of this.#reader.push(bytes)) {
      if (!this.#take) this.#lines.push(line);
      else {
        const take = this.#take;
        this.#take = null;
        take(line);
      }
    }
    if (this.#lines.length >= MAX_PENDING_LINES) this.#socket.pause();
  }

  /** What was asked for and not begun is not done any more. */
  #drop(): void {
    this.#lines = [];
    this.#end();
  }

  /** No more comes. */
  #end(): void {
    this.#ended = true;
    this.#take?.(undefined);
    this.#take = null;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const socket = this.#socket;
    if (!socket.writable) return;
    socket.write(bytes);
    if (socket.writableLength <= MAX_REPLY_BACKLOG_BYTES) return;
    const drained = new Promise<void>((resolve) => void socket.once("drain", resolve));
    await Promise.race([drained, this.closed]);
  }
}
