// How fast is the network between kernels, and what do its links cost?

import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

import { MSG_DONTWAIT } from "../src/abi/constants/socket.ts";
import { Cable, Capture, EmulatedLink, Switch } from "../src/link/index.ts";
import type { Port } from "../src/link/index.ts";
import { hostNat } from "../src/platform/node/index.ts";
import { Host, connected } from "../test/link-support.ts";
import { measureNativeLoopback } from "./compile.ts";
import { median } from "./measure.ts";
import type { Benchmark } from "./measure.ts";

const MIB = 1048576;
const CALL_BYTES = MIB;
const BULK_BYTES = 512 * MIB;
const NAT_BYTES = 256 * MIB;
const NAT_TRIPS = 1000;
const ROUNDS = 5;
const TRIPS = 5000;
const DATAGRAMS = 20_000;

/** One copy in memory, which two kernels with memories of their own cannot do without. MB/s. */
function copyInMemory(): number {
  const [from, to] = [new Uint8Array(CALL_BYTES).fill(1), new Uint8Array(64 * MIB).fill(1)];
  const start = performance.now();
  for (let done = 0; done < BULK_BYTES; done += CALL_BYTES) to.set(from, done % to.length);
  return BULK_BYTES / 1e3 / (performance.now() - start);
}

/** A TCP connection from `a` to `b`, one way: MB in a second, and in a second of the processor's time. */
async function bulk(
  a: Host,
  b: Host,
  bytes = BULK_BYTES,
): Promise<{ rate: number; processorRate: number }> {
  const [mine, theirs] = await connected(a, b);
  const [out, into] = [await a.init.buffer(CALL_BYTES), await b.init.buffer(CALL_BYTES)];
  const pass = async (bytes: number) => {
    const start = performance.now();
    const before = process.cpuUsage();
    const send = async () => {
      for (let done = 0; done < bytes;)
        done += await a.init.sendto(mine, out, Math.min(CALL_BYTES, bytes - done), 0, null, 0);
    };
    const sent = send();
    for (let done = 0; done < bytes;)
      done += await b.init.recvfrom(theirs, into, CALL_BYTES, 0, null, null);
    await sent;
    const { user, system } = process.cpuUsage(before);
    return {
      rate: bytes / 1e3 / (performance.now() - start),
      processorRate: bytes / (user + system),
    };
  };
  await pass(bytes / 4);
  const result = await pass(bytes);
  await Promise.all([out.dispose(), into.dispose()]);
  await Promise.all([a.init.close(mine), b.init.close(theirs)]);
  return result;
}

/** One byte there and one back: µs. */
async function trip(a: Host, b: Host): Promise<number> {
  const [mine, theirs] = await connected(a, b);
  const [one, other] = [await a.init.buffer(1), await b.init.buffer(1)];
  const pass = async (count: number) => {
    const echo = async () => {
      for (let i = 0; i < count; i++) {
        await b.init.recvfrom(theirs, other, 1, 0, null, null);
        await b.init.sendto(theirs, other, 1, 0, null, 0);
      }
    };
    const echoed = echo();
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      await a.init.sendto(mine, one, 1, 0, null, 0);
      await a.init.recvfrom(mine, one, 1, 0, null, null);
    }
    await echoed;
    return ((performance.now() - start) * 1000) / count;
  };
  await pass(TRIPS / 4);
  const result = await pass(TRIPS);
  await Promise.all([a.init.close(mine), b.init.close(theirs)]);
  return result;
}

/** Datagrams of a few bytes, in thousands a second. */
async function datagrams(a: Host, b: Host): Promise<number> {
  const [from, to] = [await a.udp(), await b.udp(9000)];
  const [out, into] = [await a.init.buffer(64), await b.init.buffer(64)];
  const target = new Uint8Array([2, 0, 0x23, 0x28, ...b.address.split(".").map(Number)]);
  const address = new Uint8Array(16);
  address.set(target);
  const start = performance.now();
  let got = 0;
  for (let i = 0; i < DATAGRAMS; i++) {
    await a.init.sendto(from, out, 64, 0, address, address.length);
    if (i % 32) continue;
    // Taken now and then, as its socket's buffer is bounded.
    for (;;) {
      const count = await b.init.recvfrom(to, into, 64, MSG_DONTWAIT, null, null).catch(() => -1);
      if (count < 0) break;
      got++;
    }
  }
  if (got < DATAGRAMS * 0.9) throw new Error(`${got} datagrams of ${DATAGRAMS} arrived`);
  const rate = DATAGRAMS / (performance.now() - start);
  await Promise.all([a.init.close(from), b.init.close(to)]);
  return rate;
}

