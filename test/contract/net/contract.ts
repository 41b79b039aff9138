// What a net object of Node's shape does. The oracle is node:net itself, on which it runs first.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { after, before, suite, test } from "node:test";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";

import {
  all,
  close,
  closed,
  errorOf,
  finish,
  listen,
  pair,
  portOf,
  record,
  unusedPort,
} from "./support.ts";
import type { NetSubject } from "./support.ts";

const MIB = 1 << 20;

/** Run the contract of `net`. */
export function netContract(name: string, make: () => Promise<NetSubject>): void {
  suite(`${name}: net`, () => {
    let subject: NetSubject;
    before(async () => {
      subject = await make();
    });
    after(() => subject.done());
    const get = () => subject;
    suite("connecting", () => connecting(get));
    suite("servers", () => servers(get));
    suite("streams", () => streams(get));
    suite("ends", () => ends(get));
    suite("errors", () => errors(get));
    suite("arguments", () => badArguments(get));
    suite("unix sockets", () => unix(get));
  });
}

type Get = () => NetSubject;

function connecting(get: Get): void {
  test("connect and ready come in order, and the addresses are known then", async () => {
    const { net } = get();
    const server = net.createServer();
    const port = await listen(server);
    const accepted = once(server, "connection") as Promise<[Socket]>;
    const socket = new net.Socket();
    const events = record(socket, "lookup", "connectionAttempt", "connect", "ready");
    assert.equal(socket.pending, true);
    assert.equal(socket.connecting, false);
    assert.equal(socket.readyState, "open");
    assert.equal(socket.connect(port, "127.0.0.1"), socket);
    assert.equal(socket.connecting, true);
    assert.equal(socket.readyState, "opening");
    assert.equal(socket.remoteAddress, undefined);
    assert.deepEqual(socket.address(), {});
    await once(socket, "ready");
    assert.deepEqual(events, ["connectionAttempt", "connect", "ready"]);
    assert.equal(socket.connecting, false);
    assert.equal(socket.pending, false);
    assert.equal(socket.readyState, "open");
    assert.equal(socket.remoteAddress, "127.0.0.1");
    assert.equal(socket.remotePort, port);
    assert.equal(socket.remoteFamily, "IPv4");
    assert.equal(socket.localAddress, "127.0.0.1");
    assert.equal(socket.localFamily, "IPv4");
    assert.deepEqual(socket.address(), {
      address: "127.0.0.1",
      family: "IPv4",
      port: socket.localPort,
    });
    const [far] = await accepted;
    assert.equal(far.remotePort, socket.localPort);
    assert.equal(far.localPort, port);
    await finish(server, socket, far);
  });

  test("a name is looked up", async () => {
    const { net } = get();
    const server = net.createServer((socket) => socket.end());
    const port = await listen(server);
    const socket = net.connect(port, "localhost");
    const events = record(socket, "lookup", "connect");
    socket.resume();
    await closed(socket);
    assert.equal(events.at(-1), "connect");
    assert.equal(events[0], "lookup");
    await close(server);
  });

  test("a lookup of one's own is asked", async () => {
    const { net } = get();
    const server = net.createServer((socket) => socket.end());
    const port = await listen(server);
    const asked: unknown[] = [];
    const socket = net.connect({
      port,
      host: "somewhere.test",
      autoSelectFamily: false,
      lookup: (host, options, callback) => {
        asked.push(host, options.all ?? false);
        process.nextTick(callback, null, "127.0.0.1", 4);
      },
    });
    const lookups: unknown[][] = [];
    socket.on("lookup", (...values) => lookups.push(values));
    socket.resume();
    await closed(socket);
    assert.deepEqual(asked, ["somewhere.test", false]);
    assert.deepEqual(lookups, [[null, "127.0.0.1", 4, "somewhere.test"]]);
    await close(server);
  });

  test("of several addresses the first that answers is taken", async () => {
    const { net } = get();
    const server = net.createServer((socket) => socket.end());
    const port = await listen(server);
    const socket = net.connect({
      port,
      host: "two.test",
      autoSelectFamily: true,
      lookup: (_host, _options, callback) =>
        process.nextTick(callback, null, [
          { address: "::1", family: 6 },
          { address: "127.0.0.1", family: 4 },
        ]),
    });
    const events = record(socket, "lookup", "connectionAttemptFailed", "connect");
    socket.resume();
    await closed(socket);
    assert.deepEqual(events, ["lookup", "lookup", "connectionAttemptFailed", "connect"]);
    await close(server);
  });

  test("if none answers, all errors are told", async () => {
    const { net } = get();
    const port = await unusedPort(get());
    const socket = net.connect({
      port,
      host: "two.test",
      autoSelectFamily: true,
      lookup: (_host, _options, callback) =>
        process.nextTick(callback, null, [
          { address: "::1", family: 6 },
          { address: "127.0.0.1", family: 4 },
        ]),
    });
    const error = (await errorOf(socket)) as unknown as AggregateError & { code: string };
    assert.ok(error instanceof AggregateError);
    assert.equal(error.code, "ECONNREFUSED");
    assert.deepEqual(
      error.errors.map(({ message }: Error) => message),
      [`connect ECONNREFUSED ::1:${port}`, `connect ECONNREFUSED 127.0.0.1:${port}`],
    );
  });

  test("a local address and port can be asked for", async () => {
    const localPort = await unusedPort(get());
    const { near, far, server } = await pair(get(), {}, { localAddress: "127.0.0.2", localPort });
    assert.equal(near.localAddress, "127.0.0.2");
    assert.equal(near.localPort, localPort);
    assert.equal(far.remoteAddress, "127.0.0.2");
    await finish(server, near, far);
  });

  test("what is written before the connection stands is sent then", async () => {
    const { net } = get();
    const server = net.createServer();
    const port = await listen(server);
    const socket = net.connect(port, "127.0.0.1");
    let written = false;
    socket.write("first ", () => {
      written = true;
      assert.equal(socket.connecting, false);
    });
    assert.equal(socket.bytesWritten, 6);
    socket.end("second");
    const [far] = (await once(server, "connection")) as [Socket];
    assert.equal(String(await all(far)), "first second");
    assert.equal(written, true);
    await finish(server, socket, far);
  });

  test("connect() once more after the end", async () => {
    const { net } = get();
    const server = net.createServer((far) => far.end("hello"));
    const port = await listen(server);
    const socket = new net.Socket();
    for (let round = 0; round < 2; round++) {
      socket.connect(port, "127.0.0.1");
      let text = "";
      socket.removeAllListeners("data");
      socket.on("data", (chunk) => (text += String(chunk)));
      await closed(socket);
      assert.equal(text, "hello");
    }
    await close(server);
  });

  test("an aborted signal ends it", async () => {
    const { net } = get();
    const { near, far, server } = await pair(get());
    const abort = new AbortController();
    const socket = net.connect({
      port: portOf(server.address()),
      host: "127.0.0.1",
      signal: abort.signal,
    });
    const failure = errorOf(socket);
    const ended = closed(socket);
    abort.abort();
    assert.equal((await failure).code, "ABORT_ERR");
    assert.equal(await ended, true);
    await finish(server, near, far);
  });

  test("noDelay, keepAlive and the like return the socket, before and after connecting", async () => {
    const { net } = get();
    const early = new net.Socket();
    assert.equal(early.setNoDelay(), early);
    assert.equal(early.setKeepAlive(true, 1000), early);
    assert.equal(early.ref(), early);
    assert.equal(early.unref(), early);
    const { near, far, server } = await pair(
      get(),
      { noDelay: true, keepAlive: true },
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: 5000 },
    );
    assert.equal(near.setNoDelay(false), near);
    assert.equal(near.setKeepAlive(false), near);
    assert.equal(near.unref().ref(), near);
    await finish(server, near, far);
  });
}

