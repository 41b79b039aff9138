// sync and diff: trees that are to be the same, held against what native tools see in them.

import assert from "node:assert/strict";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, suite, test } from "node:test";

import { fails, liblinux, succeeds, succeedsWith } from "./command.ts";
import { debugfs, ext4Image, noise, run, sampleTree, temporaryFolder } from "./images/native.ts";

suite("sync and diff", { concurrency: 2 }, () => {
  const folder = temporaryFolder();
  const at = (...names: string[]) => join(folder.path, ...names);
  after(() => folder[Symbol.dispose]());
  const root = sampleTree(folder.path);

  async function ext4(name: string): Promise<string> {
    await succeeds("mkfs", "-t", "ext4", "--size", "48M", at(name));
    return at(name);
  }

  // Node's times are doubles: this one is exact.
  run("find", root, "-exec", "touch", "-h", "-d", "2020-02-02 02:02:02.5 UTC", "{}", "+");

  /** Everything of each file that sync keeps, as find(1) sees it. */
  function listing(path: string, times = ""): string[] {
    const format = `%P %m %n ${times}`;
    const kinds = ["-type", "d", "-printf", `${format}\n`, "-o", "-printf", `${format} %y %s %l\n`];
    return run("find", path, "-name", "lost+found", "-prune", "-o", ...kinds)
      .replaceAll(/^(.*) \d+ $/gm, "$1")
      .split("\n")
      .toSorted();
  }

  const lines = (text: string) => text.split("\n").filter(Boolean).toSorted();

  test("into an image, and out of it again", async () => {
    const image = await ext4("in.img");
    const first = await succeeds("sync", "--json", root, `${image}:/`);
    const { changes, files, hardLinks, failed } = JSON.parse(first.text);
    assert.deepEqual([hardLinks, failed], [1, []]);
    const inSource = run("find", root, "-mindepth", "1", "-printf", "x").length;
    assert.equal(
      changes.filter(({ change }: { change: string }) => change === "added").length,
      inSource,
    );
    assert.equal(files, 8);
    run("e2fsck", "-fn", image);
    // Nothing is left to do, and nothing is done.
    assert.equal((await succeeds("sync", "-v", "--delete", root, `${image}:/`)).text, "");
    assert.equal((await succeeds("sync", "-n", "-c", "--delete", root, `${image}:/`)).text, "");
    assert.equal((await succeeds("diff", root, `${image}:/`)).text, "");
    await succeeds("sync", "--delete", `${image}:/`, at("out"));
    assert.deepEqual(listing(at("out"), "%T@"), listing(root, "%T@"));
    run("diff", "-r", "--no-dereference", root, at("out"));
    assert.ok(statSync(at("out/sparse")).blocks * 512 < 1 << 20, "holes stay holes");
    assert.equal((await succeeds("sync", "-n", "--delete", `${image}:/`, at("out"))).text, "");
  });

  test("only what is different is written, and removed only with --delete", async () => {
    const image = await ext4("changes.img");
    const source = at("changing");
    run("cp", "-a", root, source);
    await succeeds("sync", source, `${image}:/copy`);
    writeFileSync(join(source, "new"), "new\n");
    writeFileSync(join(source, "hello.txt"), "hallo\n");
    chmodSync(join(source, "big"), 0o600);
    rmSync(join(source, "sub/deeper"), { recursive: true });
    writeFileSync(join(source, "sub/deeper"), "now a file");
    rmSync(join(source, "link"));
    symlinkSync("big", join(source, "link"));
    rmSync(join(source, "empty"));
    mkdirSync(join(source, "empty"));
    linkSync(join(source, "new"), join(source, "sub/newer"));
    rmSync(join(source, "dangling"));
    const { text } = await succeeds("sync", "-n", "--delete", source, `${image}:/copy`);
    assert.deepEqual(
      lines(text),
      lines(`
+ empty/
+ new
+ sub/deeper
+ sub/newer (link)
- dangling
- sub/deeper/
~ ./ (time)
~ big (mode)
~ hello.txt (content, time)
~ link (target, time)
~ sub/ (time)
~ sub/hard (link)
`),
    );
    // Nothing of it was done.
    assert.equal((await succeeds("cat", `${image}:/copy/hello.txt`)).text, "hello\n");
    const kept = await liblinux("sync", source, `${image}:/copy`);
    assert.equal(kept.code, 1);
    assert.match(kept.err, /sub\/deeper: EISDIR: in the target there is a directory/);
    assert.match((await succeeds("ls", `${image}:/copy`)).text, /^dangling$/m);
    const done = await succeeds("sync", "--delete", "-v", source, `${image}:/copy`);
    assert.match(done.text, /^- dangling$/m);
    assert.equal(
      (await succeeds("sync", "-n", "-c", "--delete", source, `${image}:/copy`)).text,
      "",
    );
    run("e2fsck", "-fn", image);
    await succeeds("sync", `${image}:/copy`, at("changed"));
    assert.deepEqual(listing(at("changed")), listing(source));
    // The same size and time hide a change from all but --checksum.
    const hidden = statSync(join(source, "sub/deeper"));
    writeFileSync(join(source, "sub/deeper"), "NOW A FILE");
    utimesSync(join(source, "sub/deeper"), hidden.atime, hidden.mtime);
    utimesSync(at("changed/sub/deeper"), hidden.atime, hidden.mtime);
    await succeeds("sync", at("changed"), `${image}:/copy`);
    assert.equal((await succeeds("sync", "-n", source, `${image}:/copy`)).text, "");
    assert.equal(
      (await succeeds("sync", "-nc", source, `${image}:/copy`)).text,
      "~ sub/deeper (content)\n",
    );
  });

  test("between images, with owners and attributes; names can be left out", async () => {
    const [one, two] = [await ext4("one.img"), await ext4("two.img")];
    await succeeds("sync", "--owner", "7:8", root, `${one}:/`);
    await succeeds("xattr", "--set", "user.note=one", `${one}:/big`);
    debugfs(one, "mknod pipe p", "mknod null c 1 3");
    await succeeds(
      "sync",
      "--exclude",
      "hard",
      "--exclude",
      "/sub/deeper",
      `${one}:/`,
      `${two}:/all`,
    );
    assert.match((await succeeds("ls", "-l", `${two}:/all/hello.txt`)).text, / 7 +8 +6 /);
    assert.equal((await succeeds("xattr", `${two}:/all/big`)).text, "user.note=one\n");
    assert.match((await succeeds("ls", "-l", `${two}:/all`)).text, /^p-{9} .* pipe$/m);
    assert.ok(!/hard|deeper/.test((await succeeds("find", `${two}:/all`)).text));
    await succeeds("sync", "--exclude=/lost+found", `${one}:/`, `${two}:/all`);
    await succeeds("xattr", "--remove", "user.note", `${one}:/big`);
    const changed = await succeeds(
      "sync",
      "-v",
      "--exclude=/lost+found",
      `${one}:/`,
      `${two}:/all`,
    );
    assert.equal(changed.text, "~ big (attributes)\n");
    assert.equal((await succeeds("xattr", `${two}:/all/big`)).text, "");
    assert.equal(
      (await succeeds("diff", "--exclude=lost+found", `${one}:/`, `${two}:/all`)).text,
      "",
    );
    run("e2fsck", "-fn", two);
    // Out of an image: what this machine cannot store is told.
    const { code, err } = await liblinux("sync", `${one}:/`, at("specials"));
    assert.equal(code, 0);
    assert.match(err, /sync \/null: is a character device: left out\n/);
    assert.match(err, /sync \/pipe: is a fifo: left out\n/);
    assert.ok(!existsSync(at("specials/pipe")));
  });

  test("sync never leaves the target directory, and removes nothing where it cannot read", async () => {
    const image = ext4Image(at("jail.img"), root);
    const outside = at("outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "secret"), "kept");
    mkdirSync(at("jail"));
    symlinkSync(outside, at("jail/sub"));
    symlinkSync(join(outside, "secret"), at("jail/hello.txt"));
    await succeeds("sync", "--delete", `${image}:/`, at("jail"));
    // The links gave way, and what they pointed to is as it was.
    assert.ok(lstatSync(at("jail/sub")).isDirectory());
    assert.ok(lstatSync(at("jail/hello.txt")).isFile());
    assert.deepEqual(readdirSync(outside), ["secret"]);
    assert.equal(readFileSync(join(outside, "secret"), "utf8"), "kept");
    assert.equal(readlinkSync(at("jail/absolute")), "/sub/deeper");

    const tree = at("hostile");
    mkdirSync(join(tree, "dir"), { recursive: true });
    writeFileSync(join(tree, "dir/NAMETOCHANGE"), "pwned");
    const hostile = ext4Image(at("hostile.img"), tree, "-O", "^metadata_csum,^dir_index");
    await succeeds("sync", `${hostile}:/`, at("jail2"));
    const bytes = readFileSync(hostile);
    bytes.write("../../pwned1", bytes.indexOf("NAMETOCHANGE"));
    writeFileSync(hostile, bytes);
    const result = await liblinux("sync", "--delete", `${hostile}:/`, at("jail2"));
    assert.equal(result.code, 1);
    assert.match(result.err, /sync \/dir: /);
    assert.ok(!existsSync(at("pwned1")));
    assert.ok(existsSync(at("jail2/dir/NAMETOCHANGE")), "a directory that fails loses nothing");
  });

  test("what makes no sense", async () => {
    const image = await ext4("none.img");
    await fails(2, /one of both/, "sync", at("a"), at("b"));
    await fails(2, /which directory/, "sync", `${image}:/`);
    await fails(1, /ENOENT/, "sync", at("nowhere"), `${image}:/`);
    await fails(1, /ENOTDIR: is no directory/, "sync", join(root, "big"), `${image}:/`);
    await fails(
      1,
      /nowhere\.img: ENOENT: there is no such image/,
      "sync",
      root,
      `${at("nowhere.img")}:/`,
    );
    await fails(1, /parent directory is not there/, "sync", `${image}:/`, at("no/where"));
    await fails(1, /ENOSPC/, "sync", await large(), `${image}:/`);
    await fails(2, /which two/, "diff", image);
    await fails(2, /it is one of content, mode/, "diff", "-i", "colour", image, image);
    await fails(2, /nowhere\.img: ENOENT/, "diff", image, at("nowhere.img"));
  });

  async function large(): Promise<string> {
    mkdirSync(at("large"));
    for (let i = 0; i < 4; i++) writeFileSync(at(`large/${i}`), noise(16 << 20, i));
    return at("large");
  }

  test("diff tells everything that is different", async () => {
    const before = ext4Image(at("before.img"), root);
    copyFileSync(before, at("after.img"));
    const image = at("after.img");
    const same = await succeeds("diff", before, image);
    assert.equal(same.text, "");
    await succeeds("chmod", "0700", `${image}:/big`);
    await succeeds("chown", "5:6", `${image}:/empty`);
    await succeeds("xattr", "--set", "user.note=x", `${image}:/sparse`);
    await succeedsWith("n", "write", `${image}:/new`);
    await succeeds("rm", "-r", `${image}:/sub`);
    await succeeds("ln", "-sf", "other", `${image}:/link`);
    const { text, code } = await liblinux("diff", "-i", "time", before, image);
    assert.equal(code, 1);
    assert.deepEqual(lines(text.replace(/owner \d+:\d+/, "owner A")), [
      "+ /new",
      "- /sub/",
      `~ /big: mode ${(statSync(join(root, "big")).mode & 0o7777).toString(8).padStart(4, "0")} -> 0700`,
      "~ /empty: owner A -> 5:6",
      "~ /link: target hello.txt -> other",
      "~ /sparse: attributes user.note",
    ]);
    const bytes = readFileSync(join(root, "big"));
    bytes[2_999_999] ^= 1;
    await succeedsWith(bytes, "write", `${image}:/big`);
    const found = JSON.parse(
      (await liblinux("diff", "--json", `${before}:/big`, `${image}:/big`)).text,
    );
    assert.deepEqual([found.length, found[0].details.content], [1, []]);
    assert.match(found[0].details.time[1], /^20\d\d-/);
    // A directory of this machine: names and contents, as diff(1) finds them.
    const host = await liblinux("diff", "-i", "owner,time,mode", root, `${image}:/`);
    assert.equal(host.code, 1);
    assert.deepEqual(lines(host.text), [
      "+ /new",
      "- /sub/",
      "~ /big: content",
      "~ /link: target hello.txt -> other",
    ]);
  });

  test("diff compares images of several volumes one by one", async () => {
    const [one, two] = [at("disk1.img"), at("disk2.img")];
    await succeeds("partition", "--size", "64M", one, "16M:linux", "16M:linux", "rest:linux");
    for (const volume of [1, 2]) await succeeds("mkfs", "-t", "ext4", `${one}:${volume}`);
    copyFileSync(one, two);
    await succeeds("mkfs", "-t", "ext4", `${one}:3`);
    await succeedsWith("x", "write", `${two}:2:/x`);
    const { text, code } = await liblinux("diff", "-i", "time", one, two);
    assert.deepEqual([code, text], [1, "+ 2:/x\n- 3:\n"]);
    await fails(2, /has several volumes: name one, as \S+disk1\.img:1:\//, "diff", root, one);
    assert.equal((await succeeds("diff", `${one}:1`, `${two}:1`)).text, "");
  });
});
