// A server and its clients, which know of no kernel. It ends when its standard input does. Argument: a port.

import { once } from "node:events";
import http, { get } from "node:http";
import { text } from "node:stream/consumers";

const port = Number(process.argv[2]);
const web = http.createServer((request, response) => {
  response.end(`${request.method} ${request.url} from ${request.socket.remoteAddress}`);
});
web.listen(port, "127.0.0.1");
await once(web, "listening");
console.log(JSON.stringify(web.address()));

const agent = new http.Agent({ keepAlive: true });
const [response] = (await once(get({ agent, port, path: "/agent" }), "response")) as [
  http.IncomingMessage,
];
console.log(await text(response));
console.log(
  await (await fetch(`http://127.0.0.1:${port}/fetch`, { method: "PUT", body: "x" })).text(),
);
console.log("ready");

process.stdin.resume().on("end", () => {
  agent.destroy();
  web.close(() => console.log("closed"));
  web.closeAllConnections();
});
