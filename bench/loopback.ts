// TCP and UDP inside one kernel, by calls, beside the loopback of the machine's own kernel.

import process from "node:process";

import {
  AF_INET,
  AF_INET6,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  SOL_TCP,
  SO_REUSEADDR,
} from "../src/abi/constants/socket.ts";
import { TCP_NODELAY } from "../src/abi/constants/tcp.ts";
import type { Process } from "../src/index.ts";
import { encodeEndpoint } from "../src/net/facade/endpoint.ts";
import { ipEndpoint } from "../src/net/facade/index.ts";
import type { net as network } from "../src/net/index.ts";
import { measureNativeLoopback } from "./compile.ts";
import { median } from "./measure.ts";
import type { Row } from "./measure.ts";

const MIB = 1048576;
const CALL_BYTES = MIB;
const BULK_BYTES = 512 * MIB;
/** What is under way of a bulk transfer, about: where its copies lie meanwhile. */
const WINDOW_BYTES = 4 * MIB;
const TRIPS = 10_000;
const DATAGRAM_BYTES = 64;
/** As many as the kernel's memory for one socket holds. */
const AT_ONCE = 64;
const DATAGRAMS = 20_000;
const ROUNDS = 5;
/** Goals: times the native loopback, and of what two copies allow. */
const NATIVE_RATIO = 3;
const COPIES_SHARE = 0.7;
/** Of a packet of IPv6 with a jumbo header, as far as the kernel goes. */
const BIG_TCP_BYTES = 8 * 65535;

const addressOf = (host: string) => encodeEndpoint(ipEndpoint(host, 9000));

/** Both ends of a connection. */
export async function connection(owner: Process, host = "127.0.0.1"): Promise<[number, number]> {
  const address = addressOf(host);
  const family = host.includes(":") ? AF_INET6 : AF_INET;
  const listener = await owner.socket(family, SOCK_STREAM, 0);
  const yes = Uint8Array.of(1, 0, 0, 0);
  // The last connection's end may still have the port, waiting for late segments.
  await owner.setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, yes, 4);
  await owner.bind(listener, address, address.length);
  await owner.listen(listener, 1);
  const near = await owner.socket(family, SOCK_STREAM, 0);
  await owner.connect(near, address, address.length);
  const far = await owner.accept4(listener, null, null, 0);
  await owner.close(listener);
  for (const fd of [near, far]) await owner.setsockopt(fd, SOL_TCP, TCP_NODELAY, yes, 4);
  return [near, far];
}

interface Rates {
  /** Bytes in a second. */
  readonly rate: number;
  /** And in one of the processor's time. */
  readonly processorRate: number;
}

/** From one end to the other, in calls of 1 MiB on kernel memory. */
async function bulk(owner: Process, host?: string): Promise<Rates> {
  const [near, far] = await connection(owner, host);
  await using out = await owner.buffer(CALL_BYTES);
  await using into = await owner.buffer(CALL_BYTES);
  const pass = async (bytes: number) => {
    const [start, before] = [performance.now(), process.cpuUsage()];
    const send = async () => {
      for (let done = 0; done < bytes;)
        done += await owner.sendto(near, out, Math.min(CALL_BYTES, bytes - done), 0, null, 0);
    };
    const sent = send();
    for (let done = 0; done < bytes;)
      done += await owner.recvfrom(far, into, CALL_BYTES, 0, null, null);
    await sent;
    const { user, system } = process.cpuUsage(before);
    return {
      rate: (bytes * 1000) / (performance.now() - start),
      processorRate: (bytes * 1e6) / (user + system),
    };
  };
  await pass(BULK_BYTES / 8);
  const rates = await pass(BULK_BYTES);
  for (const fd of [near, far]) await owner.close(fd);
  return rates;
}

/** Bytes a second that are copied twice, in the same pieces and over as much memory. */
async function twoCopies(owner: Process): Promise<Rates> {
  await using out = await owner.buffer(CALL_BYTES);
  await using window = await owner.buffer(WINDOW_BYTES);
  await using into = await owner.buffer(CALL_BYTES);
  const [from, between, to] = [out.bytes, window.bytes, into.bytes];
  const [start, before] = [performance.now(), process.cpuUsage()];
  for (let done = 0; done < BULK_BYTES; done += CALL_BYTES) {
    const at = done % WINDOW_BYTES;
    between.set(from, at);
    to.set(between.subarray(at, at + CALL_BYTES));
  }
  const { user, system } = process.cpuUsage(before);
  return {
    rate: (BULK_BYTES * 1000) / (performance.now() - start),
    processorRate: (BULK_BYTES * 1e6) / (user + system),
  };
}

