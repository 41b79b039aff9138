// ping: ICMP echoes from the kernel, over a raw socket.

import { setTimeout as wait } from "node:timers/promises";

import { ICMP_ECHO, ICMP_ECHOREPLY, IPPROTO_ICMP } from "../../../abi/constants/in.ts";
import {
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  IPPROTO_ICMPV6,
} from "../../../abi/constants/in6.ts";
import { AF_INET, AF_INET6, SOCK_RAW } from "../../../abi/constants/socket.ts";
import { Iphdr } from "../../../abi/structs/socket.ts";
import { ipEndpoint } from "../../../net/facade/index.ts";
import type { DatagramSocket, IpEndpoint } from "../../../net/facade/index.ts";
import type { Command, Context } from "../command.ts";
import { CommandError } from "../errors.ts";
import { number } from "../values.ts";
import { unknownWord, WordError } from "../words.ts";
import type { Words } from "../words.ts";

interface Options {
  readonly name: string;
  readonly family: 0 | 4 | 6;
  /** How many are sent. */
  readonly count: number;
  readonly intervalMs: number;
  /** How long the last answer is waited for. */
  readonly waitMs: number;
  readonly sizeBytes: number;
  readonly quiet: boolean;
}

const DEFAULT_COUNT = 4;
/** Type, code, checksum, identifier and sequence number (RFC 792, RFC 4443). */
const HEADER_BYTES = 8;
/** ICMP's errors, which contain what they are about. */
const UNREACHABLE = 3;
const EXPIRED = 11;
const UNREACHABLE_CODES = ["Net", "Host", "Protocol", "Port"];

/** `ping [-c COUNT] [-i SECONDS] [-W SECONDS] [-s BYTES] [-q] [-4|-6] HOST` */
export function ping(words: Words): Command {
  const seconds = (least: number) => {
    const given = words.take("seconds");
    const value = Number(given);
    if (!(value >= least && value <= 3600))
      throw new WordError(`"${given}": it is a number of seconds from ${least} to 3600`);
    return value * 1000;
  };
  const options: { -readonly [K in keyof Options]: Options[K] } = {
    name: "",
    family: 0,
    count: DEFAULT_COUNT,
    intervalMs: 1000,
    waitMs: 10_000,
    sizeBytes: 56,
    quiet: false,
  };
  const known: Readonly<Record<string, () => void>> = {
    "-c": () => void (options.count = number(words, 1)),
    "-i": () => void (options.intervalMs = seconds(0.002)),
    "-W": () => void (options.waitMs = seconds(0)),
    "-s": () => void (options.sizeBytes = number(words, 0, 65_507)),
    "-q": () => void (options.quiet = true),
    "-n": () => {},
    "-4": () => void (options.family = 4),
    "-6": () => void (options.family = 6),
  };
  while (words.next !== undefined) {
    const given = words.take("a host");
    if (Object.hasOwn(known, given)) known[given]();
    else if (given.startsWith("-")) throw unknownWord(given, "option of ping", Object.keys(known));
    else if (options.name === "") options.name = given;
    else throw new WordError(`"${given}": one host at a time`);
  }
  if (options.name === "") throw new WordError("which host?");
  return (context) => run(context, options);
}

async function run(context: Context, options: Options): Promise<void> {
  const { sockets } = context.space;
  const [target] = await sockets.lookup(options.name, { family: options.family });
  const isIpv6 = target.family === 6;
  const socket = await sockets.datagrams({
    family: isIpv6 ? AF_INET6 : AF_INET,
    type: SOCK_RAW,
    protocol: isIpv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
  });
  try {
    await new Echoes(context, options, socket, ipEndpoint(target.address, 0)).run();
  } finally {
    await socket.close();
  }
}

/** RFC 1071. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/** Until its time is up, or it is told that this is enough. */
const waited = (time: Promise<unknown>): Promise<unknown> => time.catch(() => {});

/** What are sent, and the answers. */
class Echoes {
  readonly #context: Context;
  readonly #options: Options;
  readonly #socket: DatagramSocket;
  readonly #to: IpEndpoint;
  readonly #id = Math.floor(Math.random() * 0x10000);
  /** When each was sent that is not answered. */
  readonly #waiting = new Map<number, number>();
  readonly #timesMs: number[] = [];
  readonly #done: PromiseWithResolvers<void> = Promise.withResolvers();
  #sent = 0;
  #errors = 0;

  constructor(context: Context, options: Options, socket: DatagramSocket, to: IpEndpoint) {
    this.#context = context;
    this.#options = options;
    this.#socket = socket;
    this.#to = to;
  }

