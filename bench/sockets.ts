// What do connections cost: by calls, by the façade, and beside the host's own loopback?

import nodeDgram from "node:dgram";
import type { Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import http from "node:http";
import nodeNet from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import process from "node:process";

import { Kernel } from "../src/index.ts";
import type { Process } from "../src/index.ts";
import { ipEndpoint } from "../src/net/facade/index.ts";
import type { Connection, Sockets } from "../src/net/facade/index.ts";
import { net as network } from "../src/net/index.ts";
import { createSockets } from "../src/platform/node/index.ts";
import { connection as bareConnection, loopback } from "./loopback.ts";
import { median } from "./measure.ts";
import type { Benchmark, Row } from "./measure.ts";

const HOST = "127.0.0.1";
const MESSAGE_BYTES = 100;
const CHUNK_BYTES = 65536;
const MIB = 1048576;
const DATAGRAM_BYTES = 64;
const DATAGRAMS_AT_ONCE = 32;
/** As the design allows the façade. */
const FACADE_RATIO = 1.5;
/** The goal, connections each second. */
const CONNECTION_RATE = 30_000;
const ROUNDS = 7;
const CONNECTIONS = 5000;

/** Operations each second, from nanoseconds for one. */
const rate = (ns: number): number => 1e9 / ns;
const bytesPerSecond = (ns: number): number => rate(ns) * CHUNK_BYTES;

/** What is measured, and how it ends. */
interface Subject {
  run(count: number): Promise<void>;
  end(): Promise<void> | void;
}

/** Nanoseconds of one operation of each, in turns, so that what disturbs one disturbs the others. */
async function inTurns(subjects: readonly Subject[], count: number): Promise<number[]> {
  const times: number[][] = subjects.map(() => []);
  for (let round = 0; round <= ROUNDS; round++)
    for (const [index, subject] of subjects.entries()) {
      const start = performance.now();
      await subject.run(count);
      // The first round is to warm up.
      if (round) times[index].push(((performance.now() - start) * 1e6) / count);
    }
  for (const subject of subjects) await subject.end();
  return times.map(median);
}

/** One end of a connection. */
interface End {
  send(bytes: Uint8Array): Promise<unknown>;
  /** @returns how many bytes, in memory of the application's */
  receive(room: Uint8Array): Promise<number>;
  close(): Promise<unknown>;
}

/** By calls that wait, with the application's own bytes. */
async function bareEnds(owner: Process): Promise<[End, End]> {
  const endOf = (fd: number): End => ({
    send: (bytes) => owner.sendto(fd, bytes, bytes.length, 0, null, 0),
    receive: (room) => owner.recvfrom(fd, room, room.length, 0, null, null),
    close: () => owner.close(fd),
  });
  const [near, far] = await bareConnection(owner);
  return [endOf(near), endOf(far)];
}

/** By connections, into the application's own bytes as well. */
async function facadeEnds(sockets: Sockets): Promise<[End, End]> {
  const endOf = (connection: Connection): End => ({
    send: (bytes) => connection.write(bytes),
    receive: (room) => connection.readInto(room),
    close: () => connection.close(),
  });
  const [near, far] = await connectedPair(sockets);
  return [endOf(near), endOf(far)];
}

async function connectedPair(sockets: Sockets): Promise<[Connection, Connection]> {
  const listener = await sockets.listen({ local: ipEndpoint(HOST, 0) });
  const pair = await Promise.all([sockets.connect({ remote: listener.local! }), listener.accept()]);
  await listener.close();
  for (const connection of pair) await connection.setOption("TCP_NODELAY", true);
  return pair;
}

function roundTrips([near, far]: readonly [End, End]): Subject {
  const [mine, theirs] = [new Uint8Array(MESSAGE_BYTES), new Uint8Array(MESSAGE_BYTES)];
  const run = async (count: number) => {
    const echo = async () => {
      for (let i = 0; i < count; i++) {
        await far.receive(theirs);
        await far.send(theirs);
      }
    };
    const echoing = echo();
    for (let i = 0; i < count; i++) {
      await near.send(mine);
      await near.receive(mine);
    }
    await echoing;
  };
  return { run, end: () => closeAll(near, far) };
}

function chunks([near, far]: readonly [End, End]): Subject {
  const [chunk, room] = [new Uint8Array(CHUNK_BYTES), new Uint8Array(CHUNK_BYTES)];
  const run = async (count: number) => {
    const drain = async () => {
      for (let left = count * CHUNK_BYTES; left > 0;) left -= await far.receive(room);
    };
    const draining = drain();
    for (let i = 0; i < count; i++) await near.send(chunk);
    await draining;
  };
  return { run, end: () => closeAll(near, far) };
}

/** What is in the kernel's memory already, and stays there. */
async function inPlace(owner: Process, sockets: Sockets): Promise<Subject> {
  const [near, far] = await connectedPair(sockets);
  const [out, into] = [await owner.buffer(MIB), await owner.buffer(MIB)];
  const run = async (count: number) => {
    const drain = async () => {
      for (let left = count * MIB; left > 0;) left -= await far.readInto(into);
    };
    const draining = drain();
    for (let i = 0; i < count; i++) await near.write(out);
    await draining;
  };
  const end = async () => {
    for (const connection of [near, far]) await connection.close();
    for (const buffer of [out, into]) await buffer.dispose();
  };
  return { run, end };
}

async function closeAll(...ends: readonly End[]): Promise<void> {
  for (const end of ends) await end.close();
}

type Net = typeof nodeNet;

async function listening(net: Net, listener: (socket: Socket) => void): Promise<[Server, number]> {
  const server = net.createServer({ noDelay: true }, listener);
  server.listen(0, HOST);
  await once(server, "listening");
  return [server, (server.address() as AddressInfo).port];
}

async function connected(net: Net, port: number): Promise<Socket> {
  const socket = net.connect({ port, host: HOST, noDelay: true });
  await once(socket, "connect");
  return socket;
}

function endBoth(socket: Socket, server: Server): void {
  socket.destroy();
  server.close();
}

/** A request of 100 bytes and its answer, through streams. */
async function streamRoundTrip(net: Net): Promise<Subject> {
  const [server, port] = await listening(net, (socket) => {
    socket.on("data", (data) => socket.write(data));
  });
  const socket = await connected(net, port);
  const message = Buffer.alloc(MESSAGE_BYTES);
  const run = (count: number) =>
    new Promise<void>((resolve) => {
      let left = count;
      socket.removeAllListeners("data");
      socket.on("data", () => {
        if (--left) socket.write(message);
        else resolve();
      });
      socket.write(message);
    });
  return { run, end: () => endBoth(socket, server) };
}

async function streamChunks(net: Net): Promise<Subject> {
  let received: (bytes: number) => void = () => {};
  const [server, port] = await listening(net, (socket) => {
    socket.on("data", (data: Buffer) => received(data.length));
  });
  const socket = await connected(net, port);
  const chunk = Buffer.alloc(CHUNK_BYTES);
  const run = async (count: number) => {
    let left = count * CHUNK_BYTES;
    const done = new Promise<void>((resolve) => {
      received = (bytes) => {
        left -= bytes;
        if (left <= 0) resolve();
      };
    });
    for (let i = 0; i < count; i++) if (!socket.write(chunk)) await once(socket, "drain");
    await done;
  };
  return { run, end: () => endBoth(socket, server) };
}

const AT_ONCE = 16;

/** So many at once, one after the other in each of the lines. */
async function inLines(count: number, operation: () => Promise<unknown>): Promise<void> {
  let left = count;
  const line = async () => {
    while (left-- > 0) await operation();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, line));
}

