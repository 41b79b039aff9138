// The HTTP client over a kernel's TCP: with a server on another kernel, and with nginx of this machine
// through the NAT.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { openAsBlob, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { after, before, suite, test } from "node:test";
import { gzipSync } from "node:zlib";

import fc from "fast-check";

import { HttpClient, HttpClientError } from "../src/http/index.ts";
import type { HttpClientOptions, HttpPhase, RequestOptions } from "../src/http/index.ts";
import { Cable } from "../src/link/index.ts";
import type { HostNat } from "../src/link/index.ts";
import { net } from "../src/net/index.ts";
import { hostNat } from "../src/platform/node/index.ts";
import { makeCertificate } from "./ftp-support.ts";
import type { Certificate } from "./ftp-support.ts";
import { noise, temporaryFolder } from "./images/native.ts";
import { rejection, until } from "./kernel.ts";
import { nginx } from "./nginx.ts";
import type { Nginx } from "./nginx.ts";
import { peer } from "./peer.ts";
import type { Peer } from "./peer.ts";

async function end({ kernel, sockets }: Peer): Promise<void> {
  await sockets[Symbol.asyncDispose]();
  await kernel.halt();
}

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** It fails where it should, and says so. */
async function fails(
  work: Promise<unknown>,
  phase: HttpPhase,
  code: string,
  message?: RegExp,
): Promise<void> {
  const error = await rejection(work);
  assert.ok(error instanceof HttpClientError, String(error));
  assert.deepEqual([error.phase, error.code], [phase, code], error.message);
  if (message) assert.match(error.message, message);
}

