// A program, a thread of it, a child process and a worker of a cluster: each says what becomes of its
// connection.

import { fork } from "node:child_process";
import cluster from "node:cluster";
import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { Worker, isMainThread } from "node:worker_threads";

function whatIsThis(): string {
  if (cluster.isWorker) return "worker";
  if (!isMainThread) return "thread";
  return process.argv[2] === "child" ? "process" : "program";
}

const name = whatIsThis();

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
  await once(cluster.fork(), "exit");
}
cluster.worker?.disconnect();