function servers(get: Get): void {
  test("listening comes after listen(), and tells the address", async () => {
    const { net } = get();
    const server = net.createServer();
    assert.equal(server.listening, false);
    assert.equal(server.address(), null);
    const events = record(server, "listening", "close");
    assert.equal(server.listen(0, "127.0.0.1"), server);
    assert.deepEqual(events, []);
    await once(server, "listening");
    assert.equal(server.listening, true);
    const address = server.address();
    assert.deepEqual(address, { address: "127.0.0.1", family: "IPv4", port: portOf(address) });
    assert.ok(portOf(address) > 0);
    await close(server);
    assert.equal(server.listening, false);
    assert.equal(server.address(), null);
    assert.deepEqual(events, ["listening", "close"]);
  });

  test("without a host it is all addresses of both families", async () => {
    const { net } = get();
    const server = net.createServer((socket) => socket.end());
    const port = await listen(server, 0);
    assert.deepEqual(server.address(), { address: "::", family: "IPv6", port });
    for (const host of ["127.0.0.1", "::1"]) {
      const socket = net.connect(port, host).resume();
      await once(socket, "connect");
      assert.equal(socket.remoteAddress, host);
      await closed(socket);
    }
    await close(server);
  });

  test("ipv6Only keeps IPv4 out", async () => {
    const { net } = get();
    const server = net.createServer();
    const port = await listen(server, { port: 0, host: "::", ipv6Only: true });
    assert.equal((await errorOf(net.connect(port, "127.0.0.1"))).code, "ECONNREFUSED");
    await close(server);
  });

  test("the forms of listen()", async () => {
    const { net } = get();
    for (const args of [
      [0, "127.0.0.1", 10],
      [0, 10],
      [{ port: 0, host: "127.0.0.1", backlog: 10 }],
      [],
    ]) {
      const server = net.createServer();
      const listening = new Promise<void>((resolve) => {
        (server.listen as (...values: readonly unknown[]) => void).call(server, ...args, resolve);
      });
      await listening;
      assert.ok(portOf(server.address()) > 0);
      await close(server);
    }
  });

  test("connections are counted, and close comes when the last is gone", async () => {
    const { near, far, server } = await pair(get());
    const count = () =>
      new Promise<number>((resolve, reject) =>
        server.getConnections((error, value) => (error ? reject(error) : resolve(value))),
      );
    assert.equal(await count(), 1);
    let ended = false;
    server.close(() => {
      ended = true;
    });
    await sleep(20);
    assert.equal(ended, false);
    assert.equal(server.listening, false);
    const finished = once(server, "close");
    near.destroy();
    far.destroy();
    await finished;
    assert.equal(ended, true);
    assert.equal(await count(), 0);
  });

  test("beyond maxConnections they are dropped", async () => {
    const { net } = get();
    const server = net.createServer();
    server.maxConnections = 1;
    const port = await listen(server);
    const first = net.connect(port, "127.0.0.1");
    const [kept] = (await once(server, "connection")) as [Socket];
    const dropping = once(server, "drop");
    const second = net.connect(port, "127.0.0.1").resume();
    second.on("error", () => {});
    const [data] = (await dropping) as [{ localPort: number; remoteFamily: string }];
    assert.equal(data.localPort, port);
    assert.equal(data.remoteFamily, "IPv4");
    await closed(second);
    await finish(server, first, kept);
  });

  test("pauseOnConnect: nothing flows before resume()", async () => {
    const { near, far, server } = await pair(get(), { pauseOnConnect: true });
    assert.equal(far.isPaused(), true);
    let seen = "";
    far.on("data", (chunk) => (seen += String(chunk)));
    near.write("waiting");
    await sleep(20);
    assert.equal(seen, "");
    far.resume();
    while (!seen) await turn();
    await finish(server, near, far);
  });

  test("a server can listen again after its end", async () => {
    const { net } = get();
    const server = net.createServer();
    const port = await listen(server);
    await close(server);
    assert.equal(await listen(server, port, "127.0.0.1"), port);
    await close(server);
  });

  test("close() of one that does not listen is an error to its callback", async () => {
    const { net } = get();
    await assert.rejects(close(net.createServer()), { code: "ERR_SERVER_NOT_RUNNING" });
  });

  test("a signal closes it", async () => {
    const { net } = get();
    const server = net.createServer();
    const abort = new AbortController();
    await listen(server, { port: 0, host: "127.0.0.1", signal: abort.signal });
    const ended = once(server, "close");
    abort.abort();
    await ended;
    assert.equal(server.listening, false);
  });

  test("await using closes it", async () => {
    const { net } = get();
    let port: number;
    {
      await using server = net.createServer();
      port = await listen(server);
    }
    assert.equal((await errorOf(net.connect(port, "127.0.0.1"))).code, "ECONNREFUSED");
  });
}