suite("between two kernels", () => {
  const folder = temporaryFolder();
  let certificate: Certificate;
  let server: Peer;
  let user: Peer;
  before(async () => {
    certificate = makeCertificate(folder.path);
    const cable = new Cable();
    [server, user] = await Promise.all([
      peer(cable.a, "10.0.0.1/24", "fd00::1/64"),
      peer(cable.b, "10.0.0.2/24", "fd00::2/64"),
    ]);
  });
  after(async () => {
    await Promise.all([end(server), end(user)]);
    folder[Symbol.dispose]();
  });

  /** A server of Node's behind a port of the server's kernel. */
  async function serve(web: { emit(event: string, socket: unknown): boolean }) {
    const open = new Set<Duplex>();
    const listener = server.sockets.net.createServer({ allowHalfOpen: true }, (socket) => {
      open.add(socket);
      socket.on("error", () => {}).on("close", () => open.delete(socket));
      web.emit("connection", socket);
    });
    await new Promise<void>((resolve) => void listener.listen(0, "::", resolve));
    const { port } = listener.address() as AddressInfo;
    return {
      port,
      at: (path = "/", scheme = "http") => `${scheme}://10.0.0.1:${port}${path}`,
      /** All connections are gone. */
      cut: () => {
        for (const socket of open) socket.destroy();
      },
      [Symbol.asyncDispose]: async () => {
        for (const socket of open) socket.destroy();
        await listener[Symbol.asyncDispose]();
      },
    };
  }

  const client = (options: HttpClientOptions = {}) => new HttpClient(user.sockets, options);

  /** What came, as the server saw it. */
  const echo = http.createServer((request, response) => {
    const hash = createHash("sha256");
    let bytes = 0;
    request.on("data", (part: Buffer) => {
      bytes += part.length;
      hash.update(part);
    });
    request.on("end", () => {
      const { method, url, headers } = request;
      response.end(JSON.stringify({ method, url, headers, bytes, hash: hash.digest("hex") }));
    });
  });

  interface Echo {
    readonly method: string;
    readonly url: string;
    readonly headers: Record<string, string>;
    readonly bytes: number;
    readonly hash: string;
  }
  const ask = async (own: HttpClient, url: string, options?: RequestOptions): Promise<Echo> =>
    JSON.parse(await (await own.request(url, options)).text()) as Echo;

  test("methods, header fields and bodies of all kinds", async () => {
    await using place = await serve(echo);
    await using own = client();
    const plain = await ask(own, place.at("/a%20b?c=d#e"));
    assert.deepEqual([plain.method, plain.url, plain.bytes], ["GET", "/a%20b?c=d", 0]);
    assert.equal(plain.headers.host, `10.0.0.1:${place.port}`);
    assert.equal(plain.headers["user-agent"], "liblinux");
    const headers = { "X-Own": "1", "User-Agent": null, accept: ["a/b", "c/d"], Host: "other" };
    const changed = await ask(own, place.at(), { method: "options", headers });
    assert.equal(changed.method, "OPTIONS");
    assert.deepEqual(
      [changed.headers["x-own"], changed.headers.accept, changed.headers.host],
      ["1", "a/b, c/d", "other"],
    );
    assert.equal(changed.headers["user-agent"], undefined);
    const file = join(folder.path, "file");
    const content = noise(3 << 20);
    writeFileSync(file, content);
    let sent = 0;
    const onSent = (bytes: number) => (sent += bytes);
    for (const body of ["text ü", content, await openAsBlob(file)]) {
      sent = 0;
      const bytes = Buffer.from(body instanceof Blob ? await body.bytes() : body);
      const echoed = await ask(own, place.at(), { body, onSent });
      assert.equal(echoed.method, "POST");
      assert.equal(echoed.hash, digest(bytes));
      assert.equal(echoed.headers["content-length"], String(bytes.length));
      assert.equal(sent, bytes.length);
    }
    // Of a length that nobody knows: in chunks.
    const pieces = async function* () {
      yield* [content.subarray(0, 7), content.subarray(7)];
    };
    const chunked = await ask(own, place.at(), { method: "PUT", body: pieces() });
    assert.equal(chunked.hash, digest(content));
    assert.equal(chunked.headers["transfer-encoding"], "chunked");
    // All of it went over one connection.
    assert.equal(own.size, 1);
    // At the same time each has its own, and afterwards any of them.
    const many = await Promise.all(Array.from({ length: 10 }, () => ask(own, place.at())));
    assert.equal(new Set(many.map(({ hash }) => hash)).size, 1);
    assert.equal(own.size, 10);
    const last = await own.request(place.at());
    await last.text();
    assert.deepEqual([last.connection.reused, own.size], [true, 10]);
    const { authorization } = (await ask(own, place.at().replace("//", "//me:p%40ss@"))).headers;
    assert.equal(authorization, `Basic ${Buffer.from("me:p@ss").toString("base64")}`);
  });

  test("IPv6, timing, facts of the connection, tcp_info, and a congestion control", async () => {
    await using place = await serve(echo);
    for (const congestion of ["reno", "bbr", "cubic"]) {
      await using own = client({ congestion });
      const url = `http://[fd00::1]:${place.port}/`;
      const response = await own.request(url, { body: noise(1 << 20) });
      await response.text();
      const { connection, timing } = response;
      assert.equal(connection.congestion, congestion);
      assert.equal(connection.remote.address, "fd00::1");
      assert.equal(connection.local.address, "fd00::2");
      const { connectMs, firstByteMs, transferMs, totalMs } = timing;
      assert.ok(connectMs > 0 && firstByteMs > 0 && transferMs >= 0);
      assert.ok(totalMs >= connectMs + firstByteMs + transferMs);
      assert.equal(timing.totalMs, response.timing.totalMs, "it has ended");
      assert.deepEqual([timing.tlsMs, timing.redirectsMs], [0, 0]);
      const info = await response.tcpInfo();
      assert.ok(info && info.bytesSent > 1 << 20 && info.rttUs > 0);
      assert.equal(info.state, "established");
      const again = await own.request(url);
      await again.text();
      assert.equal(again.connection.reused, true);
      assert.deepEqual([again.timing.connectMs, again.timing.lookupMs], [0, 0]);
      await own[Symbol.asyncDispose]();
      // What was known last is told of a connection that is gone.
      const last = await again.tcpInfo();
      assert.ok(last && last.bytesSent > info.bytesSent);
    }
    const error = await rejection(client({ congestion: "warp" }).request(place.at()));
    assert.match((error as Error).message, /"warp": this kernel has bbr, cubic, .*reno/);
    assert.equal((error as NodeJS.ErrnoException).code, "ERR_INVALID_OPTION");
    await until(() => user.sockets.sockets.size === 0);
  });

  test("HTTP/2 with many requests at once, and over TLS by ALPN", async () => {
    const { cert, key } = certificate;
    const answer = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void => {
      stream.on("error", () => {});
      stream.respond({ ":status": 200, "set-cookie": ["a=1", "b=2"] });
      if (headers[":path"] === "/gone") stream.write("a part");
      else if (headers[":method"] === "GET")
        stream.end(`${headers[":authority"]}${headers[":path"]}`);
      else stream.pipe(stream);
    };
    const clear = http2.createServer().on("stream", answer);
    const secure = http2
      .createSecureServer({ cert, key, allowHTTP1: true }, (request, response) => {
        if (request.httpVersion === "1.1") response.end("old");
      })
      .on("stream", answer);
    await using one = await serve(clear);
    await using other = await serve(secure);
    const names = { resolve: () => ["10.0.0.1"], tls: { ca: cert } };
    await using own = client(names);
    for (const [url, options] of [
      [one.at("/x"), { version: "2" }],
      [`https://localhost:${other.port}/x`, {}],
    ] as const) {
      const all = await Promise.all(
        Array.from({ length: 20 }, () => own.request(url, { ...options })),
      );
      for (const response of all) {
        assert.equal(response.version, "2");
        assert.equal(await response.text(), `${new URL(url).host}/x`);
        // The first made a connection, the others waited for it.
        assert.equal(own.size, 1);
        assert.deepEqual(
          response.headers.filter(([name]) => name === "set-cookie").map(([, value]) => value),
          ["a=1", "b=2"],
        );
      }
      const content = noise(2 << 20, 9);
      const back = await own.request(url, { ...options, body: content, method: "PUT" });
      assert.equal(digest(await back.bytes()), digest(content));
      assert.equal(back.connection.reused, true);
      // Without a length: that the stream was not ended is all there is to know it by.
      const cut = await own.request(new URL("/gone", url), { ...options });
      cut.body.once("readable", () => [one, other].map((place) => place.cut()));
      await fails(cut.text(), "body", "ERR_HTTP_TRUNCATED", /after 6 bytes/);
      await until(() => own.size === 0);
    }
    await using named = client(names);
    const old = await named.request(`https://localhost:${other.port}/`, { version: "1.1" });
    assert.equal(await old.text(), "old");
    assert.equal(old.connection.tls?.trusted, true);
    assert.match(old.connection.tls.protocol, /^TLSv1\.[23]$/);
    assert.ok(old.timing.tlsMs > 0);
    const wrong = named.request(`https://wrong.test:${other.port}/`);
    await fails(wrong, "certificate", "ERR_TLS_CERT_ALTNAME_INVALID");
    await using nobodys = client();
    await fails(
      nobodys.request(`https://10.0.0.1:${other.port}/`),
      "certificate",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
    );
    await using trusting = client({ tls: { insecure: true } });
    const trusted = await trusting.request(`https://10.0.0.1:${other.port}/`);
    assert.equal(trusted.connection.tls?.trusted, false);
    await trusted.text();
  });

  test("a server that does not behave", async () => {
    let answers = 0;
    const behaviours: Record<string, (socket: Socket) => void> = {
      "/short": (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"),
      "/reset": (socket) => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
        setTimeout(() => socket.resetAndDestroy(), 20);
      },
      "/chunks": (socket) =>
        socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"),
      "/mute": (socket) => socket.end(),
      "/nonsense": (socket) => socket.end("SSH-2.0-what\r\n\r\n"),
      "/head": (socket) => socket.end(`HTTP/1.1 200 OK\r\nX: ${"x".repeat(300 << 10)}\r\n\r\n`),
      "/gzip": (socket) =>
        socket.end("HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\nno gzip at all"),
      "/cut": (socket) => {
        socket.write("HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
        socket.end(gzipSync(noise(10_000)).subarray(0, 5000));
      },
      "/odd": (socket) => socket.end("HTTP/1.0 200 OK\r\nContent-Encoding: odd\r\n\r\nodd"),
      "/never": () => {},
      "/slow": (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1"),
      // HTTP/1.0: what comes is the body until the connection ends.
      "/old": (socket) => socket.end("HTTP/1.0 200 Fine\r\n\r\nall of it"),
      "/bare": (socket) => socket.end("HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n"),
      // Answers once, and hangs up when it is asked again.
      "/once": (socket) => {
        answers++;
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        socket.once("data", () => socket.resetAndDestroy());
      },
    };
    await using place = await serve({
      emit: (_, socket) => {
        const own = socket as Socket;
        own.once("data", (data: Buffer) => {
          const path = String(data).split(" ")[1] ?? "";
          behaviours[path]?.(own);
        });
        own.on("end", () => own.end());
        return true;
      },
    });
    await using own = client();
    const get = async (path: string, options?: RequestOptions) =>
      (await own.request(place.at(path), options)).text();
    const unpack = { decompress: true };
    await fails(get("/short"), "body", "ERR_HTTP_TRUNCATED", /after 5 of 10 bytes/);
    await fails(get("/reset"), "body", "ERR_HTTP_TRUNCATED", /after 5 of 10 bytes/);
    await fails(get("/chunks"), "body", "ERR_HTTP_TRUNCATED", /after 5 bytes/);
    await fails(get("/mute"), "response", "ECONNRESET");
    await fails(get("/nonsense"), "response", "HPE_INVALID_CONSTANT");
    await fails(get("/head"), "response", "HPE_HEADER_OVERFLOW");
    await fails(get("/gzip", unpack), "encoding", "Z_DATA_ERROR");
    await fails(get("/cut", unpack), "encoding", "Z_BUF_ERROR");
    await fails(get("/odd", unpack), "encoding", "ERR_HTTP_ENCODING", /"odd"/);
    assert.equal(await get("/gzip"), "no gzip at all");
    await fails(get("/never", { timeoutMs: 100 }), "timeout", "ETIMEDOUT", /more than 100 ms/);
    await fails(get("/slow", { timeoutMs: 100 }), "timeout", "ETIMEDOUT");
    const stop = new AbortController();
    const waiting = rejection(get("/slow", { signal: stop.signal }));
    setTimeout(() => stop.abort(new Error("enough")), 50);
    assert.equal(((await waiting) as Error).message, "enough");
    const old = await own.request(place.at("/old"));
    assert.deepEqual([old.version, old.reason, await old.text()], ["1.0", "Fine", "all of it"]);
    assert.equal(await get("/bare"), "");
    // A connection that was kept and is gone: a new one is made, once.
    assert.equal(await get("/once"), "ok");
    assert.equal(await get("/once"), "ok");
    assert.equal(answers, 2);
    await own[Symbol.asyncDispose]();
    await until(() => user.sockets.sockets.size === 0);
  });

  test("whatever a server says, there is a response or an error, and nothing is left", async () => {
    const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
    const gzip = gzipSync("zipped ".repeat(100));
    const wholes: readonly Buffer[] = [
      Buffer.from(`${head}Content-Length: 5\r\n\r\nhello`),
      Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`),
      Buffer.concat([
        Buffer.from(`${head}Content-Encoding: gzip\r\nContent-Length: ${gzip.length}\r\n\r\n`),
        gzip,
      ]),
      // HTTP/2's: SETTINGS, its acknowledgement, HEADERS with :status 200, DATA.
      Buffer.from("000000040000000000", "hex"),
      Buffer.from("00000004000000000000000004010000000000000101040000000188", "hex"),
      Buffer.from(
        "0000000400000000000000000401000000000000010104000000018800000500010000000168656c6c6f",
        "hex",
      ),
    ];
    let next: Buffer = Buffer.of();
    await using place = await serve({
      emit: (_, socket) => {
        const own = socket as Socket;
        own.once("data", () => own.end(next));
        return true;
      },
    });
    const mutation = fc.record({ at: fc.nat(200), byte: fc.nat(255) });
    const damage = fc.record({
      whole: fc.nat(wholes.length - 1),
      mutations: fc.array(mutation, { maxLength: 3 }),
      keptBytes: fc.option(fc.nat(200)),
    });
    const property = fc.asyncProperty(damage, async ({ whole, mutations, keptBytes }) => {
      next = Buffer.from(wholes[whole]).subarray(0, keptBytes ?? undefined);
      for (const { at, byte } of mutations) if (next.length) next[at % next.length] = byte;
      const version = whole < 3 ? "1.1" : "2";
      await using own = client();
      try {
        const response = await own.request(place.at(), { version, decompress: true });
        const text = await response.text();
        // Undamaged and whole, it is what it is.
        if (whole === 5 && !mutations.length && keptBytes === null) assert.equal(text, "hello");
      } catch (error) {
        assert.ok(error instanceof HttpClientError, String(error));
        assert.ok(mutations.length || keptBytes !== null || [3, 4].includes(whole), error.message);
      }
    });
    await fc.assert(property, { numRuns: 150, seed: 20_260_101 });
    await until(() => user.sockets.sockets.size === 0);
  });

  test("nobody there, no name, no way, no answer", async () => {
    await using own = client();
    await fails(own.request("http://10.0.0.1:9/"), "connect", "ECONNREFUSED");
    await fails(own.request("http://192.0.2.1/"), "connect", "ENETUNREACH");
    await fails(own.request("http://no.name.invalid/"), "lookup", "EAI_AGAIN");
    const limited = own.request("http://10.0.0.77/", { connectTimeoutMs: 100 });
    await fails(limited, "timeout", "ETIMEDOUT", /connecting took more than 100 ms/);
    await using both = client({ resolve: () => ["fd00::1", "10.0.0.1"] });
    await fails(
      both.request("http://both.test:9/"),
      "connect",
      "ECONNREFUSED",
      /fd00::1.*; .*10\.0/,
    );
    await using four = client({ family: 4, resolve: () => ["fd00::1"] });
    await fails(four.request("http://six.test/"), "lookup", "ENOTFOUND");
    const aborted = own.request("http://10.0.0.1:9/", { signal: AbortSignal.abort() });
    assert.equal(((await rejection(aborted)) as Error).name, "AbortError");
    await until(() => user.sockets.sockets.size === 0);
  });

  test("what cannot be is refused before anything is sent", async () => {
    await using own = client();
    const wrong: [string, RequestOptions, RegExp][] = [
      ["ftp://10.0.0.1/", {}, /it is like https:/],
      ["nonsense", {}, /it is like https:/],
      ["http://10.0.0.1/", { method: "GET OUT" }, /it is one of/],
      ["http://10.0.0.1/", { headers: { "a b": "c" } }, /headers/],
      ["http://10.0.0.1/", { headers: { a: "b\nc" } }, /headers/],
      ["http://10.0.0.1/", { timeoutMs: 0 }, /timeoutMs/],
      ["http://10.0.0.1/", { version: "3" as never }, /it is "1\.1" or "2"/],
      ["http://10.0.0.1/", { maxRedirects: -1 }, /maxRedirects/],
    ];
    for (const [url, options, message] of wrong) {
      const error = await rejection(own.request(url, options));
      assert.match((error as Error).message, message);
      assert.equal((error as NodeJS.ErrnoException).code, "ERR_INVALID_OPTION");
    }
    assert.equal(user.sockets.sockets.size, 0);
  });

  test("a response that nobody reads is let go", async () => {
    const endless = http.createServer((_, response) => {
      const more = () => response.write(Buffer.alloc(65536)) && setImmediate(more);
      response.on("drain", more).on("error", () => {});
      more();
    });
    await using place = await serve(endless);
    await using own = client();
    {
      await using response = await own.request(place.at());
      assert.equal(response.status, 200);
    }
    await until(() => own.size === 0);
    const left = await own.request(place.at());
    await own[Symbol.asyncDispose]();
    assert.equal(((await rejection(left.bytes())) as Error).name, "DisposedError");
    assert.equal(((await rejection(own.request(place.at()))) as Error).name, "DisposedError");
    // Also while it connects.
    const other = client();
    const connecting = rejection(other.request("http://10.0.0.77/"));
    setImmediate(() => void other[Symbol.asyncDispose]());
    assert.equal(((await connecting) as Error).name, "DisposedError");
    await until(() => user.sockets.sockets.size === 0);
  });
});

suite("nginx, through the NAT", () => {
  const folder = temporaryFolder();
  let web: Nginx;
  let nat: HostNat;
  let user: Peer;
  let certificate: Certificate;
  const content = noise(2 << 20);
  before(async () => {
    certificate = makeCertificate(folder.path);
    web = await nginx(folder.path, certificate);
    writeFileSync(join(web.root, "file"), content);
    writeFileSync(join(web.root, "text"), "much the same\n".repeat(10_000));
    nat = hostNat({ nameservers: [] });
    user = await peer(nat.port, "10.0.2.15/24");
    await using network = net(user.kernel);
    await network.route.add({ destination: "default", gateway: nat.gateway });
  });
  after(async () => {
    await end(user);
    await nat.close();
    await web[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  const client = () =>
    new HttpClient(user.sockets, {
      resolve: () => [nat.gateway],
      tls: { ca: certificate.cert },
    });

  /** Every way that nginx takes requests. */
  const ways = (): readonly (readonly [
    base: string,
    version: string,
    options: RequestOptions,
  ])[] => [
    [`http://localhost:${web.port}`, "1.1", {}],
    [`http://localhost:${web.h2cPort}`, "2", { version: "2" }],
    [`https://localhost:${web.tlsPort}`, "2", {}],
    [`https://localhost:${web.tlsPort}`, "1.1", { version: "1.1" }],
    [`https://localhost:${web.oldPort}`, "1.1", {}],
  ];

  test("files, ranges, gzip, large heads, uploads, redirects: on every kind of connection", async () => {
    await using own = client();
    for (const [base, version, options] of ways()) {
      const get = (path: string, more: RequestOptions = {}) =>
        own.request(base + path, { ...options, ...more });
      const whole = await get("/file");
      assert.equal(whole.version, version);
      assert.equal(digest(await whole.bytes()), digest(content), base);
      const part = await get("/file", { headers: { range: "bytes=1000-1999" } });
      assert.equal(part.status, 206);
      assert.deepEqual(await part.bytes(), content.subarray(1000, 2000));
      const beyond = await get("/file", { headers: { range: `bytes=${content.length}-` } });
      assert.equal(beyond.status, 416);
      await beyond.bytes();
      const zipped = await get("/gzip/text", { decompress: true });
      assert.equal(zipped.header("Content-Encoding"), "gzip");
      assert.equal(await zipped.text(), "much the same\n".repeat(10_000));
      assert.ok(zipped.receivedBytes < 10_000);
      const big = await get("/big-headers");
      assert.equal(big.header("x-big-11")?.length, 3000);
      assert.equal(await big.text(), "big\n");
      const head = await get("/file", { method: "HEAD" });
      assert.equal(head.header("content-length"), String(content.length));
      assert.equal(await head.text(), "");
      const none = await get("/none", { decompress: true });
      assert.deepEqual([none.status, await none.text()], [204, ""]);
      const put = await get("/upload/file", { method: "PUT", body: content });
      assert.ok([201, 204].includes(put.status), String(put.status));
      await put.text();
      assert.equal(digest(readFileSync(join(web.root, "upload/file"))), digest(content));
      const refused = await get("/small/file", { method: "PUT", body: content });
      assert.equal(refused.status, 413);
      assert.match(await refused.text(), /Too Large/);
      const failing = async function* () {
        yield Buffer.from("begins well");
        throw new Error("the disk is gone");
      };
      const lost = get("/upload/lost", { method: "PUT", body: failing() });
      await fails(lost, "request", "ERR_HTTP_FAILED", /the disk is gone/);
      const moved = await get("/moved/?to=echo", { maxRedirects: 5, body: "form" });
      assert.deepEqual([moved.redirects, moved.url], [1, `${base}/echo`]);
      assert.match(await moved.text(), /^GET /);
      const kept = await get("/keep", { maxRedirects: 5, method: "PUT", body: "kept" });
      assert.ok([201, 204].includes(kept.status));
      await kept.text();
      assert.equal(readFileSync(join(web.root, "upload/kept"), "utf8"), "kept");
      const unfollowed = await get("/loop");
      assert.deepEqual([unfollowed.status, unfollowed.header("location")], [302, `${base}/loop`]);
      await unfollowed.text();
      await fails(get("/loop", { maxRedirects: 7 }), "redirect", "ERR_HTTP_REDIRECTS", /than 7/);
      await fails(get("/nowhere", { maxRedirects: 1 }), "redirect", "ERR_HTTP_REDIRECT", /gopher/);
      const once = async function* () {
        yield Buffer.from("read once");
      };
      await fails(
        get("/keep", { maxRedirects: 1, method: "PUT", body: once() }),
        "redirect",
        "ERR_HTTP_NOT_REPLAYABLE",
      );
      await fails((await get("/broken")).text(), "body", "ERR_HTTP_TRUNCATED", /1000 of 100000/);
      const slow = get("/slow/file", { timeoutMs: 300 });
      await fails((await slow).bytes(), "timeout", "ETIMEDOUT");
    }
  });

  test("a connection is kept, and secrets are not told to others", async () => {
    await using own = client();
    const base = `http://localhost:${web.port}`;
    for (let count = 1; count <= 5; count++) {
      const response = await own.request(`${base}/echo`);
      assert.match(await response.text(), new RegExp(` ${count}\n$`));
      assert.equal(response.connection.reused, count > 1);
    }
    assert.equal(own.size, 1);
    const headers = { authorization: "secret", "x-own": "own" };
    const here = await own.request(`${base}/moved/?to=echo`, { headers, maxRedirects: 1 });
    assert.match(await here.text(), /^GET secret own /);
    const there = await own.request(`${base}/elsewhere`, { headers, maxRedirects: 1 });
    assert.match(await there.text(), /^GET {2}own /);
    assert.equal(there.url, `http://other.test:${web.port}/echo`);
  });

  test("failures: no response, an alert, no HTTP/2, nobody there", async () => {
    await using own = client();
    const at = (port: number, path = "/", scheme = "https") =>
      `${scheme}://localhost:${port}${path}`;
    await fails(own.request(at(web.port, "/silent", "http")), "response", "ECONNRESET");
    await fails(
      own.request(at(web.refusingPort)),
      "tls",
      "ERR_SSL_TLSV1_UNRECOGNIZED_NAME",
      /ended TLS with an alert: .*unrecognized name/,
    );
    const second = rejection(own.request(at(web.oldPort), { version: "2" }));
    assert.equal(((await second) as HttpClientError).phase, "tls");
    // No TLS at the other end.
    const error = (await rejection(own.request(at(web.port)))) as HttpClientError;
    assert.equal(error.phase, "tls");
    await fails(own.request(at(1, "/", "http")), "connect", "ECONNREFUSED");
    await own[Symbol.asyncDispose]();
    await until(() => user.sockets.sockets.size === 0);
  });

  test("names of TLS: a certificate for somebody else", async () => {
    await using own = client();
    const wrong = own.request(`https://else.test:${web.tlsPort}/`);
    await fails(wrong, "certificate", "ERR_TLS_CERT_ALTNAME_INVALID", /else\.test/);
  });
});
