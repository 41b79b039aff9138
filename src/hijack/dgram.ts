// node:dgram on the kernel: its class and its function are replaced.

import dgram from "node:dgram";

import { makeDgram } from "../platform/node/sockets/dgram.ts";
import { isOnHost } from "./host-side.ts";
import type { Open, Stack } from "./stack.ts";

export function hijackDgram({ context, handles, activity }: Stack): void {
  const own = makeDgram(context);
  const { createSocket } = dgram;
  type Given = ConstructorParameters<typeof own.Socket>;
  class Socket extends own.Socket {
    constructor(...given: Given) {
      super(...given);
      activity.count++;
      const open: Open = {
        // It hears of it by itself.
        fail: () => {},
        end: () => {
          this.removeAllListeners().on("error", () => {});
          this.close();
        },
      };
      handles.add(open);
      this.on("close", () => handles.delete(open));
    }
  }
  Object.assign(dgram, {
    Socket,
    createSocket: (...args: Parameters<typeof createSocket>) =>
      isOnHost() ? createSocket(...args) : new Socket(...(args as unknown as Given)),
  });
}
