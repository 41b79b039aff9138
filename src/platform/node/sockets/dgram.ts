// An object with the shape of node:dgram, whose sockets are the kernel's.

import type { Context } from "./context.ts";
import { DatagramSocket } from "./datagram-socket.ts";
import type { DatagramSocketOptions, MessageListener } from "./datagram-socket.ts";

/** node:dgram, on the sockets of a process of the kernel. */
export interface LinuxDgram {
  readonly Socket: new (
    options: DatagramSocketOptions | string,
    listener?: MessageListener,
  ) => DatagramSocket;
  createSocket(options: DatagramSocketOptions | string, listener?: MessageListener): DatagramSocket;
}

/** @internal */
export function makeDgram(context: Context): LinuxDgram {
  class Socket extends DatagramSocket {
    constructor(options: DatagramSocketOptions | string, listener?: MessageListener) {
      super(context, options, listener);
    }
  }
  return { Socket, createSocket: (options, listener) => new Socket(options, listener) };
}
