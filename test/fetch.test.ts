// liblinux fetch, with nginx of this machine.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import type { Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import { fetch } from "../src/cli/fetch.ts";
import type { Timing } from "../src/http/index.ts";
import type { TcpInfo } from "../src/net/index.ts";
import { execute, fails, liblinux, main, succeeds, top } from "./command.ts";
import { freePort } from "./free-port.ts";
import { makeCertificate } from "./ftp-support.ts";
import type { Certificate } from "./ftp-support.ts";
import { noise, run, temporaryFolder } from "./images/native.ts";
import { rejection, until } from "./kernel.ts";
import { nginx } from "./nginx.ts";
import type { Nginx } from "./nginx.ts";

const BIG_BYTES = 100 << 20;
const MID_BYTES = 4 << 20;

interface Report {
  readonly url: string;
  readonly status: number;
  readonly version: string;
  readonly redirects: number;
  readonly receivedBytes: number;
  readonly timing: Timing;
  readonly connection: { readonly reused: boolean; readonly congestion: string };
  readonly tcpInfo: TcpInfo;
}

/** Whether this machine has an address of IPv6. */
const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === "::1"),
);

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Answers every question for an address with 127.0.0.1, but those for names below "invalid". */
function nameServer(): DatagramSocket {
  const server = createSocket("udp4");
  server.on("message", (question, { address, port }) => {
    const end = question.indexOf(0, 12) + 5;
    const isA = question[end - 3] === 1;
    const isThere = !question.subarray(12, end).includes("invalid");
    const answer = Buffer.concat([
      question.subarray(0, 2),
      Buffer.of(0x81, isThere ? 0x80 : 0x83, 0, 1, 0, isA && isThere ? 1 : 0, 0, 0, 0, 0),
      question.subarray(12, end),
      isA && isThere
        ? Buffer.of(0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 127, 0, 0, 1)
        : Buffer.of(),
    ]);
    server.send(answer, port, address);
  });
  return server;
}

