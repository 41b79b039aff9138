// A wire that is a group of multicast UDP: QEMU's `-netdev socket,mcast=`.

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";

import { MulticastLink } from "../src/platform/node/index.ts";
import { freePort } from "./free-port.ts";
import { Host, Listener, connected, ethernet, pattern } from "./link-support.ts";
import { until } from "./virtio-support.ts";

const LOOPBACK = "127.0.0.1";
const GROUP = "230.7.8.9";
const MIB = 1 << 20;

test("two kernels in one group, and nobody hears himself", async () => {
  const where = { group: GROUP, port: await freePort(), local: LOOPBACK };
  await using left = await MulticastLink.open(where);
  await using right = await MulticastLink.open(where);
  await using a = await Host.boot("10.0.0.1", { port: left.port });
  await using b = await Host.boot("10.0.0.2", { port: right.port });
  // Ethernet's source is behind its destination.
  const heard = new Set<string>();
  left.port.observe((frame, direction) => {
    if (direction === "received") heard.add(frame.head(12).subarray(6, 12).join(":"));
  });
  const [mine, theirs] = await connected(a, b);
  const data = pattern(MIB);
  const [there, back] = await Promise.all([
    b.receive(theirs, MIB),
    a.receive(mine, MIB),
    a.send(mine, data),
    b.send(theirs, data),
  ]);
  assert.equal(Buffer.compare(there, data), 0);
  assert.equal(Buffer.compare(back, data), 0);
  const station = Uint8Array.from(b.device.mac.split(":"), (byte) => parseInt(byte, 16));
  assert.deepEqual([...heard], [station.join(":")]);
  await right.close();
  assert.equal(b.device.up, false);
});

test("what a member like QEMU sends arrives, and it hears us", async () => {
  const port = await freePort();
  await using link = await MulticastLink.open({ group: GROUP, port, local: LOOPBACK });
  const station = new Listener(link.port);
  // One socket, bound to the group, for both directions.
  const member = createSocket({ type: "udp4", reuseAddr: true }).bind(port, GROUP);
  await once(member, "listening");
  member.addMembership(GROUP, LOOPBACK);
  member.setMulticastInterface(LOOPBACK);
  const frame = ethernet("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:09", 0x88b5);
  member.send(frame, port, GROUP);
  await until(() => station.frames.length === 1);
  assert.deepEqual([...station.frames[0].bytes()], [...frame]);
  const answer = ethernet("02:00:00:00:00:09", "02:00:00:00:00:08", 0x88b5);
  const heard = new Promise<Buffer>((resolve) =>
    member.on("message", (bytes) => {
      if (bytes[5] === 9) resolve(bytes);
    }),
  );
  station.send(answer);
  assert.deepEqual([...(await heard)], [...answer]);
  assert.equal(station.frames.length, 1);
  member.close();
});

test("what is no group, no port or no interface is refused", async () => {
  const where = { group: GROUP, port: 5000, local: LOOPBACK };
  for (const wrong of [{ group: "10.0.0.1" }, { group: "x" }, { port: 0 }, { ttl: 256 }])
    await assert.rejects(MulticastLink.open({ ...where, ...wrong }), {
      code: "ERR_INVALID_OPTION",
    });
  const nowhere = { ...where, port: await freePort(), local: "192.0.2.1" };
  await assert.rejects(MulticastLink.open(nowhere), { code: "EIO", message: /cannot join 230/ });
});
