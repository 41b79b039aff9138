// Connections through host NAT, opened and closed by the thousand: nothing is left of them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { getActiveResourcesInfo, memoryUsage } from "node:process";
import { test } from "node:test";

import { hostNat } from "../../src/platform/node/index.ts";
import { repeats } from "../kernel.ts";
import { Host, pattern } from "../link-support.ts";
import { until } from "../virtio-support.ts";

const CONNECTIONS = repeats(100_000, 1000);
const AT_ONCE = 16;
/** What is kept to be used again, and what the collector has not seen. */
const MOST_GROWTH_BYTES = 32 << 20;

test("connections that end, by either end and by resets, leave nothing behind", async (t) => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", (data: Buffer) => {
      if (data[0] === 1) socket.resetAndDestroy();
      else socket.end(data);
    });
  });
  server.listen(0, "127.0.0.1", 1024);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const nat = hostNat();
  await using host = await Host.boot("10.0.2.15", { port: nat.port });
  const { init } = host;

  const one = async (number: number): Promise<void> => {
    const fd = await host.connect(nat.gateway, port);
    const data = pattern(1000, number);
    data[0] = number % 3;
    await host.send(fd, data);
    if (data[0] === 0) assert.deepEqual(await host.receive(fd, 2000), data);
    if (data[0] === 1) await assert.rejects(host.receive(fd, 1), { code: "ECONNRESET" });
    // What was not read makes the end a reset.
    await init.close(fd);
  };
  const round = async (count: number) => {
    let next = 0;
    const worker = async () => {
      while (next < count) await one(next++);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    await until(() => nat.connections === 0);
    globalThis.gc?.();
    const { heapUsed, arrayBuffers } = memoryUsage();
    return { bytes: heapUsed + arrayBuffers, handles: getActiveResourcesInfo().length };
  };
  const before = await round(200);
  const after = await round(CONNECTIONS);
  t.diagnostic(`${CONNECTIONS} connections`);
  assert.ok(after.bytes - before.bytes < MOST_GROWTH_BYTES, `${after.bytes - before.bytes} bytes`);
  assert.ok(after.handles <= before.handles + AT_ONCE, `${after.handles} handles`);
  await nat.close();
  server.close();
  await once(server, "close");
});
