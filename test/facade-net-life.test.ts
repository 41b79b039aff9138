// What holds a program, and what is left behind.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import type nodeNet from "node:net";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";

import { RLIMIT_NOFILE } from "../src/abi/constants/resource.ts";
import { Rlimit64 } from "../src/abi/structs/process.ts";
import type { Kernel, Process } from "../src/index.ts";
import { createSockets } from "../src/platform/node/index.ts";
import { loopback } from "./facade-net-support.ts";
import { list, repeats, until } from "./kernel.ts";

const run = promisify(execFile);
const support = new URL("facade-net-support.ts", import.meta.url).href;
const platform = new URL("../src/platform/node/index.ts", import.meta.url).href;

/** Run a program with `net` in it to its end. @returns what it wrote */
async function program(body: string): Promise<string> {
  const { stdout } = await run(process.execPath, [
    "--input-type=module",
    "--eval",
    `import { loopback } from ${JSON.stringify(support)};
     import { createSockets } from ${JSON.stringify(platform)};
     const { process: owner } = await loopback();
     const { net, dgram } = createSockets(owner);
     const say = (text) => process.stdout.write(text + "\\n");
     ${body}`,
  ]);
  return stdout;
}

suite("what holds a program", () => {
  test("open sockets do, closed ones do not: it ends by itself", async () => {
    const out = await program(`
      const server = net.createServer((socket) => socket.end("hello"));
      server.listen(0, "127.0.0.1", () => {
        const socket = net.connect(server.address().port, "127.0.0.1");
        socket.on("data", (data) => say(String(data))).on("close", () => server.close(() => say("closed")));
      });
      process.on("exit", () => say("end"));
    `);
    assert.equal(out, "hello\nclosed\nend\n");
  });

  test("those that are unreferenced do not, and work as long as something else does", async () => {
    const out = await program(`
      const server = net.createServer((socket) => socket.unref().pipe(socket)).unref();
      server.listen(0, "127.0.0.1", () => {
        const socket = net.connect(server.address().port, "127.0.0.1").unref();
        socket.on("data", (data) => say(String(data)));
        const wait = setTimeout(() => {}, 200);
        setTimeout(() => socket.write("after a while"), 80);
      });
      const held = setTimeout(() => {}, 20);
      process.on("exit", () => say("end"));
    `);
    assert.equal(out, "after a while\nend\n");
  });
});

suite("what a listener throws", () => {
  test("is uncaught, as on node:net, and nothing else comes of it", async () => {
    const out = await program(`
      const thrown = [];
      process.on("uncaughtException", ({ message }) => thrown.push(message));
      const fail = (where) => { throw new Error(where); };
      const server = net.createServer((socket) => {
        socket.on("data", (data) => socket.end("got " + data));
        fail("connection");
      });
      server.on("error", () => say("an error of the server"));
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address();
        const socket = net.connect(port, "127.0.0.1", () => {
          socket.write("x", () => fail("written"));
        });
        socket.on("error", () => say("an error of the socket"));
        socket.on("data", (data) => { say(String(data)); fail("data"); });
        socket.on("close", () => {
          const datagrams = dgram.createSocket("udp4");
          datagrams.on("error", () => say("an error of the datagrams"));
          datagrams.once("message", () => {
            datagrams.once("message", () => {
              datagrams.close();
              server.close(() => say(thrown.toSorted().join(" ")));
            });
            datagrams.send("y", datagrams.address().port, "127.0.0.1", () => fail("sent"));
            fail("message");
          });
          datagrams.bind(0, "127.0.0.1", () => {
            datagrams.send("y", datagrams.address().port, "127.0.0.1");
            fail("bound");
          });
        });
        fail("listening");
      });
    `);
    assert.equal(out, "got x\nbound connection data listening message sent written\n");
  });
});

suite("what is left behind", () => {
  let kernel: Kernel;
  let owner: Process;
  before(async () => {
    ({ kernel, process: owner } = await loopback());
  });
  after(() => kernel.halt());

  test("a server closes with the sockets that it is one of", async () => {
    const own = createSockets(await kernel.process(), { ownsProcess: true });
    const server = own.net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    // An "error" without a listener would be uncaught.
    const closed = once(server, "close");
    await own[Symbol.asyncDispose]();
    await closed;
    assert.equal(server.listening, false);
  });

  test("a server that is out of descriptors lets others wait, and loses nobody", async () => {
    const poor = await kernel.process({ uid: 1000 });
    const limit = Rlimit64.alloc();
    limit.rlim_cur = limit.rlim_max = 12n;
    await kernel.init.prlimit64(poor.pid, RLIMIT_NOFILE, limit.bytes, null);
    const few = createSockets(poor, { ownsProcess: true });
    const server = few.net.createServer((socket) => {
      setTimeout(() => socket.end("your turn"), 10);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as nodeNet.AddressInfo;
    await using many = createSockets(owner);
    const texts = await Promise.all(
      Array.from({ length: 40 }, async () => {
        let text = "";
        for await (const part of many.net.connect(port, "127.0.0.1")) text += String(part);
        return text;
      }),
    );
    assert.deepEqual(texts, new Array<string>(40).fill("your turn"));
    await new Promise((resolve) => server.close(resolve));
    await few[Symbol.asyncDispose]();
  });

  test("after many connections nothing: no descriptor, no socket, no call", async () => {
    const sockets = createSockets(owner);
    const net = sockets.net as unknown as typeof nodeNet;
    const descriptors = () => list(owner, "/proc/self/fd");
    const server = net.createServer((socket) => socket.on("error", () => {}).pipe(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as nodeNet.AddressInfo;
    const before = await descriptors();
    const rounds = repeats(10_000, 20);
    const atOnce = 50;
    for (let round = 0; round < rounds; round++)
      await Promise.all(
        Array.from({ length: atOnce }, async (_, index) => {
          const socket = net.connect(port, "127.0.0.1");
          socket.on("error", () => {});
          const ended = new Promise((resolve) => void socket.once("close", resolve));
          await once(socket, "connect");
          // Each ends in its own way.
          if (index % 3 === 0) socket.resume().end("bye");
          else if (index % 3 === 1) socket.resetAndDestroy();
          else socket.destroy();
          await ended;
        }),
      );
    await until(() => sockets.sockets.size === 1);
    assert.deepEqual((await descriptors()).length, before.length);
    await new Promise((resolve) => server.close(resolve));
    assert.equal(sockets.sockets.size, 0);
    await sockets[Symbol.asyncDispose]();
    await until(() => owner.callsInFlight === 0);
  });
});
