// TLS, HTTPS and HTTP/2 at both ends. Arguments: the files of a certificate and its key.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { text } from "node:stream/consumers";
import tls from "node:tls";

const [, , certFile = "", keyFile = ""] = process.argv;
const [cert, key] = [readFileSync(certFile), readFileSync(keyFile)];
const MIB = 1 << 20;

const web = https.createServer({ cert, key }, (request, response) => request.pipe(response));
web.listen(443);
await once(web, "listening");
const agent = new https.Agent({ keepAlive: true, ca: cert });
for (const size of [5, 3 * MIB]) {
  const request = https.request({ agent, host: "localhost", method: "POST" });
  request.end(Buffer.alloc(size, "x"));
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const { authorized } = response.socket as tls.TLSSocket;
  console.log("https", (await text(response)).length, authorized);
}
agent.destroy();
web.close();

const secure = http2.createSecureServer({ cert, key });
secure.on("stream", (stream: http2.ServerHttp2Stream, headers) => {
  stream.respond({ ":status": 200 });
  stream.end(`stream ${headers[":path"]}`);
});
secure.listen(8443);
await once(secure, "listening");
const client = http2.connect("https://localhost:8443", { ca: cert });
console.log(
  ...(await Promise.all(["/1", "/2"].map((path) => text(client.request({ ":path": path }))))),
);
client.close();
secure.close();

const server = tls.createServer({ cert, key }, (socket) => socket.pipe(socket));
server.listen(444, "127.0.0.1");
await once(server, "listening");
const socket = tls.connect(444, "127.0.0.1", { ca: cert, servername: "localhost" });
await once(socket, "secureConnect");
console.log(socket.getProtocol(), socket.remoteAddress, socket.remotePort);
socket.end("secret");
console.log(await text(socket));
server.close();

const refused = tls.connect({ port: 445, host: "127.0.0.1" });
console.log(((await once(refused, "error")) as [Error])[0].message);
const stranger = tls.connect({ port: 446, host: "127.0.0.1" });
const other = tls.createServer({ cert, key }).on("tlsClientError", () => {});
other.listen(446);
console.log(((await once(stranger, "error")) as [NodeJS.ErrnoException])[0].code);
other.close();
