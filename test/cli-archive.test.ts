// tar and untar, held against GNU tar, both ways; and archives that mean no good.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, suite, test } from "node:test";

import fc from "fast-check";

import { TarError } from "../src/cli/tar/entry.ts";
import type { TarEntry } from "../src/cli/tar/entry.ts";
import { decodePax, decodeTime, encodePax, encodeTime } from "../src/cli/tar/pax.ts";
import { TarReader } from "../src/cli/tar/reader.ts";
import { archiveEnd, memberHeader } from "../src/cli/tar/writer.ts";
import { execute, fails, liblinux, main, succeeds, succeedsWith } from "./command.ts";
import { noise, run, sampleTree, temporaryFolder } from "./images/native.ts";

const MIB = 1 << 20;
const LARGE = { maxBuffer: 32 * MIB };

const PLAIN: TarEntry = {
  type: "file",
  name: Buffer.from("plain"),
  linkName: new Uint8Array(),
  mode: 0o644,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  modifiedNs: 1_000_000_000_000_000_000n,
  device: { major: 0, minor: 0 },
  attributes: [],
};

const named = (name: string, more: Partial<TarEntry> = {}): Uint8Array =>
  memberHeader({ ...PLAIN, name: Buffer.from(name), ...more });
const link = (name: string, to: string, type: "symlink" | "hard link" = "symlink") =>
  named(name, { type, linkName: Buffer.from(to) });
const archive = (...parts: Uint8Array[]) => Buffer.concat([...parts, archiveEnd(0)]);

/** What was changed in headers gets past their checksums. */
function mendChecksums(bytes: Buffer): void {
  for (let block = 0; block + 512 <= bytes.length; block += 512) {
    if (bytes.toString("latin1", block + 257, block + 262) !== "ustar") continue;
    bytes.fill(" ", block + 148, block + 156);
    const sum = bytes.subarray(block, block + 512).reduce((all, byte) => all + byte, 0);
    bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, block + 148, "latin1");
  }
}