function streams(get: Get): void {
  test("megabytes both ways at once, whole", async () => {
    const { net } = get();
    const server = net.createServer((socket) => void pipeline(socket, socket));
    const port = await listen(server);
    const socket = net.connect(port, "127.0.0.1");
    const sent = Buffer.alloc(4 * MIB);
    for (let i = 0; i < sent.length; i++) sent[i] = (i * 31) >> 3;
    socket.end(sent);
    const received = await all(socket);
    assert.ok(received.equals(sent));
    assert.equal(socket.bytesRead, sent.length);
    assert.equal(socket.bytesWritten, sent.length);
    await close(server);
  });

  test("write() says when to wait, and drain when to go on", async () => {
    const { near, far, server } = await pair(get());
    const chunk = Buffer.alloc(MIB, 1);
    let accepted = 0;
    while (near.write(chunk)) accepted++;
    assert.ok(accepted < 4);
    assert.equal(near.writableNeedDrain, true);
    for (let i = 0; i < 15; i++) near.write(chunk);
    await sleep(20);
    assert.equal(near.writableNeedDrain, true);
    assert.ok(near.writableLength > 0);
    const drained = once(near, "drain");
    far.resume();
    await drained;
    assert.equal(near.writableLength, 0);
    assert.equal(near.bytesWritten, (accepted + 16) * MIB);
    await finish(server, near, far);
  });

  test("a paused socket reads no more than it holds", async () => {
    const { near, far, server } = await pair(get());
    far.pause();
    near.end(Buffer.alloc(8 * MIB));
    await sleep(50);
    assert.ok(far.bytesRead <= MIB, `${far.bytesRead}`);
    const received = await all(far);
    assert.equal(received.length, 8 * MIB);
    await finish(server, near, far);
  });

  test("corked writes and texts of every encoding", async () => {
    const { near, far, server } = await pair(get());
    near.cork();
    near.write("ä", "utf8");
    near.write("ä", "latin1");
    near.write("6869", "hex");
    near.write(Uint8Array.of(1, 2));
    near.uncork();
    near.end();
    assert.deepEqual(await all(far), Buffer.from([0xc3, 0xa4, 0xe4, 0x68, 0x69, 1, 2]));
    assert.equal(near.bytesWritten, 7);
    await finish(server, near, far);
  });

  test("setEncoding gives texts", async () => {
    const { near, far, server } = await pair(get());
    far.setEncoding("utf8");
    near.write(Buffer.from([0xc3]));
    await sleep(5);
    near.end(Buffer.from([0xa4]));
    let text = "";
    for await (const part of far) text += part as string;
    assert.equal(text, "ä");
    await finish(server, near, far);
  });

  test("write callbacks come in order, and before finish", async () => {
    const { near, far, server } = await pair(get());
    far.resume();
    const order: string[] = [];
    near.write("a", () => order.push("a"));
    near.write("b", () => order.push("b"));
    near.end("c", () => order.push("end"));
    near.on("finish", () => order.push("finish"));
    await closed(near);
    assert.deepEqual(order.slice(0, 2), ["a", "b"]);
    assert.deepEqual(order.slice(2).toSorted(), ["end", "finish"]);
    await finish(server, near, far);
  });

  test("timeout comes when nothing happens, again after something did", async () => {
    const { near, far, server } = await pair(get());
    assert.equal(near.setTimeout(30), near);
    assert.equal(near.timeout, 30);
    await once(near, "timeout");
    assert.equal(near.destroyed, false);
    near.write("x");
    await once(near, "timeout");
    let called = 0;
    near.setTimeout(20, () => called++);
    await once(near, "timeout");
    assert.equal(called, 1);
    near.setTimeout(0);
    assert.equal(near.timeout, 0);
    await sleep(40);
    assert.equal(called, 1);
    await finish(server, near, far);
  });

  test("onread: bytes come into one's own memory, and false pauses", async () => {
    const { net } = get();
    const server = net.createServer((socket) => socket.end(Buffer.alloc(100_000, "ab")));
    const port = await listen(server);
    const buffer = Buffer.alloc(1000);
    let total = 0;
    let pauses = 0;
    const socket = net.connect({
      port,
      host: "127.0.0.1",
      onread: {
        buffer,
        callback: (count, given) => {
          assert.equal(given, buffer);
          assert.ok(count <= buffer.length);
          total += count;
          if (total < 50_000) return true;
          if (!pauses++) setTimeout(() => socket.resume(), 5);
          return pauses > 1;
        },
      },
    });
    socket.on("data", () => assert.fail("data"));
    await closed(socket);
    assert.equal(total, 100_000);
    assert.equal(pauses > 1, true);
    assert.equal(socket.bytesRead, total);
    await close(server);
  });

  test("many connections at once", async () => {
    const { net } = get();
    const server = net.createServer((socket) => void pipeline(socket, socket).catch(() => {}));
    const port = await listen(server);
    const texts = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const socket = net.connect(port, "127.0.0.1");
        socket.end(`number ${index}`);
        return String(await all(socket));
      }),
    );
    assert.deepEqual(
      texts,
      Array.from({ length: 100 }, (_, index) => `number ${index}`),
    );
    await close(server);
  });
}

