// node:dgram and node:dns on the kernel: the functions of the modules are replaced.

import dgram from "node:dgram";
import dns from "node:dns";

import { makeDgram } from "../platform/node/sockets/dgram.ts";
import type { LinuxDns } from "../platform/node/sockets/dns.ts";
import { isOnHost } from "./host-side.ts";
import { replace } from "./replace.ts";
import type { Method } from "./replace.ts";
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

export function hijackDns(own: LinuxDns): void {
  const kernels: readonly (readonly [object, Method])[] = [
    [dns, own.lookup as Method],
    [dns.promises, (...args) => own.promises.lookup(...(args as [string]))],
  ];
  for (const [target, lookup] of kernels)
    replace(
      target,
      "lookup",
      (original) =>
        function (this: unknown, ...args: unknown[]) {
          return (isOnHost() ? original : lookup).apply(target, args);
        },
    );
}
