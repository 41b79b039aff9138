// Host NAT: a kernel's connections leave by this process's own sockets, and come in by them.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { IPPROTO_ICMP } from "../src/abi/constants/in.ts";
import { AF_INET, SHUT_WR, SOCK_RAW } from "../src/abi/constants/socket.ts";
import { Capture, EmulatedLink, HostNat, patch } from "../src/link/index.ts";
import type { HostNatOptions, Port } from "../src/link/index.ts";
import { net } from "../src/net/index.ts";
import { CaptureFile, hostNat } from "../src/platform/node/index.ts";
import { Host, Listener, at, ethernet, pattern } from "./link-support.ts";
import { until } from "./virtio-support.ts";

const MIB = 1048576;
const GUEST = "10.0.2.15";
const GATEWAY = "10.0.2.2";
const DNS = "10.0.2.3";
const LOOPBACK = "127.0.0.1";

/** Addresses by which this machine reaches itself, as the guest sees them. */
const places = [
  GATEWAY,
  ...Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === "IPv4" && !internal)
    .map(({ address }) => address)
    .slice(0, 1),
];

interface Net extends AsyncDisposable {
  nat: HostNat;
  host: Host;
}

/** A kernel behind a NAT. */
async function behind(
  options: Partial<HostNatOptions> = {},
  at?: (nat: HostNat) => Port,
): Promise<Net> {
  const nat = hostNat(options);
  const host = await Host.boot(GUEST, { port: at?.(nat) ?? nat.port });
  await using network = net(host.init);
  await network.route.add({ destination: "default", gateway: GATEWAY });
  return {
    nat,
    host,
    async [Symbol.asyncDispose]() {
      await host.kernel.halt();
      await nat.close();
    },
  };
}

/** A socket's end, with an error or without. */
const closed = (socket: Socket) => new Promise<void>((go) => socket.once("close", () => go()));

