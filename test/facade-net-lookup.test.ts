// Names: literals, /etc/hosts, and DNS from a server on the kernel's own loopback.

import assert from "node:assert/strict";
import { after, before, beforeEach, suite, test } from "node:test";
import { promisify } from "node:util";

import * as fc from "fast-check";

import { AT_FDCWD, O_CREAT, O_TRUNC, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import type { Kernel, Process } from "../src/index.ts";
import { LookupError, ipEndpoint } from "../src/net/facade/index.ts";
import type { DatagramSocket, Listener, Sockets } from "../src/net/facade/index.ts";
import { hostsOf, parseConfiguration } from "../src/net/facade/resolver/files.ts";
import {
  MalformedAnswerError,
  TYPE,
  decodeAnswer,
  encodeQuestion,
} from "../src/net/facade/resolver/message.ts";
import { candidates } from "../src/net/facade/resolver/resolver.ts";
import { net as network } from "../src/net/index.ts";
import { createSockets } from "../src/platform/node/index.ts";
import type { NodeSockets } from "../src/platform/node/index.ts";
import { loopback } from "./facade-net-support.ts";
import { text } from "./kernel.ts";

async function writeText(process: Process, path: string, content: string): Promise<void> {
  const fd = await process.openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
  const bytes = text.encode(content);
  await process.write(fd, bytes, bytes.length);
  await process.close(fd);
}

/** What a zone has: names, and their addresses in bytes. */
type Zone = Readonly<Record<string, readonly (readonly number[])[]>>;

const ZONE: Zone = {
  "both.test": [
    [10, 0, 0, 1],
    [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  ],
  "four.test": [
    [10, 0, 0, 2],
    [10, 0, 0, 3],
  ],
  "short.example.test": [[10, 0, 0, 4]],
  // More than one datagram holds.
  "large.test": Array.from({ length: 100 }, (_, index) => [10, 1, 0, index]),
};

const FLAGS = { response: 0x8180, truncated: 0x0200, notFound: 3, failed: 2 };
const MAX_UDP_BYTES = 1232;

/** The answer of a server that has a zone. */
function answerTo(question: Uint8Array, zone: Zone, byUdp: boolean): Uint8Array {
  const asked = decodeAnswer(question).question!;
  const end = question.indexOf(0, 12) + 5;
  const known = zone[asked.name];
  const length = asked.type === TYPE.A ? 4 : 16;
  const records = (known ?? [])
    .filter((bytes) => bytes.length === length)
    .map((bytes) => Uint8Array.of(0xc0, 12, 0, asked.type, 0, 1, 0, 0, 0, 60, 0, length, ...bytes));
  const size = end + records.reduce((sum, record) => sum + record.length, 0);
  const truncated = byUdp && size > MAX_UDP_BYTES;
  const code = asked.name.startsWith("broken") ? FLAGS.failed : known ? 0 : FLAGS.notFound;
  const head = new Uint8Array(question.subarray(0, end));
  const view = new DataView(head.buffer);
  view.setUint16(2, FLAGS.response | code | (truncated ? FLAGS.truncated : 0));
  view.setUint16(6, truncated ? 0 : records.length);
  view.setUint16(10, 0);
  return Buffer.concat([head, ...(truncated ? [] : records)]);
}

/** A server for a zone, by UDP and by TCP. */
class NameServer {
  readonly #udp: DatagramSocket;
  readonly #tcp: Listener;
  /** What was asked, by which way. */
  asked: string[] = [];
  /** Sends this before its answer. */
  noise: Uint8Array | null = null;

  static async start(sockets: Sockets, address: string): Promise<NameServer> {
    const local = ipEndpoint(address, 53);
    return new NameServer(await sockets.datagrams({ local }), await sockets.listen({ local }));
  }

  private constructor(udp: DatagramSocket, tcp: Listener) {
    this.#udp = udp;
    this.#tcp = tcp;
    void this.#serveUdp();
    void this.#serveTcp();
  }

  #note(way: string, question: Uint8Array): void {
    this.asked.push(`${way} ${decodeAnswer(question).question?.name}`);
  }

  async #serveUdp(): Promise<void> {
    for await (const { bytes, from } of this.#udp) {
      this.#note("udp", bytes);
      if (this.noise) await this.#udp.send(this.noise, from);
      await this.#udp.send(answerTo(bytes, ZONE, true), from);
    }
  }

  async #serveTcp(): Promise<void> {
    for await (const connection of this.#tcp) {
      const question = (await connection.read())!.subarray(2);
      this.#note("tcp", question);
      const answer = answerTo(question, ZONE, false);
      // In two pieces, since a stream has no bounds.
      await connection.write(Uint8Array.of(answer.length >> 8));
      await connection.write([Uint8Array.of(answer.length & 0xff), answer]);
      await connection.close();
    }
  }

  async close(): Promise<void> {
    await this.#udp.close();
    await this.#tcp.close();
  }
}

