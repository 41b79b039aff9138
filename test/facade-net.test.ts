// Sockets of the kernel, driven by events: what is below node:net's shape.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import * as fc from "fast-check";

import { F_DUPFD_CLOEXEC, F_SETFL } from "../src/abi/constants/fcntl.ts";
import { IPPROTO_MPTCP } from "../src/abi/constants/in.ts";
import { DisposedError, KernelPanicError } from "../src/index.ts";
import type { Kernel, Process } from "../src/index.ts";
import { Gather } from "../src/net/facade/gather.ts";
import { SocketClosedError, Sockets, ipEndpoint } from "../src/net/facade/index.ts";
import type { Connection, Endpoint, IpEndpoint, Listener } from "../src/net/facade/index.ts";
import { net } from "../src/net/index.ts";
import { loopback } from "./facade-net-support.ts";
import { isSettled, list, rejection, repeats, text, threads, until } from "./kernel.ts";

const LOCAL = ipEndpoint("127.0.0.1", 0);
/** (module (func (export "f") (param i32) (result i32) unreachable)) */
const TRAP = Uint8Array.fromHex(
  "0061736d0100000001060160017f017f03020100070501016600000a05010300000b",
);

function pattern(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i * 7 + seed;
  return bytes;
}

async function all(connection: Connection): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of connection) parts.push(part);
  return Buffer.concat(parts);
}

async function close(...closed: readonly { close(): Promise<void> }[]): Promise<void> {
  await Promise.all(closed.map((one) => one.close()));
}