  get #isIpv6(): boolean {
    return this.#to.family === "IPv6";
  }

  async run(): Promise<void> {
    const { name, sizeBytes, count, intervalMs, waitMs } = this.#options;
    const { signal, json } = this.#context;
    const { address } = this.#to;
    const whole = sizeBytes + HEADER_BYTES + (this.#isIpv6 ? 0 : Iphdr.size);
    const size = this.#isIpv6 ? `${sizeBytes} data bytes` : `${sizeBytes}(${whole}) bytes of data.`;
    if (!json) await this.#context.write(`PING ${name} (${address}) ${size}\n`);
    const began = performance.now();
    const listening = this.#listen();
    for (let sequence = 1; sequence <= count && !signal.aborted; sequence++) {
      await this.#send(sequence);
      if (sequence < count) await waited(wait(intervalMs, undefined, { signal }));
    }
    if (this.#answered < this.#sent) {
      const enough = new AbortController();
      const late = AbortSignal.any([signal, enough.signal]);
      await Promise.race([
        this.#done.promise,
        listening,
        waited(wait(waitMs, undefined, { signal: late })),
      ]);
      enough.abort();
    }
    await this.#summary(performance.now() - began);
  }

  get #answered(): number {
    return this.#timesMs.length + this.#errors;
  }

  async #send(sequence: number): Promise<void> {
    const bytes = new Uint8Array(HEADER_BYTES + this.#options.sizeBytes);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, this.#isIpv6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO);
    view.setUint16(4, this.#id);
    view.setUint16(6, sequence & 0xffff);
    // Of IPv6 the kernel makes it.
    if (!this.#isIpv6) view.setUint16(2, checksum(bytes));
    this.#waiting.set(sequence & 0xffff, performance.now());
    this.#sent++;
    await this.#socket.send(bytes, this.#to);
  }

  /** Until the socket is closed. */
  async #listen(): Promise<void> {
    for await (const { bytes, from } of this.#socket) {
      const address = from?.family === "IPv4" || from?.family === "IPv6" ? from.address : "?";
      const head = this.#isIpv6 ? 0 : ((bytes[0] ?? 0) & 15) * 4;
      if (bytes.length < head + HEADER_BYTES) continue;
      await this.#take(bytes.subarray(head), address, this.#isIpv6 ? undefined : bytes[8]);
      if (this.#answered >= this.#options.count) this.#done.resolve();
    }
  }

  async #take(message: Uint8Array, from: string, ttl: number | undefined): Promise<void> {
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    const [type, code] = [view.getUint8(0), view.getUint8(1)];
    if (type === (this.#isIpv6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY)) {
      if (view.getUint16(4) !== this.#id) return;
      const sequence = view.getUint16(6);
      const since = this.#waiting.get(sequence);
      if (since === undefined) return;
      this.#waiting.delete(sequence);
      const timeMs = performance.now() - since;
      this.#timesMs.push(timeMs);
      await this.#answer(message.length, from, sequence, ttl, timeMs);
      return;
    }
    if (this.#isIpv6 || (type !== UNREACHABLE && type !== EXPIRED)) return;
    const inside = HEADER_BYTES + (view.getUint8(HEADER_BYTES) & 15) * 4;
    if (message.length < inside + HEADER_BYTES || view.getUint16(inside + 4) !== this.#id) return;
    const sequence = view.getUint16(inside + 6);
    if (!this.#waiting.delete(sequence)) return;
    this.#errors++;
    const what =
      type === EXPIRED
        ? "Time to live exceeded"
        : `Destination ${UNREACHABLE_CODES[code] ?? "Host"} Unreachable`;
    if (!this.#options.quiet && !this.#context.json)
      await this.#context.write(`From ${from} icmp_seq=${sequence} ${what}\n`);
  }

  async #answer(
    length: number,
    from: string,
    sequence: number,
    ttl: number | undefined,
    timeMs: number,
  ): Promise<void> {
    if (this.#options.quiet || this.#context.json) return;
    const hops = ttl === undefined ? "" : ` ttl=${ttl}`;
    const time = timeMs < 1 ? timeMs.toFixed(3) : timeMs.toPrecision(3);
    await this.#context.write(
      `${length} bytes from ${from}: icmp_seq=${sequence}${hops} time=${time} ms\n`,
    );
  }

  async #summary(tookMs: number): Promise<void> {
    const { name, count } = this.#options;
    const received = this.#timesMs.length;
    const loss = this.#sent ? ((this.#sent - received) / this.#sent) * 100 : 0;
    const times = this.#timesMs;
    const average = times.reduce((sum, one) => sum + one, 0) / Math.max(1, received);
    const spread =
      times.reduce((sum, one) => sum + (one - average) ** 2, 0) / Math.max(1, received);
    const four = [Math.min(...times), average, Math.max(...times), Math.sqrt(spread)];
    if (this.#context.json) {
      const [min, avg, max, mdev] = received ? four : [];
      const value = {
        host: name,
        address: this.#to.address,
        count,
        sent: this.#sent,
        received,
        min,
        avg,
        max,
        mdev,
      };
      await this.#context.write(`${JSON.stringify([value])}\n`);
    } else {
      const errors = this.#errors ? `, +${this.#errors} errors` : "";
      const rtt = received
        ? `rtt min/avg/max/mdev = ${four.map((one) => one.toFixed(3)).join("/")} ms\n`
        : "";
      await this.#context.write(
        `\n--- ${name} ping statistics ---\n${this.#sent} packets transmitted, ${received} received${errors}, ` +
          `${Number(loss.toPrecision(4))}% packet loss, time ${Math.round(tookMs)}ms\n${rtt}`,
      );
    }
    if (!received && !this.#context.signal.aborted)
      throw new CommandError(
        this.#errors ? "EHOSTUNREACH" : "ETIMEDOUT",
        this.#errors ? `${name} cannot be reached` : `${name} does not answer`,
      );
  }
}