suite("liblinux fetch", () => {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder.path, name);
  const content = noise(BIG_BYTES);
  const middle = content.subarray(0, MID_BYTES);
  let certificate: Certificate;
  let web: Nginx;
  let base: string;
  before(async () => {
    certificate = makeCertificate(folder.path);
    web = await nginx(folder.path, certificate);
    base = `http://localhost:${web.port}`;
    writeFileSync(join(web.root, "big"), content);
    writeFileSync(join(web.root, "middle"), middle);
    writeFileSync(join(web.root, "text"), "some text\n");
  });
  after(async () => {
    await web[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  test("100 MiB, whole, with a report", async () => {
    const { text } = await succeeds("fetch", "--json", "-o", at("big"), `${base}/big`);
    assert.equal(digest(readFileSync(at("big"))), digest(content));
    const { url, status, version, receivedBytes, timing, tcpInfo } = JSON.parse(text) as Report;
    assert.deepEqual([url, status, version], [`${base}/big`, 200, "1.1"]);
    assert.equal(receivedBytes, BIG_BYTES);
    assert.ok(tcpInfo.bytesReceived > BIG_BYTES);
    const { lookupMs, connectMs, tlsMs, firstByteMs, transferMs, totalMs } = timing;
    const parts = lookupMs + connectMs + tlsMs + firstByteMs + transferMs;
    assert.ok(parts > 0 && totalMs >= parts && connectMs > 0 && transferMs > 0);
    rmSync(at("big"));
  });

  test("several URLs over one connection; heads, texts for people", async () => {
    const urls = [`${base}/text`, `${base}/text`, `http://127.0.0.1:${web.port}/text`];
    const { text, err, code } = await liblinux("fetch", "--json", ...urls);
    assert.deepEqual([code, text], [0, "some text\n".repeat(3)]);
    const reports = err
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Report);
    assert.deepEqual(
      reports.map(({ connection }) => connection.reused),
      [false, true, false],
    );
    const told = await liblinux("fetch", "-i", "--timing", "--tcp-info", `${base}/text`);
    assert.match(told.text, /^HTTP\/1\.1 200 OK\r\nServer: nginx\/[^]*\r\n\r\nsome text\n$/);
    assert.match(
      told.err,
      /^redirects +0\.0 ms\nname +[\d.]+ ms\nconnection [^]*\ntotal +[\d.]+ ms\n/,
    );
    assert.match(told.err, /\ncongestion +cubic, window \d+ segments\n/);
    const head = await succeeds("fetch", "-I", `${base}/big`);
    assert.match(head.text, new RegExp(`\r\nContent-Length: ${BIG_BYTES}\r\n[^]*\r\n\r\n$`));
  });

  test("a bad link, another congestion control, and a capture without a malformed packet", async () => {
    const pcap = at("trace.pcapng");
    const link = ["--rate", "50mbit", "--delay", "5ms", "--mtu", "1000", "--congestion", "bbr"];
    const out = ["--pcap", pcap, "--json", "-r", "0-999999", "-o", at("part")];
    const named = [
      "--resolve",
      `named.test:${web.port}:127.0.0.1`,
      `http://named.test:${web.port}/big`,
    ];
    const { text } = await succeeds("fetch", ...link, ...out, ...named);
    assert.deepEqual(readFileSync(at("part")), content.subarray(0, 1_000_000));
    const { connection, tcpInfo, timing } = JSON.parse(text) as Report;
    assert.equal(connection.congestion, "bbr");
    assert.ok(tcpInfo.sendMssBytes <= 960 && tcpInfo.minRttUs > 8000);
    assert.ok(timing.connectMs > 8);
    const tshark = (...args: string[]) => run("tshark", "-r", pcap, ...args);
    assert.equal(tshark("-Y", "_ws.malformed"), "");
    assert.match(tshark("-N", "n", "-Y", "tcp.flags.syn == 1"), /→ named\.test/);
    const longest = tshark("-T", "fields", "-e", "ip.len").split("\n").map(Number);
    assert.equal(Math.max(...longest), 1000);
    assert.match(tshark("-Y", "http.request"), /GET \/big HTTP\/1\.1/);
    const bad = ["--rate", "50mbit", "--delay", "5ms", "--jitter", "1ms", "--loss", "1%"];
    const lossy = await succeeds("fetch", ...bad, "-r", "0-999999", `${base}/big`);
    assert.equal(digest(lossy.out), digest(content.subarray(0, 1_000_000)));
  });

  test("TLS and HTTP/2; names from a name server", async () => {
    const dns = nameServer();
    dns.bind(0, "127.0.0.1");
    await once(dns, "listening");
    const server = `127.0.0.1:${dns.address().port}`;
    const secure = `https://localhost:${web.tlsPort}/text`;
    const found = [`https://any.test:${web.oldPort}/text`, `http://any.test:${web.port}/text`];
    const [pcap, keys] = [at("secure.pcapng"), at("keys")];
    const trace = ["--pcap", pcap, "--keylog", keys];
    const [trusted, old, second, named] = await Promise.all([
      liblinux("fetch", "--cacert", certificate.certFile, "--json", ...trace, secure),
      liblinux("fetch", "-k", "--http1.1", "-i", secure),
      liblinux("fetch", "--http2", "-i", `http://localhost:${web.h2cPort}/text`),
      liblinux("fetch", "--dns", server, "-k", "--json", ...found),
    ]);
    assert.equal(trusted.text, "some text\n");
    assert.equal((JSON.parse(trusted.err) as Report).version, "2");
    assert.equal(statSync(keys).mode & 0o777, 0o600);
    const readable = ["-o", `tls.keylog_file:${keys}`, "-d", `tcp.port==${web.tlsPort},tls`];
    const seen = run("tshark", "-r", pcap, ...readable, "-Y", "http2.header");
    assert.match(seen, /HEADERS\[1\]: GET \/text/);
    assert.match(old.text, /^HTTP\/1\.1 200/);
    assert.match(second.text, /^HTTP\/2 200\r\n/);
    assert.equal(named.text, "some text\nsome text\n");
    const [first = ""] = named.err.split("\n");
    assert.ok((JSON.parse(first) as Report).timing.lookupMs > 0);
    const none = (await rejection(fetch(["--dns", server, "http://never.invalid/"]))) as Error;
    assert.match(none.message, /never\.invalid has no address$/);
    assert.equal((none as { exitCode?: number }).exitCode, 6);
    dns.close();
  });

  test("uploads from a file, standard input and the command line", async () => {
    const progress = await liblinux(
      "fetch",
      "--progress",
      "-T",
      join(web.root, "middle"),
      `${base}/upload/a`,
    );
    assert.equal(progress.code, 0);
    assert.match(progress.err, /4 MiB/);
    assert.equal(digest(readFileSync(join(web.root, "upload/a"))), digest(middle));
    await succeeds("fetch", "-f", "-o", "-", "-T", join(web.root, "text"), `${base}/upload/`);
    assert.equal(readFileSync(join(web.root, "upload/text"), "utf8"), "some text\n");
    const piped = await execute(
      process.execPath,
      [main, "fetch", "-T", "-", "-f", `${base}/upload/b`],
      process.env,
      "through a pipe",
    );
    assert.deepEqual([piped.code, piped.err], [0, ""]);
    assert.equal(readFileSync(join(web.root, "upload/b"), "utf8"), "through a pipe");
    const form = ["-d", "a=1", "-d", "b=2", "-L", "-H", "X-Own: mine", "-u", "me:secret"];
    const sent = await succeeds("fetch", ...form, `${base}/see-other`);
    const basic = Buffer.from("me:secret").toString("base64");
    assert.equal(sent.text, `GET Basic ${basic} mine 2\n`);
  });

  test("what broke off goes on where it ended", async () => {
    const file = at("resumed");
    const slow = fetch(["--max-time", "0.3", "-o", file, `${base}/slow/middle`]);
    assert.equal(((await rejection(slow)) as { exitCode?: number }).exitCode, 28);
    const { size } = statSync(file);
    assert.ok(size > 0 && size < MID_BYTES);
    await succeeds("fetch", "-C", "-o", file, `${base}/middle`);
    assert.equal(digest(readFileSync(file)), digest(middle));
    await succeeds("fetch", "-C", "-o", file, `${base}/middle`);
    assert.equal(statSync(file).size, MID_BYTES);
    writeFileSync(file, "x");
    await fails(33, /without --continue/, "fetch", "-C", "-o", file, `${base}/echo`);
    rmSync(file);
  });

  test("each failure has its exit code, and a line", async () => {
    const port = await freePort();
    const secure = (to: number) => `https://localhost:${to}/`;
    const cases: [code: number, line: RegExp, ...args: string[]][] = [
      [7, /nobody listens at localhost:\d+ \(ECONNREFUSED\)/, `http://localhost:${port}/`],
      [18, /broke off after 1000 of 100000 bytes/, "-o", at("cut"), `${base}/broken`],
      [22, /503 Service/, "-f", `${base}/error`],
      [23, /\/dev\/full: ENOSPC/, "-o", "/dev/full", `${base}/text`],
      [26, /none: ENOENT/, "-T", at("none"), `${base}/upload/c`],
      [35, /alert: .*unrecognized name/, secure(web.refusingPort)],
      [47, /more than 10 redirects/, "-L", `${base}/loop`],
      [47, /gopher/, "-L", `${base}/nowhere`],
      [52, /without a response/, `${base}/silent`],
      [60, /not trusted: self-signed .*--insecure/, secure(web.tlsPort)],
      [1, /dir\/x: ENOENT/, "--pcap", at("no/dir/x"), `${base}/text`],
      [2, /"warp": this kernel has bbr, cubic/, "--congestion", "warp", `${base}/text`],
      [2, /which URL/],
      [2, /gopher:.*it is a URL/, "gopher://old.test/"],
      [2, /--loss 2: it is like 1%/, "--loss", "2", base],
      [2, /--rate fast: it is like 10mbit/, "--rate", "fast", base],
      [2, /--jitter/, "--jitter", "5ms", base],
      [2, /--mtu 100: it is a number from 576/, "--mtu", "100", base],
      [2, /--resolve x: it is HOST:PORT:ADDRESS/, "--resolve", "x", base],
      [2, /--header x: it is 'Name: value'/, "-H", "x", base],
      [2, /"GET IT"|GET IT: it is one of/, "-X", "GET IT", base],
    ];
    for (const [code, line, ...args] of cases) {
      const error = (await rejection(fetch(args))) as Error & { exitCode?: number };
      assert.match(error.message, line);
      const usage = error.name === "UsageError" ? 2 : undefined;
      assert.equal(usage ?? error.exitCode ?? 1, code, error.message);
    }
    await fails(
      7,
      /^liblinux: fetch http:\S+: nobody listens/,
      "fetch",
      `http://localhost:${port}/`,
    );
    assert.equal(statSync(at("cut")).size, 1000);
    assert.ok(!existsSync(at("no")));
    // The download is whole, the capture is not.
    const full = await liblinux("fetch", "--pcap", "/dev/full", `${base}/text`);
    assert.deepEqual([full.code, full.text], [1, "some text\n"]);
    assert.match(full.err, /\/dev\/full: ENOSPC: .*: the rest of the capture is missing\n$/);
  });

  test("progress on a terminal: one line, with how much is left", async () => {
    const file = at("watched");
    const command = [process.execPath, main, "fetch", "--rate", "30mbit", "-o", file];
    const line = [...command, `${base}/middle`].join(" ");
    const { text } = await execute("script", ["-qec", line, "/dev/null"]);
    assert.equal(digest(readFileSync(file)), digest(middle));
    // eslint-disable-next-line no-control-regex -- it is what clears a line
    const shown = text.split(/\r\x1b\[2K/).filter(Boolean);
    assert.ok(shown.length > 1 && text.endsWith("\x1b[2K"));
    for (const part of shown)
      assert.match(part, /^\d+% {2}[\d.]+ [KM]iB of 4 MiB, [\d.]+ [KM]iB\/s, \d+:\d\d left$/);
  });

  test("an interrupt ends it in order", async () => {
    const file = at("interrupted");
    const pcap = at("interrupted.pcapng");
    const args = [main, "fetch", "-o", file, "--pcap", pcap, `${base}/slow/big`];
    const child = spawn(process.execPath, args, { cwd: top, stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (part: Buffer) => (said += String(part)));
    const ended = once(child, "close");
    await until(() => existsSync(file) && statSync(file).size > 0);
    child.kill("SIGINT");
    assert.deepEqual(await ended, [130, null]);
    assert.equal(said, "liblinux: fetch interrupted\n");
    // What was captured until then can be read.
    assert.match(run("tshark", "-r", pcap, "-Y", "http.request"), /GET \/slow\/big/);
  });

  test("IPv6, where this machine has it", async () => {
    const four = ["-6", "--resolve", "four.test:80:127.0.0.1", "http://four.test/"];
    assert.match(String(await rejection(fetch(four))), /four\.test has no address of IPv6/);
    if (!hasIPv6) return;
    const server = createServer((socket) => {
      socket.once("data", () => socket.end("HTTP/1.0 200 OK\r\n\r\nsix\n"));
    });
    server.listen(0, "::1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const both = await succeeds("fetch", `http://[::1]:${port}/`, `http://localhost:${port}/`);
    assert.equal(both.text, "six\nsix\n");
    server.close();
  });
});
