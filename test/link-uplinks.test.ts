// Back ends: sockets of several kinds between two ends of ours and to ones of others, and what happens to
// the network when one of them breaks.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createConnection } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { after, test } from "node:test";

import { IFF_RUNNING } from "../src/abi/constants/if_link.ts";
import { Switch, Uplink, WebSocketLink, patch } from "../src/link/index.ts";
import type { Frame } from "../src/link/index.ts";
import { SocketLink, SocketLinkServer, TapLink, UdpLink } from "../src/platform/node/index.ts";
import { Host, Listener, connected, ethernet, pattern } from "./link-support.ts";
import { whyNoTap } from "./tap-support.ts";
import { until } from "./virtio-support.ts";

const MIB = 1048576;
const folder = mkdtempSync(join(tmpdir(), "liblinux-uplinks-"));
after(() => rmSync(folder, { recursive: true }));

async function exchange(a: Host, b: Host, bytes: number, port = 7000): Promise<void> {
  const [mine, theirs] = await connected(a, b, port);
  const data = pattern(bytes);
  const [there, back] = await Promise.all([
    b.receive(theirs, bytes),
    a.receive(mine, bytes),
    a.send(mine, data),
    b.send(theirs, data),
  ]);
  assert.equal(Buffer.compare(there, data), 0);
  assert.equal(Buffer.compare(back, data), 0);
  await Promise.all([a.init.close(mine), b.init.close(theirs)]);
}

/** Two kernels, one at each of two links; then one of the links breaks. */
async function check(left: Uplink, right: Uplink): Promise<void> {
  const a = await Host.boot("10.0.0.1", { port: left.port });
  const b = await Host.boot("10.0.0.2", { port: right.port });
  await exchange(a, b, MIB);
  await right.close();
  assert.equal(right.error, null);
  assert.equal(b.device.up, false);
  await until(async () => ((await b.flags()) & IFF_RUNNING) === 0);
  await left.close();
  await until(async () => ((await a.flags()) & IFF_RUNNING) === 0);
  await Promise.all([a.kernel.halt(), b.kernel.halt()]);
}

for (const [kind, place] of [
  ["TCP", { port: 0 }],
  ["a unix socket", { path: join(folder, "link.sock") }],
] as const)
  test(`two kernels over ${kind}`, async () => {
    const { promise, resolve } = Promise.withResolvers<SocketLink>();
    await using server = await SocketLinkServer.listen(place, resolve);
    const to = "path" in place ? place : { port: server.port! };
    const left = await SocketLink.connect(to);
    await check(left, await promise);
    assert.equal(left.error?.code, "ECONNRESET");
    assert.equal(server.links.size, 0);
  });

test("a stream of frames is the one that QEMU speaks, in whatever pieces it comes", async () => {
  const { promise, resolve } = Promise.withResolvers<SocketLink>();
  await using server = await SocketLinkServer.listen({ port: 0 }, resolve);
  const socket = createConnection(server.port!, "127.0.0.1");
  await once(socket, "connect");
  const link = await promise;
  const station = new Listener(link.port);
  const frames = [60, 1514, 14, 66000].map((length) => pattern(length, length));
  const stream = Buffer.concat(
    frames.flatMap((frame) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(frame.length);
      return [length, frame];
    }),
  );
  for (let at = 0; at < 300; at += 7) {
    socket.write(stream.subarray(at, Math.min(at + 7, 300)));
    await new Promise((go) => setImmediate(go));
  }
  socket.write(stream.subarray(301 - 1));
  await until(() => station.frames.length === frames.length);
  for (const [i, frame] of station.frames.entries())
    assert.equal(Buffer.compare(frame.bytes(), frames[i]), 0);
  const sent = ethernet("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:01", 0x88b5);
  station.send(sent);
  const [got] = (await once(socket, "data")) as [Buffer];
  assert.deepEqual([...got], [0, 0, 0, 60, ...sent]);
  // What is no stream of frames ends the link, and nothing else.
  const errors: unknown[] = [];
  void link.ended.then(() => errors.push(link.error));
  socket.write("GET / HTTP/1.1\r\n\r\n");
  await link.ended;
  assert.equal(link.error?.code, "EPROTO");
  assert.deepEqual(station.carriers, [true, false]);
  assert.ok(station.send(sent), "into nowhere");
  socket.destroy();
});

test("a socket that nobody reads holds senders up for a while, not for ever", async () => {
  const { promise, resolve } = Promise.withResolvers<SocketLink>();
  await using server = await SocketLinkServer.listen({ port: 0 }, resolve);
  const socket = createConnection(server.port!, "127.0.0.1");
  socket.pause();
  const link = await promise;
  const station = new Listener(link.port);
  const frame = pattern(1514);
  let sent = 0;
  while (station.send(frame)) assert.ok(sent++ < 100_000, "without a bound");
  assert.equal(station.resumed, 0);
  await until(() => station.resumed === 1);
  assert.ok(station.send(frame), "dropped");
  assert.equal(link.droppedFrames, 1);
  socket.resume();
  await until(() => station.port.up && (link.droppedFrames === 1 || !station.send(frame)));
  socket.destroy();
});