suite("dns.lookup by the kernel's network", () => {
  let kernel: Kernel;
  let process: Process;
  let own: NodeSockets;
  let server: NameServer;

  before(async () => {
    ({ kernel, process } = await loopback());
    own = createSockets(process, { ownsProcess: true });
    await process.mkdirat(AT_FDCWD, "/etc", 0o755);
    server = await NameServer.start(own.sockets, "127.0.0.53");
  });
  beforeEach(async () => {
    server.asked = [];
    server.noise = null;
    await writeText(
      process,
      "/etc/hosts",
      "127.0.0.1 localhost\n10.9.9.9\tfrom.hosts Alias.test # a remark\n",
    );
    await writeText(process, "/etc/resolv.conf", "nameserver 127.0.0.53\nsearch example.test\n");
  });
  after(async () => {
    await server.close();
    await own[Symbol.asyncDispose]();
    await kernel.halt();
  });

  const lookup = (name: string, options: object = {}) => own.dns.promises.lookup(name, options);

  test("literals, and no name", async () => {
    const call = promisify(
      own.dns.lookup as (name: string, done: (...v: unknown[]) => void) => void,
    );
    assert.equal(await call("10.1.2.3"), "10.1.2.3");
    assert.equal(await call("fe80::1"), "fe80::1");
    assert.equal(await call(""), null);
    assert.deepEqual(server.asked, []);
  });

  test("/etc/hosts comes first", async () => {
    assert.deepEqual(await lookup("from.hosts"), { address: "10.9.9.9", family: 4 });
    assert.deepEqual(await lookup("alias.TEST"), { address: "10.9.9.9", family: 4 });
    assert.deepEqual(await lookup("localhost"), { address: "127.0.0.1", family: 4 });
    assert.deepEqual(server.asked, []);
  });

  test("localhost needs no file", async () => {
    await writeText(process, "/etc/hosts", "");
    assert.deepEqual(await lookup("localhost", { all: true }), [
      { address: "::1", family: 6 },
      { address: "127.0.0.1", family: 4 },
    ]);
    assert.deepEqual(await lookup("localhost", { family: 4 }), { address: "127.0.0.1", family: 4 });
  });

  test("by DNS, of either family, what there is a route to first", async () => {
    const both = [
      { address: "fd00::1", family: 6 },
      { address: "10.0.0.1", family: 4 },
    ];
    assert.deepEqual(await lookup("both.test", { all: true }), both);
    assert.deepEqual(
      await lookup("both.test", { all: true, order: "ipv4first" }),
      both.toReversed(),
    );
    assert.deepEqual(await lookup("both.test", { family: 6 }), both[0]);
    await using configuration = network(process);
    await configuration.link.add({ name: "eth0", kind: "dummy" });
    await configuration.up("eth0", "10.0.0.9/24");
    assert.deepEqual(await lookup("both.test", { all: true }), both.toReversed());
    await configuration.link.delete("eth0");
    assert.deepEqual(await lookup("four.test", { all: true }), [
      { address: "10.0.0.2", family: 4 },
      { address: "10.0.0.3", family: 4 },
    ]);
  });

  test("a short name is searched for", async () => {
    assert.deepEqual(await lookup("short"), { address: "10.0.0.4", family: 4 });
    assert.ok(server.asked.every((line) => line === "udp short.example.test"));
  });

  test("what a datagram does not hold comes by TCP", async () => {
    const found = await lookup("large.test", { all: true, family: 4 });
    assert.equal((found as unknown[]).length, 100);
    assert.deepEqual(server.asked, ["udp large.test", "tcp large.test"]);
  });

  test("what is not the answer is not taken for it", async () => {
    const question = encodeQuestion(1, "four.test", TYPE.A)!;
    for (const noise of [
      Uint8Array.of(1, 2, 3),
      question,
      answerTo(question, { "four.test": [[6, 6, 6, 6]] }, true),
    ]) {
      server.noise = noise;
      assert.deepEqual(await lookup("four.test", { family: 4 }), {
        address: "10.0.0.2",
        family: 4,
      });
    }
  });

  test("a name that is not there: ENOTFOUND, as Node tells it", async () => {
    await assert.rejects(lookup("nowhere.test"), (error: LookupError) => {
      assert.ok(error instanceof LookupError);
      assert.equal(error.message, "getaddrinfo ENOTFOUND nowhere.test");
      assert.deepEqual(
        [error.code, error.errno, error.syscall, error.hostname],
        ["ENOTFOUND", -3008, "getaddrinfo", "nowhere.test"],
      );
      return true;
    });
    await assert.rejects(lookup("four.test", { family: 6 }), { code: "ENOTFOUND" });
    await assert.rejects(lookup(`${"x".repeat(64)}.test`), { code: "ENOTFOUND" });
    assert.throws(() => own.dns.lookup("x", { family: 5 }, () => {}), {
      code: "ERR_INVALID_ARG_VALUE",
    });
    assert.throws(() => own.dns.lookup("x"), { code: "ERR_INVALID_ARG_TYPE" });
  });

  test("a server that cannot, and one that is not there: EAI_AGAIN; the next one is asked", async () => {
    await assert.rejects(lookup("broken.test"), { code: "EAI_AGAIN" });
    await writeText(process, "/etc/resolv.conf", "nameserver 127.0.0.66\n");
    await assert.rejects(lookup("four.test"), { code: "EAI_AGAIN", errno: -3001 });
    await writeText(process, "/etc/resolv.conf", "nameserver 127.0.0.66\nnameserver 127.0.0.53\n");
    assert.deepEqual(await lookup("four.test"), { address: "10.0.0.2", family: 4 });
  });

  test("net.connect() finds names so", async () => {
    await writeText(process, "/etc/hosts", "127.0.0.7 web.test\n");
    const listener = await own.sockets.listen({ local: ipEndpoint("127.0.0.7", 0) });
    const { port } = listener.local as { port: number };
    const socket = own.net.connect(port, "web.test");
    await new Promise((resolve) => void socket.once("connect", resolve));
    assert.equal(socket.remoteAddress, "127.0.0.7");
    const ended = new Promise((resolve) => void socket.once("close", resolve));
    socket.destroy();
    await ended;
    await listener.close();
  });
});