async function serve(
  served: (socket: Socket) => void,
): Promise<{ server: Server; port: number } & AsyncDisposable> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    served(socket);
  });
  server.listen(0, "0.0.0.0");
  await once(server, "listening");
  return {
    server,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

for (const place of places)
  test(`TCP out to ${place === GATEWAY ? "the host's loopback" : "an address of the host's"}: both ways, and half-closed`, async () => {
    await using echo = await serve((socket) => socket.pipe(socket));
    await using net = await behind();
    const fd = await net.host.connect(place, echo.port);
    const data = pattern(8 * MIB);
    const [, back] = await Promise.all([
      (async () => {
        await net.host.send(fd, data);
        await net.host.init.shutdown(fd, SHUT_WR);
      })(),
      net.host.receive(fd, data.length + 1),
    ]);
    assert.equal(back.length, data.length);
    assert.equal(Buffer.compare(back, data), 0);
    await net.host.init.close(fd);
    await until(() => net.nat.connections === 0);
    const { sentFrames, sentBytes } = net.nat.port.counters;
    assert.ok(sentBytes / sentFrames > 3000, "in segments, not in frames");
  });

test("TCP: whoever closes first, the other hears of it; a reset is a reset", async () => {
  await using net = await behind();
  await using polite = await serve((socket) => socket.resume().end("bye"));
  const fd = await net.host.connect(GATEWAY, polite.port);
  assert.equal(Buffer.from(await net.host.receive(fd, 10)).toString(), "bye");
  await net.host.init.close(fd);
  await until(() => net.nat.connections === 0);

  await using rude = await serve((socket) => socket.resetAndDestroy());
  const other = await net.host
    .connect(GATEWAY, rude.port)
    .catch((error: unknown) => (error as { code: string }).code);
  if (typeof other === "number")
    await assert.rejects(net.host.receive(other, 1), { code: "ECONNRESET" });
  else assert.equal(other, "ECONNREFUSED");

  // A reader that takes nothing holds the writer up, and the guest's reset ends the host's side.
  const { promise, resolve } = Promise.withResolvers<Socket>();
  await using slow = await serve((socket) => resolve(socket.pause()));
  const third = await net.host.connect(GATEWAY, slow.port);
  const sending = net.host.send(third, new Uint8Array(64 * MIB));
  sending.catch(() => {});
  const socket = await promise;
  await new Promise((go) => setTimeout(go, 300));
  assert.ok(net.nat.port.counters.sentBytes < 32 * MIB, "it was held up");
  await net.host.init.setsockopt(third, 1, 13, new Uint8Array(Uint32Array.of(1, 0).buffer), 8);
  await net.host.init.shutdown(third, 2).catch(() => {});
  await net.host.init.close(third);
  socket.resume();
  await closed(socket);
  await until(() => net.nat.connections === 0);
});

test("TCP: where nobody listens, the connection is refused; where nothing is, it is unreachable", async () => {
  const closed = await serve(() => {});
  await closed[Symbol.asyncDispose]();
  await using net = await behind({ allow: ({ port }) => port !== 22 });
  await assert.rejects(net.host.connect(GATEWAY, closed.port), { code: "ECONNREFUSED" });
  await assert.rejects(net.host.connect(GATEWAY, 22), { code: "ECONNREFUSED" });
  await assert.rejects(net.host.connect(DNS, 80), { code: "ECONNREFUSED" });
  assert.equal(net.nat.connections, 0);
});

test("TCP: many connections at once", async () => {
  await using echo = await serve((socket) => socket.pipe(socket));
  await using net = await behind();
  const one = async (seed: number) => {
    const fd = await net.host.connect(GATEWAY, echo.port);
    const data = pattern(10_000, seed);
    const [, back] = await Promise.all([
      net.host.send(fd, data),
      net.host.receive(fd, data.length),
    ]);
    assert.equal(Buffer.compare(back, data), 0);
    await net.host.init.close(fd);
  };
  await Promise.all(Array.from({ length: 100 }, (_, i) => one(i)));
  await until(() => net.nat.connections === 0);
});

test("TCP over a bad link to the NAT: nothing is lost or changed, in either direction", async () => {
  await using echo = await serve((socket) => socket.pipe(socket));
  const link = new EmulatedLink({
    loss: 0.02,
    duplicate: 0.02,
    reorder: 0.02,
    corrupt: 0.02,
    delayMs: 2,
    queueFrames: 200,
    rateMbps: 100,
  });
  await using net = await behind({}, (nat) => {
    patch(nat.port, link.a);
    return link.b;
  });
  const fd = await net.host.connect(GATEWAY, echo.port);
  const data = pattern(MIB / 2);
  const [, back] = await Promise.all([net.host.send(fd, data), net.host.receive(fd, data.length)]);
  assert.equal(Buffer.compare(back, data), 0);
});

test("a port of the host's leads to a server in the kernel", async () => {
  await using net = await behind();
  const listener = await net.host.listen(80);
  const forward = await net.nat.forwardPort({ hostPort: 0, guestPort: 80 });
  const data = pattern(4 * MIB);
  const serving = (async () => {
    const fd = await net.host.init.accept4(listener, null, null, 0);
    const got = await net.host.receive(fd, data.length);
    await net.host.send(fd, got);
    await net.host.init.close(fd);
  })();
  const socket = createConnection(forward.port, LOOPBACK);
  const pieces: Uint8Array[] = [];
  socket.on("data", (piece: Buffer) => pieces.push(piece));
  socket.write(data);
  await Promise.all([serving, once(socket, "end")]);
  assert.equal(Buffer.compare(Buffer.concat(pieces), data), 0);
  await assert.rejects(net.nat.forwardPort({ hostPort: forward.port, guestPort: 80 }), {
    code: "EIO",
    message: /EADDRINUSE/,
  });
  // Nobody listens in the kernel.
  const nobody = await net.nat.forwardPort({ hostPort: 0, guestPort: 81 });
  const refused = createConnection(nobody.port, LOOPBACK);
  refused.on("error", () => {}).resume();
  await closed(refused);
  await forward.close();
  const late = createConnection(forward.port, LOOPBACK);
  const [error] = (await once(late, "error")) as [Error & { code: string }];
  assert.equal(error.code, "ECONNREFUSED");
  await assert.rejects(net.nat.forwardPort({ hostPort: 70_000, guestPort: 1 }), {
    code: "ERR_INVALID_OPTION",
  });
});

test("UDP out and in, of any length", async () => {
  await using net = await behind();
  const echo = createSocket("udp4");
  echo.on("message", (bytes, { port, address }) => echo.send(bytes, port, address));
  echo.bind(0, LOOPBACK);
  await once(echo, "listening");
  const { port } = echo.address();
  const fd = await net.host.udp();
  for (const length of [0, 1, 1472, 1473, 9000, 60_000]) {
    const data = pattern(length, length);
    await net.host.sendTo(fd, GATEWAY, port, data);
    const [got, from] = [new Uint8Array(65536), new Uint8Array(16)];
    const size = new Uint8Array(Uint32Array.of(16).buffer);
    const count = await net.host.init.recvfrom(fd, got, got.length, 0, from, size);
    assert.equal(Buffer.compare(got.subarray(0, count), data), 0, `${length} bytes`);
    assert.deepEqual([...from.subarray(0, 8)], [...at(GATEWAY, port).subarray(0, 8)]);
  }
  assert.equal(net.nat.flows, 1);
  echo.close();

  const server = await net.host.udp(5000);
  const forward = await net.nat.forwardPort({ protocol: "udp", hostPort: 0, guestPort: 5000 });
  const client = createSocket("udp4");
  client.send("question", forward.port, LOOPBACK);
  const [got, from] = [new Uint8Array(100), new Uint8Array(16)];
  const size = new Uint8Array(Uint32Array.of(16).buffer);
  const count = await net.host.init.recvfrom(server, got, 100, 0, from, size);
  assert.equal(Buffer.from(got.subarray(0, count)).toString(), "question");
  const answered = once(client, "message");
  await net.host.init.sendto(server, new TextEncoder().encode("answer"), 6, 0, from, 16);
  const [answer] = (await answered) as [Buffer];
  assert.equal(answer.toString(), "answer");
  client.close();
  await forward.close();
});

test("DNS questions go to the host's server, and its answers come from the guest's", async () => {
  const server = createSocket("udp4");
  server.on("message", (bytes, { port, address }) => {
    // An answer: the question, and 192.0.2.7 for its name.
    const answer = Buffer.concat([
      bytes,
      Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]),
    ]);
    answer.writeUInt16BE(0x8180, 2);
    answer.writeUInt16BE(1, 6);
    server.send(answer, port, address);
  });
  server.bind(0, LOOPBACK);
  await once(server, "listening");
  await using net = await behind({ nameservers: [`${LOOPBACK}:${server.address().port}`] });
  assert.equal(net.nat.dns, DNS);
  const fd = await net.host.udp();
  const question = Buffer.from([
    ...Buffer.from("123401000001000000000000", "hex"),
    ...Buffer.from("\x07example\x03com\0\0\x01\0\x01"),
  ]);
  await net.host.sendTo(fd, DNS, 53, question);
  const [got, from] = [new Uint8Array(512), new Uint8Array(16)];
  const size = new Uint8Array(Uint32Array.of(16).buffer);
  const count = await net.host.init.recvfrom(fd, got, 512, 0, from, size);
  assert.deepEqual([...got.subarray(count - 4, count)], [192, 0, 2, 7]);
  assert.deepEqual([...from.subarray(0, 8)], [...at(DNS, 53).subarray(0, 8)]);
  // Who asks that server by itself is answered by that server.
  await net.host.sendTo(fd, GATEWAY, server.address().port, question);
  assert.ok((await net.host.init.recvfrom(fd, got, 512, 0, from, size)) > question.length);
  const itself = at(GATEWAY, server.address().port);
  assert.deepEqual([...from.subarray(0, 8)], [...itself.subarray(0, 8)]);
  server.close();
});