async function streamConnections(net: Net): Promise<Subject> {
  const [server, port] = await listening(net, (socket) => {
    socket.on("error", () => {}).resume();
  });
  const connection = () =>
    new Promise<void>((resolve) => {
      const socket = net.connect(port, HOST, () => socket.resetAndDestroy());
      socket.once("close", () => resolve());
    });
  return { run: (count) => inLines(count, connection), end: () => void server.close() };
}

/** Requests of node:http on connections that stay. */
async function requests(net: Net): Promise<Subject> {
  const web = http.createServer((_request, response) => {
    response.setHeader("content-type", "text/plain");
    response.end("hello");
  });
  const own = net !== nodeNet;
  const server = own
    ? net.createServer({ noDelay: true }, (socket) => web.emit("connection", socket))
    : web;
  server.listen(0, HOST);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
  if (own)
    agent.createConnection = (options) =>
      net.connect({ ...(options as nodeNet.TcpNetConnectOpts), noDelay: true });
  const request = () =>
    new Promise<void>((resolve, reject) => {
      const sent = http.get({ agent, host: HOST, port }, (response) => {
        response.resume().once("end", resolve);
      });
      sent.once("error", reject);
    });
  const end = () => {
    agent.destroy();
    server.close();
  };
  return { run: (count) => inLines(count, request), end };
}

type Dgram = typeof nodeDgram;

async function bound(dgram: Dgram): Promise<DatagramSocket> {
  const socket = dgram.createSocket("udp4");
  socket.bind(0, HOST);
  await once(socket, "listening");
  return socket;
}

/** Datagrams of a few bytes, as many at once as the receiver has room for. */
async function datagrams(dgram: Dgram): Promise<Subject> {
  const [near, far] = [await bound(dgram), await bound(dgram)];
  const { port } = far.address();
  const message = Buffer.alloc(DATAGRAM_BYTES);
  const some = (count: number) =>
    new Promise<void>((resolve) => {
      let left = count;
      far.removeAllListeners("message").on("message", () => {
        if (--left === 0) resolve();
      });
      for (let i = 0; i < count; i++) near.send(message, port, HOST);
    });
  const run = async (count: number) => {
    for (let left = count; left > 0; left -= DATAGRAMS_AT_ONCE)
      await some(Math.min(left, DATAGRAMS_AT_ONCE));
  };
  const end = () => {
    near.close();
    far.close();
  };
  return { run, end };
}