function ends(get: Get): void {
  test("end() at one end is the end at both, unless half-open ones are allowed", async () => {
    const { near, far, server } = await pair(get());
    const nearEvents = record(near, "end", "finish", "close");
    const farEvents = record(far, "end", "finish", "close");
    far.resume();
    near.resume();
    near.end("bye");
    await Promise.all([closed(near), closed(far)]);
    assert.deepEqual(nearEvents, ["finish", "end", "close"]);
    assert.deepEqual(farEvents, ["end", "finish", "close"]);
    assert.equal(near.readyState, "closed");
    await finish(server);
  });

  test("half-open: the other end may still be written to", async () => {
    const { near, far, server } = await pair(get(), { allowHalfOpen: true });
    const farEvents = record(far, "end", "finish", "close");
    const farClosed = closed(far);
    far.resume();
    near.end("question");
    await once(far, "end");
    assert.equal(far.writable, true);
    assert.equal(far.readyState, "writeOnly");
    assert.equal(near.readyState, "readOnly");
    far.end("answer");
    assert.equal(String(await all(near)), "answer");
    await farClosed;
    assert.deepEqual(farEvents, ["end", "finish", "close"]);
    await finish(server);
  });

  test("destroy() closes without an error; with one it is told first", async () => {
    const { near, far, server } = await pair(get());
    far.resume();
    const events = record(near, "error", "end", "finish", "close");
    const ended = closed(near);
    const farClosed = closed(far);
    assert.equal(near.destroy(new Error("enough")), near);
    assert.equal(near.destroyed, true);
    assert.equal(await ended, true);
    assert.deepEqual(events, ["error", "close"]);
    assert.equal(await farClosed, false);
    await finish(server);
  });

  test("writing after the other end ended and this one with it is EPIPE", async () => {
    const { near, far, server } = await pair(get());
    near.resume();
    far.end();
    await once(near, "end");
    const failure = errorOf(near);
    near.write("too late");
    assert.ok(["EPIPE", "ERR_STREAM_WRITE_AFTER_END"].includes((await failure).code));
    await finish(server, far);
  });

  test("destroySoon() writes what is there", async () => {
    const { near, far, server } = await pair(get());
    near.write(Buffer.alloc(MIB, 7));
    near.destroySoon();
    assert.equal((await all(far)).length, MIB);
    await finish(server, near, far);
  });

  test("resetAndDestroy() is a reset: ECONNRESET at the other end", async () => {
    const { near, far, server } = await pair(get());
    far.resume();
    const failure = errorOf(far);
    const ended = closed(far);
    const own = closed(near);
    assert.equal(near.resetAndDestroy(), near);
    const { code, syscall, errno, message } = await failure;
    assert.deepEqual(
      { code, syscall, errno, message },
      {
        code: "ECONNRESET",
        syscall: "read",
        errno: -104,
        message: "read ECONNRESET",
      },
    );
    assert.equal(await ended, true);
    assert.equal(await own, false);
    await finish(server);
  });

  test("destroy() while connecting: no connect, only close", async () => {
    const { net } = get();
    const server = net.createServer();
    const port = await listen(server);
    const socket = net.connect(port, "127.0.0.1");
    const events = record(socket, "connect", "error", "close");
    socket.destroy();
    assert.equal(socket.connecting, false);
    await closed(socket);
    await sleep(10);
    assert.deepEqual(events, ["close"]);
    const ended = close(server);
    await ended;
  });

  test("a write that never was sent is told so", async () => {
    const { net } = get();
    const server = net.createServer();
    const port = await listen(server);
    const socket = net.connect(port, "127.0.0.1");
    const written = new Promise<Error | null | undefined>((resolve) => {
      socket.write("lost", resolve);
    });
    socket.destroy();
    assert.equal(
      ((await written) as NodeJS.ErrnoException).code,
      "ERR_SOCKET_CLOSED_BEFORE_CONNECTION",
    );
    await close(server);
  });
}