/** Two kernels at two ports, for as long as `work` takes. */
async function between<T>(
  ports: readonly [Port, Port],
  work: (a: Host, b: Host) => Promise<T>,
  offload = true,
): Promise<T> {
  const [a, b] = await Promise.all(
    ports.map((port, i) => Host.boot(`10.0.0.${i + 1}`, { port, offload }, { memoryMiB: 128 })),
  );
  try {
    return await work(a, b);
  } finally {
    await Promise.all([a.kernel.halt(), b.kernel.halt()]);
  }
}

const ends = (cable: Cable | EmulatedLink = new Cable()): [Port, Port] => [cable.a, cable.b];

async function overSwitch(): Promise<number> {
  const center = new Switch();
  return (await between([center.port(), center.port()], bulk)).rate;
}

async function captured(): Promise<number> {
  const cable = new Cable();
  const capture = new Capture({ write: () => {}, close: () => {} });
  capture.add(cable.a);
  const { rate } = await between(ends(cable), (a, b) => bulk(a, b));
  await capture.close();
  return rate;
}

/**
 * A server of the host's that does what the first byte says: sends NAT_BYTES, takes as many and answers
 * with one, or gives back each byte.
 */
const SEND = 1;
const TAKE = 2;
const ECHO = 3;
async function hostServer(): Promise<{ port: number } & AsyncDisposable> {
  const chunk = new Uint8Array(CALL_BYTES);
  const serve: Record<number, (socket: Socket) => void> = {
    [SEND]: (socket) => {
      let left = NAT_BYTES;
      const push = () => {
        while (left > 0 && !socket.destroyed) {
          left -= chunk.length;
          if (!socket.write(chunk)) {
            socket.once("drain", push);
            return;
          }
        }
        socket.end();
      };
      push();
    },
    [TAKE]: (socket) => {
      let left = NAT_BYTES;
      socket.on("data", (data) => {
        left -= data.length;
        if (left <= 0) socket.end("x");
      });
    },
    [ECHO]: (socket) => void socket.pipe(socket),
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.once("data", (first: Buffer) => {
      if (first.length > 1) socket.unshift(first.subarray(1));
      serve[first[0]](socket);
    });
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

/** What is measured on the way to a server of the host's: MB/s from it and to it, and µs there and back. */
interface Way {
  down: number;
  up: number;
  trip: number;
}

const rateSince = (start: number) => NAT_BYTES / 1e3 / (performance.now() - start);

/** From a kernel through host NAT. */
async function throughNat(port: number): Promise<Way> {
  const nat = hostNat();
  const host = await Host.boot("10.0.2.15", { port: nat.port }, { memoryMiB: 128 });
  const bytes = await host.init.buffer(CALL_BYTES);
  const begin = async (what: number) => {
    const fd = await host.connect(nat.gateway, port);
    await host.send(fd, Uint8Array.of(what));
    return fd;
  };
  const receive = (fd: number, most: number) => host.init.recvfrom(fd, bytes, most, 0, null, null);
  const send = (fd: number, most: number) => host.init.sendto(fd, bytes, most, 0, null, 0);

  let start = performance.now();
  const from = await begin(SEND);
  for (let done = 0; done < NAT_BYTES;) done += await receive(from, CALL_BYTES);
  const down = rateSince(start);
  start = performance.now();
  const to = await begin(TAKE);
  for (let done = 0; done < NAT_BYTES;) done += await send(to, CALL_BYTES);
  await receive(to, 1);
  const up = rateSince(start);
  const echo = await begin(ECHO);
  start = performance.now();
  for (let i = 0; i < NAT_TRIPS; i++) {
    await send(echo, 1);
    await receive(echo, 1);
  }
  const trip = ((performance.now() - start) * 1000) / NAT_TRIPS;
  for (const fd of [from, to, echo]) await host.init.close(fd);
  await host.kernel.halt();
  await nat.close();
  return { down, up, trip };
}

/** By node:net itself, in the same process. */
async function byNode(port: number): Promise<Way> {
  const begin = async (what: number) => {
    const socket = createConnection({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    socket.write(Uint8Array.of(what));
    return socket;
  };
  let start = performance.now();
  const from = await begin(SEND);
  await once(from.resume(), "end");
  const down = rateSince(start);
  start = performance.now();
  const to = await begin(TAKE);
  const chunk = new Uint8Array(CALL_BYTES);
  for (let left = NAT_BYTES; left > 0; left -= chunk.length)
    if (!to.write(chunk)) await once(to, "drain");
  await once(to, "data");
  const up = rateSince(start);
  const echo = await begin(ECHO);
  start = performance.now();
  for (let i = 0; i < NAT_TRIPS; i++) {
    const back = once(echo, "data");
    echo.write("x");
    await back;
  }
  const trip = ((performance.now() - start) * 1000) / NAT_TRIPS;
  for (const socket of [from, to, echo]) socket.destroy();
  return { down, up, trip };
}

export const net: Benchmark = {
  question: "How fast is the network between two kernels in one process?",
  async run() {
    const rounds: Record<string, number[]> = {};
    const note = (name: string, value: number) => (rounds[name] ??= []).push(value);
    for (let round = 0; round < ROUNDS; round++) {
      note("copy", copyInMemory());
      const { bulk: nativeBulk, trip: nativeTrip } = measureNativeLoopback();
      note("nativeBulk", nativeBulk);
      note("nativeTrip", nativeTrip);
      await between(ends(), async (a, b) => {
        const { rate, processorRate } = await bulk(a, b);
        note("cable", rate);
        note("processor", processorRate);
        note("trip", await trip(a, b));
        note("datagrams", await datagrams(a, b));
      });
      note("switch", await overSwitch());
      await using server = await hostServer();
      for (const [name, way] of [
        ["nat", await throughNat(server.port)],
        ["node", await byNode(server.port)],
      ] as const)
        for (const [what, value] of Object.entries(way)) note(`${name} ${what}`, value);
      note("captured", await captured());
      const short = (a: Host, b: Host) => bulk(a, b, BULK_BYTES / 8);
      note("emulated", (await between(ends(new EmulatedLink()), short)).rate);
      note("plain", (await between(ends(), short, false)).rate);
    }
    const of = (name: string) => median(rounds[name]);
    return [
      { item: "one copy in memory, no kernel", value: of("copy"), unit: "MB/s" },
      {
        item: "TCP over a cable (beside: the host's loopback)",
        value: of("cable"),
        unit: "MB/s",
        native: of("nativeBulk"),
        goal: 2000,
      },
      {
        item: "the same in a second of the processor's time, if others run besides",
        value: of("processor"),
        unit: "MB/s",
      },
      { item: "TCP over a switch", value: of("switch"), unit: "MB/s", native: of("nativeBulk") },
      { item: "TCP over a cable that is captured", value: of("captured"), unit: "MB/s" },
      { item: "TCP over an emulated link, in frames", value: of("emulated"), unit: "MB/s" },
      { item: "TCP over a cable, without offloads", value: of("plain"), unit: "MB/s" },
      {
        item: "TCP from the host, through host NAT (beside: node:net itself)",
        value: of("nat down"),
        unit: "MB/s",
        native: of("node down"),
      },
      {
        item: "TCP to the host, through host NAT (beside: node:net itself)",
        value: of("nat up"),
        unit: "MB/s",
        native: of("node up"),
      },
      {
        item: "a byte to the host and back, through host NAT (beside: node:net itself)",
        value: of("nat trip"),
        unit: "µs",
        native: of("node trip"),
      },
      {
        item: "a byte there and back (beside: the host's loopback)",
        value: of("trip"),
        unit: "µs",
        native: of("nativeTrip"),
      },
      { item: "datagrams of 64 bytes", value: of("datagrams"), unit: "k/s" },
    ];
  },
};
