// What a dgram object of Node's shape does. The oracle is node:dgram itself, on which it runs first.

import assert from "node:assert/strict";
import type { RemoteInfo, Socket, SocketOptions } from "node:dgram";
import { once } from "node:events";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { closed, errorOf, record } from "./support.ts";
import type { NetSubject } from "./support.ts";

const HOSTS = { udp4: "127.0.0.1", udp6: "::1" } as const;
const FAMILIES = { udp4: "IPv4", udp6: "IPv6" } as const;

type Type = keyof typeof HOSTS;
type Get = () => NetSubject;

/** Run the contract of `dgram`. */
export function dgramContract(name: string, make: () => Promise<NetSubject>): void {
  suite(`${name}: dgram`, () => {
    let subject: NetSubject;
    before(async () => {
      subject = await make();
    });
    after(() => subject.done());
    const get = () => subject;
    for (const type of ["udp4", "udp6"] as const) suite(type, () => datagrams(get, type));
    suite("options", () => options(get));
    suite("errors", () => errors(get));
  });
}

async function bound(get: Get, type: Type, given: Partial<SocketOptions> = {}): Promise<Socket> {
  const socket = get().dgram.createSocket({ type, ...given });
  socket.bind(0, HOSTS[type]);
  await once(socket, "listening");
  return socket;
}

async function message(socket: Socket): Promise<[string, RemoteInfo]> {
  const [bytes, info] = (await once(socket, "message")) as [Buffer, RemoteInfo];
  return [String(bytes), info];
}

async function end(...sockets: readonly Socket[]): Promise<void> {
  await Promise.all(
    sockets.map((socket) => {
      const ended = closed(socket);
      socket.close();
      return ended;
    }),
  );
}

function datagrams(get: Get, type: Type): void {
  test("a message comes whole, with its sender", async () => {
    const near = await bound(get, type);
    const far = await bound(get, type);
    const received = message(far);
    near.send("hello", far.address().port, HOSTS[type]);
    const [text, info] = await received;
    assert.equal(text, "hello");
    assert.deepEqual(
      { ...info },
      {
        address: HOSTS[type],
        family: FAMILIES[type],
        port: near.address().port,
        size: 5,
      },
    );
    assert.deepEqual(
      { ...far.address() },
      {
        address: HOSTS[type],
        family: FAMILIES[type],
        port: far.address().port,
      },
    );
    await end(near, far);
  });

  test("the forms of send()", async () => {
    const { dgram } = get();
    const far = await bound(get, type);
    const { port } = far.address();
    const near = dgram.createSocket(type);
    const texts: string[] = [];
    far.on("message", (bytes) => texts.push(String(bytes)));
    const sent = (...args: readonly unknown[]) =>
      new Promise<number>((resolve, reject) => {
        const send = near.send as (...values: readonly unknown[]) => void;
        send.call(near, ...args, (error: Error | null, bytes: number) =>
          error ? reject(error) : resolve(bytes),
        );
      });
    const host = HOSTS[type];
    assert.equal(await sent("text", port, host), 4);
    assert.equal(await sent(Buffer.from("a buffer"), port, host), 8);
    assert.equal(await sent(Buffer.from("[a slice]"), 1, 7, port, host), 7);
    assert.equal(await sent(["several ", Buffer.from("parts")], port, host), 13);
    assert.equal(await sent(Uint8Array.of(0x31, 0x32), port, host), 2);
    assert.equal(await sent("no host", port), 7);
    assert.equal(await sent("", port, host), 0);
    while (texts.length < 7) await once(far, "message");
    assert.deepEqual(texts, ["text", "a buffer", "a slice", "several parts", "12", "no host", ""]);
    await end(near, far);
  });

  test("connected: no address is given, and only the peer is heard", async () => {
    const { dgram } = get();
    const far = await bound(get, type);
    const stranger = await bound(get, type);
    const near = dgram.createSocket(type);
    const { port } = far.address();
    const connected = once(near, "connect");
    near.connect(port, HOSTS[type]);
    assert.throws(() => near.connect(port, HOSTS[type]), { code: "ERR_SOCKET_DGRAM_IS_CONNECTED" });
    await connected;
    assert.deepEqual(
      { ...near.remoteAddress() },
      {
        address: HOSTS[type],
        family: FAMILIES[type],
        port,
      },
    );
    const received = message(far);
    near.send("to whom it concerns");
    const [text, info] = await received;
    assert.equal(text, "to whom it concerns");
    assert.throws(() => near.send("x", 0, 1, port, HOSTS[type]), {
      code: "ERR_SOCKET_DGRAM_IS_CONNECTED",
    });
    const answers: string[] = [];
    near.on("message", (bytes) => answers.push(String(bytes)));
    stranger.send("not for you", info.port, HOSTS[type]);
    far.send("for you", info.port, HOSTS[type]);
    await once(near, "message");
    assert.deepEqual(answers, ["for you"]);
    near.disconnect();
    assert.throws(() => near.remoteAddress(), { code: "ERR_SOCKET_DGRAM_NOT_CONNECTED" });
    assert.throws(() => near.disconnect(), { code: "ERR_SOCKET_DGRAM_NOT_CONNECTED" });
    await end(near, far, stranger);
  });

  test("many messages keep their order and their bounds", async () => {
    const near = await bound(get, type);
    const far = await bound(get, type, { recvBufferSize: 1 << 20 });
    const { port } = far.address();
    const sizes: number[] = [];
    far.on("message", (bytes) => sizes.push(bytes.length));
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 10; i++) near.send(Buffer.alloc(round * 100 + i), port, HOSTS[type]);
      while (sizes.length < (round + 1) * 10) await once(far, "message");
    }
    assert.deepEqual(
      sizes,
      Array.from({ length: 100 }, (_, i) => Math.floor(i / 10) * 100 + (i % 10)),
    );
    await end(near, far);
  });

  test("a large message", async () => {
    const near = await bound(get, type);
    const far = await bound(get, type);
    const received = once(far, "message") as Promise<[Buffer]>;
    const sent = Buffer.alloc(40_000);
    for (let i = 0; i < sent.length; i++) sent[i] = i * 13;
    near.send(sent, far.address().port, HOSTS[type]);
    assert.ok((await received)[0].equals(sent));
    await end(near, far);
  });
}

