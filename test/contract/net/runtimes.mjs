// SPDX-License-Identifier: MIT
// Run by each engine: runtimes.mjs PACKAGE prints what sockets of the kernel carry.
import http from "node:http";
import { pathToFileURL } from "node:url";

const [, , top = ""] = process.argv;
const url = (/** @type {string} */ path) => pathToFileURL(`${top}/${path}`).href;
const [{ Kernel }, { net: network }, { createSockets }] = await Promise.all([
  import(url("index.js")),
  import(url("net/index.js")),
  import(url("platform/node/index.js")),
]);

const kernel = await Kernel.boot({ image: "full" });
const configuration = network(kernel);
await configuration.up("lo");
await configuration[Symbol.asyncDispose]();
const own = createSockets(await kernel.process(), { ownsProcess: true });

/** @param {any} stream a stream of Node's @returns {Promise<string>} its text */
async function textOf(stream) {
  const parts = [];
  for await (const part of stream) parts.push(String(part));
  return parts.join("");
}

const server = own.net.createServer((/** @type {any} */ socket) => socket.end("by net"));
await new Promise((resolve) => server.listen(0, resolve));
console.log(await textOf(own.net.connect(server.address().port, "localhost")));
await new Promise((resolve) => server.close(resolve));

const socket = own.dgram.createSocket("udp4");
await new Promise((resolve) => socket.bind(0, "127.0.0.1", resolve));
const message = new Promise((resolve) => socket.once("message", resolve));
socket.send("by dgram", socket.address().port, "127.0.0.1");
console.log(String(await message));
await new Promise((resolve) => socket.close(resolve));

const web = http.createServer((_request, response) => response.end("by http"));
const front = own.net.createServer((/** @type {any} */ given) => web.emit("connection", given));
await new Promise((resolve) => front.listen(80, "127.0.0.1", resolve));
const agent = new http.Agent();
agent.createConnection = (options) => own.net.connect(options);
const response = await new Promise((resolve, reject) => {
  http.get({ agent, host: "127.0.0.1" }, resolve).once("error", reject);
});
console.log(await textOf(response));
await new Promise((resolve) => front.close(resolve));

const listener = await own.sockets.listen({
  local: { family: "IPv6", address: "::1", port: 0 },
});
const near = await own.sockets.connect({ remote: listener.local });
const far = await listener.accept();
await near.write(new TextEncoder().encode("by connections"));
await near.end();
console.log(await new Response(far.readable).text());
await Promise.all([near, far, listener].map((one) => one.close()));
// No exit(), and no halt: nothing that is left may hold the program.
