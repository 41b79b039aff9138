// Disks on a web server: a real one, and what can go wrong with one.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { test } from "node:test";

import { HTTP_CHUNK_BYTES, HttpDisk } from "../src/disk/index.ts";
import type { HttpDiskOptions } from "../src/disk/index.ts";
import { attachDisk, mount, readDirectory, readFile } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { assertBytes, diskContract, pattern } from "./contract/disk.ts";
import { ext4Image, noise, sampleTree, temporaryFolder } from "./images/native.ts";
import { serve } from "./range-server.ts";
import type { FileServer, Trouble } from "./range-server.ts";

const MIB = 1048576;

function open(file: FileServer, options: HttpDiskOptions = {}): Promise<HttpDisk> {
  return HttpDisk.open(`${file.url}?secret`, { retries: 0, ...options });
}

async function readAt(disk: HttpDisk, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await disk.read(bytes, offset);
  return bytes;
}

/** The first `count` requests get this answer, and all after them a good one. */
function first(count: number, answer: (response: ServerResponse) => void): Trouble {
  let left = count;
  return (_request, response) => {
    if (left-- <= 0) return "go on";
    answer(response);
    return "done";
  };
}

const status = (code: number, headers: Record<string, string> = {}) => {
  return (response: ServerResponse) => void response.writeHead(code, headers).end("sorry");
};

for (const [name, options] of [
  ["HttpDisk", {}],
  ["HttpDisk, smallest cache", { cacheBytes: HTTP_CHUNK_BYTES }],
  ["HttpDisk, no read-ahead", { readAheadBytes: 0, blockSizeBytes: 512 }],
] as const)
  diskContract(name, async () => {
    const file = await serve(pattern(MIB + 512));
    return { disk: await open(file, options), done: () => file.stop() };
  });

test("opening asks once, and what was read is not asked for again", async () => {
  using file = await serve(pattern(4 * MIB));
  using disk = await open(file);
  assert.equal(disk.path, file.url, "the query may be secret");
  assert.equal(disk.sizeBytes, 4 * MIB);
  await readAt(disk, 0, 65536);
  assert.deepEqual(file.asked, ["bytes=0-65535"]);
  assertBytes(await readAt(disk, 3 * MIB, 4096), pattern(4096, 3 * MIB));
  await readAt(disk, 3 * MIB + 8192, 4096);
  assert.deepEqual(file.asked.slice(1), ["bytes=3145728-3211263"]);
  assert.equal(disk.requests, 2);
  assert.equal(disk.fetchedBytes, 2 * HTTP_CHUNK_BYTES);
});

test("requests for the same bytes at once are one request, and there are few at once", async () => {
  using file = await serve(pattern(4 * MIB));
  using disk = await open(file);
  const same = await Promise.all([1, 2, 3, 4].map(() => readAt(disk, MIB, 8192)));
  for (const bytes of same) assertBytes(bytes, pattern(8192, MIB));
  assert.equal(file.asked.length, 2);
  const spread = Array.from({ length: 20 }, (_, i) => (2 * i + 20) * HTTP_CHUNK_BYTES);
  await Promise.all(spread.map((offset) => readAt(disk, offset, 512)));
  assert.equal(file.asked.length, 22);
  assert.ok(file.busiest <= 6, `${file.busiest} at once`);
});

test("who reads in order is read ahead for, in ever larger requests", async () => {
  using file = await serve(pattern(8 * MIB));
  using disk = await open(file, { readAheadBytes: MIB });
  for (let at = 0; at < 8 * MIB; at += 65536)
    assertBytes(await readAt(disk, at, 65536), pattern(65536, at));
  assert.ok(file.asked.length < 24, `${file.asked.length} requests`);
  assert.equal(disk.fetchedBytes, 8 * MIB);
});

test("the cache is bounded, and what was used last stays", async () => {
  using file = await serve(pattern(4 * MIB));
  using disk = await open(file, { cacheBytes: 4 * HTTP_CHUNK_BYTES, readAheadBytes: 0 });
  const chunk = (n: number) => readAt(disk, n * HTTP_CHUNK_BYTES, 512);
  for (const n of [10, 12, 14, 10, 16, 10, 18, 10]) await chunk(n);
  assert.equal(file.asked.length, 6);
  await chunk(12);
  assert.equal(file.asked.length, 7, "was driven out");
  assertBytes(await readAt(disk, 0, 4 * MIB), pattern(4 * MIB));
});