/** On the kernel's sockets, and on the host's. */
async function besideNode<M>(
  own: M,
  host: M,
  make: (given: M) => Promise<Subject>,
  count: number,
): Promise<[number, number]> {
  const [ns, hostNs] = await inTurns([await make(own), await make(host)], count);
  return [ns, hostNs];
}

/** Connections in a second, and in one of the processor's time. */
async function connectionRates(sockets: Sockets): Promise<[number, number]> {
  const listener = await sockets.listen({ local: ipEndpoint(HOST, 0) });
  const some = (count: number) =>
    inLines(count, async () => {
      const [near, far] = await Promise.all([
        sockets.connect({ remote: listener.local! }),
        listener.accept(),
      ]);
      await near.reset();
      await far.close();
    });
  await some(CONNECTIONS);
  const rates: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    const [start, before] = [performance.now(), process.cpuUsage()];
    await some(CONNECTIONS);
    const { user, system } = process.cpuUsage(before);
    rates[0].push((CONNECTIONS * 1000) / (performance.now() - start));
    rates[1].push((CONNECTIONS * 1e6) / (user + system));
  }
  await listener.close();
  return [median(rates[0]), median(rates[1])];
}

async function besideCalls(owner: Process, sockets: Sockets): Promise<Row[]> {
  const [bareTrip, trip] = await inTurns(
    [roundTrips(await bareEnds(owner)), roundTrips(await facadeEnds(sockets))],
    5000,
  );
  const [bareChunk, chunk] = await inTurns(
    [chunks(await bareEnds(owner)), chunks(await facadeEnds(sockets))],
    2000,
  );
  const [place] = await inTurns([await inPlace(owner, sockets)], 256);
  const [connections, connectionsOfProcessor] = await connectionRates(sockets);
  return [
    { item: "round trip of 100 B by calls", value: bareTrip, unit: "ns" },
    {
      item: "round trip of 100 B by connections (beside: by calls)",
      value: trip,
      unit: "ns",
      native: bareTrip,
      goal: bareTrip * FACADE_RATIO,
    },
    { item: "stream of 64 KiB by calls", value: bytesPerSecond(bareChunk), unit: "B/s" },
    {
      item: "stream of 64 KiB by connections (beside: by calls)",
      value: bytesPerSecond(chunk),
      unit: "B/s",
      native: bytesPerSecond(bareChunk),
      goal: bytesPerSecond(bareChunk) / FACADE_RATIO,
    },
    {
      item: "stream of 1 MiB by connections, in the kernel's memory",
      value: rate(place) * MIB,
      unit: "B/s",
    },
    {
      item: "connections made and closed",
      value: connections,
      unit: "/s",
      goal: CONNECTION_RATE,
    },
    {
      item: "the same in a second of the processor's time, if others run besides",
      value: connectionsOfProcessor,
      unit: "/s",
    },
  ];
}

async function besideHost(own: Net, dgram: Dgram): Promise<Row[]> {
  const [trip, hostTrip] = await besideNode(own, nodeNet, streamRoundTrip, 5000);
  const [chunk, hostChunk] = await besideNode(own, nodeNet, streamChunks, 2000);
  const [connection, hostConnection] = await besideNode(own, nodeNet, streamConnections, 2000);
  const [request, hostRequest] = await besideNode(own, nodeNet, requests, 5000);
  const [datagram, hostDatagram] = await besideNode(dgram, nodeDgram, datagrams, 10_000);
  return [
    {
      item: "round trip of 100 B by net.Socket (beside: node:net on the host's loopback)",
      value: trip,
      unit: "ns",
      native: hostTrip,
    },
    {
      item: "stream of 64 KiB by net.Socket (beside: node:net)",
      value: bytesPerSecond(chunk),
      unit: "B/s",
      native: bytesPerSecond(hostChunk),
    },
    {
      item: "connections made and closed by net.Socket (beside: node:net)",
      value: rate(connection),
      unit: "/s",
      native: rate(hostConnection),
    },
    {
      item: "requests of node:http, 16 at once (beside: on node:net)",
      value: rate(request),
      unit: "/s",
      native: rate(hostRequest),
      goal: rate(hostRequest),
    },
    {
      item: "datagrams of 64 B by dgram.Socket (beside: node:dgram)",
      value: rate(datagram),
      unit: "/s",
      native: rate(hostDatagram),
    },
  ];
}

export const sockets: Benchmark = {
  question: "What do connections cost, by calls, by connections and by node:net's shape?",
  async run() {
    await using kernel = await Kernel.boot({ image: "full", memoryMiB: 256 });
    await using configuration = network(kernel);
    await configuration.up("lo");
    const owner = await kernel.process();
    const inside = await loopback(owner, configuration);
    await using own = createSockets(owner);
    const beside = await besideCalls(owner, own.sockets);
    const host = await besideHost(own.net as unknown as Net, own.dgram as unknown as Dgram);
    return [...inside, ...beside, ...host];
  },
};