function errors(get: Get): void {
  test("nobody listens: ECONNREFUSED with all that is known", async () => {
    const { net } = get();
    const port = await unusedPort(get());
    const socket = net.connect(port, "127.0.0.1");
    const events = record(socket, "connectionAttempt", "connectionAttemptFailed", "error", "close");
    const error = await errorOf(socket);
    assert.equal(error.name, "Error");
    assert.equal(error.message, `connect ECONNREFUSED 127.0.0.1:${port}`);
    assert.deepEqual(
      { ...error },
      {
        errno: -111,
        code: "ECONNREFUSED",
        syscall: "connect",
        address: "127.0.0.1",
        port,
      },
    );
    await closed(socket);
    assert.deepEqual(events, ["connectionAttempt", "connectionAttemptFailed", "error", "close"]);
  });

  test("the address is taken: EADDRINUSE", async () => {
    const { net } = get();
    const first = net.createServer();
    const port = await listen(first);
    const second = net.createServer();
    const failure = errorOf(second);
    second.listen(port, "127.0.0.1");
    const error = await failure;
    assert.equal(error.message, `listen EADDRINUSE: address already in use 127.0.0.1:${port}`);
    assert.deepEqual(
      { ...error },
      {
        code: "EADDRINUSE",
        errno: -98,
        syscall: "listen",
        address: "127.0.0.1",
        port,
      },
    );
    assert.equal(second.listening, false);
    await close(first);
    assert.equal(await listen(second, port, "127.0.0.1"), port);
    await close(second);
  });

  test("an address that is not ours: EADDRNOTAVAIL", async () => {
    const { net } = get();
    const server = net.createServer();
    const failure = errorOf(server);
    server.listen(0, "192.0.2.1");
    const { code, message } = await failure;
    assert.equal(code, "EADDRNOTAVAIL");
    assert.equal(message, "listen EADDRNOTAVAIL: address not available 192.0.2.1");
  });

  test("a local address that is not ours: EADDRNOTAVAIL of bind", async () => {
    const { net } = get();
    const socket = net.connect({ port: 9, host: "127.0.0.1", localAddress: "192.0.2.1" });
    const { code, syscall, address, message } = await errorOf(socket);
    assert.deepEqual(
      { code, syscall, address, message },
      {
        code: "EADDRNOTAVAIL",
        syscall: "bind",
        address: "192.0.2.1",
        message: "bind EADDRNOTAVAIL 192.0.2.1",
      },
    );
  });

  test("a name that is none: ENOTFOUND of getaddrinfo", async () => {
    const { net } = get();
    const socket = net.connect({
      port: 9,
      host: "nowhere.invalid",
      lookup: (host, _options, callback) => {
        const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), {
          code: "ENOTFOUND",
        });
        process.nextTick(callback, error, "", 4);
      },
    });
    const events = record(socket, "lookup", "error", "close");
    assert.equal((await errorOf(socket)).code, "ENOTFOUND");
    await closed(socket);
    assert.deepEqual(events, ["lookup", "error", "close"]);
  });

  test("errors are not lost when nobody reads: reset while writing", async () => {
    const { near, far, server } = await pair(get());
    near.on("error", () => {});
    const ended = closed(near);
    far.resetAndDestroy();
    const feed = setInterval(() => near.write("more"), 1);
    assert.equal(await ended, true);
    clearInterval(feed);
    assert.ok(["ECONNRESET", "EPIPE"].includes((near.errored as NodeJS.ErrnoException).code!));
    await finish(server);
  });
}