test("a file that ends within a block is filled up; an empty one is an empty disk", async () => {
  using file = await serve(pattern(70_000));
  using disk = await open(file, { blockSizeBytes: 4096 });
  assert.equal(disk.sizeBytes, 73_728);
  const expected = new Uint8Array(8192);
  expected.set(pattern(70_000 - 65_536, 65_536));
  assertBytes(await readAt(disk, 65_536, 8192), expected);
  file.bytes = new Uint8Array(0);
  using empty = await open(file);
  assert.equal(empty.sizeBytes, 0);
});

test("headers and the caller's fetch are used", async () => {
  using file = await serve(pattern(MIB));
  file.trouble = (request, response) => {
    if (request.headers.authorization === "Bearer me") return "go on";
    status(401)(response);
    return "done";
  };
  await assert.rejects(open(file), { code: "EACCES", message: /answers 401 Unauthorized$/ });
  const seen: (string | null)[] = [];
  using disk = await open(file, {
    headers: { Authorization: "Bearer me" },
    fetch: (input, init) => {
      seen.push(new Headers(init?.headers).get("Accept-Encoding"));
      return fetch(input, init);
    },
  });
  assertBytes(await readAt(disk, 4096, 512), pattern(512, 4096));
  assert.deepEqual(seen, ["identity"]);
});

test("servers that will not do are refused, with the reason and the cure", async () => {
  using file = await serve(pattern(MIB));
  const cases: [Trouble, string, RegExp][] = [
    [first(1, status(200)), "ENODEV", /whole file \(200\): download it first/],
    [first(1, status(206)), "ENODEV", /no Content-Range; a page .* Access-Control-Expose-Headers/],
    [
      first(1, status(206, { "Content-Range": "bytes 0-65535/1048576", "Content-Encoding": "br" })),
      "ENODEV",
      /compresses what it sends \(br\)/,
    ],
    [
      first(1, status(206, { "Content-Range": "bytes 7-9/1048576" })),
      "EIO",
      /answers bytes 0-65535 with "bytes 7-9\/1048576"/,
    ],
    [first(1, status(206, { "Content-Range": "bytes 0-65535/*" })), "EIO", /0-65535\/\*/],
    [first(1, status(404)), "ENOENT", /answers 404 Not Found$/],
    [first(1, status(403)), "EACCES", /answers 403/],
    [first(1, status(400)), "EIO", /answers 400/],
    [first(1, status(503)), "EIO", /answers 503 Service Unavailable \(1 attempts\)/],
  ];
  for (const [trouble, code, message] of cases) {
    file.trouble = trouble;
    await assert.rejects(open(file), { name: "DiskError", code, message, path: file.url });
  }
  file.trouble = () => "go on";
  (await open(file)).close();
});

test("URLs and options that cannot be are refused", async () => {
  for (const [url, message] of [
    ["disk.img", /disk\.img: is no URL/],
    ["ftp://127.0.0.1/x", /no URL of the kind/],
    ["http://me:word@127.0.0.1/x", /127\.0\.0\.1\/x: user and password/],
  ] as const)
    await assert.rejects(HttpDisk.open(url), { code: "EINVAL", message });
  for (const options of [
    { cacheBytes: 1000 },
    { readAheadBytes: -1 },
    { timeoutMs: 0 },
    { retries: NaN },
    { blockSizeBytes: 100 },
  ])
    await assert.rejects(HttpDisk.open("http://127.0.0.1/x", options), {
      code: "ERR_INVALID_OPTION",
    });
});

test("what may pass is tried again: busy servers, broken connections, answers cut short", async () => {
  using file = await serve(pattern(MIB));
  using disk = await open(file, { retries: 2 });
  const range = (offset: number) => ({
    "Content-Range": `bytes ${offset}-${offset + 65535}/${MIB}`,
  });
  const cases: ((response: ServerResponse, offset: number) => void)[] = [
    status(503),
    status(429, { "Retry-After": "0" }),
    (response) => void response.destroy(),
    (response, offset) => void response.writeHead(206, range(offset)).end(pattern(1000, offset)),
    (response, offset) => {
      response.writeHead(206, { ...range(offset), "Content-Length": 65536 });
      response.write(pattern(30_000, offset), () => response.destroy());
    },
  ];
  for (const [i, answer] of cases.entries()) {
    const offset = (2 * i + 2) * HTTP_CHUNK_BYTES;
    file.trouble = first(1, (response) => answer(response, offset));
    file.asked.length = 0;
    assertBytes(await readAt(disk, offset, 65536), pattern(65536, offset));
    assert.equal(file.asked.length, 2);
  }
  // Only what is missing is asked for.
  assert.equal(
    file.asked[1],
    `bytes=${10 * HTTP_CHUNK_BYTES + 30_000}-${11 * HTTP_CHUNK_BYTES - 1}`,
  );
});

