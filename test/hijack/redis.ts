// ioredis, with a server of the host's. Argument: its port.

import { once } from "node:events";

import { Redis } from "ioredis";

const where = { host: "10.0.2.2", port: Number(process.argv[2]) };
const client = new Redis(where);
const subscriber = new Redis(where);
await client.set("name", "Linux");
console.log(await client.get("name"));
const pipeline = client.pipeline();
for (let i = 0; i < 1000; i++) pipeline.rpush("list", i);
console.log((await pipeline.exec())?.at(-1), await client.lrange("list", -2, -1));
await subscriber.subscribe("news");
const heard = once(subscriber, "message");
await client.publish("news", "x".repeat(100_000));
console.log(String((await heard)[1]).length);
await Promise.all([client.quit(), subscriber.quit()]);