/** Send an echo request and await its answer. */
async function ping(host: Host, to: string): Promise<boolean> {
  const fd = await host.init.socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  const request = Uint8Array.from([8, 0, 0, 0, 0x12, 0x34, 0, 1, ...pattern(56)]);
  let sum = 0;
  for (let i = 0; i < request.length; i += 2) sum += (request[i] << 8) | request[i + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  request.set([(~sum >> 8) & 255, ~sum & 255], 2);
  const address = at(to);
  await host.init.sendto(fd, request, request.length, 0, address, 16);
  const signal = AbortSignal.timeout(3000);
  try {
    for (;;) {
      const got = new Uint8Array(1500);
      const count = await host.init.recvfrom(fd, got, 1500, 0, null, null, { signal });
      const icmp = got.subarray(20, count);
      if (icmp[0] === 0 && Buffer.compare(icmp.subarray(4), request.subarray(4)) === 0) return true;
    }
  } catch {
    return false;
  } finally {
    await host.init.close(fd);
  }
}

test("the gateway answers to ICMP echo; so do others, as far as the host's own ping tells", async () => {
  await using net = await behind();
  assert.ok(await ping(net.host, GATEWAY));
  assert.ok(await ping(net.host, DNS));
  assert.equal(await ping(net.host, "10.0.2.77"), false);
  for (const place of places.slice(1)) {
    const { status } = spawnSync("ping", ["-n", "-c", "1", "-W", "1", place]);
    assert.equal(await ping(net.host, place), status === 0);
  }
});

test("DHCP: each station gets an address, the same one again, and all it needs to know", () => {
  const nat = new HostNat(hostNatSockets(), { nameservers: [], network: "192.168.7.0", mtu: 9000 });
  const station = new Listener(nat.port);
  const exchange = (mac: string, type: number, ...options: number[]): number[] | null => {
    const bootp = new Uint8Array(300);
    bootp.set([1, 1, 6, 0, 0xaa, 0xbb, 0xcc, 0xdd]);
    bootp.set(
      mac.split(":").map((byte) => parseInt(byte, 16)),
      28,
    );
    bootp.set([0x63, 0x82, 0x53, 0x63, 53, 1, type, ...options, 255], 236);
    const udp = [0, 68, 0, 67, (8 + 300) >> 8, (8 + 300) & 255, 0, 0];
    const ip = [0x45, 0, 0x01, 0x48, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255];
    let sum = 0;
    for (let i = 0; i < 20; i += 2) sum += (ip[i] << 8) | ip[i + 1];
    sum = (sum & 0xffff) + (sum >>> 16);
    ip[10] = (~sum >> 8) & 255;
    ip[11] = ~sum & 255;
    station.frames.length = 0;
    station.send(
      ethernet("ff:ff:ff:ff:ff:ff", mac, 0x0800, Uint8Array.from([...ip, ...udp, ...bootp])),
    );
    const [answer] = station.frames;
    return answer ? [...answer.bytes().subarray(14 + 28)] : null;
  };
  const option = (answer: number[] | null, code: number): number[] | undefined => {
    for (let at = 240; answer && at < answer.length && answer[at] !== 255; at += 2 + answer[at + 1])
      if (answer[at] === code) return answer.slice(at + 2, at + 2 + answer[at + 1]);
    return undefined;
  };
  const [first, second] = ["02:00:00:00:00:01", "02:00:00:00:00:02"];
  const offer = exchange(first, 1);
  assert.deepEqual(option(offer, 53), [2]);
  assert.deepEqual(offer?.slice(16, 20), [192, 168, 7, 15]);
  assert.deepEqual(option(offer, 3), [192, 168, 7, 2]);
  assert.deepEqual(option(offer, 6), [192, 168, 7, 3]);
  assert.deepEqual(option(offer, 1), [255, 255, 255, 0]);
  assert.deepEqual(option(offer, 26), [9000 >> 8, 9000 & 255]);
  const accepted = exchange(first, 3, 50, 4, 192, 168, 7, 15, 54, 4, 192, 168, 7, 2);
  assert.deepEqual(option(accepted, 53), [5]);
  assert.deepEqual(exchange(second, 1)?.slice(16, 20), [192, 168, 7, 16]);
  assert.deepEqual(option(exchange(second, 3, 50, 4, 192, 168, 7, 15), 53), [6], "not that one");
  assert.equal(exchange(second, 3, 54, 4, 1, 2, 3, 4), null, "meant for another server");
  assert.deepEqual(exchange(first, 1)?.slice(16, 20), [192, 168, 7, 15], "the same again");
  for (let i = 0; i < 300; i++) {
    const mac = `02:00:00:00:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`;
    assert.ok(exchange(mac, 1), "more stations than addresses");
  }
});

/** Sockets for a NAT that needs none. */
function hostNatSockets() {
  const none = () => {
    throw new Error("no sockets are needed here");
  };
  return { connect: none, datagrams: none, listen: none, listenDatagrams: none };
}

test("what tshark sees at the NAT's port is in order", async () => {
  const folder = mkdtempSync(join(tmpdir(), "liblinux-nat-"));
  after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "nat.pcapng");
  await using echo = await serve((socket) => socket.pipe(socket));
  {
    await using net = await behind();
    await using capture = new Capture(new CaptureFile(file), { cut: true });
    capture.add(net.nat.port);
    const fd = await net.host.connect(GATEWAY, echo.port);
    const data = pattern(MIB);
    await Promise.all([net.host.send(fd, data), net.host.receive(fd, data.length)]);
    await net.host.init.close(fd);
    await ping(net.host, GATEWAY);
    await until(() => net.nat.connections === 0);
  }
  const tshark = (filter: string) =>
    execFileSync(
      "tshark",
      [
        "-r",
        file,
        ...["tcp", "udp", "ip"].flatMap((one) => ["-o", `${one}.check_checksum:TRUE`]),
        "-Y",
        filter,
      ],
      { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
    );
  assert.equal(tshark("_ws.malformed"), "");
  const bad = "tcp.checksum.status == 0 || ip.checksum.status == 0 || icmp.checksum.status == 0";
  assert.equal(tshark(bad), "");
  assert.equal(
    tshark("tcp.analysis.out_of_order || tcp.analysis.window_full && frame.len < 60"),
    "",
  );
  assert.notEqual(tshark("tcp.flags.fin == 1"), "");
});

test("a NAT that is closed takes its sockets along, and the interface down", async () => {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  await using server = await serve(resolve);
  await using net = await behind();
  await net.host.connect(GATEWAY, server.port);
  const socket = await promise;
  const end = closed(socket.on("error", () => {}));
  const { port } = await net.nat.forwardPort({ hostPort: 0, guestPort: 1 });
  await net.nat.close();
  socket.resume();
  await end;
  assert.equal(net.host.device.up, false);
  assert.equal(net.nat.connections, 0);
  const late = createConnection(port, LOOPBACK);
  await once(late, "error");
});

test("connections of a guest that is gone end; those of one that is only silent do not", async () => {
  const sockets: Socket[] = [];
  await using server = await serve((socket) => sockets.push(socket.resume()));
  // Linux answers such questions every half second at most (tcp_invalid_ratelimit).
  await using net = await behind({ keepAliveMs: 200 });
  const fd = await net.host.connect(GATEWAY, server.port);
  await new Promise((go) => setTimeout(go, 1800));
  assert.equal(net.nat.connections, 1);
  await net.host.send(fd, pattern(10));
  const end = closed(sockets[0]);
  await net.host.kernel.unplug(net.host.device);
  await end;
  assert.equal(net.nat.connections, 0);
});

test("options that cannot be are refused", () => {
  const wrong = [
    { network: "10.0.2.1" },
    { network: "x" },
    { mtu: 100 },
    { mtu: 70_000 },
    { keepAliveMs: 0 },
  ];
  for (const options of wrong)
    assert.throws(() => hostNat(options), { code: "ERR_INVALID_OPTION" });
});