function badArguments(get: Get): void {
  const connects: readonly (readonly [string, readonly unknown[], object])[] = [
    ["nothing", [], { code: "ERR_MISSING_ARGS", name: "TypeError" }],
    ["no port", [{}], { code: "ERR_MISSING_ARGS" }],
    [
      "a port too high",
      [70000],
      {
        code: "ERR_SOCKET_BAD_PORT",
        name: "RangeError",
        message: "Port should be >= 0 and < 65536. Received type number (70000).",
      },
    ],
    ["a port that is no number", [{ port: "x" }], { code: "ERR_SOCKET_BAD_PORT" }],
    ["a port of a wrong type", [{ port: true }], { code: "ERR_INVALID_ARG_TYPE" }],
    ["a host of a wrong type", [{ port: 1, host: 5 }], { code: "ERR_INVALID_ARG_TYPE" }],
    ["a path of a wrong type", [{ path: 5 }], { code: "ERR_INVALID_ARG_TYPE" }],
    [
      "a local address that is none",
      [{ port: 1, localAddress: "x" }],
      { code: "ERR_INVALID_IP_ADDRESS" },
    ],
    ["a lookup that is no function", [{ port: 1, lookup: 5 }], { code: "ERR_INVALID_ARG_TYPE" }],
  ];
  for (const [name, args, expected] of connects)
    test(`connect: ${name}`, () => {
      const { net } = get();
      assert.throws(
        () => (net.connect as (...values: readonly unknown[]) => void)(...args),
        expected,
      );
    });

  const listens: readonly (readonly [string, readonly unknown[], object])[] = [
    ["a port below 0", [-1], { code: "ERR_SOCKET_BAD_PORT" }],
    ["no port and no path", [{}], { code: "ERR_INVALID_ARG_VALUE" }],
    ["true", [true], { code: "ERR_INVALID_ARG_VALUE" }],
    ["a port that is no number", [{ port: "x" }], { code: "ERR_SOCKET_BAD_PORT" }],
  ];
  for (const [name, args, expected] of listens)
    test(`listen: ${name}`, () => {
      const server = get().net.createServer();
      assert.throws(
        () => (server.listen as (...values: readonly unknown[]) => void).call(server, ...args),
        expected,
      );
    });

  test("listen() twice", async () => {
    const server = get().net.createServer();
    await listen(server);
    assert.throws(() => server.listen(0), { code: "ERR_SERVER_ALREADY_LISTEN" });
    await close(server);
  });

  test("timeouts", () => {
    const socket = new (get().net.Socket)();
    assert.throws(() => socket.setTimeout("x" as never), { code: "ERR_INVALID_ARG_TYPE" });
    assert.throws(() => socket.setTimeout(-1), { code: "ERR_OUT_OF_RANGE" });
    assert.throws(() => socket.setTimeout(1, 5 as never), { code: "ERR_INVALID_ARG_TYPE" });
    assert.throws(() => socket.write(5 as never), { code: "ERR_INVALID_ARG_TYPE" });
  });

  test("writing and resetting what is not connected", async () => {
    const { net } = get();
    const unconnected = new net.Socket();
    const failure = errorOf(unconnected);
    unconnected.write("x");
    assert.ok((await failure).code);
    const other = new net.Socket();
    const second = errorOf(other);
    other.resetAndDestroy();
    assert.equal((await second).code, "ERR_SOCKET_CLOSED");
  });
}

