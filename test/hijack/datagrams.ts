// Datagrams both ways, and a server that the program itself asks for names.

import dgram, { createSocket } from "node:dgram";
import { promises } from "node:dns";
import { lookup, resolve4 } from "node:dns/promises";
import { once } from "node:events";

const server = createSocket("udp4", (message, from) => {
  server.send(`${String(message)} back`, from.port, from.address);
});
server.bind(5353);
await once(server, "listening");
const client = dgram.createSocket("udp4");
client.send("there and", 5353, "localhost");
const [message, { address, port }] = (await once(client, "message")) as [Buffer, dgram.RemoteInfo];
console.log(String(message), address, port);
server.close();
client.close();

console.log(await lookup("localhost", { family: 6 }));
console.log(await promises.lookup("127.0.0.9"));

/** The question's name, type A, class IN, a minute, and four bytes. */
const ADDRESS = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7];

const names = createSocket("udp4", (question, from) => {
  const type = question.indexOf(0, 12) + 2;
  const exists = question.includes("known");
  const answers = exists && question[type] === 1 ? 1 : 0;
  // Without what may be behind the question.
  const asked = question.subarray(0, type + 3);
  const answer = Buffer.concat([asked, Buffer.from(answers ? ADDRESS : [])]);
  answer.writeUInt16BE(exists ? 0x8180 : 0x8183, 2);
  answer.writeUInt16BE(answers, 6);
  answer.writeUInt32BE(0, 8);
  names.send(answer, from.port, from.address);
});
names.bind(53);
await once(names, "listening");
console.log(await lookup("known"));
console.log(await resolve4("known.test"));
console.log(
  await lookup("nobody.test").catch((error: unknown) => (error as NodeJS.ErrnoException).code),
);
names.close();