suite("the files and messages of names", () => {
  test("resolv.conf", () => {
    assert.deepEqual(
      parseConfiguration(
        "# a remark\nnameserver 10.0.0.1\nnameserver fd00::1 ; why\nnameserver x\n" +
          "domain a.test\nsearch b.test c.test\noptions ndots:2 timeout:99 attempts:0 rotate\n",
      ),
      {
        servers: ["10.0.0.1", "fd00::1"],
        search: ["b.test", "c.test"],
        ndots: 2,
        timeoutMs: 30_000,
        attempts: 1,
      },
    );
    assert.deepEqual(parseConfiguration(""), {
      servers: ["127.0.0.1"],
      search: [],
      ndots: 1,
      timeoutMs: 5000,
      attempts: 2,
    });
  });

  test("hosts", () => {
    const content = "10.0.0.1 a b\n#10.0.0.2 a\n::1 A # 10.0.0.3 a\nnonsense a\n";
    assert.deepEqual(hostsOf(content, "a"), ["10.0.0.1", "::1"]);
    assert.deepEqual(hostsOf(content, "b."), ["10.0.0.1"]);
    assert.deepEqual(hostsOf(content, "c"), []);
  });

  test("which names are asked for", () => {
    const configuration = { ...parseConfiguration("search x.test y.test\n"), ndots: 2 };
    assert.deepEqual(candidates("a", configuration), ["a.x.test", "a.y.test", "a"]);
    assert.deepEqual(candidates("a.b", configuration), ["a.b.x.test", "a.b.y.test", "a.b"]);
    assert.deepEqual(candidates("a.b.c", configuration), ["a.b.c", "a.b.c.x.test", "a.b.c.y.test"]);
    assert.deepEqual(candidates("a.", configuration), ["a."]);
  });

  test("any bytes are an answer or refused, and reading them ends", () => {
    const question = encodeQuestion(7, "four.test", TYPE.A)!;
    const good = answerTo(question, ZONE, true);
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        fc.nat(good.length),
        fc.nat(255),
        fc.nat(good.length),
        (bytes, at, value, length) => {
          const damaged = new Uint8Array(good.subarray(0, length));
          if (at < length) damaged[at] = value;
          for (const message of [bytes, damaged])
            try {
              assert.ok(Array.isArray(decodeAnswer(message).addresses));
            } catch (error) {
              assert.ok(error instanceof MalformedAnswerError);
            }
        },
      ),
      { numRuns: 2000 },
    );
    assert.deepEqual(
      decodeAnswer(good).addresses.map((bytes) => bytes.join(".")),
      ["10.0.0.2", "10.0.0.3"],
    );
  });
});