suite("sockets of the kernel", () => {
  let kernel: Kernel;
  let process: Process;
  let sockets: Sockets;
  before(async () => {
    ({ kernel, process } = await loopback());
    sockets = new Sockets(process, { ownsProcess: true });
  });
  after(async () => {
    await sockets[Symbol.asyncDispose]();
    await kernel.halt();
  });

  async function pair(local: Endpoint = LOCAL): Promise<[Connection, Connection, Listener]> {
    const listener = await sockets.listen({ local });
    const [near, far] = await Promise.all([
      sockets.connect({ remote: listener.local! }),
      listener.accept(),
    ]);
    return [near, far, listener];
  }

  for (const [name, local] of [
    ["IPv4", LOCAL],
    ["IPv6", ipEndpoint("::1", 0)],
    ["a unix socket", { family: "unix", path: "/run.sock" }],
    ["an abstract unix socket", { family: "unix", path: "\0name" }],
  ] as const)
    test(`a connection over ${name} carries bytes both ways, and each end ends by itself`, async () => {
      const [near, far, listener] = await pair(local);
      await near.write(text.encode("there"));
      await near.end();
      assert.equal(text.decode(await all(far)), "there");
      await far.write([text.encode("and "), text.encode("back")]);
      await far.end();
      assert.equal(text.decode(await all(near)), "and back");
      assert.deepEqual(near.remote, listener.local);
      assert.deepEqual(far.remote, near.local);
      await close(near, far, listener);
      // The name of a unix socket is free again.
      await close(await sockets.listen({ local }));
    });

  test("any bytes in any pieces come as they were", async () => {
    const [near, far, listener] = await pair();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(300_000), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1000, max: 300_000 }),
        async (pieces, most) => {
          const chunks = pieces.map(([length, seed]) => pattern(length, seed));
          const wanted = Buffer.concat(chunks);
          const writing = near.write(chunks);
          const parts: Uint8Array[] = [];
          for (let left = wanted.length; left; left -= parts.at(-1)!.length)
            parts.push((await far.read(Math.min(most, left)))!);
          await writing;
          assert.ok(wanted.equals(Buffer.concat(parts)));
        },
      ),
      { numRuns: 30 },
    );
    await close(near, far, listener);
  });

  test("what is gathered is each chunk once, whatever is taken at a time", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 }),
        (chunks, steps) => {
          const gather = new Gather(chunks);
          const sent: number[] = [];
          for (let turn = 0; gather.left; turn++) {
            const room = new Uint8Array(30);
            const length = gather.copyTo(room);
            const taken = Math.min(length, steps[turn % steps.length]);
            sent.push(...room.subarray(0, taken));
            gather.advance(taken);
          }
          assert.deepEqual(sent, Array.from(Buffer.concat(chunks)));
        },
      ),
    );
  });

  test("a reader that does not read holds the writer up, and no memory fills", async () => {
    const [near, far, listener] = await pair();
    const chunk = new Uint8Array(1 << 20);
    let written = 0;
    const writing = (async () => {
      for (let i = 0; i < 64; i++) {
        await near.write(chunk);
        written += chunk.length;
      }
      await near.end();
    })();
    assert.equal(await isSettled(writing), false);
    const held = written;
    assert.ok(held < 16 << 20, `${held} bytes went nowhere`);
    assert.equal(await isSettled(writing), false);
    assert.equal(written, held);
    let read = 0;
    for await (const part of far) read += part.length;
    await writing;
    assert.equal(read, 64 << 20);
    await close(near, far, listener);
  });

  test("hundreds of connections are served by one thread that waits", async () => {
    const listener = await sockets.listen({ local: LOCAL });
    const serving: Promise<void>[] = [];
    const echo = async (connection: Connection): Promise<void> => {
      for await (const part of connection) await connection.write(part);
      await connection.close();
    };
    const accepting = (async () => {
      for await (const connection of listener) serving.push(echo(connection));
    })();
    const clients = await Promise.all(
      Array.from({ length: 500 }, () => sockets.connect({ remote: listener.local! })),
    );
    const before = await threads(kernel, process);
    await Promise.all(
      clients.map(async (client, index) => {
        const message = text.encode(`message ${index}`);
        await client.write(message);
        assert.deepEqual(new Uint8Array((await client.read())!), message);
      }),
    );
    // Its leader, the one that waits, those that made the calls.
    assert.equal(await threads(kernel, process), before);
    assert.ok(before < 10, `${before} threads`);
    await close(...clients, listener);
    await accepting;
    await Promise.all(serving);
    assert.equal(sockets.size, 0);
    // The thread stops waiting as soon as it is told.
    await until(() => process.callsInFlight === 0);
  });

  test("thousands at once, each with its own bytes", async () => {
    const count = repeats(10_000, 1500);
    const listener = await sockets.listen({ local: LOCAL, backlog: 4096 });
    const far: Connection[] = [];
    const accepting = (async () => {
      while (far.length < count) far.push(await listener.accept());
    })();
    const near: Connection[] = [];
    for (let i = 0; i < count; i++) near.push(await sockets.connect({ remote: listener.local! }));
    await accepting;
    assert.equal(sockets.size, 2 * count + 1);
    await Promise.all(far.map((connection, index) => connection.write(text.encode(`${index}`))));
    const ports = new Map(
      far.map((connection, index) => [(connection.remote as IpEndpoint).port, `${index}`]),
    );
    for (const connection of near)
      assert.equal(
        text.decode((await connection.read())!),
        ports.get((connection.local as IpEndpoint).port),
      );
    await close(...near, ...far, listener);
    assert.equal(sockets.size, 0);
  });

  test("the errors are the kernel's, in Node's words", async () => {
    const taken = await sockets.listen({ local: LOCAL });
    await assert.rejects(sockets.listen({ local: taken.local! }), {
      name: "Error",
      code: "EADDRINUSE",
      errno: -98,
      syscall: "listen",
      address: "127.0.0.1",
      port: (taken.local as { port: number }).port,
      message: `listen EADDRINUSE: address already in use 127.0.0.1:${(taken.local as { port: number }).port}`,
    });
    await taken.close();
    await assert.rejects(sockets.connect({ remote: taken.local! }), {
      code: "ECONNREFUSED",
      syscall: "connect",
      address: "127.0.0.1",
    });
    await assert.rejects(sockets.connect({ remote: ipEndpoint("192.0.2.1", 9) }), {
      message: "connect ENETUNREACH 192.0.2.1:9 - Local (0.0.0.0:0)",
    });
    await assert.rejects(sockets.connect({ remote: { family: "unix", path: "/none" } }), {
      message: "connect ENOENT /none",
      address: "/none",
    });
    assert.equal(sockets.size, 0);
  });

  test("as streams of the web's kind, with backpressure", async () => {
    const [near, far, listener] = await pair();
    const echoing = far.readable.pipeTo(far.writable);
    const sent = pattern(3 << 20, 5);
    const chunks = Array.from({ length: 48 }, (_, i) => sent.subarray(i << 16, (i + 1) << 16));
    const sending = new Blob(chunks).stream().pipeTo(near.writable);
    const received = Buffer.from(await new Response(near.readable).arrayBuffer());
    await Promise.all([sending, echoing]);
    assert.ok(received.equals(sent));
    await close(near, far, listener);
  });

  test("a web stream that is cancelled resets the connection", async () => {
    const [near, far, listener] = await pair();
    const reading = rejection(far.read());
    await near.readable.cancel();
    assert.equal(((await reading) as { code: string }).code, "ECONNRESET");
    await close(far, listener);
  });

  test("what waits for a socket that is closed is told, and so is what comes later", async () => {
    const [near, far, listener] = await pair();
    const reading = rejection(near.read());
    await near.close();
    assert.ok((await reading) instanceof SocketClosedError);
    await assert.rejects(near.read(), { code: "ERR_SOCKET_CLOSED" });
    await assert.rejects(near.write(text.encode("x")), { code: "ERR_SOCKET_CLOSED" });
    await assert.rejects(near.getOption("SO_TYPE"), { code: "ERR_SOCKET_CLOSED" });
    assert.equal(await far.read(), null);
    const accepting = rejection(listener.accept());
    await close(far, listener, near);
    assert.ok((await accepting) instanceof SocketClosedError);
  });

  test("a reset is one: ECONNRESET at the other end", async () => {
    const [near, far, listener] = await pair();
    const reading = rejection(far.read());
    await near.reset();
    assert.equal(((await reading) as { code: string }).code, "ECONNRESET");
    await close(far, listener);
  });

  test("connecting ends with its signal", async () => {
    // Nobody answers behind a device that drops everything.
    await using network = net(kernel);
    await network.link.add({ name: "hole", kind: "dummy" });
    await network.up("hole", "10.9.9.1/24");
    const why = new Error("enough");
    const abort = new AbortController();
    const connecting = rejection(
      sockets.connect({ remote: ipEndpoint("10.9.9.2", 80), signal: abort.signal }),
    );
    assert.equal(await isSettled(connecting), false);
    abort.abort(why);
    assert.equal(await connecting, why);
    assert.equal(await rejection(sockets.connect({ remote: LOCAL, signal: abort.signal })), why);
    assert.equal(sockets.size, 0);
  });

  test("from the kernel's memory and into it, in pieces as large as they are", async () => {
    const [near, far, listener] = await pair();
    const length = 3 << 20;
    await using out = await process.buffer(length);
    await using into = await process.buffer(length);
    out.bytes.set(pattern(length, 3));
    const writing = near.write(out);
    let [at, most] = [0, 0];
    while (at < length) {
      const count = await far.readInto(into.slice(at));
      at += count;
      most = Math.max(most, count);
    }
    await writing;
    assert.equal(Buffer.compare(into.bytes, out.bytes), 0);
    assert.ok(most > 256 << 10, `${most}`);
    await near.write(out.slice(5, 3));
    assert.deepEqual(new Uint8Array((await far.read())!), pattern(length, 3).slice(5, 8));
    const waiting = rejection(far.readInto(into));
    await into.dispose();
    await near.write(text.encode("x"));
    assert.ok((await waiting) instanceof DisposedError);
    assert.equal(text.decode((await far.read())!), "x");
    await close(near, far, listener);
  });

  test("those that doze now and then, and are looked after meanwhile, miss nothing", async () => {
    const other = await kernel.process();
    await using far = new Sockets(other, { ownsProcess: true });
    const listener = await far.listen({ local: LOCAL });
    const echo = async (connection: Connection) => {
      for await (const bytes of connection) await connection.write(bytes);
      await connection.close();
    };
    const serve = async () => {
      for await (const connection of listener) void echo(connection);
    };
    const serving = serve();
    let over = false;
    const doze = async () => {
      for (let turn = 0; !over; turn++) {
        const side = turn % 2 ? far : sockets;
        side.dozing = true;
        await new Promise((resolve) => setTimeout(resolve, turn % 3));
        side.poll();
        if (turn % 5) await new Promise((resolve) => setImmediate(resolve));
        side.dozing = false;
      }
    };
    const dozing = doze();
    const lines = Array.from({ length: 20 }, async (_, line) => {
      for (let round = 0; round < 5; round++) {
        const near = await sockets.connect({ remote: listener.local! });
        const sent = pattern(((line * 5 + round) * 1999) % 200_000, line);
        const [got] = await Promise.all([all(near), near.write(sent).then(() => near.end())]);
        assert.equal(Buffer.compare(got, sent), 0);
        await near.close();
      }
    });
    await Promise.all(lines);
    over = true;
    await dozing;
    await listener.close();
    await serving;
    await until(() => far.size === 0);
  });

  test("neighbours that never pause hold nobody up", async () => {
    const [near, far, listener] = await pair();
    let [asked, answered] = [0, 0];
    const others = await Promise.all([kernel.process(), kernel.process()]);
    const busy = others.map(async (other) => {
      for (; answered < 20; asked++) await other.getpid();
    });
    // One that waits by calls of its own, so that nothing else of the sockets' goes on meanwhile.
    const into = new Uint8Array(1);
    const descriptor = await process.fcntl64(near.fd, F_DUPFD_CLOEXEC, 0);
    await process.fcntl64(descriptor, F_SETFL, 0);
    for (; answered < 20; answered++) {
      await process.sendto(descriptor, Uint8Array.of(answered), 1, 0, null, 0);
      await far.write((await far.read())!);
      await process.recvfrom(descriptor, into, 1, 0, null, null);
      assert.equal(into[0], answered);
    }
    await Promise.all(busy);
    assert.ok(asked > 0);
    await process.close(descriptor);
    for (const other of others) await other.exit();
    await close(near, far, listener);
  });

  test("options by the kernel's names", async () => {
    const [near, far, listener] = await pair();
    await near.setOption("TCP_NODELAY", true);
    assert.equal(await near.getOption("TCP_NODELAY"), 1);
    await near.setOption("TCP_CONGESTION", "bbr");
    assert.equal(await near.getOption("TCP_CONGESTION"), "bbr");
    await near.setOption("SO_RCVTIMEO", 1500);
    assert.equal(await near.getOption("SO_RCVTIMEO"), 1500);
    await near.setOption("SO_LINGER", Uint8Array.from([1, 0, 0, 0, 2, 0, 0, 0]));
    assert.deepEqual(await near.getOption("SO_LINGER"), Uint8Array.from([1, 0, 0, 0, 2, 0, 0, 0]));
    await near.setOption("SO_LINGER", new Uint8Array(8));
    await assert.rejects(near.setOption("IP_TTL", 0), { code: "EINVAL", syscall: "setsockopt" });
    await assert.rejects(near.setOption("TCP_CONGESTION", 1), { code: "ERR_INVALID_OPTION" });
    await assert.rejects(near.setOption("SO_NONE" as "SO_TYPE", 1), { option: "name" });
    await close(near, far, listener);
  });

  test("MPTCP, where the kernel has it", async () => {
    const listener = await sockets.listen({ local: LOCAL, protocol: IPPROTO_MPTCP });
    const near = await sockets.connect({ remote: listener.local!, protocol: IPPROTO_MPTCP });
    const far = await listener.accept();
    assert.equal(await far.getOption("SO_PROTOCOL"), IPPROTO_MPTCP);
    assert.equal(await far.getOption("TCP_IS_MPTCP"), 1);
    await near.write(text.encode("many ways"));
    assert.equal(text.decode((await far.read())!), "many ways");
    await close(near, far, listener);
  });
});

