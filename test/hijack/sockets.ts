// WebSockets: those of ws at both ends, and Node's own as a client.

import { once } from "node:events";

import { WebSocket as Client, WebSocketServer } from "ws";

const server = new WebSocketServer({ port: 80, host: "127.0.0.1" });
await once(server, "listening");
server.on("connection", (socket) => {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
});

const client = new Client("ws://127.0.0.1/");
await once(client, "open");
client.send(Buffer.alloc(200_000, 3));
const [data] = (await once(client, "message")) as [Buffer];
console.log("ws", data.length);
client.close();
await once(client, "close");

const own = new WebSocket("ws://localhost/");
await once(own, "open");
own.send("text");
const [event] = (await once(own, "message")) as [MessageEvent];
console.log("WebSocket", event.data);
own.close();
await once(own, "close");
server.close();
