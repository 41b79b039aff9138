// The oracle: node:net and node:dgram themselves, on the host's loopback.

import dgram from "node:dgram";
import net from "node:net";

import { temporaryFolder } from "../../images/native.ts";
import { netContract } from "./contract.ts";
import { dgramContract } from "./datagrams.ts";

async function subject() {
  const folder = temporaryFolder();
  return {
    net,
    dgram,
    folder: folder.path,
    done: async () => folder[Symbol.dispose](),
  };
}

netContract("node", subject);
dgramContract("node", subject);
