// Asks servers of the host's, which is 10.0.2.2 behind the NAT. Arguments: their ports of TCP and UDP.

import dgram from "node:dgram";
import { once } from "node:events";
import http from "node:http";
import { text } from "node:stream/consumers";

const [, , web = "", echo = ""] = process.argv;
const url = `http://10.0.2.2:${web}`;
console.log(await (await fetch(`${url}/fetch`)).text());

const agent = new http.Agent({ keepAlive: true });
const request = http.request(`${url}/request`, { agent, method: "POST" }).end("x".repeat(300_000));
const [response] = (await once(request, "response")) as [http.IncomingMessage];
console.log(await text(response));

const socket = dgram.createSocket("udp4");
socket.send("datagram", Number(echo), "10.0.2.2");
console.log(String((await once(socket, "message"))[0]));
socket.close();
// The agent's connection stays open, and holds nobody.
