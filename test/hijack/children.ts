// A program, a thread of it and a child process, each of which says what becomes of a connection.

import { fork } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { Worker, isMainThread } from "node:worker_threads";

const isChild = process.argv[2] === "child";
const name = isMainThread ? (isChild ? "process" : "program") : "thread";

async function attempt() {
  try {
    const server = net.createServer().listen(80);
    await once(server, "listening");
    const socket = net.connect(80);
    await once(socket, "connect");
    server.close();
    socket.destroy();
    return "connected";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

console.log(name, await attempt());
if (name === "program") {
  await once(new Worker(new URL(import.meta.url)), "exit");
  await once(fork(fileURLToPath(import.meta.url), ["child"]), "exit");
}