suite("the end of a kernel, and of its sockets", () => {
  test("a panic rejects all that waits", async () => {
    const { kernel, process } = await loopback();
    const sockets = new Sockets(process);
    const listener = await sockets.listen({ local: LOCAL });
    const near = await sockets.connect({ remote: listener.local! });
    const far = await listener.accept();
    const waiting = [near.read(), far.read(), listener.accept()].map(rejection);
    const { instance } = await WebAssembly.instantiate(TRAP);
    await rejection(process.run(instance.exports["f"]));
    for (const why of await Promise.all(waiting)) assert.ok(why instanceof KernelPanicError);
    await assert.rejects(near.read(), KernelPanicError);
    await assert.rejects(sockets.connect({ remote: LOCAL }), KernelPanicError);
    await near.close();
    await sockets[Symbol.asyncDispose]();
    assert.equal(kernel.running, false);
  });

  test("nobody waits in the kernel, and a panic is found when somebody looks", async () => {
    const { process } = await loopback();
    const sockets = new Sockets(process);
    const listener = await sockets.listen({ local: LOCAL });
    sockets.dozing = true;
    const accepting = rejection(listener.accept());
    await until(() => process.callsInFlight === 0);
    const { instance } = await WebAssembly.instantiate(TRAP);
    await rejection(process.run(instance.exports["f"]));
    assert.equal(await isSettled(accepting), false);
    sockets.poll();
    assert.ok((await accepting) instanceof KernelPanicError);
    await sockets[Symbol.asyncDispose]();
  });

  test("disposal rejects all that waits, and leaves no call in the kernel", async () => {
    const { kernel, process } = await loopback();
    const sockets = new Sockets(process);
    const listener = await sockets.listen({ local: LOCAL });
    const near = await sockets.connect({ remote: listener.local! });
    await listener.accept();
    const accepting = rejection(listener.accept());
    await sockets[Symbol.asyncDispose]();
    assert.ok((await accepting) instanceof DisposedError);
    await assert.rejects(sockets.listen({ local: LOCAL }), DisposedError);
    assert.equal(process.callsInFlight, 0);
    // The descriptors are closed, and a late close() does not close another's.
    assert.deepEqual(await list(process, "/proc/self/fd"), ["0"]);
    const next = new Sockets(process);
    const again = await next.listen({ local: listener.local! });
    await close(near, listener);
    const far = await next.connect({ remote: again.local! });
    await close(far, again);
    await next[Symbol.asyncDispose]();
    await kernel.halt();
  });
});