test("two kernels over UDP; datagrams of others are dropped", async () => {
  const left = await UdpLink.open({ remote: { port: 9 } });
  const right = await UdpLink.open({ remote: { port: left.localPort } });
  const first = await UdpLink.open({
    remote: { port: right.localPort },
    local: { host: "127.0.0.1" },
  });
  // The left one was only there to find a port.
  const port = left.localPort;
  await left.close();
  const again = await UdpLink.open({ remote: { port: right.localPort }, local: { port } });
  const stranger = new Listener(first.port);
  stranger.send(ethernet("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:09", 0x88b5));
  await until(() => right.droppedFrames === 1);
  await assert.rejects(UdpLink.open({ remote: { port: 1 }, local: { port } }), {
    code: "EIO",
    message: /EADDRINUSE/,
  });
  await check(again, right);
  await first.close();
});

// --- WebSocket -----------------------------------------------------------------------------------

/** The text that a handshake's answer is made with (RFC 6455, section 1.3). */
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** A relay as those of v86 are: what one sends in a binary message goes to all others. */
class Relay implements AsyncDisposable {
  readonly server = createServer();
  readonly clients = new Set<Duplex>();
  binary = 0;

  async listen(): Promise<string> {
    this.server.on("upgrade", (request, socket) => {
      const key = createHash("sha1")
        .update(`${request.headers["sec-websocket-key"]}${WEBSOCKET_GUID}`)
        .digest("base64");
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`,
      );
      this.clients.add(socket);
      let buffered: Buffer = Buffer.alloc(0);
      socket.on("data", (piece) => {
        buffered = this.#read(socket, Buffer.concat([buffered, piece]));
      });
      socket.on("error", () => {});
      socket.on("close", () => this.clients.delete(socket));
    });
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return `ws://127.0.0.1:${(this.server.address() as AddressInfo).port}/`;
  }

  /** Whole messages of a client, which are masked. Returns the rest. */
  #read(from: Duplex, bytes: Buffer): Buffer {
    for (;;) {
      if (bytes.length < 2) return bytes;
      const short = bytes[1] & 127;
      const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
      if (bytes.length < 6 + extra) return bytes;
      const length =
        extra === 0
          ? short
          : extra === 2
            ? bytes.readUInt16BE(2)
            : Number(bytes.readBigUInt64BE(2));
      const at = 6 + extra;
      if (bytes.length < at + length) return bytes;
      const mask = bytes.subarray(at - 4, at);
      const payload = Buffer.from(bytes.subarray(at, at + length));
      for (let i = 0; i < length; i++) payload[i] ^= mask[i & 3];
      if ((bytes[0] & 15) === 2) {
        this.binary++;
        for (const client of this.clients) if (client !== from) this.send(client, 2, payload);
      } else if ((bytes[0] & 15) === 8) from.end();
      bytes = bytes.subarray(at + length);
    }
  }

  send(client: Duplex, kind: number, payload: Buffer): void {
    const length = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65536 ? 4 : 10);
    length[0] = 0x80 | kind;
    if (length.length === 2) length[1] = payload.length;
    else if (length.length === 4) length.writeUInt16BE(payload.length, ((length[1] = 126), 2));
    else length.writeBigUInt64BE(BigInt(payload.length), ((length[1] = 127), 2));
    client.write(Buffer.concat([length, payload]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.clients) client.destroy();
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, "close");
  }
}

test("two kernels over a WebSocket relay, a frame a message", async () => {
  await using relay = new Relay();
  const url = await relay.listen();
  const left = await WebSocketLink.open(url);
  const right = await WebSocketLink.open(new WebSocket(url));
  const a = await Host.boot("10.0.0.1", { port: left.port });
  const b = await Host.boot("10.0.0.2", { port: right.port });
  await exchange(a, b, MIB);
  const { sentFrames, sentBytes } = left.port.counters;
  assert.ok(sentBytes / sentFrames > 100);
  assert.ok(relay.binary > 1000, "frames as a wire has them");
  // Texts, and messages that are no frame, are dropped.
  const [client] = relay.clients;
  relay.send(client, 1, Buffer.from("hello"));
  relay.send(client, 2, Buffer.alloc(5));
  await until(() => left.droppedFrames + right.droppedFrames === 2);
  await exchange(a, b, MIB, 7001);
  // The relay breaks: the interfaces go down, the kernels do not.
  for (const socket of relay.clients) socket.destroy();
  await left.ended;
  assert.equal(left.error?.code, "ECONNRESET");
  await until(async () => ((await a.flags()) & IFF_RUNNING) === 0);
  await right.ended;
  await Promise.all([a.kernel.halt(), b.kernel.halt()]);
});

