// `liblinux serve ftp` as a child process: what lftp carries in and out is what the native tools see.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { lstatSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import { Client, makeCertificate, succeed } from "./ftp-support.ts";
import {
  emptyImage,
  ext4Image,
  noise,
  placeImage,
  run,
  runWith,
  sampleTree,
  temporaryFolder,
} from "./images/native.ts";

const main = join(import.meta.dirname, "../src/cli/main.ts");

/** The command line, with what it has said so far. */
class Child implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown>;
  out = "";
  err = "";

  constructor(...args: string[]) {
    this.#process = spawn(process.execPath, [main, "serve", ...args], { stdio: "pipe" });
    this.#process.stdout?.on("data", (part) => (this.out += String(part)));
    this.#process.stderr?.on("data", (part) => (this.err += String(part)));
    this.#closed = once(this.#process, "close");
  }

  /** The first line that it prints. */
  async line(): Promise<string> {
    while (!this.out.includes("\n")) {
      const more = once(this.#process.stdout!, "data").then(() => true);
      if (!(await Promise.race([more, this.#closed.then(() => false)]))) assert.fail(this.err);
    }
    return this.out.slice(0, this.out.indexOf("\n"));
  }

  /** Its exit code. */
  async ended(signal?: NodeJS.Signals): Promise<number | null> {
    if (signal) this.#process.kill(signal);
    await this.#closed;
    return this.#process.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#closed;
  }
}

suite("liblinux serve ftp", { concurrency: 2 }, () => {
  const folder = temporaryFolder();
  const at = (...names: string[]) => join(folder.path, ...names);
  let tree: string;
  let image: string;
  before(() => {
    tree = sampleTree(folder.path);
    image = ext4Image(at("image"), tree);
  });
  after(() => folder[Symbol.dispose]());

  // Names are bytes: nothing is to be taken for another character set.
  const settings = [
    "set net:max-retries 1",
    "set cmd:fail-exit yes",
    "set ftp:ssl-allow no",
    "set file:charset UTF-8",
    "set ftp:charset UTF-8",
    "set ftp:use-utf8 no",
    "set ftp:use-mlsd no",
  ];
  const lftp = (url: string, ...commands: string[]) =>
    succeed("lftp", "--norc", "-c", [...settings, `open ${url}`, ...commands].join("\n"));

  /** As a native tool reads it. */
  function dump(from: string, path: string): string {
    const target = at(`dump-${readdirSync(folder.path).length}`);
    mkdirSync(target);
    run("debugfs", "-R", `rdump ${path} ${target}`, from);
    run("rm", "-rf", join(target, "lost+found"));
    return target;
  }

  test("lets users read, byte for byte, and changes nothing", async () => {
    const sum = run("sha256sum", image);
    await using child = new Child("ftp", "--port", "0", "--user", "me:a:b", image);
    const url = await child.line();
    assert.match(url, /^ftp:\/\/127\.0\.0\.1:\d+\/$/);
    const target = at("mirrored");
    await lftp(url.replace("//", "//me:a%3Ab@"), `mirror --exclude lost.found / ${target}`);
    run("diff", "-r", "--no-dereference", tree, target);
    const { port, hostname: host } = new URL(url);
    using client = await Client.login(
      { host, port: Number(port) },
      { name: "me", password: "a:b" },
    );
    await client.expect(550, "DELE hello.txt");
    assert.equal(await child.ended("SIGINT"), 0);
    await client.expect(421);
    assert.equal(child.err, "");
    assert.equal(run("sha256sum", image), sum);
  });

  test("lets users write, and the image has it all when it ends", async () => {
    const written = ext4Image(at("written"), tree);
    await using child = new Child(
      "ftp",
      "--write",
      "--port",
      "0",
      "--user",
      "me:pw:1000:100",
      "--user",
      "root:pw",
      "--json",
      written,
    );
    const facts = JSON.parse(await child.line()) as Record<string, unknown>;
    const { url, host, port } = facts as { url: string; host: string; port: number };
    assert.deepEqual(facts, {
      url: `ftp://127.0.0.1:${port}/`,
      host: "127.0.0.1",
      port,
      readOnly: false,
      tls: false,
      users: ["me", "root"],
      anonymous: false,
    });
    const up = join(at("up"), "tree");
    mkdirSync(at("up"));
    run("cp", "-a", tree, up);
    run("rm", join(up, "link"), join(up, "absolute"), join(up, "dangling"));
    await lftp(
      url.replace("//", "//root:pw@"),
      `mirror -R ${up} up`,
      "mkdir home",
      "chmod 777 home",
    );
    using me = await Client.login({ host, port }, { name: "me", password: "pw" });
    await me.push("STOR home/mine", "mine");
    await me.expect(550, "STOR mine");
    // One transfer is going on when the end comes: what it has sent is there.
    const socket = await me.data();
    me.send("STOR home/half");
    await me.expect(150);
    socket.write(noise(100_000));
    for (;;)
      if (Number((await me.expect(211, "STAT")).match(/: (\d+) bytes/)?.[1]) >= 100_000) break;
    assert.equal(await child.ended("SIGTERM"), 0);
    assert.equal(child.err, "");
    run("e2fsck", "-fn", written);
    const dumped = dump(written, "/up");
    run("diff", "-r", up, join(dumped, "up"));
    assert.match(
      run("debugfs", "-R", "stat /home/mine", written),
      /User: +1000 +Group: +100 .*Size: 4\n/,
    );
    assert.match(run("debugfs", "-R", "stat /home/half", written), /Size: 100000\n/);
    assert.equal(lstatSync(join(dumped, "up/hello.txt")).size, 6);
  });

  test("serves one directory of one volume, to anybody, with TLS", async () => {
    const disk = emptyImage(at("disk"), 64);
    runWith("label: gpt\nsize=8MiB\nsize=40MiB\n", "sfdisk", "--quiet", disk);
    placeImage(disk, 9 << 20, image);
    const { certFile, keyFile } = makeCertificate(folder.path);
    await using child = new Child(
      "ftp",
      "--anonymous",
      "--port",
      "0",
      "--tls-cert",
      certFile,
      "--tls-key",
      keyFile,
      `${disk}:2:/sub`,
    );
    const url = await child.line();
    const listed = await succeed("curl", "-sS", "-l", "--ssl-reqd", "--cacert", certFile, url);
    assert.deepEqual(
      listed.toString().split("\n").slice(0, -1).toSorted(),
      readdirSync(join(tree, "sub")).toSorted(),
    );
    const above = await succeed("curl", "-sS", "-l", "--path-as-is", `${url}../../`);
    assert.deepEqual(above, listed);
    assert.equal(await child.ended("SIGTERM"), 0);
  });

  test("says what makes no sense, or fails", async () => {
    writeFileSync(at("nonsense"), "nonsense");
    const user = ["--user", "a:b"];
    await using child = new Child("ftp", "--port", "0", ...user, "--json", image);
    const { port } = JSON.parse(await child.line()) as { port: number };
    const wrong: [number, RegExp, ...string[]][] = [
      [2, /by which protocol/, "gopher", image],
      [2, /which image/, "ftp", ...user],
      [2, /for whom/, "ftp", image],
      [2, /NAME:PASSWORD/, "ftp", "--user", "a", image],
      [2, /no user or group/, "ftp", "--user", "a:b:4294967295", image],
      [2, /--port 70000/, "ftp", "--port", "70000", ...user, image],
      [2, /go together/, "ftp", "--tls-cert", "x", ...user, image],
      [1, /cannot be read/, "ftp", "--tls-cert", "x", "--tls-key", "y", ...user, image],
      [
        1,
        /option "tls"/,
        "ftp",
        "--tls-cert",
        at("nonsense"),
        "--tls-key",
        at("nonsense"),
        ...user,
        image,
      ],
      [1, /EADDRINUSE/, "ftp", "--port", String(port), ...user, image],
      [1, /no such file/i, "ftp", ...user, at("nothing")],
    ];
    for (const [code, problem, ...args] of wrong) {
      await using failing = new Child(...args);
      assert.equal(await failing.ended(), code, args.join(" "));
      assert.match(failing.err, /^liblinux: serve:? [^\n]*\n$/);
      assert.match(failing.err, problem);
    }
  });
});
