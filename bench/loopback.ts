// TCP and UDP inside one kernel, by calls, beside the loopback of the machine's own kernel.

import { execFileSync } from "node:child_process";

import {
  AF_INET,
  AF_INET6,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_TCP,
} from "../src/abi/constants/socket.ts";
import { TCP_NODELAY } from "../src/abi/constants/tcp.ts";
import type { Process } from "../src/index.ts";
import { encodeEndpoint } from "../src/net/facade/endpoint.ts";
import { ipEndpoint } from "../src/net/facade/index.ts";
import type { net as network } from "../src/net/index.ts";
import { compileNative } from "./compile.ts";
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
/** The goals: times the native loopback, and of what two copies allow. */
const NATIVE_RATIO = 3;
const COPIES_SHARE = 0.7;
/** Of a packet of IPv6 with a jumbo header, as far as the kernel goes. */
const BIG_TCP_BYTES = 8 * 65535;

const addressOf = (host: string) => encodeEndpoint(ipEndpoint(host, 9000));

/** Both ends of a connection. */
export async function connection(process: Process, host = "127.0.0.1"): Promise<[number, number]> {
  const address = addressOf(host);
  const family = host.includes(":") ? AF_INET6 : AF_INET;
  const listener = await process.socket(family, SOCK_STREAM, 0);
  await process.bind(listener, address, address.length);
  await process.listen(listener, 1);
  const near = await process.socket(family, SOCK_STREAM, 0);
  await process.connect(near, address, address.length);
  const far = await process.accept4(listener, null, null, 0);
  await process.close(listener);
  const yes = Uint8Array.of(1, 0, 0, 0);
  for (const fd of [near, far]) await process.setsockopt(fd, SOL_TCP, TCP_NODELAY, yes, 4);
  return [near, far];
}

/** Bytes a second from one end to the other, in calls of 1 MiB on kernel memory. */
async function bulk(process: Process, host?: string): Promise<number> {
  const [near, far] = await connection(process, host);
  await using out = await process.buffer(CALL_BYTES);
  await using into = await process.buffer(CALL_BYTES);
  const pass = async (bytes: number) => {
    const start = performance.now();
    const send = async () => {
      for (let done = 0; done < bytes;)
        done += await process.sendto(near, out, Math.min(CALL_BYTES, bytes - done), 0, null, 0);
    };
    const sent = send();
    for (let done = 0; done < bytes;)
      done += await process.recvfrom(far, into, CALL_BYTES, 0, null, null);
    await sent;
    return (bytes * 1000) / (performance.now() - start);
  };
  await pass(BULK_BYTES / 8);
  const rate = await pass(BULK_BYTES);
  for (const fd of [near, far]) await process.close(fd);
  return rate;
}

/** Bytes a second that are copied twice, in the same pieces and over as much memory. */
async function twoCopies(process: Process): Promise<number> {
  await using out = await process.buffer(CALL_BYTES);
  await using window = await process.buffer(WINDOW_BYTES);
  await using into = await process.buffer(CALL_BYTES);
  const [from, between, to] = [out.bytes, window.bytes, into.bytes];
  const start = performance.now();
  for (let done = 0; done < BULK_BYTES; done += CALL_BYTES) {
    const at = done % WINDOW_BYTES;
    between.set(from, at);
    to.set(between.subarray(at, at + CALL_BYTES));
  }
  return (BULK_BYTES * 1000) / (performance.now() - start);
}

/** Nanoseconds of a byte there and one back. */
async function trip(process: Process): Promise<number> {
  const [near, far] = await connection(process);
  await using mine = await process.buffer(1);
  await using theirs = await process.buffer(1);
  const pass = async (count: number) => {
    const echo = async () => {
      for (let i = 0; i < count; i++) {
        await process.recvfrom(far, theirs, 1, 0, null, null);
        await process.sendto(far, theirs, 1, 0, null, 0);
      }
    };
    const echoing = echo();
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      await process.sendto(near, mine, 1, 0, null, 0);
      await process.recvfrom(near, mine, 1, 0, null, null);
    }
    await echoing;
    return ((performance.now() - start) * 1e6) / count;
  };
  await pass(TRIPS / 4);
  const ns = await pass(TRIPS);
  for (const fd of [near, far]) await process.close(fd);
  return ns;
}

/** Datagrams a second, each sent and received by a call of its own. */
async function datagrams(process: Process): Promise<number> {
  const address = addressOf("127.0.0.1");
  const [from, to] = [
    await process.socket(AF_INET, SOCK_DGRAM, 0),
    await process.socket(AF_INET, SOCK_DGRAM, 0),
  ];
  await process.bind(to, address, address.length);
  await process.connect(from, address, address.length);
  await using out = await process.buffer(DATAGRAM_BYTES);
  await using into = await process.buffer(DATAGRAM_BYTES);
  const pass = async (count: number) => {
    const start = performance.now();
    for (let done = 0; done < count; done += AT_ONCE) {
      for (let i = 0; i < AT_ONCE; i++) await process.sendto(from, out, out.length, 0, null, 0);
      for (let i = 0; i < AT_ONCE; i++)
        await process.recvfrom(to, into, into.length, 0, null, null);
    }
    return (count * 1000) / (performance.now() - start);
  };
  await pass(DATAGRAMS / 4);
  const rate = await pass(DATAGRAMS);
  for (const fd of [from, to]) await process.close(fd);
  return rate;
}

/** bench/native/net.c: bytes a second, and nanoseconds. */
function native(): { bulk: number; trip: number } {
  const text = execFileSync(compileNative("net"), { encoding: "utf8" });
  const of = (name: string) => Number(new RegExp(`${name} (.*)`).exec(text)?.[1]);
  return { bulk: of("bulk") * 1e6, trip: of("trip") * 1000 };
}

/** All of it in turns, so that what disturbs one disturbs the others. */
export async function loopback(
  process: Process,
  configuration: ReturnType<typeof network>,
): Promise<Row[]> {
  const rounds: Record<string, number[]> = {};
  const note = (name: string, value: number) => (rounds[name] ??= []).push(value);
  for (let round = 0; round < ROUNDS; round++) {
    const own = native();
    note("nativeBulk", own.bulk);
    note("nativeTrip", own.trip);
    note("copies", await twoCopies(process));
    note("bulk", await bulk(process));
    await configuration.link.set("lo", { gsoMaxBytes: BIG_TCP_BYTES });
    note("big", await bulk(process, "::1"));
    await configuration.link.set("lo", { gsoMaxBytes: 65536 });
    note("trip", await trip(process));
    note("datagrams", await datagrams(process));
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
      item: "the same (beside: two copies in memory, and nothing else)",
      value: of("bulk"),
      unit: "B/s",
      native: of("copies"),
      goal: of("copies") * COPIES_SHARE,
    },
    {
      item: "the same over IPv6 with packets of 512 KiB (beside: two copies)",
      value: of("big"),
      unit: "B/s",
      native: of("copies"),
      goal: of("copies") * COPIES_SHARE,
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
