// Questions of dns.resolve() and its kin, passed on by the kernel's network.
//
// c-ares, which Node asks, has sockets of its own. So it is told that the server is this relay, on the
// host's loopback, and each question goes on from a socket of the kernel's to a server that the kernel
// knows. Invariant: at most MAX_QUESTIONS are on their way; more are dropped, and c-ares asks again.

import dgram from "node:dgram";
import type { RemoteInfo, Socket as HostDatagrams } from "node:dgram";
import { once } from "node:events";
import { createServer, isIPv6 } from "node:net";
import type { Server, Socket as HostSocket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { ipEndpoint } from "../net/facade/index.ts";
import type { Connection, IpEndpoint } from "../net/facade/index.ts";
import type { Context } from "../platform/node/sockets/context.ts";
import { onHost } from "./host-side.ts";

const LOOPBACK = "127.0.0.1";
const DNS_PORT = 53;
const MAX_QUESTIONS = 256;
/** Longer than c-ares waits. */
const ANSWER_MS = 10_000;
/** Ports that are tried, of which both protocols have to be free. */
const ATTEMPTS = 8;

/** RFC 1035, section 4.1.1. */
const HEADER_BYTES = 12;
const RESPONSE = 0x80;
const SERVER_FAILURE = 2;

/** Where a server is: "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:5353". */
function serverOf(text: string): IpEndpoint {
  const [, bracketed, v4, port] = /^(?:\[(.+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
  const address = bracketed ?? v4 ?? text;
  return ipEndpoint(address, port === undefined ? DNS_PORT : Number(port), "nameservers");
}

/** What says that nobody could be asked. */
function failureOf(question: Uint8Array): Uint8Array {
  const answer = Uint8Array.from(question);
  answer[2] |= RESPONSE;
  answer[3] = (answer[3] & 0xf0) | SERVER_FAILURE;
  return answer;
}

export class DnsRelay {
  readonly #context: Context;
  readonly #nameservers: () => Promise<readonly string[]>;
  readonly #datagrams: HostDatagrams;
  #questions = 0;
  /** Servers that the program has chosen: dns.setServers(). */
  chosen: readonly string[] | null = null;
  /** What c-ares is told. */
  readonly address: string;

  /** @param nameservers the kernel's */
  static async open(
    context: Context,
    nameservers: () => Promise<readonly string[]>,
  ): Promise<DnsRelay> {
    for (let attempt = 1; ; attempt++) {
      const datagrams = onHost(() => dgram.createSocket("udp4").bind(0, LOOPBACK));
      await once(datagrams, "listening");
      const { port } = datagrams.address();
      const server = onHost(() => createServer({ allowHalfOpen: true }).listen(port, LOOPBACK));
      try {
        await once(server, "listening");
        return new DnsRelay(context, nameservers, datagrams, server);
      } catch (error) {
        datagrams.close();
        if (attempt === ATTEMPTS) throw error;
      }
    }
  }

  private constructor(
    context: Context,
    nameservers: () => Promise<readonly string[]>,
    datagrams: HostDatagrams,
    server: Server,
  ) {
    this.#context = context;
    this.#nameservers = nameservers;
    this.#datagrams = datagrams;
    this.address = `${LOOPBACK}:${datagrams.address().port}`;
    datagrams.on("error", () => {});
    datagrams.on("message", (question, from) => void this.#ask(question, from));
    server.on("connection", (socket) => void this.#connect(socket));
  }

  async #server(): Promise<IpEndpoint> {
    const [first] = this.chosen ?? (await this.#nameservers());
    if (first === undefined) throw new Error("there is no server");
    return serverOf(first);
  }

  async #ask(question: Uint8Array, { address, port }: RemoteInfo): Promise<void> {
    if (question.length < HEADER_BYTES || this.#questions >= MAX_QUESTIONS) return;
    this.#questions++;
    this.#context.holds.hold();
    let answer: Uint8Array | null;
    try {
      answer = await this.#answer(question);
    } catch {
      answer = failureOf(question);
    }
    this.#context.holds.release();
    this.#questions--;
    if (answer) this.#datagrams.send(answer, port, address, () => {});
  }

  /** @returns null if none came */
  async #answer(question: Uint8Array): Promise<Uint8Array | null> {
    const server = await this.#server();
    const any = isIPv6(server.address) ? "::" : "0.0.0.0";
    await using socket = await this.#context.sockets.datagrams({ local: ipEndpoint(any, 0) });
    await socket.connect(server);
    await socket.send([question]);
    const late = new AbortController();
    const { signal } = late;
    const expired = sleep(ANSWER_MS, null, { signal, ref: false }).catch(() => null);
    try {
      for (;;) {
        const received = await Promise.race([socket.receive(), expired]);
        if (!received) return null;
        for (const { bytes } of received)
          if (bytes[0] === question[0] && bytes[1] === question[1]) return bytes;
      }
    } finally {
      late.abort();
    }
  }

  /** What does not fit a datagram comes by TCP. */
  async #connect(host: HostSocket): Promise<void> {
    host.on("error", () => {});
    this.#context.holds.hold();
    try {
      await using connection = await this.#context.sockets.connect({
        remote: await this.#server(),
      });
      await Promise.all([send(host, connection), receive(host, connection)]);
    } catch {
      // c-ares hears of it by the end of its connection.
    } finally {
      host.destroy();
      this.#context.holds.release();
    }
  }
}

async function send(host: HostSocket, connection: Connection): Promise<void> {
  for await (const chunk of host) await connection.write(chunk as Uint8Array);
  await connection.end();
}

async function receive(host: HostSocket, connection: Connection): Promise<void> {
  for await (const chunk of connection) host.write(chunk);
  host.end();
}
