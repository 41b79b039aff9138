// Host NAT: how connections end that do not end well, and what there is at most.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";

import { Kernel } from "../src/index.ts";
import { HostNat, MAX_CONNECTIONS, MAX_FLOWS } from "../src/link/index.ts";
import type { HostSockets } from "../src/link/index.ts";
import { parseAddress } from "../src/link/nat/address.ts";
import { datagramFrames } from "../src/link/nat/datagram.ts";
import { readPacket } from "../src/link/nat/packet.ts";
import { RST, SYN, readSegment, segmentFrame } from "../src/link/nat/segment.ts";
import { complete } from "../src/link/offload.ts";
import { net } from "../src/net/index.ts";
import { createSockets, hostNat } from "../src/platform/node/index.ts";
import type { NodeSockets } from "../src/platform/node/index.ts";
import { VirtioNet } from "../src/virtio/index.ts";
import { Listener } from "./link-support.ts";
import { until } from "./virtio-support.ts";

const LOOPBACK = "127.0.0.1";
const GUEST = "10.0.2.15";

interface Net extends AsyncDisposable {
  readonly nat: HostNat;
  readonly own: NodeSockets;
  readonly port: number;
  /** The host's end of the next connection to `port`. */
  accepted(): Promise<Socket>;
}

/** A kernel behind a NAT, and a server of the host's that does nothing. */
async function behind(): Promise<Net> {
  const nat = hostNat();
  const kernel = await Kernel.boot({ image: "full", devices: [new VirtioNet({ port: nat.port })] });
  await using network = net(kernel);
  await network.up("lo");
  await network.dhcp("eth0");
  const own = createSockets(await kernel.process(), { ownsProcess: true });
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  return {
    nat,
    own,
    port: (server.address() as AddressInfo).port,
    accepted: async () => ((await once(server, "connection")) as [Socket])[0],
    async [Symbol.asyncDispose]() {
      await own[Symbol.asyncDispose]();
      await kernel.halt();
      await nat.close();
      server.close();
      await once(server, "close");
    },
  };
}

async function codeOf(emitter: {
  once(event: "error", listener: never): unknown;
}): Promise<string> {
  const [error] = (await once(emitter as never, "error")) as [{ code: string }];
  return error.code;
}

/** What a socket hears until the other end is done. */
async function heard(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (data: Buffer) => (text += String(data)));
  await once(socket, "end");
  return text;
}

test("a reset is a reset, whichever end it comes from", async () => {
  await using here = await behind();
  for (const end of ["guest", "host"]) {
    const accepted = here.accepted();
    const mine = here.own.net.connect({ host: here.nat.gateway, port: here.port });
    const [theirs] = await Promise.all([accepted, once(mine, "connect")]);
    theirs.resume();
    mine.resume();
    if (end === "guest") {
      const told = codeOf(theirs);
      mine.resetAndDestroy();
      assert.equal(await told, "ECONNRESET");
    } else {
      const told = codeOf(mine);
      theirs.resetAndDestroy();
      assert.equal(await told, "ECONNRESET");
    }
    await until(() => here.nat.connections === 0);
  }
});

test("each end says that it is done, in its own time; what the other one says still arrives", async () => {
  await using here = await behind();
  for (const first of ["guest", "host"]) {
    const accepted = here.accepted();
    const options = { host: here.nat.gateway, port: here.port, allowHalfOpen: true };
    const mine = here.own.net.connect(options) as unknown as Socket;
    const [theirs] = await Promise.all([accepted, once(mine, "connect")]);
    const [early, late] = first === "guest" ? [mine, theirs] : [theirs, mine];
    early.end("the first is done");
    assert.equal(await heard(late), "the first is done");
    assert.equal(here.nat.connections, 1);
    late.end("so is the other");
    assert.equal(await heard(early), "so is the other");
    await until(() => here.nat.connections === 0);
  }
});

