// Frames that say anything of themselves, into every port; and links that flap while kernels talk.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { suite, test } from "node:test";

import { IFF_UP } from "../../src/abi/constants/if_link.ts";
import { Cable, Hub } from "../../src/link/index.ts";
import { hostNat } from "../../src/platform/node/index.ts";
import { repeats } from "../kernel.ts";
import { Host, Listener, connected, nonsense, pattern } from "../link-support.ts";

const FRAMES = repeats(1_000_000, 10_000);
const FLAPS = repeats(20_000, 400);
const BYTES = 1 << 20;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function exchange(a: Host, b: Host, port: number): Promise<void> {
  const [mine, theirs] = await connected(a, b, port);
  const data = pattern(BYTES);
  const [there, back] = await Promise.all([
    b.receive(theirs, BYTES),
    a.receive(mine, BYTES),
    a.send(mine, data),
    b.send(theirs, data),
  ]);
  assert.equal(Buffer.compare(there, data), 0);
  assert.equal(Buffer.compare(back, data), 0);
  await Promise.all([a.init.close(mine), b.init.close(theirs)]);
}

suite("frames", () => {
  for (const offload of [true, false])
    test(`fuzzed frames into kernels, offloads ${offload ? "on" : "off"}: they go on`, async (t) => {
      const hub = new Hub();
      const peer = new Listener(hub.port());
      const [a, b] = await Promise.all([
        Host.boot("10.0.0.1", { port: hub.port(), offload }),
        Host.boot("10.0.0.2", { port: hub.port() }),
      ]);
      await exchange(a, b, 7000);
      const real = peer.frames.splice(0);
      assert.ok(real.length > 20);
      let sent = 0;
      for (const frame of nonsense(7, FRAMES, real)) {
        peer.port.send(frame);
        peer.frames.length = 0;
        if (++sent % 64 === 0) await turn();
      }
      for (const host of [a, b]) {
        assert.ok(host.kernel.running);
        assert.equal(host.device.broken, null);
        // Among the nonsense were wrong answers to who has which address: forget them.
        await host.setFlags("eth0", IFF_UP, 0);
        await host.setFlags("eth0", IFF_UP, IFF_UP);
      }
      await exchange(a, b, 7001);
      t.diagnostic(
        `${sent} frames, of which ${a.device.counters.receivedFrames} got into a kernel`,
      );
      await Promise.all([a.kernel.halt(), b.kernel.halt()]);
    });

  test("fuzzed frames into the NAT: it goes on", async (t) => {
    const echo = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {});
      socket.pipe(socket);
    });
    echo.listen(0, "127.0.0.1");
    await once(echo, "listening");
    const { port } = echo.address() as AddressInfo;
    const nat = hostNat({
      allow: (to) => to.protocol === "tcp" && to.address === "127.0.0.1" && to.port === port,
    });
    const host = await Host.boot("10.0.2.15", { port: nat.port });
    const talk = async () => {
      const fd = await host.connect(nat.gateway, port);
      const data = pattern(50_000);
      const [got] = await Promise.all([host.receive(fd, data.length), host.send(fd, data)]);
      assert.equal(Buffer.compare(got, data), 0);
      await host.init.close(fd);
    };
    const real: ReturnType<Listener["frames"]["slice"]> = [];
    const stop = nat.port.observe((frame) => void real.push(frame.copy()));
    await talk();
    stop();
    await host.kernel.unplug(host.device);
    const station = new Listener(nat.port);
    let sent = 0;
    for (const frame of nonsense(9, FRAMES, real)) {
      station.send(frame.bytes());
      station.port.send(frame);
      station.frames.length = 0;
      if (++sent % 256 === 0) await turn();
    }
    assert.equal(nat.error, null);
    nat.port.detach(station);
    await host.kernel.plug(host.device);
    await host.up("eth0", "10.0.2.15");
    await talk();
    t.diagnostic(
      `${2 * sent} frames, ${nat.droppedFrames} dropped, ${nat.connections} connections left`,
    );
    await host.kernel.halt();
    await nat.close();
    echo.close();
    await once(echo, "close");
  });

  test("links that flap while kernels talk: connections go on", async (t) => {
    const cable = new Cable();
    const [a, b] = await Promise.all([
      Host.boot("10.0.0.1", { port: cable.a }),
      Host.boot("10.0.0.2", { port: cable.b }),
    ]);
    const [mine, theirs] = await connected(a, b);
    let flapping = true;
    const flaps = (async () => {
      for (let i = 0; i < FLAPS; i++) {
        cable.a.on = i % 2 === 1;
        await turn();
      }
      cable.a.on = true;
      flapping = false;
    })();
    let bytes = 0;
    for (let seed = 0; flapping || seed === 0; seed++) {
      const data = pattern(100_000, seed);
      const [got] = await Promise.all([b.receive(theirs, data.length), a.send(mine, data)]);
      assert.equal(Buffer.compare(got, data), 0);
      bytes += data.length;
    }
    await flaps;
    t.diagnostic(`${FLAPS} flaps, ${bytes} bytes`);
    await Promise.all([a.kernel.halt(), b.kernel.halt()]);
  });
});
