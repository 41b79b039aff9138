// What others wrote for node:net, unchanged, over the kernel's sockets.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import type nodeNet from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { after, before, suite, test } from "node:test";
import tls from "node:tls";
import { createGzip } from "node:zlib";

import * as undici from "undici";
import { WebSocket, WebSocketServer } from "ws";

import type { Kernel } from "../src/index.ts";
import { createSockets } from "../src/platform/node/index.ts";
import type { NodeSockets } from "../src/platform/node/index.ts";
import { loopback } from "./facade-net-support.ts";
import { makeCertificate } from "./ftp-support.ts";
import { temporaryFolder } from "./images/native.ts";

const MIB = 1 << 20;

suite("over the kernel's sockets", () => {
  let kernel: Kernel;
  let own: NodeSockets;
  let net: typeof nodeNet;
  let key: Buffer;
  let cert: Buffer;

  before(async () => {
    const host = await loopback();
    kernel = host.kernel;
    own = createSockets(host.process, { ownsProcess: true });
    net = own.net as unknown as typeof nodeNet;
    using folder = temporaryFolder();
    ({ key, cert } = makeCertificate(folder.path));
  });
  after(async () => {
    await own[Symbol.asyncDispose]();
    await kernel.halt();
  });

  /** A server of the kernel's that hands its connections to another one. */
  async function serve(
    target: { emit(event: "connection", socket: nodeNet.Socket): boolean },
    options: nodeNet.ServerOpts = {},
  ): Promise<{ port: number; close(): Promise<void> }> {
    const server = net.createServer(options, (socket) => target.emit("connection", socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as nodeNet.AddressInfo;
    return {
      port,
      close: () =>
        new Promise((resolve, reject) =>
          server.close((error) => (error ? reject(error) : resolve())),
        ),
    };
  }

  suite("node:http", () => {
    const agentOf = (options: http.AgentOptions = {}): http.Agent => {
      const agent = new http.Agent(options);
      agent.createConnection = (given) => net.connect(given as nodeNet.NetConnectOpts);
      return agent;
    };

    async function get(options: http.RequestOptions, body?: Readable | string) {
      const request = http.request(options);
      if (body instanceof Readable) body.pipe(request);
      else request.end(body);
      const [response] = (await once(request, "response")) as [http.IncomingMessage];
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      return { response, body: Buffer.concat(chunks) };
    }

    test("requests and answers on connections that stay, in parallel", async () => {
      const remotes = new Set<string>();
      const web = http.createServer((request, response) => {
        remotes.add(`${request.socket.remoteAddress}:${request.socket.remotePort}`);
        response.setHeader("x-path", request.url ?? "");
        response.end(`hello from ${request.url}`);
      });
      const { port, close } = await serve(web);
      const agent = agentOf({ keepAlive: true, maxSockets: 4 });
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, index) =>
          get({ agent, host: "127.0.0.1", port, path: `/${index}` }),
        ),
      );
      for (const [index, { response, body }] of answers.entries()) {
        assert.equal(response.statusCode, 200);
        assert.equal(response.headers["x-path"], `/${index}`);
        assert.equal(String(body), `hello from /${index}`);
      }
      assert.equal(remotes.size, 4);
      agent.destroy();
      await close();
    });

    test("megabytes in both directions, in chunks", async () => {
      const web = http.createServer((request, response) => void pipeline(request, response));
      const { port, close } = await serve(web);
      const sent = Buffer.alloc(3 * MIB + 17);
      for (let i = 0; i < sent.length; i++) sent[i] = (i * 7) >> 2;
      const agent = agentOf();
      for (const size of [70_001, 65_519, 16_384, 4561]) {
        const parts = Readable.from(
          (function* parts() {
            for (let at = 0; at < sent.length; at += size) yield sent.subarray(at, at + size);
          })(),
        );
        const { body } = await get({ agent, host: "127.0.0.1", port, method: "POST" }, parts);
        assert.ok(body.equals(sent));
      }
      await close();
    });

    test("an upgrade, an expectation, a pipeline of gzip", async () => {
      const web = http.createServer((request, response) => {
        request.resume();
        response.setHeader("content-encoding", "gzip");
        void pipeline(Readable.from(["many ", "words"]), createGzip(), response);
      });
      web.on("upgrade", (_request, socket) => {
        socket.write("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
        socket.pipe(socket);
      });
      const { port, close } = await serve(web);
      const agent = agentOf();
      const { response } = await get(
        { agent, host: "127.0.0.1", port, method: "PUT", headers: { expect: "100-continue" } },
        "body",
      );
      assert.equal(response.headers["content-encoding"], "gzip");
      const upgrade = http.request({
        agent,
        host: "127.0.0.1",
        port,
        headers: { connection: "upgrade", upgrade: "echo" },
      });
      upgrade.end();
      const [, socket] = (await once(upgrade, "upgrade")) as [unknown, nodeNet.Socket];
      socket.end("back and forth");
      let text = "";
      for await (const part of socket) text += String(part);
      assert.equal(text, "back and forth");
      await close();
    });

    test("a server whose timeouts end a connection that says nothing", async () => {
      const web = http.createServer({ keepAliveTimeout: 30 }, (_request, response) => {
        response.end("ok");
      });
      web.keepAliveTimeoutBuffer = 0;
      const { port, close } = await serve(web);
      const agent = agentOf({ keepAlive: true });
      await get({ agent, host: "127.0.0.1", port });
      // The connection is closed by the server, so that this settles.
      await close();
      agent.destroy();
    });

    test("nobody there: the request fails as it does on node:net", async () => {
      const { port, close } = await serve(http.createServer());
      await close();
      const request = http.get({ agent: agentOf(), host: "127.0.0.1", port });
      const [error] = (await once(request, "error")) as [NodeJS.ErrnoException];
      assert.equal(error.code, "ECONNREFUSED");
    });

    test("HTTP/2, many streams on one connection", async () => {
      const web = http2.createServer();
      web.on("stream", (stream: http2.ServerHttp2Stream, headers) => {
        stream.respond({ ":status": 200 });
        stream.end(`stream ${headers[":path"]}`);
      });
      const { port, close } = await serve(web);
      const client = http2.connect("http://server.test", {
        createConnection: () => net.connect(port, "127.0.0.1"),
      });
      const texts = await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const stream = client.request({ ":path": `/${index}` });
          stream.setEncoding("utf8");
          let text = "";
          for await (const part of stream) text += part as string;
          return text;
        }),
      );
      assert.deepEqual(
        texts,
        Array.from({ length: 20 }, (_, index) => `stream /${index}`),
      );
      await new Promise<void>((resolve) => client.close(resolve));
      await close();
    });
  });

  suite("node:tls", () => {
    test("both ends on sockets of the kernel; certificates are checked", async () => {
      const server = tls.createServer({ key, cert }, (socket) => void pipeline(socket, socket));
      // What is below TLS must not end by itself what is above.
      const { port, close } = await serve(server, { allowHalfOpen: true });
      const client = tls.connect({
        socket: net.connect({ port, host: "127.0.0.1", allowHalfOpen: true }),
        ca: cert,
        servername: "localhost",
      });
      await once(client, "secureConnect");
      assert.equal(client.authorized, true);
      const sent = Buffer.alloc(MIB, "secret ");
      client.end(sent);
      const chunks: Buffer[] = [];
      for await (const chunk of client) chunks.push(chunk as Buffer);
      assert.ok(Buffer.concat(chunks).equals(sent));
      await close();
    });

    test("a certificate of nobody's is refused", async () => {
      const server = tls.createServer({ key, cert });
      server.on("tlsClientError", () => {});
      const { port, close } = await serve(server);
      const client = tls.connect({
        socket: net.connect(port, "127.0.0.1"),
        servername: "localhost",
      });
      const [error] = (await once(client, "error")) as [NodeJS.ErrnoException];
      assert.equal(error.code, "DEPTH_ZERO_SELF_SIGNED_CERT");
      await close();
    });
  });

  suite("undici", () => {
    const connector: undici.buildConnector.connector = (options, callback) => {
      const socket = net.connect(Number(options.port), options.hostname);
      socket
        .once("connect", () => callback(null, socket))
        .once("error", (error) => callback(error, null));
    };

    test("fetch, and requests in a pool", async () => {
      const web = http.createServer((request, response) => {
        if (request.method === "POST") void pipeline(request, response);
        else response.end(JSON.stringify({ path: request.url }));
      });
      const { port, close } = await serve(web);
      const dispatcher = new undici.Agent({ connect: connector, connections: 8, pipelining: 1 });
      const url = `http://127.0.0.1:${port}`;
      const answers = await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const response = await undici.fetch(`${url}/${index}`, { dispatcher });
          return response.json();
        }),
      );
      assert.deepEqual(
        answers,
        Array.from({ length: 50 }, (_, index) => ({ path: `/${index}` })),
      );
      const sent = Buffer.alloc(2 * MIB, "data");
      const { body, statusCode } = await undici.request(url, {
        dispatcher,
        method: "POST",
        body: sent,
      });
      assert.equal(statusCode, 200);
      assert.ok(Buffer.from(await body.arrayBuffer()).equals(sent));
      await dispatcher.close();
      await close();
    });
  });

  suite("ws", () => {
    test("texts and binary messages both ways, pings, and an end with its reason", async () => {
      const web = http.createServer();
      const sockets = new WebSocketServer({ server: web });
      sockets.on("connection", (socket) => {
        socket.on("message", (data, binary) => socket.send(data, { binary }));
      });
      const { port, close } = await serve(web);
      const client = new WebSocket(`ws://127.0.0.1:${port}/`, {
        createConnection: ((options: nodeNet.NetConnectOpts) =>
          net.connect(options)) as unknown as typeof nodeNet.createConnection,
      });
      await once(client, "open");
      for (const message of ["text", Buffer.alloc(200_000, 3)]) {
        client.send(message);
        const [data, binary] = (await once(client, "message")) as [Buffer, boolean];
        assert.equal(binary, typeof message !== "string");
        assert.ok(data.equals(Buffer.from(message)));
      }
      client.ping();
      await once(client, "pong");
      const ended = once(client, "close") as Promise<[number, Buffer]>;
      for (const socket of sockets.clients) socket.close(4000, "enough");
      const [code, reason] = await ended;
      assert.equal(code, 4000);
      assert.equal(String(reason), "enough");
      await close();
    });
  });
});