/** Nanoseconds of a byte there and one back. */
async function trip(owner: Process): Promise<number> {
  const [near, far] = await connection(owner);
  await using mine = await owner.buffer(1);
  await using theirs = await owner.buffer(1);
  const pass = async (count: number) => {
    const echo = async () => {
      for (let i = 0; i < count; i++) {
        await owner.recvfrom(far, theirs, 1, 0, null, null);
        await owner.sendto(far, theirs, 1, 0, null, 0);
      }
    };
    const echoing = echo();
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      await owner.sendto(near, mine, 1, 0, null, 0);
      await owner.recvfrom(near, mine, 1, 0, null, null);
    }
    await echoing;
    return ((performance.now() - start) * 1e6) / count;
  };
  await pass(TRIPS / 4);
  const ns = await pass(TRIPS);
  for (const fd of [near, far]) await owner.close(fd);
  return ns;
}

/** Datagrams a second, each sent and received by a call of its own. */
async function datagrams(owner: Process): Promise<number> {
  const address = addressOf("127.0.0.1");
  const [from, to] = [
    await owner.socket(AF_INET, SOCK_DGRAM, 0),
    await owner.socket(AF_INET, SOCK_DGRAM, 0),
  ];
  await owner.bind(to, address, address.length);
  await owner.connect(from, address, address.length);
  await using out = await owner.buffer(DATAGRAM_BYTES);
  await using into = await owner.buffer(DATAGRAM_BYTES);
  const pass = async (count: number) => {
    const start = performance.now();
    for (let done = 0; done < count; done += AT_ONCE) {
      for (let i = 0; i < AT_ONCE; i++) await owner.sendto(from, out, out.length, 0, null, 0);
      for (let i = 0; i < AT_ONCE; i++) await owner.recvfrom(to, into, into.length, 0, null, null);
    }
    return (count * 1000) / (performance.now() - start);
  };
  await pass(DATAGRAMS / 4);
  const rate = await pass(DATAGRAMS);
  for (const fd of [from, to]) await owner.close(fd);
  return rate;
}

/** All of it in turns, so that what disturbs one disturbs the others. */
export async function loopback(
  owner: Process,
  configuration: ReturnType<typeof network>,
): Promise<Row[]> {
  const rounds: Record<string, number[]> = {};
  const note = (name: string, value: number) => (rounds[name] ??= []).push(value);
  const noteBoth = (name: string, { rate, processorRate }: Rates) => {
    note(name, rate);
    note(`${name} of the processor`, processorRate);
  };
  for (let round = 0; round < ROUNDS; round++) {
    const own = measureNativeLoopback();
    note("nativeBulk", own.bulk * 1e6);
    note("nativeTrip", own.trip * 1e3);
    noteBoth("copies", await twoCopies(owner));
    noteBoth("bulk", await bulk(owner));
    await configuration.link.set("lo", { gsoMaxBytes: BIG_TCP_BYTES });
    noteBoth("big", await bulk(owner, "::1"));
    await configuration.link.set("lo", { gsoMaxBytes: 65536 });
    note("trip", await trip(owner));
    note("datagrams", await datagrams(owner));
  }
  const of = (name: string) => median(rounds[name]);
  return [
    {
      item: "TCP by calls of 1 MiB (beside: the host's loopback, by two processes)",
      value: of("bulk"),
      unit: "B/s",
      native: of("nativeBulk"),
      goal: of("nativeBulk") * NATIVE_RATIO,
    },
    {
      item: "the same in a second of the processor's time (beside: two copies, and nothing else)",
      value: of("bulk of the processor"),
      unit: "B/s",
      native: of("copies of the processor"),
      goal: of("copies of the processor") * COPIES_SHARE,
    },
    {
      item: "the same over IPv6 with packets of 512 KiB (beside: two copies)",
      value: of("big of the processor"),
      unit: "B/s",
      native: of("copies of the processor"),
      goal: of("copies of the processor") * COPIES_SHARE,
    },
    {
      item: "a byte there and back by calls (beside: the host's loopback)",
      value: of("trip"),
      unit: "ns",
      native: of("nativeTrip"),
    },
    { item: "datagrams of 64 B, two calls each", value: of("datagrams"), unit: "/s" },
  ];
}
