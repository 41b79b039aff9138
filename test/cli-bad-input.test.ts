// What is wrong with images and files is told in a line that names it, and nothing half-written stays.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import { execute, fails, liblinux, main, succeeds, succeedsWith } from "./command.ts";
import { ext4Image, noise, run, temporaryFolder } from "./images/native.ts";

const MIB = 1 << 20;

suite("bad input", { concurrency: 2 }, () => {
  const folder = temporaryFolder();
  const at = (...names: string[]) => join(folder.path, ...names);
  const image = at("ok.img");
  after(() => folder[Symbol.dispose]());
  before(async () => {
    await succeeds("mkfs", "-t", "ext4", "--size", "64M", image);
    await succeedsWith(noise(24 * MIB), "write", `${image}:/big`);
  });

  test("images that can only be read", async () => {
    run("gzip", "-k", image);
    const packed = readFileSync(`${image}.gz`);
    for (const args of [
      ["rm", `${image}.gz:/big`],
      ["mkdir", `${image}.gz:/d`],
      ["resize", `${image}.gz`, "1G"],
    ])
      await fails(
        1,
        /ok\.img\.gz: EROFS: is compressed, and can only be read: unpack it first/,
        ...args,
      );
    writeFileSync(at("blocks.gz"), packed.subarray(0, 4096));
    await fails(1, /blocks\.gz: has compressed by gzip/, "mkfs", "-t", "ext4", at("blocks.gz"));
    await fails(1, /blocks\.gz: has compressed by gzip/, "partition", at("blocks.gz"), "rest");
    assert.equal((await succeeds("ls", `${image}.gz`)).text, "big\nlost+found\n");
    assert.deepEqual(readFileSync(`${image}.gz`), packed);
  });

  test("images that were not copied to their end, or are none", async () => {
    copyFileSync(image, at("short.img"));
    truncateSync(at("short.img"), 8 * MIB);
    await fails(
      1,
      /short\.img: EINVAL: .*bad geometry.*: was it copied, or unpacked, to its end\?/,
      "ls",
      at("short.img"),
    );
    writeFileSync(at("noise.img"), noise(MIB));
    await fails(1, /noise\.img: no volume has a file system/, "df", at("noise.img"));
    await fails(1, /noise\.img: no file system that is known/, "find", at("noise.img"));
    await fails(
      1,
      /ok\.img: this is no tar archive: it begins with zeroes/,
      "untar",
      image,
      `${image}:/`,
    );
    await fails(1, /nowhere\.tar: ENOENT/, "untar", at("nowhere.tar"), `${image}:/`);
  });

  test("of what is damaged all is shown that can be", async () => {
    const tree = at("tree");
    mkdirSync(join(tree, "dir"), { recursive: true });
    mkdirSync(join(tree, "good"));
    writeFileSync(join(tree, "dir/NAMETOCHANGE"), "");
    writeFileSync(join(tree, "good/file"), "fine\n");
    const path = ext4Image(at("damaged.img"), tree, "-O", "^metadata_csum,^dir_index");
    const bytes = readFileSync(path);
    bytes.write("../../pwned1", bytes.indexOf("NAMETOCHANGE"));
    writeFileSync(path, bytes);
    for (const verb of ["find", "tree", "du", "ls -R", "tar"]) {
      const { code, text, err } = await liblinux(...verb.split(" "), path);
      assert.equal(code, 1, verb);
      assert.match(err, /^liblinux: \w+ \S+damaged\.img:\/dir: E\w+: [^\n]*\n$/, verb);
      assert.match(text, verb === "du" ? /\/good$/m : /file/, verb);
    }
    const { code, err } = await liblinux("chown", "-R", "5:6", `${path}:/`);
    assert.equal(code, 1);
    assert.match(err, /^liblinux: chown \S+damaged\.img:\/dir: E\w+: /);
    assert.match((await succeeds("ls", "-l", `${path}:/good`)).text, / 5 +6 .* file$/m);
  });

  test("what is made and then fails is gone again", async () => {
    await fails(1, /tiny\.img: ENOSPC: /, "mkfs", "-t", "xfs", "--size", "1M", at("tiny.img"));
    assert.ok(!existsSync(at("tiny.img")));
    await fails(1, /tiny\.img: /, "partition", "--size", "1M", at("tiny.img"), "8M");
    assert.ok(!existsSync(at("tiny.img")));
    await fails(
      1,
      /no\/where\.img: ENOENT: /,
      "mkfs",
      "-t",
      "ext4",
      "--size",
      "1M",
      at("no/where.img"),
    );
    await fails(1, /no\/out\.tar: ENOENT: /, "tar", "-o", at("no/out.tar"), image);
    await fails(1, /ok\.img:\/none: ENOENT: /, "tar", "-o", at("out.tar"), `${image}:/none`);
    assert.ok(!readdirSync(folder.path).some((name) => name.includes("out.tar")));
  });

  test("a full image: what does not fit is not there", async () => {
    const full = at("full.img");
    await succeeds("mkfs", "-t", "ext4", "--size", "16M", full);
    writeFileSync(at("large"), noise(20 * MIB));
    await fails(1, /large: ENOSPC: no space left/, "cp", at("large"), `${full}:/copy`);
    const { code, err } = await execute(
      process.execPath,
      [main, "write", `${full}:/stream`],
      process.env,
      noise(20 * MIB),
    );
    assert.match(err, /^liblinux: write \S+full\.img:\/stream: ENOSPC/);
    assert.equal(code, 1);
    assert.equal((await succeeds("ls", full)).text, "lost+found\n");
    run("e2fsck", "-fn", full);
  });

  const mounts = process.getuid?.() === 0 && canMount(at("probe"));

  const fullMachine = async () => {
    const small = at("small");
    mkdirSync(small);
    run("mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", small);
    try {
      await fails(1, /small\/copy: ENOSPC/, "cp", `${image}:/big`, join(small, "copy"));
      await fails(1, /small\/out\.tar: ENOSPC/, "tar", "-o", join(small, "out.tar"), image);
      assert.deepEqual(readdirSync(small), []);
      await fails(1, /ENOSPC/, "sync", `${image}:/`, join(small, "tree"));
      assert.deepEqual(readdirSync(join(small, "tree")), []);
      const sparse = join(small, "sparse.img");
      await succeeds("mkfs", "-t", "ext4", "--size", "100M", sparse);
      writeFileSync(at("more"), noise(24 * MIB));
      const { code, err } = await liblinux("cp", at("more"), `${sparse}:/copy`);
      assert.equal(code, 1);
      assert.match(err, /sparse\.img: ENOSPC: no space left where the file is\n/);
      assert.match(err, /sparse\.img:\/copy: EIO/);
      run("rm", sparse);
      await succeeds("mkfs", "-t", "ext4", "--size", "4M", join(small, "ok.img"));
      run("mount", "-o", "remount,ro", small);
      await fails(
        1,
        /small\/ok\.img: EROFS: is on a read-only file system: copy it/,
        "mkdir",
        `${join(small, "ok.img")}:/d`,
      );
      await fails(1, /small\/ok\.img: EROFS: /, "mkfs", "-f", "-t", "ext4", join(small, "ok.img"));
      await fails(1, /small\/g: EROFS/, "cp", `${image}:/big`, join(small, "g"));
      assert.equal((await succeeds("ls", join(small, "ok.img"))).text, "lost+found\n");
    } finally {
      run("umount", small);
    }
  };
  if (mounts) test("a machine that is full, and one that can only be read", fullMachine);

  test("an image that changes underneath, and a server that goes away", async () => {
    const path = at("changing.img");
    copyFileSync(image, path);
    const child = spawn(process.execPath, [main, "cat", `${path}:/big`], { stdio: "pipe" });
    const [first] = (await once(child.stdout, "data")) as [Buffer];
    truncateSync(path, 2 * MIB);
    let bytes = first.length;
    let err = "";
    child.stdout.on("data", (part: Buffer) => (bytes += part.length));
    child.stderr.on("data", (part: Buffer) => (err += part.toString()));
    const [code] = await once(child, "close");
    assert.equal(code, 1);
    assert.ok(bytes < 24 * MIB);
    assert.match(
      err,
      /^liblinux: \S+changing\.img: E\w+: .*\nliblinux: cat \S+changing\.img:\/big: EIO: [^\n]*\n$/,
    );

    const content = readFileSync(image);
    let left = 40;
    const server = createServer((request, response) => {
      const [, from = 0, to = 0] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
      if (left-- <= 0) return response.writeHead(404).end();
      const part = content.subarray(Number(from), Number(to) + 1);
      return response
        .writeHead(206, {
          "content-range": `bytes ${from}-${Number(from) + part.length - 1}/${content.length}`,
          "content-length": part.length,
          etag: '"1"',
        })
        .end(part);
    });
    using _ = { [Symbol.dispose]: () => server.close().closeAllConnections() };
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const url = `http://127.0.0.1:${port}/disk.img`;
    assert.equal((await succeeds("ls", url)).text, "big\nlost+found\n");
    left = 5;
    const gone = await liblinux("cat", `${url}:/big`);
    assert.equal(gone.code, 1);
    assert.match(gone.err, /^liblinux: http:\S+disk\.img: E\w+: /);
    left = 40;
    await fails(1, /EROFS: is on a server/, "rm", `${url}:/big`);
  });

  test("a journal that was not replayed can be looked at, and nothing is written", async () => {
    const path = at("dirty.img");
    copyFileSync(image, path);
    // Killed in the middle of writing: what was synced is in the journal only.
    const child = spawn(process.execPath, [main, "shell", "--write", path], { stdio: "pipe" });
    writeFileSync(at("nothing"), "");
    child.stdin.write(`mkdir /new\nput ${at("nothing")} /new/file\nls /\n`);
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "close");
    const bytes = readFileSync(path);
    const skipped = await liblinux("ls", path);
    assert.match(skipped.err, /dirty\.img: its journal was not replayed.*--replay/);
    assert.equal((await succeeds("ls", "--replay", `${path}:/new`)).text, "file\n");
    assert.equal((await succeeds("cat", "--overlay", `${path}:/new/file`)).text, "");
    assert.ok(bytes.equals(readFileSync(path)), "the image was written");
    await succeeds("shell", "-w", "--overlay", "-c", "rm -r new", "-c", "ls", path);
    assert.ok(bytes.equals(readFileSync(path)), "the image was written");
    await succeeds("rm", "-r", `${path}:/new`);
    run("e2fsck", "-fn", path);
  });
});

function canMount(path: string): boolean {
  mkdirSync(path);
  try {
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", path], { stdio: "ignore" });
    execFileSync("umount", [path]);
    return true;
  } catch {
    return false;
  }
}