function options(get: Get): void {
  test("events of a life", async () => {
    const socket = get().dgram.createSocket("udp4");
    const events = record(socket, "listening", "error", "close");
    const called = new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    await called;
    assert.equal(socket.ref(), socket);
    assert.equal(socket.unref(), socket);
    socket.ref();
    await new Promise<void>((resolve) => socket.close(resolve));
    assert.deepEqual(events, ["listening", "close"]);
  });

  test("the options that a socket has", async () => {
    const socket = await bound(get, "udp4");
    socket.setBroadcast(true);
    assert.equal(socket.setTTL(64), 64);
    assert.equal(socket.setMulticastTTL(2), 2);
    assert.equal(Number(socket.setMulticastLoopback(true)), 1);
    socket.setRecvBufferSize(20_000);
    socket.setSendBufferSize(30_000);
    assert.equal(socket.getRecvBufferSize(), 40_000);
    assert.equal(socket.getSendBufferSize(), 60_000);
    assert.equal(socket.getSendQueueSize(), 0);
    assert.equal(socket.getSendQueueCount(), 0);
    await end(socket);
  });

  test("buffer sizes given at the start", async () => {
    const socket = await bound(get, "udp4", { recvBufferSize: 10_000, sendBufferSize: 12_000 });
    assert.equal(socket.getRecvBufferSize(), 20_000);
    assert.equal(socket.getSendBufferSize(), 24_000);
    await end(socket);
  });

  test("multicast: a group is joined, heard, and left", async () => {
    const { dgram } = get();
    const group = "239.1.2.3";
    const far = dgram.createSocket({ type: "udp4", reuseAddr: true });
    far.bind(0);
    await once(far, "listening");
    far.addMembership(group, "127.0.0.1");
    const near = await bound(get, "udp4");
    near.setMulticastInterface("127.0.0.1");
    near.setMulticastLoopback(true);
    const received = message(far);
    near.send("to all", far.address().port, group);
    assert.equal((await received)[0], "to all");
    far.dropMembership(group, "127.0.0.1");
    const later: string[] = [];
    far.on("message", (bytes) => later.push(String(bytes)));
    near.send("to nobody", far.address().port, group);
    await sleep(20);
    assert.deepEqual(later, []);
    await end(near, far);
  });

  test("a group's one sender can be chosen", async () => {
    const { dgram } = get();
    const far = dgram.createSocket({ type: "udp4", reuseAddr: true });
    far.bind(0);
    await once(far, "listening");
    far.addSourceSpecificMembership("127.0.0.1", "232.1.1.1", "127.0.0.1");
    const near = await bound(get, "udp4");
    near.setMulticastInterface("127.0.0.1");
    const received = message(far);
    near.send("from me", far.address().port, "232.1.1.1");
    assert.equal((await received)[0], "from me");
    far.dropSourceSpecificMembership("127.0.0.1", "232.1.1.1", "127.0.0.1");
    await end(near, far);
  });

  test("two sockets of one address, if both agree", async () => {
    const { dgram } = get();
    const first = await bound(get, "udp4", { reuseAddr: true });
    const second = dgram.createSocket({ type: "udp4", reuseAddr: true });
    second.bind(first.address().port, "127.0.0.1");
    await once(second, "listening");
    await end(first, second);
  });

  test("a signal closes it", async () => {
    const { dgram } = get();
    const abort = new AbortController();
    const socket = dgram.createSocket({ type: "udp4", signal: abort.signal });
    socket.bind(0);
    await once(socket, "listening");
    const ended = closed(socket);
    abort.abort();
    await ended;
  });
}

