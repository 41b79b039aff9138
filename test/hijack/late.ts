// Finds something to do each time that it seems to be done, twice.

import { once } from "node:events";
import { appendFile } from "node:fs/promises";
import http from "node:http";

let times = 0;

async function work(): Promise<void> {
  const web = http.createServer((_request, response) => response.end("more")).listen(80);
  await once(web, "listening");
  const answer = await (await fetch("http://localhost/")).text();
  await appendFile("/disk/late.txt", `${answer} `);
  console.log(answer, times);
  web.close();
  web.closeAllConnections();
}

process.on("beforeExit", () => {
  if (times++ < 2) void work();
});
