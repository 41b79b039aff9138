// Serves until it is told to stop, over TCP and UDP.

import dgram from "node:dgram";
import http from "node:http";

const datagrams = dgram.createSocket("udp4", (message, { port, address }) =>
  datagrams.send(`echo ${String(message)}`, port, address),
);
const web = http.createServer((request, response) => {
  response.setHeader("connection", "close");
  response.end(`${request.url} for ${request.socket.remoteAddress}`);
  if (request.url !== "/stop") return;
  web.close();
  datagrams.close();
});
datagrams.bind(53, () => web.listen(80, () => console.log("ready")));