function unix(get: Get): void {
  test("a server has a name; both ends have no addresses", async () => {
    const { net, folder } = get();
    const path = join(folder, "server.sock");
    const server = net.createServer((socket) => void pipeline(socket, socket));
    await listen(server, path);
    assert.equal(server.address(), path);
    const socket = net.connect(path);
    const events = record(socket, "lookup", "connectionAttempt", "connect");
    socket.end("through a name");
    assert.equal(String(await all(socket)), "through a name");
    assert.deepEqual(events, ["connect"]);
    assert.deepEqual(socket.address(), {});
    assert.equal(socket.remoteAddress, undefined);
    await close(server);
    // The name is gone, and free.
    const again = net.createServer();
    await listen(again, { path });
    await close(again);
  });

  test("a name that is taken, and one that is not there", async () => {
    const { net, folder } = get();
    const path = join(folder, "taken.sock");
    const server = net.createServer();
    await listen(server, path);
    const second = net.createServer();
    const failure = errorOf(second);
    second.listen(path);
    const error = await failure;
    assert.equal(error.message, `listen EADDRINUSE: address already in use ${path}`);
    assert.equal(error.address, path);
    await close(server);
    const missing = await errorOf(net.connect(path));
    assert.equal(missing.message, `connect ENOENT ${path}`);
    assert.deepEqual(
      { ...missing },
      {
        errno: -2,
        code: "ENOENT",
        syscall: "connect",
        address: path,
      },
    );
  });
}
