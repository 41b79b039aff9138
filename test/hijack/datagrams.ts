import dgram, { createSocket } from "node:dgram";
import { promises } from "node:dns";
import { lookup } from "node:dns/promises";
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
console.log(
  await lookup("nowhere.invalid").catch((error: unknown) => (error as NodeJS.ErrnoException).code),
);
