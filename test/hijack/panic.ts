// A program whose kernel panics. It knows of it, to have it panic.

import { once } from "node:events";
import http from "node:http";
import net from "node:net";

import { hijack } from "../../src/hijack/index.ts";

/** (module (func (export "f") (param i32) (result i32) unreachable)) */
const TRAP = Buffer.from(
  "0061736d0100000001060160017f017f03020100070501016600000a05010300000b",
  "hex",
);

const told = (name: string) => (error: unknown) =>
  console.log(name, (error as NodeJS.ErrnoException).code);
const server = net.createServer((socket) => socket.on("error", told("accepted")));
server.on("error", told("server")).listen(7);
await once(server, "listening");
const client = net.connect(7).on("error", told("client"));
await Promise.all([once(client, "connect"), once(server, "connection")]);
// Nothing is asked of it when it happens.
client.pause();
http.get({ port: 7 }).on("error", told("request"));
await once(server, "connection");

const victim = await hijack!.kernel.process();
const { instance } = await WebAssembly.instantiate(TRAP);
await victim.run(instance.exports.f).catch(told("call"));
net.connect(7).on("error", told("later"));
