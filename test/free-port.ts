// Ports of this machine's for what has to know them before it listens.

import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

const LOOPBACK = "127.0.0.1";
/** Below those that systems give to whoever asks for any, so that no other test is given one meanwhile. */
const FIRST_PORT = 10_000;
const LAST_PORT = 32_767;
/** Those of this process: they are not in use before somebody listens. */
const given = new Set<number>();

/** Whether nobody has a port, of TCP and of UDP. */
async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, LOOPBACK);
  const socket = createSocket("udp4").bind(port, LOOPBACK);
  const found = await Promise.allSettled([once(server, "listening"), once(socket, "listening")]);
  server.close();
  socket.close();
  return found.every(({ status }) => status === "fulfilled");
}

/** A port of loopback that nobody has now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}