test("a server that stays silent is given up, and one that is only slow is not", async () => {
  using file = await serve(pattern(MIB));
  using disk = await open(file, { timeoutMs: 1000 });
  file.trouble = () => "done";
  await assert.rejects(readAt(disk, MIB / 2, 512), {
    code: "EIO",
    message: /from byte 524288 on: the server was silent for 1000 ms \(1 attempts\)/,
  });
  const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 160));
  file.trouble = (_request, response) => {
    response.writeHead(206, { "Content-Range": `bytes 524288-589823/${MIB}` });
    void (async () => {
      for (let at = 524288; at < 589824; at += 8192) {
        response.write(pattern(8192, at));
        await pause();
      }
      response.end();
    })();
    return "done";
  };
  assertBytes(await readAt(disk, MIB / 2, 65536), pattern(65536, MIB / 2));
});

test("a file that changes on the server fails every later read: versions are not mixed", async () => {
  const changes: [(file: FileServer) => void, RegExp][] = [
    [(file) => (file.etag = '"two"'), /its ETag is "two" instead of "one"; open it again/],
    [
      (file) => (file.modified = "Sat, 03 Feb 2001 04:05:07 GMT"),
      /it was modified Sat.* no longer/,
    ],
    [(file) => (file.bytes = pattern(2 * MIB)), /it has 2097152 bytes instead of 1048576/],
    [(file) => (file.bytes = pattern(4096)), /it ends before 524288 now/],
  ];
  for (const [change, message] of changes) {
    using file = await serve(pattern(MIB));
    using disk = await open(file);
    change(file);
    assertBytes(await readAt(disk, 0, 4096), pattern(4096));
    await assert.rejects(readAt(disk, MIB / 2, 512), { code: "EIO", message });
    // What is in the cache is of the old version too.
    await assert.rejects(readAt(disk, 0, 4096), { code: "EIO", message });
  }
});

test("a server without any mark of versions will do", async () => {
  using file = await serve(pattern(MIB));
  file.etag = null;
  file.modified = null;
  using disk = await open(file);
  assertBytes(await readAt(disk, MIB / 2, 4096), pattern(4096, MIB / 2));
});

test("closing and aborting end requests that are under way", async () => {
  using file = await serve(pattern(MIB));
  const disk = await open(file);
  const abort = new AbortController();
  using other = await open(file, { signal: abort.signal, retries: 3 });
  file.trouble = () => "done";
  const closed = assert.rejects(readAt(disk, MIB / 2, 512), { code: "EBADF" });
  const aborted = assert.rejects(readAt(other, MIB / 2, 512), {
    code: "EIO",
    message: /was aborted/,
  });
  const opening = assert.rejects(open(file, { signal: abort.signal }), { name: "AbortError" });
  disk.close();
  abort.abort();
  await Promise.all([closed, aborted, opening]);
  await assert.rejects(open(file, { signal: abort.signal }), { name: "AbortError" });
});

test("a kernel mounts ext4 from a server, and fetches little of it", async () => {
  using folder = temporaryFolder();
  const image = ext4Image(join(folder.path, "disk.img"), sampleTree(folder.path));
  using file = await serve(readFileSync(image));
  using disk = await open(file);
  await using kernel = await Kernel.boot({ image: "fs" });
  await using device = await attachDisk(kernel, disk);
  await using mounted = await mount(kernel, { source: device.path, readOnly: true });
  const names = await readDirectory(kernel.init, mounted.target);
  assert.ok(names.length >= 8);
  assert.ok(disk.fetchedBytes < 2 * MIB, `${disk.fetchedBytes} of ${disk.sizeBytes} bytes`);
  assert.ok(noise(3_000_001).equals(await readFile(kernel.init, `${mounted.target}/big`)));
  assert.ok(disk.fetchedBytes < 6 * MIB, `${disk.fetchedBytes} of ${disk.sizeBytes} bytes`);
});

test("a server that disappears: an I/O error in the kernel, and why in onError", async () => {
  using folder = temporaryFolder();
  const image = ext4Image(join(folder.path, "disk.img"), sampleTree(folder.path));
  using file = await serve(readFileSync(image));
  using disk = await open(file);
  const errors: unknown[] = [];
  await using kernel = await Kernel.boot({ image: "fs" });
  await using device = await attachDisk(kernel, disk, { onError: (error) => errors.push(error) });
  await using mounted = await mount(kernel, { source: device.path, readOnly: true });
  file.stop();
  await assert.rejects(readFile(kernel.init, `${mounted.target}/big`), { code: "EIO" });
  assert.match(
    String(errors[0]),
    /disk\.img: cannot be read from byte \d+ on: fetch failed: (other side closed|.*ECONN)/,
  );
});
