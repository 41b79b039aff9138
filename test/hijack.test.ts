// `node --import liblinux/hijack`: programs that know of no kernel, on one.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { suite, test } from "node:test";

import { Bypass } from "../src/hijack/bypass.ts";
import { HijackConfigError, readConfig } from "../src/hijack/config.ts";
import { freePort } from "./free-port.ts";
import { makeCertificate } from "./ftp-support.ts";
import { Hijacked, runHijacked } from "./hijack.ts";
import type { HijackOptions } from "./hijack.ts";
import { emptyImage, run, temporaryFolder } from "./images/native.ts";
import { redisServer } from "./nat-servers.ts";

/** What a program printed that had to succeed, by lines. */
async function linesOf(...given: Parameters<typeof runHijacked>): Promise<string[]> {
  const { code, stdout, stderr } = await runHijacked(...given);
  assert.equal(stderr, "");
  assert.equal(code, 0);
  return stdout.trimEnd().split("\n");
}

/** A file of tests passes, at least so many of them. */
async function passes(program: string, least: number, options: HijackOptions = {}): Promise<void> {
  const flags = ["--test-reporter=tap"];
  const { code, stdout } = await runHijacked(program, [], { ...options, flags });
  assert.deepEqual(stdout.match(/^\s*not ok .*/gm), null);
  assert.ok(Number(/^# pass (\d+)$/m.exec(stdout)?.[1]) >= least, stdout);
  assert.equal(code, 0);
}

suite("sockets of one program", { concurrency: 2 }, () => {
  test("a server and its clients are in the kernel, and nowhere on the host", async () => {
    const port = await freePort();
    using program = new Hijacked("loopback.ts", [String(port)]);
    await program.printed("ready");
    const socket = net.connect(port, "127.0.0.1");
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNREFUSED");
    program.child.stdin.end();
    const { code, stdout, stderr } = await program.end();
    assert.deepEqual(stdout.split("\n"), [
      `{"address":"127.0.0.1","family":"IPv4","port":${port}}`,
      "GET /agent from 127.0.0.1",
      "PUT /fetch from 127.0.0.1",
      "ready",
      "closed",
      "",
    ]);
    assert.equal(stderr, "");
    assert.equal(code, 0);
  });

  test("the kernel lists them, and the host's /proc does not", async () => {
    const lines = await linesOf("seen.ts");
    assert.deepEqual(lines.toSorted(), [
      "established client true",
      "established server true",
      "host false",
      "listen server false",
    ]);
  });

  test("CommonJS, functions taken from modules, and classes made of theirs", async () => {
    assert.deepEqual(await linesOf("common.cts"), [
      "accepted true",
      "connected 7",
      "counted 100000",
      "answer hello",
      "connect ECONNREFUSED 127.0.0.1:81",
      "lookup 127.0.0.1",
      "ECONNREFUSED",
    ]);
  });

  test("HTTPS, HTTP/2 and TLS, with certificates that are checked", async () => {
    using folder = temporaryFolder();
    const { certFile, keyFile } = makeCertificate(folder.path);
    assert.deepEqual(await linesOf("secure.ts", [certFile, keyFile]), [
      "https 5 true",
      "https 3145728 true",
      "stream /1 stream /2",
      "TLSv1.3 127.0.0.1 444",
      "secret",
      "connect ECONNREFUSED 127.0.0.1:445",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
    ]);
  });

  test("ws, and Node's own WebSocket", async () => {
    assert.deepEqual(await linesOf("sockets.ts"), ["ws 200000", "WebSocket text"]);
  });

  test("datagrams and names", async () => {
    const config = { interfaces: [], nameservers: ["127.0.0.1"], search: ["test"] };
    assert.deepEqual(await linesOf("datagrams.ts", [], { config }), [
      "there and back 127.0.0.1 5353",
      "{ address: '::1', family: 6 }",
      "{ address: '127.0.0.9', family: 4 }",
      "{ address: '192.0.2.7', family: 4 }",
      "[ '192.0.2.7' ]",
      "ENOTFOUND",
    ]);
  });

  test("all that is expected of node:net and node:dgram", async () => {
    await passes("../contract/net/node.test.ts", 84);
  });

  test("a kernel that panics fails them all, and the program goes on to its end", async () => {
    const { code, stdout, stderr } = await runHijacked("panic.ts");
    const lines = stdout.trimEnd().split("\n").toSorted();
    assert.deepEqual(
      lines,
      ["accepted", "accepted", "call", "client", "later", "request", "server"].map(
        (name) => `${name} ERR_KERNEL_PANIC`,
      ),
    );
    assert.match(stderr, /^liblinux\/hijack: kernel panic: trap: unreachable\n/);
    assert.equal(code, 0);
  });
});

suite("the host's network", () => {
  test("is reached through the NAT; a capture has what passed", async () => {
    using folder = temporaryFolder();
    const capture = join(folder.path, "trace.pcapng");
    const web = http.createServer(
      (request, response) =>
        void text(request).then((body) => response.end(`${request.url} got ${body.length}`)),
    );
    web.listen(0, "127.0.0.1");
    const echo = dgram.createSocket("udp4", (message, { port, address }) =>
      echo.send(`${String(message)} back`, port, address),
    );
    echo.bind(0, "127.0.0.1");
    await Promise.all([once(web, "listening"), once(echo, "listening")]);
    const { port } = web.address() as AddressInfo;
    const ports = [port, echo.address().port].map(String);
    try {
      assert.deepEqual(await linesOf("client.ts", ports, { config: { capture } }), [
        "/fetch got 0",
        "/request got 300000",
        "datagram back",
      ]);
    } finally {
      web.close();
      web.closeAllConnections();
      echo.close();
    }
    const requests = execFileSync(
      "tshark",
      ["-r", capture, "-d", `tcp.port==${port},http`, "-Y", "http.request", "-T", "fields"].concat(
        ["ip.src", "ip.dst", "http.request.uri"].flatMap((name) => ["-e", name]),
      ),
      { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
    );
    assert.deepEqual(requests.trimEnd().split("\n"), [
      "10.0.2.15\t10.0.2.2\t/fetch",
      "10.0.2.15\t10.0.2.2\t/request",
    ]);
  });

  test("reaches the program by forwarded ports, and stays where it is told to", async () => {
    const [web, names, mine] = [await freePort(), await freePort(), await freePort()];
    using program = new Hijacked("server.ts", [], {
      env: {
        LIBLINUX_HIJACK_FORWARD: `${web}:80, 127.0.0.1:${names}:53/udp`,
        LIBLINUX_HIJACK_BYPASS: `*:${mine}`,
      },
    });
    await program.printed("ready");
    const socket = dgram.createSocket("udp4");
    socket.send("datagram", names, "127.0.0.1");
    const [message] = (await once(socket, "message")) as [Buffer];
    assert.equal(String(message), "echo datagram");
    socket.close();
    const answer = await fetch(`http://127.0.0.1:${web}/page`);
    assert.match(await answer.text(), /^\/page for .*10\.0\.2\.2$/);
    await (await fetch(`http://127.0.0.1:${web}/stop`)).text();
    const { code, stderr } = await program.end();
    assert.equal(stderr, "");
    assert.equal(code, 0);
  });
});

/** What a server of names says of a question: TXT records, or that there is no such name. */
function answerOf(question: Buffer, mostBytes: number): Buffer {
  const end = question.indexOf(0, 12) + 5;
  const name = String(question.subarray(12, end)).includes("none")
    ? undefined
    : String(question.subarray(13, 13 + question[12]));
  const txt = name === "long" ? "x".repeat(200) : (name ?? "");
  const records =
    name === undefined ? [] : Array.from({ length: name === "long" ? 20 : 1 }, () => txt);
  const header = Buffer.from(question.subarray(0, 12));
  header.writeUInt16BE(name === undefined ? 0x8183 : 0x8180, 2);
  header.writeUInt16BE(records.length, 6);
  header.writeUInt32BE(0, 8);
  const body = records.map((text) => {
    const record = Buffer.alloc(13 + text.length);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(16, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(60, 6);
    record.writeUInt16BE(text.length + 1, 10);
    record[12] = text.length;
    record.write(text, 13);
    return record;
  });
  const whole = Buffer.concat([header, question.subarray(12, end), ...body]);
  if (whole.length <= mostBytes) return whole;
  // Truncated: it is to be asked for by TCP.
  header.writeUInt16BE(0x8380, 2);
  header.writeUInt16BE(0, 6);
  return Buffer.concat([header, question.subarray(12, end)]);
}

test("questions of dns.resolve() go by the kernel's network, by UDP and TCP", async () => {
  using folder = temporaryFolder();
  const capture = join(folder.path, "trace.pcapng");
  const port = await freePort();
  const udp = dgram.createSocket("udp4", (question, from) =>
    udp.send(answerOf(question, 512), from.port, from.address),
  );
  const tcp = net.createServer((socket) =>
    socket.once("data", (data) => {
      const answer = answerOf(Buffer.from(data).subarray(2), 65535);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      socket.end(Buffer.concat([length, answer]));
    }),
  );
  udp.bind(port, "127.0.0.1");
  tcp.listen(port, "127.0.0.1");
  await Promise.all([once(udp, "listening"), once(tcp, "listening")]);
  try {
    assert.deepEqual(await linesOf("names.ts", [String(port)], { config: { capture } }), [
      "[ '10.0.2.3' ]",
      "[ [ 'short' ] ]",
      "[ [ 'by-callback' ] ]",
      "4000",
      "ENOTFOUND",
      "ERR_HIJACK_DNS",
    ]);
  } finally {
    udp.close();
    tcp.close();
  }
  const frames = execFileSync(
    "tshark",
    ["-r", capture, "-d", `udp.port==${port},dns`, "-Y", "dns.flags.response == 0"].concat([
      "-T",
      "fields",
      "-e",
      "ip.src",
      "-e",
      "dns.qry.name",
    ]),
    { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  );
  assert.ok(frames.includes("10.0.2.15\tshort.test\n"), frames);
});

test("ioredis, with a real server of the host's", async () => {
  await using redis = await redisServer();
  assert.deepEqual(await linesOf("redis.ts", [String(redis.port)]), [
    "Linux",
    "[ null, 1000 ] [ '998', '999' ]",
    "100000",
  ]);
});

test("two programs whose kernels are at the ends of one link", async () => {
  const [near, far] = [await freePort(), await freePort()];
  const interfaceOf = (ip: string, there: number, here: number) => ({
    config: {
      interfaces: [
        { type: "udp", param: `127.0.0.1:${there},127.0.0.1:${here}`, ip, masklen: "24" },
      ],
    },
  });
  using server = new Hijacked("server.ts", [], interfaceOf("192.0.2.1", far, near));
  await server.printed("ready");
  const lines = await linesOf(
    "get.ts",
    ["http://192.0.2.1/page", "http://192.0.2.1/stop"],
    interfaceOf("192.0.2.2", near, far),
  );
  assert.deepEqual(lines, ["/page for ::ffff:192.0.2.2", "/stop for ::ffff:192.0.2.2"]);
  const { code, stderr } = await server.end();
  assert.equal(stderr, "");
  assert.equal(code, 0);
});

test("what is to stay with the host does; an address by DHCP; the kernel's log", async () => {
  const web = http.createServer((_request, response) => response.end("the host's"));
  web.listen(0, "127.0.0.1");
  await once(web, "listening");
  const { port } = web.address() as AddressInfo;
  const urls = [`localhost:${port}`, "localhost:12345", `10.0.2.2:${port}`];
  try {
    const { code, stdout, stderr } = await runHijacked(
      "get.ts",
      urls.map((place) => `http://${place}/`),
      {
        config: {
          interfaces: [{ dhcp: true }],
          bypass: [`127.0.0.1:${port}`],
          log: "info",
        },
      },
    );
    assert.equal(stdout, "the host's\nECONNREFUSED\nthe host's\n");
    assert.match(stderr, /^\[ {4}0\.\d{6}\] Linux version 6\.12/);
    assert.equal(code, 0);
  } finally {
    web.close();
    web.closeAllConnections();
  }
});

suite("files below a prefix", { concurrency: 2 }, () => {
  const expected = [
    "hello",
    "[ 'b', 'b/hello.txt' ] /disk/a/b",
    "glob /disk/a/b/hello.txt",
    "ENOENT: no such file or directory, open '/disk/none'",
    "EXDEV",
    "host hello",
    "read hello 5",
    "true false",
    "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM fs.readFileSync() is unavailable: " +
      "a call into the kernel suspends its caller; use fs.promises.readFile()",
  ];

  function disk(folder: string): string {
    const image = emptyImage(join(folder, "disk.img"), 32);
    run("mke2fs", "-q", "-F", "-t", "ext4", "-I", "256", image);
    return image;
  }

  const lastWords = (image: string) => run("debugfs", "-R", "cat last.txt", image);

  test("are an image's, which is whole when the program has ended", async () => {
    using folder = temporaryFolder();
    const image = disk(folder.path);
    const config = { fs: [{ prefix: "/disk", image }] };
    assert.deepEqual(await linesOf("files.ts", [folder.path], { config }), expected);
    run("e2fsck", "-fn", image);
    assert.equal(lastWords(image), "last words");
  });

  test("all that is expected of node:fs, but for what ends in Sync", async () => {
    using folder = temporaryFolder();
    const image = disk(folder.path);
    await passes("fs-contract.ts", 57, { env: { LIBLINUX_HIJACK_FS: `/disk=${image}` } });
    run("e2fsck", "-fn", image);
  });

  test("isomorphic-git has a repository there, which git reads", async () => {
    using folder = temporaryFolder();
    const image = disk(folder.path);
    const env = { LIBLINUX_HIJACK_FS: `/disk=${image}` };
    assert.deepEqual(await linesOf("git.ts", ["/disk/repository"], { env }), [
      "two",
      "one",
      "[ 'one.txt', 'two.txt' ]",
    ]);
    run("debugfs", "-R", `rdump /repository ${folder.path}`, image);
    const git = (...args: string[]) =>
      run("git", "-c", "safe.directory=*", "-C", join(folder.path, "repository"), ...args);
    git("fsck", "--strict");
    assert.equal(git("log", "--format=%s"), "two\none\n");
    assert.equal(git("status", "--short"), "");
  });

  test("a program that goes on at its end has its files, and its network, till then", async () => {
    using folder = temporaryFolder();
    const image = disk(folder.path);
    const env = { LIBLINUX_HIJACK_FS: `/disk=${image}` };
    assert.deepEqual(await linesOf("late.ts", [], { env }), ["more 1", "more 2"]);
    assert.equal(run("debugfs", "-R", "cat late.txt", image), "more more ");
    assert.ok(!run("dumpe2fs", "-h", image).includes("needs_recovery"));
  });

  test("a program that is told to end by a signal ends after its files", async () => {
    using folder = temporaryFolder();
    const image = disk(folder.path);
    using program = new Hijacked("files.ts", [folder.path, "wait"], {
      env: { LIBLINUX_HIJACK_FS: `/disk=${image}` },
    });
    await program.printed("waiting");
    program.child.kill("SIGTERM");
    const { signal, stderr } = await program.end();
    assert.equal(stderr, "");
    assert.equal(signal, "SIGTERM");
    run("e2fsck", "-fn", image);
    assert.equal(lastWords(image), "last words");
  });

  test("process.exit() leaves what was synced, and says so", async () => {
    using folder = temporaryFolder();
    const image = disk(folder.path);
    const config = { fs: [{ prefix: "/disk", image, options: "sync" }] };
    const { code, stdout, stderr } = await runHijacked("files.ts", [folder.path, "exit"], {
      config,
    });
    assert.deepEqual(stdout.trimEnd().split("\n"), expected);
    assert.match(
      stderr,
      /^liblinux\/hijack: the program ended at once: \/disk has what was synced/,
    );
    assert.equal(code, 0);
    // The journal is replayed, as after a power failure.
    run("e2fsck", "-p", image);
    assert.equal(lastWords(image), "last words");
  });

  test("an overlay keeps the image as it was", async () => {
    using folder = temporaryFolder();
    const image = disk(folder.path);
    const before = run("sha256sum", image);
    const env = { LIBLINUX_HIJACK_FS: `/disk=${image}:overlay` };
    assert.deepEqual(await linesOf("files.ts", [folder.path], { env }), expected);
    assert.equal(run("sha256sum", image), before);
  });
});

suite("threads and child processes", { concurrency: 2 }, () => {
  for (const [children, thread, child, worker] of [
    ["refuse", "ERR_HIJACK_CHILD", "ERR_HIJACK_CHILD", "ERR_HIJACK_CHILD"],
    ["own", "connected", "connected", "ERR_HIJACK_CLUSTER"],
  ])
    test(`which are to ${children}`, async () => {
      const lines = await linesOf("children.ts", [], { config: { children } });
      assert.deepEqual(lines, [
        "program connected",
        `thread ${thread}`,
        `process ${child}`,
        `worker ${worker}`,
      ]);
    });
});

suite("a configuration", () => {
  test("LKL's: addresses, sysctls, and files that are shown at the end", async () => {
    const config = {
      interfaces: [{ type: "none", ip: "192.0.2.1", masklen: "24", mac: "02:00:5e:10:00:01" }],
      gateway: "192.0.2.254",
      sysctl: "net.ipv4.tcp_congestion_control=reno",
      mount: "sysfs",
      dump: "/proc/sys/net/ipv4/tcp_congestion_control,/sysfs/class/net/eth0/address",
    };
    const { code, stderr } = await runHijacked("seen.ts", [], { config });
    assert.equal(stderr, "reno\n02:00:5e:10:00:01\n");
    assert.equal(code, 0);
  });

  test("that cannot be ends the program before it begins", async () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "hijack.json");
    writeFileSync(file, '{ "interfaces": [{ "type": "modem" }] }');
    const nothing = join(folder.path, "none.img");
    for (const [options, problem] of [
      [{ config: file }, `${file}: option "interfaces.0.type": "modem": it is one of nat, tap,`],
      [{ config: { fs: [{ prefix: "/disk", image: nothing }] } }, `ENOENT`],
    ] as const) {
      const { code, stdout, stderr } = await runHijacked("loopback.ts", [], options);
      assert.ok(stderr.startsWith("liblinux/hijack: "), stderr);
      assert.ok(stderr.includes(problem), `${stderr}: ${problem}`);
      assert.equal(stdout, "");
      assert.equal(code, 1);
    }
  });

  /** What is said of a configuration in the environment. */
  function problemOf(environment: Record<string, string>): string {
    try {
      readConfig(environment);
    } catch (error) {
      assert.ok(error instanceof HijackConfigError);
      assert.equal(error.code, "ERR_HIJACK_CONFIG");
      return error.message;
    }
    return "";
  }

  for (const [json, problem] of [
    ["{", "it is no JSON"],
    ["{}x", "it is no JSON"],
    ['{ "memory": 1 }', 'option "memory": unknown: it is one of'],
    ['{ "memoryMiB": 1.5 }', 'option "memoryMiB": it is a whole number from 16 to 3584'],
    ['{ "modules": ["http"] }', 'option "modules.0": "http": it is one of net, dgram, dns'],
    ['{ "interfaces": {} }', 'option "interfaces": it is a list'],
    ['{ "interfaces": [{ "ip": "10" }] }', 'option "interfaces.0.ip": '],
    ['{ "interfaces": [{ "colour": 1 }] }', 'option "interfaces.0.colour": unknown'],
    ['{ "interfaces": [{ "type": "tap" }] }', 'option "interfaces.0.param": it is a text'],
    [
      '{ "interfaces": [{ "type": "none", "forward": "80" }] }',
      'option "interfaces.0.forward": only a "nat" forwards ports',
    ],
    ['{ "interfaces": [{ "dhcp": "yes" }] }', 'option "interfaces.0.dhcp": it is true or false'],
    ['{ "bypass": ["a b"] }', 'option "bypass.0": "a b": it is written as'],
    ['{ "bypass": ["a", "b:0"] }', 'option "bypass.1": "b:0": its port is 1 to 65535'],
    ['{ "bypass": "10.0.0.0/33" }', 'option "bypass.0": "10.0.0.0/33": it is written as'],
    ['{ "fs": [{ "prefix": "/", "image": "x" }] }', 'option "fs.0.prefix": "/": it is an absolute'],
    ['{ "fs": [{ "prefix": "disk", "image": "x" }] }', 'option "fs.0.prefix": "disk": it is an'],
    ['{ "fs": [{ "prefix": "/disk" }] }', 'option "fs.0.image": it is a text'],
    ['{ "fs": ["/disk=a", "/disk/=b"] }', 'option "fs.1.prefix": "/disk" has an image already'],
    ['{ "fs": "/disk" }', 'option "fs.0": "/disk": it is prefix=image'],
    ['{ "children": "all" }', 'option "children": "all": it is one of refuse, own, host'],
    ['{ "log": "loud" }', 'option "log": "loud": it is one of silent, error,'],
    ['{ "sysctl": "a" }', 'option "sysctl": '],
  ] as const)
    test(`${json} is told of by the name of what is wrong`, () => {
      const message = problemOf({ LIBLINUX_HIJACK: json });
      assert.ok(message.startsWith(`liblinux/hijack: LIBLINUX_HIJACK: ${problem}`), message);
    });

  for (const [name, value, problem] of [
    ["LIBLINUX_HIJACK", "/nowhere.json", "ENOENT: no such file or directory, open '/nowhere.json'"],
    ["LIBLINUX_HIJACK_IP", "10.0.0.1", "there is no such variable: it is one of LIBLINUX_HIJACK_"],
    ["LIBLINUX_HIJACK_FORWARD", "80:0", 'option "interfaces.0.forward.0": "80:0": a port is 1 to'],
    ["LIBLINUX_HIJACK_FORWARD", "80/ip", 'option "interfaces.0.forward.0": "80/ip": it is [host'],
    ["LIBLINUX_HIJACK_NET_IP", "10.0.0.256", 'option "interfaces.0.ip": '],
    ["LIBLINUX_HIJACK_FS", "disk=x", 'option "fs.0.prefix": "disk": it is an absolute path'],
  ] as const)
    test(`${name}=${value} is told of by the variable's name`, () => {
      const message = problemOf({ [name]: value });
      assert.ok(message.startsWith(`liblinux/hijack: ${name}: ${problem}`), message);
    });

  test("of the environment comes after the file's, and paths start from the file", () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "hijack.json");
    writeFileSync(
      file,
      JSON.stringify({
        memoryMiB: 32,
        interfaces: [{ ip: "10.0.0.1", masklen: 24, forward: ["8080:80"] }, { type: "none" }],
        fs: [{ prefix: "/disk/", image: "a.img", volume: 2 }],
        debug: "1",
      }),
    );
    const config = readConfig({
      LIBLINUX_HIJACK: file,
      LIBLINUX_HIJACK_NET_IP: "10.0.0.2",
      LIBLINUX_HIJACK_MEMORY_MIB: "48",
      LIBLINUX_HIJACK_CAPTURE: "trace.pcapng",
    });
    assert.equal(config.memoryMiB, 48);
    assert.deepEqual(
      config.lkl.interfaces.map(({ ip }) => ip),
      ["10.0.0.2/24", undefined],
    );
    assert.deepEqual(config.interfaces[0].forwards, [
      { protocol: "tcp", hostAddress: "127.0.0.1", hostPort: 8080, guestPort: 80 },
    ]);
    assert.deepEqual(config.fs, [
      {
        prefix: "/disk",
        image: join(folder.path, "a.img"),
        readOnly: false,
        overlay: false,
        volume: 2,
      },
    ]);
    assert.equal(config.capture, join(process.cwd(), "trace.pcapng"));
    assert.equal(config.log, "debug");
  });

  test("of what stays with the host", () => {
    const bypass = new Bypass(["db.test", "*.corp.test:443", "10.0.0.0/8", "[fd00::/8]:53", "*:9"]);
    for (const [host, port, stays] of [
      ["db.test", 1, true],
      ["DB.test", 1, true],
      ["a.db.test", 1, false],
      ["a.corp.test", 443, true],
      ["a.corp.test", 80, false],
      ["corp.test", 443, false],
      ["10.255.0.1", 1, true],
      ["11.0.0.1", 1, false],
      ["fd00::1", 53, true],
      ["fd00::1", 54, false],
      ["localhost", 9, true],
      ["localhost", 10, false],
    ] as const)
      assert.equal(bypass.has(host, port), stays, `${host} ${port}`);
    for (const rule of ["127.0.0.1", "::1", "localhost", "127.0.0.0/8"])
      assert.ok(new Bypass([rule]).has("localhost", 80), rule);
  });
});
