// What the kernel and the host see of a program's sockets.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";

import { hijack } from "../../src/hijack/index.ts";

const server = net.createServer((socket) => socket.resume()).listen(4321, "127.0.0.1");
await once(server, "listening");
const socket = net.connect(4321, "127.0.0.1");
await once(socket, "connect");
const seen = await hijack!.network.socket.list({ protocol: "tcp" });
for (const { state, localPort, remotePort } of seen)
  console.log(state, localPort === 4321 ? "server" : "client", remotePort > 0);
const port = (4321).toString(16).toUpperCase();
console.log("host", readFileSync("/proc/self/net/tcp", "utf8").includes(`:${port} `));
socket.end();
server.close();