async function* inPieces(bytes: Uint8Array, length: number) {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

suite("tar archives", { concurrency: 2 }, () => {
  const folder = temporaryFolder();
  const at = (...names: string[]) => join(folder.path, ...names);
  after(() => folder[Symbol.dispose]());
  const tree = sampleTree(folder.path);
  execFileSync("mkdir", [join(tree, "d".repeat(120))]);
  writeFileSync(join(tree, "d".repeat(120), "f".repeat(120)), "deep\n");
  execFileSync("mkfifo", [join(tree, "fifo")]);
  run("touch", "-d", "1969-12-31 23:59:58.25 UTC", join(tree, "empty"));
  run("setfattr", "-n", "user.note", "-v", "héllo", join(tree, "hello.txt"));

  async function ext4(name: string): Promise<string> {
    await succeeds("mkfs", "-t", "ext4", "--size", "48M", at(name));
    return at(name);
  }

  test("what GNU tar packed comes back as it was, from every format", async () => {
    const image = await ext4("formats.img");
    const pax = "--format=posix";
    const ns = [
      [pax, "--xattrs"],
      [pax, "-S"],
      [pax, "-S", "--sparse-version=0.1"],
    ];
    // These keep whole seconds only.
    const seconds = [
      [pax, "-S", "--sparse-version=0.0"],
      ["--format=gnu", "-S"],
      ["--format=oldgnu"],
    ];
    for (const [i, options] of [...ns, ...seconds].entries()) {
      const packed = at(`packed${i}.tar`);
      run("tar", ...options, "-C", tree, "-cf", packed, ".");
      await succeeds("untar", packed, `${image}:/${i}`);
      await succeeds("tar", "-o", at(`again${i}.tar`), `${image}:/${i}`);
      const compared = await execute("tar", [
        "--xattrs",
        "-C",
        tree,
        "--compare",
        "-f",
        at(`again${i}.tar`),
      ]);
      const lines = compared.text.split("\n").filter((line) => line !== "");
      if (i < ns.length) assert.deepEqual(lines, []);
      else
        assert.ok(
          lines.every((line) => line.endsWith(": Mod time differs")),
          compared.text,
        );
      assert.equal(compared.err, "");
    }
    run("e2fsck", "-fn", image);
    assert.equal((await succeeds("xattr", `${image}:/0/hello.txt`)).text, "user.note=héllo\n");
    const size = async (name: string) =>
      JSON.parse((await succeeds("du", "-s", "--json", `${image}:/${name}`)).text)[0].bytes;
    assert.ok((await size("4/sparse")) < 100_000);
    for (const name of [4, 5])
      assert.deepEqual(
        (await succeeds("cat", `${image}:/${name}/sparse`)).out,
        readFileSync(join(tree, "sparse")),
      );
  });

  test("owners, devices and access control lists of GNU tar come in, and out again", async () => {
    const image = await ext4("lists.img");
    const folders = at("lists");
    execFileSync("mkdir", ["-p", join(folders, "d")]);
    writeFileSync(join(folders, "f"), "x");
    // Who has a name is packed by that: these have none.
    run("setfacl", "-m", "u:54321:rw,u:54320:r", join(folders, "f"));
    run("setfacl", "-d", "-m", "g:54322:rx", join(folders, "d"));
    const pack = (name: string, ...options: string[]) =>
      run("tar", "--format=posix", "--acls", ...options, "-C", folders, "-cf", at(name), ".");
    pack("numbers.tar");
    await succeeds("untar", at("numbers.tar"), `${image}:/numbers`);
    const list = (path: string) => run("debugfs", "-R", `ea_get -x ${path}`, image);
    const access = "system.posix_acl_access";
    assert.match(list(`/numbers/f ${access}`), / 02 00 04 00 30 d4 00 00 02 00 06 00 31 d4 00 00 /);
    assert.match(list("/numbers/d system.posix_acl_default"), / 08 00 05 00 32 d4 00 00 /);
    await succeeds("tar", "-o", at("lists.tar"), `${image}:/numbers`);
    execFileSync("mkdir", [at("lists-out")]);
    run("tar", "--xattrs", "--xattrs-include=*", "-C", at("lists-out"), "-xf", at("lists.tar"));
    const shown = (folder: string) =>
      run("getfacl", "-n", "-p", join(folder, "f"), join(folder, "d")).replaceAll(folder, "");
    assert.equal(shown(at("lists-out")), shown(folders));
    // Names mean something only where they were written.
    run("setfacl", "-m", "u:daemon:r", join(folders, "f"));
    pack("names.tar");
    const { code, err } = await liblinux("untar", at("names.tar"), `${image}:/names`);
    assert.equal(code, 0);
    assert.match(err, /^liblinux: untar \/f: 1 extended attributes cannot be kept\n$/);
    if (process.getuid?.() === 0) {
      run("mknod", join(folders, "disk"), "b", "259", "70000");
      run("mknod", join(folders, "null"), "c", "1", "3");
      run("chown", "70000:3000000", join(folders, "f"));
      pack("devices.tar");
      await liblinux("untar", at("devices.tar"), `${image}:/devices`);
      const { text } = await succeeds("ls", "-l", `${image}:/devices`);
      assert.match(text, /^brw-r--r-- +1 +0 +0 +259,70000 .* disk$/m);
      assert.match(text, /^crw-r--r-- +1 +0 +0 +1,3 .* null$/m);
      assert.match(text, / 70000 +3000000 +1 .* f$/m);
      await succeeds("tar", "-o", at("devices-again.tar"), `${image}:/devices`);
      run("tar", "-C", folders, "--compare", "-f", at("devices-again.tar"));
    }
    run("e2fsck", "-fn", image);
  });

  test("through pipes, compressed, with holes, and by parts of names", async () => {
    const image = await ext4("pipes.img");
    for (const [i, flag] of ["--gzip", "--zstd"].entries()) {
      const packed = execFileSync("tar", [flag, "-C", tree, "-cf", "-", "."], LARGE);
      const result = await execute(
        process.execPath,
        [main, "untar", "--owner", "7:8", "-", `${image}:/${i}`],
        process.env,
        packed,
      );
      assert.deepEqual([result.err, result.code], ["", 0]);
    }
    const [one] = JSON.parse((await succeeds("ls", "--json", `${image}:/1/big`)).text);
    assert.deepEqual([one.uid, one.gid, one.size], [7, 8, 3_000_001]);
    const { out } = await succeeds("tar", "-S", "-z", `${image}:/1`);
    execFileSync("mkdir", [at("out")]);
    execFileSync("tar", ["-C", at("out"), "-xzf", "-"], { input: out, stdio: "pipe" });
    assert.equal(run("diff", "-r", "--no-dereference", "--exclude=fifo", tree, at("out")), "");
    await succeeds("tar", "-S", "--zstd", "-o", at("one.tar.zst"), `${image}:/1/sparse`);
    assert.match(run("tar", "--zstd", "-tvf", at("one.tar.zst")), / 5000003 .* sparse\n$/);
    run("tar", "-C", at(), "-cf", at("stripped.tar"), "tree/sub", "tree/hello.txt");
    await succeeds("untar", "--strip", "1", at("stripped.tar"), `${image}:/flat`);
    assert.equal((await succeeds("ls", `${image}:/flat`)).text, "hello.txt\nsub\n");
    // Blocks of its own, as those who compress on several processors make them.
    run("tar", "-C", tree, "-cf", at("blocks.tar"), ".");
    run("xz", "--block-size=1MiB", at("blocks.tar"));
    await succeeds("untar", at("blocks.tar.xz"), `${image}:/xz`);
    assert.deepEqual(
      (await succeeds("cat", `${image}:/xz/big`)).out,
      readFileSync(join(tree, "big")),
    );
    const piped = await execute(
      process.execPath,
      [main, "untar", "-", `${image}:/`],
      process.env,
      readFileSync(at("blocks.tar.xz")),
    );
    assert.match(piped.err, /^liblinux: untar standard input: .* pipe it: xz -dc/);
    assert.equal(piped.code, 1);
    const bzip2 = at("some.tar.bz2");
    writeFileSync(bzip2, "BZh91AY&SY");
    await fails(1, /some\.tar\.bz2: .* pipe it: bzip2 -dc/, "untar", bzip2, `${image}:/`);
    run("e2fsck", "-fn", image);
  });

  test("an archive cannot reach what is outside of the directory", async () => {
    const image = await ext4("hostile.img");
    await succeeds("mkdir", `${image}:/other`, `${image}:/in`);
    await succeeds("cp", join(tree, "hello.txt"), `${image}:/other/secret`);
    const content = Buffer.alloc(512, "x");
    const full = (name: string) => Buffer.concat([named(name, { sizeBytes: 512 }), content]);
    writeFileSync(
      at("hostile.tar"),
      archive(
        full("../other/secret"),
        full("/absolute"),
        link("up", "../other"),
        full("up/secret"),
        link("top", "/"),
        full("top/inside"),
        link("secret", "/other/secret"),
        full("secret"),
        link("hard", "/other/secret", "hard link"),
        link("hard2", "../other/secret", "hard link"),
        link("hard3", "up/secret", "hard link"),
        full("."),
        named("dir/\x1b[31m"),
        named("a/../../other/dir", { type: "directory" }),
      ),
    );
    const { code, err } = await liblinux("untar", "--json", at("hostile.tar"), `${image}:/in`);
    assert.equal(code, 1);
    for (const name of ["../other/secret", "up/secret", "hard", "hard2", "hard3", "."])
      assert.ok(err.includes(`liblinux: untar ${name}: `), `${name} in ${err}`);
    assert.ok(!err.includes("\x1b"));
    assert.equal((await succeeds("cat", `${image}:/other/secret`)).text, "hello\n");
    assert.equal((await succeeds("ls", `${image}:/other`)).text, "secret\n");
    assert.deepEqual(
      (await succeeds("find", "--type", "f", `${image}:/in`)).text.trim().split("\n"),
      ["/in/absolute", "/in/dir/\\x1b[31m", "/in/inside", "/in/secret"],
    );
    run("e2fsck", "-fn", image);
  });

  test("damaged archives are told, and what came before is there", async () => {
    const image = await ext4("damaged.img");
    const whole = archive(
      Buffer.concat([named("first", { sizeBytes: 512 }), Buffer.alloc(512, "a")]),
      Buffer.concat([named("second", { sizeBytes: MIB }), noise(MIB)]),
    );
    writeFileSync(at("short.tar"), whole.subarray(0, 100_000));
    await fails(
      1,
      /short\.tar: the archive ends too early/,
      "untar",
      at("short.tar"),
      `${image}:/a`,
    );
    assert.equal((await succeeds("ls", `${image}:/a`)).text, "first\n");
    writeFileSync(at("noise.tar"), noise(10_000));
    await fails(1, /no tar archive/, "untar", at("noise.tar"), `${image}:/a`);
    await fails(1, /ENOENT/, "untar", at("nowhere.tar"), `${image}:/a`);
    writeFileSync(
      at("broken.tgz"),
      execFileSync("gzip", ["-c"], { ...LARGE, input: whole }).subarray(0, 900),
    );
    await fails(1, /broken\.tgz: /, "untar", at("broken.tgz"), `${image}:/a`);
    writeFileSync(
      at("full.tar"),
      archive(named("large", { sizeBytes: 100 * MIB }), noise(64 * MIB)),
    );
    await fails(1, /ENOSPC/, "untar", at("full.tar"), `${image}:/a`);
    await fails(2, /which file/, "untar", at("short.tar"), image);
    run("e2fsck", "-fn", image);
  });

  test("what is interrupted ends in order, and leaves nothing half-written", async () => {
    const image = await ext4("interrupted.img");
    const whole = archive(
      Buffer.concat([named("first", { sizeBytes: 512 }), Buffer.alloc(512, "a")]),
      named("dir/", { type: "directory", mode: 0o750 }),
      Buffer.concat([named("dir/second", { sizeBytes: 8 * MIB }), noise(8 * MIB)]),
    );
    const child = spawn(process.execPath, [main, "untar", "-", `${image}:/`]);
    // It has taken nearly all of what came, and waits for more.
    await new Promise((resolve) => child.stdin.write(whole.subarray(0, 4 * MIB), resolve));
    child.kill("SIGINT");
    let err = "";
    child.stderr.on("data", (part: Buffer) => (err += part.toString()));
    const [code] = await once(child, "close");
    assert.equal(code, 130);
    assert.match(err, /^liblinux: untar interrupted$/m);
    run("e2fsck", "-fn", image);
    assert.equal((await succeeds("find", image)).text, "/\n/dir\n/first\n/lost+found\n");
    assert.match((await succeeds("ls", "-l", image)).text, /^drwxr-x--- .* dir$/m);
    // An archive, too, is there as a whole or not at all.
    await succeedsWith(noise(24 * MIB), "write", `${image}:/large`);
    const packing = spawn(process.execPath, [
      main,
      "tar",
      "--progress",
      "-o",
      at("half.tar"),
      image,
    ]);
    while (!readdirSync(at()).some((name) => name.startsWith("half.tar.")))
      await new Promise((resolve) => setTimeout(resolve, 5));
    packing.kill("SIGINT");
    const [packed] = await once(packing, "close");
    assert.ok(packed === 130 || existsSync(at("half.tar")));
    assert.deepEqual(
      readdirSync(at()).filter((name) => name.startsWith("half.tar.")),
      [],
    );
  });

  test("what is written is read again, in pieces of any length", async () => {
    const bytes = (most: number) => fc.uint8Array({ minLength: 1, maxLength: most });
    const name = bytes(300).map((raw) => raw.map((byte) => byte || 1));
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          name: name.map((raw) => Buffer.concat([raw, Buffer.from("x")])),
          linkName: name,
          mode: fc.nat(0o7777),
          uid: fc.nat(2 ** 31),
          gid: fc.nat(2 ** 31),
          modifiedNs: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
          attributes: fc.uniqueArray(fc.tuple(fc.constantFrom("user.a", "user.b"), bytes(600)), {
            selector: ([attribute]) => attribute,
          }),
          content: bytes(2000),
        }),
        fc.integer({ min: 1, max: 700 }),
        async ({ content, ...facts }, length) => {
          const entry = { ...PLAIN, ...facts, sizeBytes: content.length };
          const padding = new Uint8Array((512 - (content.length % 512)) % 512);
          const written = archive(memberHeader(entry), content, padding, named("after"));
          const reader = new TarReader(inPieces(written, length), () => assert.fail());
          const found = [];
          for await (const member of reader.members()) {
            const parts = [];
            for await (const piece of member.content) parts.push(Buffer.from(piece.bytes));
            found.push({ ...member.entry, content: Buffer.concat(parts) });
          }
          const plain = (one: object) =>
            JSON.stringify(one, (_, value) =>
              typeof value === "bigint"
                ? String(value)
                : value instanceof Uint8Array
                  ? [...value]
                  : value,
            );
          assert.equal(found.length, 2);
          for (const key of ["mode", "uid", "gid", "modifiedNs", "sizeBytes"] as const)
            assert.equal(found[0][key], entry[key]);
          assert.deepEqual(Buffer.from(found[0].name), Buffer.from(entry.name));
          assert.deepEqual(Buffer.from(found[0].linkName), Buffer.from(entry.linkName));
          assert.equal(plain(found[0].attributes), plain(entry.attributes));
          assert.deepEqual(found[0].content, Buffer.from(content));
        },
      ),
      { numRuns: 60, seed: 7 },
    );
  });

  test("archives that are damaged anywhere end in members or an error, soon", async () => {
    run(
      "tar",
      "--format=posix",
      "-S",
      "-C",
      tree,
      "-cf",
      at("pax.tar"),
      "hello.txt",
      "sparse",
      "sub",
    );
    run(
      "tar",
      "--format=gnu",
      "-S",
      "-C",
      tree,
      "-cf",
      at("gnu.tar"),
      "hello.txt",
      "sparse",
      "sub",
    );
    const originals = ["pax.tar", "gnu.tar"].map((name) => readFileSync(at(name)));
    let damaged = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...originals),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.boolean(),
        fc.option(fc.nat(), { freq: 3 }),
        async (original, changes, mends, cut) => {
          const bytes = Buffer.from(original);
          for (const [place, byte] of changes) bytes[place % bytes.length] = byte;
          if (mends) mendChecksums(bytes);
          const part = cut === null ? bytes : bytes.subarray(0, cut % bytes.length);
          const reader = new TarReader(inPieces(part, 4096), () => {});
          let content = 0;
          try {
            for await (const member of reader.members())
              for await (const piece of member.content) content += piece.bytes.length;
          } catch (error) {
            assert.ok(error instanceof TarError, String(error));
            damaged++;
          }
          assert.ok(content <= part.length);
        },
      ),
      { numRuns: 400, seed: 11 },
    );
    assert.ok(damaged > 50, String(damaged));
  });

  test("a file larger than 8 GiB has its size, and times their fraction", async () => {
    const sizeBytes = 20 * 2 ** 30;
    const [header] = [named("huge", { sizeBytes })];
    writeFileSync(at("huge.tar"), header);
    const listed = await execute("tar", ["-tvf", at("huge.tar")]);
    assert.match(listed.text, / 21474836480 .* huge\n/);
    for await (const { entry } of new TarReader(inPieces(header, 512), () => {}).members()) {
      assert.equal(entry.sizeBytes, sizeBytes);
      break;
    }
    for (const ns of [0n, -1n, 1n, -1_500_000_000n, 1_234_567_890_123_456_789n])
      assert.equal(decodeTime(encodeTime(ns)), ns);
    const long = [
      ["k", Buffer.alloc(93, "v")],
      ["key", Buffer.alloc(990)],
    ] as const;
    assert.deepEqual(
      decodePax(encodePax(long)).map(([key, value]) => [key, value.length]),
      [
        ["k", 93],
        ["key", 990],
      ],
    );
    assert.throws(() => decodePax(Buffer.from("12 broken\n")), /damaged/);
  });
});
