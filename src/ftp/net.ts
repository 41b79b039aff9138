// Whose sockets the server has: the host's (node:net), or a kernel's in the same shape.

import type { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";

/** A connection, as far as the server uses it. */
export interface FtpSocket extends Duplex {
  readonly localAddress?: string | undefined;
  readonly remoteAddress?: string | undefined;
  setTimeout(timeoutMs: number, callback?: () => void): this;
  setNoDelay(enable?: boolean): this;
  resetAndDestroy(): this;
  destroySoon(): void;
}

/** What waits for connections. */
export interface FtpListener extends EventEmitter {
  listen(
    options: { readonly host: string; readonly port: number; readonly backlog?: number },
    listening: () => void,
  ): this;
  address(): { readonly address: string; readonly port: number } | string | null;
  close(closed?: () => void): this;
}

/** `node:net`, or what has its shape: `createSockets(process).net` of "liblinux/node". */
export interface FtpNet {
  createServer(options: {
    readonly allowHalfOpen: boolean;
    readonly noDelay?: boolean;
    readonly pauseOnConnect?: boolean;
  }): FtpListener;
  connect(options: {
    readonly host: string;
    readonly port: number;
    readonly localAddress: string;
    readonly allowHalfOpen: boolean;
  }): FtpSocket;
}
