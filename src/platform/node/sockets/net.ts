// An object with the shape of node:net, whose sockets are the kernel's.

import { BlockList, SocketAddress, isIP, isIPv4, isIPv6 } from "node:net";

import { connectArguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { Server as KernelServer } from "./server.ts";
import type { ConnectionListener, ServerOptions } from "./server.ts";
import { Socket as KernelSocket } from "./socket.ts";
import type { SocketOptions } from "./socket.ts";

/** node:net, on the sockets of a process of the kernel. */
export interface LinuxNet {
  readonly Socket: new (options?: SocketOptions) => KernelSocket;
  readonly Stream: new (options?: SocketOptions) => KernelSocket;
  readonly Server: new (
    options?: ServerOptions | ConnectionListener,
    listener?: ConnectionListener,
  ) => KernelServer;
  createServer(
    options?: ServerOptions | ConnectionListener,
    listener?: ConnectionListener,
  ): KernelServer;
  connect(...args: readonly unknown[]): KernelSocket;
  createConnection(...args: readonly unknown[]): KernelSocket;
  getDefaultAutoSelectFamily(): boolean;
  setDefaultAutoSelectFamily(value: boolean): void;
  getDefaultAutoSelectFamilyAttemptTimeout(): number;
  setDefaultAutoSelectFamilyAttemptTimeout(valueMs: number): void;
  readonly BlockList: typeof BlockList;
  readonly SocketAddress: typeof SocketAddress;
  readonly isIP: typeof isIP;
  readonly isIPv4: typeof isIPv4;
  readonly isIPv6: typeof isIPv6;
}

/** @internal */
export function makeNet(context: Context): LinuxNet {
  class Socket extends KernelSocket {
    constructor(options?: SocketOptions) {
      super(context, options);
    }
  }
  class Server extends KernelServer {
    constructor(options?: ServerOptions | ConnectionListener, listener?: ConnectionListener) {
      super(context, Socket, options, listener);
    }
  }
  const connect = (...args: readonly unknown[]): KernelSocket => {
    const [options] = connectArguments(args);
    return new Socket(options).connect(...args);
  };
  return {
    Socket,
    Stream: Socket,
    Server,
    createServer: (options, listener) => new Server(options, listener),
    connect,
    createConnection: connect,
    getDefaultAutoSelectFamily: () => context.autoSelectFamily,
    setDefaultAutoSelectFamily: (value) => {
      context.autoSelectFamily = value;
    },
    getDefaultAutoSelectFamilyAttemptTimeout: () => context.autoSelectFamilyAttemptTimeoutMs,
    setDefaultAutoSelectFamilyAttemptTimeout: (valueMs) => {
      context.autoSelectFamilyAttemptTimeoutMs = valueMs;
    },
    BlockList,
    SocketAddress,
    isIP,
    isIPv4,
    isIPv6,
  };
}