test("a guest that does not read holds up the host, and nothing is lost", async () => {
  await using here = await behind();
  const accepted = here.accepted();
  const mine = here.own.net.connect({ host: here.nat.gateway, port: here.port }).pause();
  const [theirs] = await Promise.all([accepted, once(mine, "connect")]);
  const chunk = Buffer.alloc(1 << 20, "backpressure ");
  const CHUNKS = 48;
  for (let i = 0; i < CHUNKS; i++) theirs.write(chunk);
  theirs.end();
  // Until nothing moves any more.
  const { port } = here.nat;
  for (let before = -1; before !== port.counters.receivedBytes;) {
    before = port.counters.receivedBytes;
    await new Promise((go) => setTimeout(go, 100));
  }
  assert.ok(theirs.writableLength > (CHUNKS / 2) * chunk.length, "it waits where it comes from");
  let [length, same] = [0, true];
  mine.resume().on("data", (data: Buffer) => {
    for (let done = 0; done < data.length;) {
      const at = (length + done) % chunk.length;
      const count = Math.min(data.length - done, chunk.length - at);
      same &&= data.subarray(done, done + count).equals(chunk.subarray(at, at + count));
      done += count;
    }
    length += data.length;
  });
  await once(mine, "end");
  assert.equal(length, CHUNKS * chunk.length);
  assert.ok(same);
  await until(() => here.nat.connections === 0);
});

test("a NAT that is closed resets what there is, at both ends", async () => {
  await using here = await behind();
  const accepted = here.accepted();
  const mine = here.own.net.connect({ host: here.nat.gateway, port: here.port });
  const [theirs] = await Promise.all([accepted, once(mine, "connect")]);
  theirs.resume();
  mine.resume();
  const told = Promise.all([codeOf(mine), codeOf(theirs)]);
  await here.nat.close();
  assert.deepEqual(await told, ["ECONNRESET", "ECONNRESET"]);
  assert.equal(here.nat.connections, 0);
});

test("where a forwarded port leads to nobody, who connects is reset", async () => {
  await using here = await behind();
  const forward = await here.nat.forwardPort({ hostPort: 0, guestPort: 9 });
  const socket = createConnection(forward.port, LOOPBACK).resume();
  assert.equal(await codeOf(socket), "ECONNRESET");
  await until(() => here.nat.connections === 0);
});

/** Sockets that say nothing; they count which are open. */
class Silent implements HostSockets {
  open = 0;

  connect(): ReturnType<HostSockets["connect"]> {
    this.open++;
    const nothing = () => {};
    const destroy = () => void this.open--;
    return {
      write: nothing,
      backlogBytes: 0,
      end: nothing,
      destroy,
      pause: nothing,
      resume: nothing,
    };
  }

  datagrams(): ReturnType<HostSockets["datagrams"]> {
    this.open++;
    return { send: () => {}, close: () => void this.open-- };
  }

  listen(): never {
    throw new Error("nobody listens");
  }

  listenDatagrams(): never {
    throw new Error("nobody listens");
  }
}

test("connections and ports in use have a bound; what is beyond is refused, or replaces the oldest", async () => {
  const sockets = new Silent();
  const nat = new HostNat(sockets, { nameservers: [] });
  const station = new Listener(nat.port);
  const ask = (port: number, target: string) => {
    const route = { source: parseAddress(GUEST)!, target: parseAddress(target)! };
    const ports = { sourcePort: port, targetPort: 80 };
    const what = { ...ports, seq: 1, ack: 0, flags: SYN, window: 65535 };
    station.send(complete(segmentFrame(route, what, []))[0]);
  };
  for (let i = 0; i < MAX_CONNECTIONS; i++) ask(1024 + (i % 32_768), "192.0.2.1");
  assert.equal(nat.connections, MAX_CONNECTIONS);
  assert.equal(station.frames.length, 0);
  ask(7, "192.0.2.2");
  assert.equal(nat.connections, MAX_CONNECTIONS);
  const [refusal] = station.frames;
  const segment = readSegment(readPacket(complete(refusal)[0], false)!);
  assert.equal(segment?.targetPort, 7);
  assert.ok(segment.flags & RST);

  for (let port = 1; port <= MAX_FLOWS + 10; port++) {
    const route = { source: parseAddress(GUEST)!, target: parseAddress("192.0.2.1")! };
    const ports = { sourcePort: port, targetPort: 53 };
    station.send(complete(datagramFrames(route, ports, new Uint8Array(4), 1500)[0])[0]);
  }
  assert.equal(nat.flows, MAX_FLOWS);
  assert.equal(sockets.open, MAX_CONNECTIONS + MAX_FLOWS);
  await nat.close();
  assert.equal(sockets.open, 0);
});