test("where there is no other end, that is what the error says", async () => {
  await using server = createServer((_, response) => response.writeHead(404).end());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await assert.rejects(WebSocketLink.open(`ws://127.0.0.1:${port}/`), {
    code: "EIO",
    message: /there is no relay/,
  });
  await assert.rejects(WebSocketLink.open("no address"), { code: "ERR_INVALID_OPTION" });
  await assert.rejects(SocketLink.connect({ path: join(folder, "nobody") }), {
    code: "EIO",
    message: /nobody listens at/,
  });
  await assert.rejects(
    SocketLinkServer.listen({ path: join(folder, "no", "folder") }, () => {}),
    { code: "EIO", message: /cannot listen/ },
  );
  await using silent = createServer().listen(0, "127.0.0.1");
  // Whether it hears of us in that time depends on the machine.
  const upgraded = new Set<Duplex>();
  let over = false;
  silent.on("upgrade", (_, socket) => {
    if (over) socket.destroy();
    else upgraded.add(socket);
  });
  await once(silent, "listening");
  const { port: other } = silent.address() as AddressInfo;
  await assert.rejects(WebSocketLink.open(`ws://127.0.0.1:${other}/`, { timeoutMs: 50 }), {
    code: "ETIMEDOUT",
  });
  over = true;
  for (const socket of upgraded) socket.destroy();
});

/** A back end with nothing at its other end. */
class Broken extends Uplink {
  released = 0;

  constructor(onError: (error: Error) => void) {
    super("broken", { onError });
    this.opened();
  }

  protected override get backlogBytes(): number {
    return 0;
  }

  protected override transmit(_frame: Frame): void {}

  protected override release(): Promise<void> {
    this.released++;
    return Promise.reject(new Error("even this fails"));
  }
}

test("a back end that goes away behind a switch leaves the others as they were", async () => {
  const center = new Switch();
  const back = new Broken(() => {});
  patch(back.port, center.port());
  const [a, b] = await Promise.all(
    [1, 2].map((n) => Host.boot(`10.0.0.${n}`, { port: center.port() })),
  );
  await exchange(a, b, MIB);
  await Promise.all([back.close(), back.close()]);
  assert.equal(back.released, 1);
  await exchange(a, b, MIB, 7001);
  await Promise.all([a.kernel.halt(), b.kernel.halt()]);
});

// --- TAP -----------------------------------------------------------------------------------------

test("TAP: the host's own stack answers, and is answered, where the host allows it", async (t) => {
  const why = await whyNoTap();
  if (why !== null) {
    t.diagnostic(`not tested against the host's own stack: ${why}`);
    return assert.match(why, /root|TAP|tun/);
  }
  const netns = `liblinux-${process.pid}`;
  const inside = (...command: string[]) =>
    execFileSync("ip", ["netns", "exec", netns, ...command], { encoding: "utf8" });
  execFileSync("ip", ["netns", "add", netns]);
  try {
    const tap = await TapLink.open({ device: "tap0", netns });
    inside("ip", "addr", "add", "10.0.0.100/24", "dev", "tap0");
    inside("ip", "link", "set", "tap0", "up");
    const host = await Host.boot("10.0.0.1", { port: tap.port });
    await assert.rejects(TapLink.open({ device: "tap0", netns }), { code: "EBUSY" });
    // A server of the host's, reached from the kernel: what it gets, it sends back.
    const echo = spawn("ip", ["netns", "exec", netns, process.execPath, "-e", ECHO], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(echo.stdout, "data");
    const fd = await host.connect("10.0.0.100", 7000);
    const data = pattern(8 * MIB);
    const [, back] = await Promise.all([host.send(fd, data), host.receive(fd, data.length)]);
    assert.equal(Buffer.compare(back, data), 0);
    const { sentFrames, sentBytes } = tap.port.counters;
    assert.ok(sentBytes / sentFrames > 2000, "segments pass uncut");
    echo.kill();
    // A server in the kernel, reached by curl.
    const listener = await host.listen(80);
    const served = (async () => {
      const client = await host.init.accept4(listener, null, null, 0);
      await host.receive(client, 16);
      await host.send(client, new TextEncoder().encode("HTTP/1.0 200 OK\r\n\r\nfrom inside\n"));
      await host.init.close(client);
    })();
    const curl = spawn("ip", ["netns", "exec", netns, "curl", "-s", "http://10.0.0.1/"]);
    let text = "";
    curl.stdout.on("data", (piece) => (text += piece));
    await Promise.all([served, once(curl, "close")]);
    assert.equal(text, "from inside\n");
    // The device goes: the interface is down, the kernel is not.
    inside("ip", "link", "del", "tap0");
    await tap.ended;
    assert.equal(tap.error?.code, "EIO");
    await until(async () => ((await host.flags()) & IFF_RUNNING) === 0);
    await host.kernel.halt();
  } finally {
    execFileSync("ip", ["netns", "del", netns]);
  }
});

const ECHO = `require("net").createServer((s) => s.pipe(s)).listen(7000, () => console.log("up"))`;

test("TAP: names that no device has are refused", async () => {
  for (const device of ["", "has space", "a/b", "longer-than-fifteen"])
    await assert.rejects(TapLink.open({ device }), { code: "ERR_INVALID_OPTION" });
});
