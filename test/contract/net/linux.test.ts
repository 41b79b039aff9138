// The same on the kernel's sockets.

import type nodeDgram from "node:dgram";
import type nodeNet from "node:net";

import { createSockets } from "../../../src/platform/node/index.ts";
import { loopback } from "../../facade-net-support.ts";
import { netContract } from "./contract.ts";
import { dgramContract } from "./datagrams.ts";

async function subject() {
  const { kernel, process } = await loopback();
  const { net, dgram, ...rest } = createSockets(process, { ownsProcess: true });
  return {
    // They have all that is used here, under the same names.
    net: net as unknown as typeof nodeNet,
    dgram: dgram as unknown as typeof nodeDgram,
    folder: "/",
    done: async () => {
      await rest[Symbol.asyncDispose]();
      await kernel.halt();
    },
  };
}

netContract("the kernel", subject);
dgramContract("the kernel", subject);
