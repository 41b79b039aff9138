// isomorphic-git, unchanged, in an image: and native git finds nothing wrong with what it made.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";

import * as git from "isomorphic-git";
import * as http from "isomorphic-git/http/node";

import { createFs } from "../src/fs/facade/index.ts";
import type { LinuxFs } from "../src/fs/facade/index.ts";
import { Kernel } from "../src/index.ts";
import { makeImage, mountImage } from "./fs-operations.ts";
import type { MountedImage } from "./fs-operations.ts";
import { temporaryFolder } from "./images/native.ts";

const folder = temporaryFolder();
const author = { name: "A", email: "a@example.com", timestamp: 1_700_000_000, timezoneOffset: 0 };
const identity = [author.name, author.email].flatMap((value, i) =>
  ["AUTHOR", "COMMITTER"].map((who) => [`GIT_${who}_${i ? "EMAIL" : "NAME"}`, value] as const),
);
const env = {
  ...process.env,
  ...Object.fromEntries(identity),
  GIT_CONFIG_NOSYSTEM: "1",
  HOME: folder.path,
};

/** Run native git. */
const native = (cwd: string, ...args: string[]) =>
  execFileSync("git", args, { cwd, env, encoding: "utf8", stdio: "pipe" });

let kernel: Kernel;
let image: MountedImage;
let fs: LinuxFs;

before(async () => {
  kernel = await Kernel.boot({ image: "fs" });
  image = await mountImage(kernel, makeImage(folder.path, "ext4"), "ext4");
  fs = createFs(await kernel.process({ root: image.target }), { ownsProcess: true });
});

after(async () => {
  await fs[Symbol.asyncDispose]();
  // The native checker looks at it.
  await image[Symbol.asyncDispose]();
  await kernel.halt();
  folder[Symbol.dispose]();
});

/** Copy a tree out, for native tools. */
async function copyOut(from: string, to: string): Promise<string> {
  mkdirSync(to, { recursive: true });
  for (const entry of await fs.promises.readdir(from, { withFileTypes: true })) {
    const [source, target] = [`${from}/${entry.name}`, join(to, entry.name)];
    if (entry.isDirectory()) await copyOut(source, target);
    else writeFileSync(target, await fs.promises.readFile(source));
  }
  return to;
}

test("a repository is made, changed and read", async () => {
  const dir = "/repo";
  const write = (path: string, text: string) => fs.promises.writeFile(`${dir}/${path}`, text);
  await git.init({ fs, dir, defaultBranch: "main" });
  await fs.promises.mkdir(`${dir}/src`);
  for (let i = 0; i < 20; i++) await write(`src/${i}.txt`, `file ${i}\n`.repeat(i + 1));
  await write("README", "one\n");
  assert.equal(await git.status({ fs, dir, filepath: "README" }), "*added");
  await git.add({ fs, dir, filepath: ["README", "src"] });
  assert.equal(await git.status({ fs, dir, filepath: "README" }), "added");
  const first = await git.commit({ fs, dir, message: "first", author });
  await write("README", "two\n");
  assert.equal(await git.status({ fs, dir, filepath: "README" }), "*modified");
  await git.branch({ fs, dir, ref: "side", checkout: true });
  await git.add({ fs, dir, filepath: "README" });
  await git.remove({ fs, dir, filepath: "src/3.txt" });
  await fs.promises.unlink(`${dir}/src/3.txt`);
  const second = await git.commit({ fs, dir, message: "second", author });
  const log = await git.log({ fs, dir });
  assert.deepEqual(
    log.map(({ oid }) => oid),
    [second, first],
  );
  assert.equal(log[0].commit.message, "second\n");
  await git.checkout({ fs, dir, ref: "main" });
  assert.equal(await fs.promises.readFile(`${dir}/README`, "utf8"), "one\n");
  assert.ok((await fs.promises.readdir(`${dir}/src`)).includes("3.txt"));
  assert.deepEqual(await git.listBranches({ fs, dir }), ["main", "side"]);
  const matrix = await git.statusMatrix({ fs, dir });
  assert.equal(matrix.length, 21);
  assert.ok(matrix.every(([, head, work, stage]) => head === 1 && work === 1 && stage === 1));
  const copy = await copyOut(dir, join(folder.path, "copy"));
  native(copy, "fsck", "--strict");
  assert.equal(native(copy, "log", "--format=%H", "side"), `${second}\n${first}\n`);
  assert.equal(native(copy, "status", "--porcelain"), "");
});

/** Serve bare repositories by git's own CGI program (git-http-backend(1)). */
function serve(request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? "/", "http://localhost");
  const cgi = spawn("git", ["http-backend"], {
    env: {
      ...env,
      GIT_PROJECT_ROOT: folder.path,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
    },
  });
  request.pipe(cgi.stdin);
  const parts: Buffer[] = [];
  cgi.stdout.on("data", (part: Buffer) => parts.push(part));
  cgi.on("close", () => {
    const answer = Buffer.concat(parts);
    const end = answer.indexOf("\r\n\r\n");
    for (const line of answer.toString("latin1", 0, end).split("\r\n")) {
      const [name = "", value = ""] = line.split(": ");
      if (name === "Status") response.statusCode = parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.end(answer.subarray(end + 4));
  });
}

test("a repository is cloned, and changes are pushed back", async () => {
  const bare = join(folder.path, "bare.git");
  const work = join(folder.path, "work");
  mkdirSync(join(work, "deep/er"), { recursive: true });
  native(work, "init", "-q", "-b", "main");
  for (let i = 0; i < 50; i++) writeFileSync(join(work, `deep/er/${i}`), `${i}\n`.repeat(200));
  writeFileSync(join(work, "run.sh"), "#!/bin/sh\n", { mode: 0o755 });
  native(work, "add", "-A");
  native(work, "commit", "-q", "-m", "from native git");
  native(folder.path, "clone", "-q", "--bare", work, bare);
  native(bare, "config", "http.receivepack", "true");
  const server = createServer(serve).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/bare.git`;
    const dir = "/clone";
    await git.clone({ fs, http, dir, url });
    assert.equal((await fs.promises.readdir(`${dir}/deep/er`)).length, 50);
    assert.equal(await fs.promises.readFile(`${dir}/deep/er/7`, "utf8"), "7\n".repeat(200));
    assert.equal((await fs.promises.stat(`${dir}/run.sh`)).mode & 0o111, 0o111);
    const [{ commit }] = await git.log({ fs, dir });
    assert.equal(commit.message, "from native git\n");
    await fs.promises.writeFile(`${dir}/new`, "pushed\n");
    await git.add({ fs, dir, filepath: "new" });
    const oid = await git.commit({ fs, dir, message: "back", author });
    const pushed = await git.push({ fs, http, dir, remote: "origin", ref: "main" });
    assert.ok(pushed.ok);
    assert.equal(native(bare, "rev-parse", "main"), `${oid}\n`);
    assert.equal(native(bare, "show", "main:new"), "pushed\n");
    native(bare, "fsck", "--strict");
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