function errors(get: Get): void {
  test("what cannot be a socket", () => {
    const { dgram } = get();
    assert.throws(() => dgram.createSocket("tcp" as never), { code: "ERR_SOCKET_BAD_TYPE" });
  });

  test("an address that is taken: EADDRINUSE of bind", async () => {
    const first = await bound(get, "udp4");
    const { port } = first.address();
    const second = get().dgram.createSocket("udp4");
    const failure = errorOf(second);
    second.bind(port, "127.0.0.1");
    const error = await failure;
    assert.equal(error.message, `bind EADDRINUSE 127.0.0.1:${port}`);
    assert.deepEqual(
      { ...error },
      {
        errno: -98,
        code: "EADDRINUSE",
        syscall: "bind",
        address: "127.0.0.1",
        port,
      },
    );
    await end(first, second);
  });

  test("a message that is too long: EMSGSIZE to the callback", async () => {
    const socket = await bound(get, "udp4");
    const { port } = socket.address();
    const error = await new Promise<NodeJS.ErrnoException | null>((resolve) =>
      socket.send(Buffer.alloc(70_000), port, "127.0.0.1", resolve),
    );
    assert.equal(error?.code, "EMSGSIZE");
    assert.equal(error?.syscall, "send");
    assert.equal(error?.message, `send EMSGSIZE 127.0.0.1:${port}`);
    // Without one nobody hears of it.
    socket.send(Buffer.alloc(70_000), port, "127.0.0.1");
    await end(socket);
  });

  test("arguments", async () => {
    const socket = await bound(get, "udp4");
    const wrong: readonly (readonly [readonly unknown[], string])[] = [
      [[5, 1], "ERR_INVALID_ARG_TYPE"],
      [[[5], 1], "ERR_INVALID_ARG_TYPE"],
      [["x", 0], "ERR_SOCKET_BAD_PORT"],
      [["x", 70_000], "ERR_SOCKET_BAD_PORT"],
      [["x", 1, 5], "ERR_INVALID_ARG_TYPE"],
    ];
    for (const [args, code] of wrong)
      assert.throws(
        () => (socket.send as (...values: readonly unknown[]) => void).call(socket, ...args),
        { code },
        JSON.stringify(args),
      );
    assert.throws(() => socket.setTTL("x" as never), { code: "ERR_INVALID_ARG_TYPE" });
    assert.throws(() => socket.setTTL(1000), { code: "EINVAL" });
    assert.throws(() => socket.setRecvBufferSize(-1), { code: "ERR_SOCKET_BAD_BUFFER_SIZE" });
    assert.throws(() => socket.bind(0), { code: "ERR_SOCKET_ALREADY_BOUND" });
    await end(socket);
    for (const use of [
      () => socket.close(),
      () => socket.send("x", 1),
      () => socket.address(),
      () => socket.bind(0),
      () => socket.addMembership("224.0.0.1"),
    ])
      assert.throws(use, { code: "ERR_SOCKET_DGRAM_NOT_RUNNING" });
  });

  test("before it is bound it has no address", () => {
    const socket = get().dgram.createSocket("udp4");
    assert.throws(() => socket.address(), { code: "EBADF" });
    assert.throws(() => socket.remoteAddress(), { code: "ERR_SOCKET_DGRAM_NOT_CONNECTED" });
  });
}
