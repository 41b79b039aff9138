// Verbs that change images, held against what native tools find in them.

import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, suite, test } from "node:test";

import { execute, fails, main, succeeds, succeedsWith } from "./command.ts";
import { noise, run, sampleTree, temporaryFolder } from "./images/native.ts";

const MIB = 1 << 20;

suite("the command line, writing", { concurrency: 2 }, () => {
  const folder = temporaryFolder();
  const at = (...names: string[]) => join(folder.path, ...names);
  after(() => folder[Symbol.dispose]());

  const debugfs = (image: string, request: string) => run("debugfs", "-R", request, image);

  async function ext4(name: string, ...options: string[]): Promise<string> {
    const image = at(name);
    await succeeds("mkfs", "-t", "ext4", "--size", "32M", ...options, image);
    return image;
  }

  test("mkfs makes what the native tools accept, and refuses to lose something", async () => {
    const image = await ext4(
      "made.img",
      "-L",
      "data",
      "-U",
      "01234567-89ab-cdef-0123-456789abcdef",
    );
    run("e2fsck", "-fn", image);
    const facts = run("dumpe2fs", "-h", image);
    assert.match(facts, /volume name: +data\n/);
    assert.match(facts, /UUID: +01234567-89ab-cdef-0123-456789abcdef\n/);
    await fails(1, /has ext4, which would be lost; --force/, "mkfs", "-t", "xfs", image);
    await fails(1, /EEXIST/, "mkfs", "-t", "ext4", "--size", "1M", image);
    await fails(2, /which file system/, "mkfs", image);
    await fails(1, /ENOENT/, "mkfs", "-t", "ext4", at("nowhere.img"));
    await fails(1, /reiserfs/, "mkfs", "-f", "-t", "reiserfs", image);
    run("e2fsck", "-fn", image);
    const { text } = await succeeds("mkfs", "-f", "--json", "-t", "vfat", "-L", "FAT", image);
    assert.deepEqual(
      [JSON.parse(text).type, JSON.parse(text).label, JSON.parse(text).volume],
      ["vfat", "FAT", null],
    );
    run("fsck.vfat", "-n", image);
    await succeeds("mkfs", "-f", "-t", "ext4", "-o", "blockSizeBytes=1024", image);
    assert.match(run("dumpe2fs", "-h", image), /Block size: +1024\n/);
  });

  test("partition writes tables that sfdisk reads", async () => {
    const disk = at("card.img");
    await succeeds("partition", "--size", "64M", disk, "16M:esp:boot", "rest:linux:root");
    const { partitiontable } = JSON.parse(run("sfdisk", "--json", disk)) as {
      partitiontable: { label: string; partitions: { size: number; name: string }[] };
    };
    assert.equal(partitiontable.label, "gpt");
    assert.deepEqual(
      partitiontable.partitions.map(({ size, name }) => [size / 2048, name]),
      [
        [16, "boot"],
        [46, "root"],
      ],
    );
    await fails(1, /has a GPT partition table/, "partition", disk, "rest");
    await fails(1, /has no volume 7; it has 1, 2/, "mkfs", "-t", "ext4", `${disk}:7`);
    await fails(2, /a size is a number/, "partition", "-f", disk, "many");
    await succeeds("partition", "-f", "--table", "mbr", disk, "8M:linux*", "rest:swap");
    assert.match(run("sfdisk", "--dump", disk), /start= +2048, size= +16384, type=83, bootable/);
  });

  test("files are written, linked, moved and removed", async () => {
    const image = await ext4("files.img");
    const content = noise(3 * MIB);
    await succeedsWith(content, "write", `${image}:/data`);
    await succeedsWith("more", "write", "-a", "-m", "0600", `${image}:/data`);
    await succeeds("mkdir", "-p", "-m", "0750", `${image}:/a/b`);
    await succeeds("mkdir", `${image}:/a/b*?[c]`);
    await succeeds("rm", "-r", `${image}:/a/b*[[]c]`);
    await succeeds("ln", "/data", `${image}:/a/hard`);
    await succeeds("ln", "-s", "../data", `${image}:/a/soft`);
    await succeeds("mv", `${image}:/data`, "/a/b");
    run("e2fsck", "-fn", image);
    debugfs(image, `dump /a/hard ${at("hard")}`);
    assert.deepEqual(readFileSync(at("hard")), Buffer.concat([content, Buffer.from("more")]));
    assert.match(debugfs(image, "stat /a/b/data"), /Mode: +0600 [^]*Links: 2/);
    assert.match(debugfs(image, "stat /a/b"), /Mode: +0750/);
    assert.match(debugfs(image, "stat /a/soft"), /Fast link dest: "\.\.\/data"/);
    await fails(1, /EEXIST/, "mkdir", `${image}:/a`);
    await fails(1, /files\.img:\/none: ENOENT/, "rm", `${image}:/none`);
    await fails(1, /files\.img:\/a: /, "rm", `${image}:/a`);
    await fails(2, /root directory cannot be removed/, "rm", "-r", `${image}:/`);
    await succeeds("rm", "-f", `${image}:/none`);
    await succeeds("rm", "-r", `${image}:/a`);
    run("e2fsck", "-fn", image);
    assert.equal((await succeeds("ls", image)).text, "lost+found\n");
  });

  test("modes, owners and attributes", async () => {
    const image = await ext4("owners.img");
    await succeeds("mkdir", "-p", `${image}:/d/e`);
    for (const name of ["one", "two", "three"])
      await succeedsWith(name, "write", `${image}:/d/${name}.txt`);
    await succeeds("chmod", "a-x,u=rw,go=r", `${image}:/d/t*.txt`);
    await succeeds("chmod", "-R", "g+wX", `${image}:/d`);
    await succeeds("chown", "-R", "1000:100", `${image}:/d`);
    await succeeds("chown", ":5", `${image}:/d/one.txt`);
    const { text } = await succeeds("ls", "-l", `${image}:/d`);
    assert.match(text, /^drwxrwxr-x +\d+ +1000 +100 .* e$/m);
    assert.match(text, /^-rw-rw-r-- +1 +1000 +5 .* one\.txt$/m);
    assert.match(text, /^-rw-rw-r-- +1 +1000 +100 .* two\.txt$/m);
    await fails(2, /octal/, "chmod", "u?x", `${image}:/d`);
    await fails(2, /in numbers/, "chown", "root", `${image}:/d`);
    await fails(1, /nothing is called so/, "chmod", "600", `${image}:/d/*.none`);
    const file = `${image}:/d/one.txt`;
    await succeeds("xattr", "--set", "user.note=héllo", "--set", "user.raw=0x00ff", file);
    assert.equal((await succeeds("xattr", file)).text, "user.note=héllo\nuser.raw=0x00ff\n");
    assert.deepEqual(
      (await succeeds("xattr", "--get", "user.raw", file)).out,
      Buffer.from([0, 255]),
    );
    assert.match(debugfs(image, "ea_list /d/one.txt"), /user\.note \(6\)/);
    await succeeds("xattr", "--remove", "user.raw", file);
    await fails(1, /ENODATA/, "xattr", "--get", "user.raw", file);
    run("e2fsck", "-fn", image);
  });

  test("trees are drawn, measured and searched", async () => {
    const image = await ext4("tree.img");
    await succeeds("mkdir", "-p", `${image}:/a/b`);
    await succeedsWith(noise(100_000), "write", `${image}:/a/b/big.bin`);
    await succeedsWith("x", "write", `${image}:/a/small.txt`);
    await succeeds("ln", "/a/b/big.bin", `${image}:/a/again.bin`);
    await succeeds("ln", "-s", "b", `${image}:/a/link`);
    await succeeds("rm", "-r", `${image}:/lost+found`);
    assert.equal(
      (await succeeds("tree", image)).text,
      `/
└── a
    ├── again.bin
    ├── b
    │   └── big.bin
    ├── link -> b
    └── small.txt

2 directories, 4 files
`,
    );
    const drawn = JSON.parse((await succeeds("tree", "--json", "-d", `${image}:/a`)).text);
    assert.deepEqual(drawn.children, [{ name: "b", type: "directory", children: [] }]);
    const list = async (...args: string[]) =>
      (await succeeds("find", ...args, `${image}:/a`)).text.trim().split("\n");
    assert.deepEqual(await list("--type", "f", "--size", "+50K"), ["/a/again.bin", "/a/b/big.bin"]);
    assert.deepEqual(await list("--name", "*.txt"), ["/a/small.txt"]);
    assert.deepEqual(await list("--type", "l"), ["/a/link"]);
    assert.deepEqual(await list("--newer", "2001-01-01", "--type", "d"), ["/a", "/a/b"]);
    await fails(2, /it is one of f, d, l/, "find", "--type", "q", image);
    // A file with two names counts once.
    const [sum] = JSON.parse((await succeeds("du", "-s", "--json", `${image}:/a`)).text);
    assert.ok(sum.bytes >= 100_000 && sum.bytes < 130_000, String(sum.bytes));
    const [full] = JSON.parse((await succeeds("df", "--json", image)).text);
    const free = Number(/Free blocks: +(\d+)/.exec(run("dumpe2fs", "-h", image))?.[1]);
    const block = Number(/Block size: +(\d+)/.exec(run("dumpe2fs", "-h", image))?.[1]);
    assert.equal(full.total - full.used, free * block);
  });

  test("resize grows a file system, and a disk's last partition with it", async () => {
    const image = await ext4("grow.img");
    await succeedsWith("kept", "write", `${image}:/file`);
    await succeeds("resize", image, "+32M");
    assert.equal(statSync(image).size, 64 * MIB);
    run("e2fsck", "-fn", image);
    assert.equal(debugfs(image, "cat /file"), "kept");
    assert.match(run("dumpe2fs", "-h", image), /Block count: +(65536|16384)\n/);

    const disk = at("grow-disk.img");
    await succeeds("partition", "--size", "48M", disk, "8M:esp:boot", "rest:linux:root");
    // A boot loader is where no file system is.
    const loader = noise(440);
    const bytes = readFileSync(disk);
    loader.copy(bytes);
    bytes.fill(0x5a, 40 * 512, 60 * 512);
    writeFileSync(disk, bytes);
    await succeeds("mkfs", "-t", "ext4", `${disk}:2`);
    const uuids = () => run("sfdisk", "--dump", disk).match(/uuid=[^,]+/g);
    const before = uuids();
    await succeeds("mkfs", "-t", "ext4", `${disk}:1`);
    await fails(
      1,
      /grow-disk\.img:1: volume 1 cannot grow: 2 is after it/,
      "resize",
      `${disk}:1`,
      "64M",
    );
    await succeeds("resize", `${disk}:2`, "64M");
    assert.deepEqual(uuids(), before);
    assert.match(run("sfdisk", "--verify", disk), /No errors detected/);
    const grown = readFileSync(disk);
    assert.ok(grown.subarray(0, 440).equals(loader));
    assert.ok(grown.subarray(40 * 512, 60 * 512).every((byte) => byte === 0x5a));
    const part = at("part.img");
    writeFileSync(part, grown.subarray(9 * MIB, 63 * MIB));
    run("e2fsck", "-fn", part);
    await fails(1, /only become larger/, "resize", `${disk}:2`, "32M");
  });

  test("resize shrinks what the kernel can shrink", async () => {
    const image = at("shrink.img");
    await succeeds("mkfs", "-t", "btrfs", "--size", "512M", image);
    await succeeds("resize", image, "400M");
    assert.equal(statSync(image).size, 400 * MIB);
    run("btrfs", "check", "--readonly", image);
    const ext = await ext4("small.img");
    await fails(1, /ext4/, "resize", ext, "16M");
    assert.equal(statSync(ext).size, 32 * MIB);
    run("e2fsck", "-fn", ext);
  });

  test("cp into an image keeps what there is, and native tools find it", async () => {
    const image = await ext4("copy.img");
    const tree = sampleTree(at("copy"));
    await succeeds("cp", "-r", tree, `${image}:/in`);
    run("e2fsck", "-fn", image);
    run("debugfs", "-R", `rdump /in ${at("copy")}`, image);
    assert.equal(run("diff", "-r", "--no-dereference", tree, at("copy", "in")), "");
    assert.match(debugfs(image, "stat /in"), /User: +0 +Group: +0/);
    // Between images, also with what this machine could not keep.
    const other = at("other.img");
    await succeeds("mkfs", "-t", "xfs", "--size", "320M", other);
    await succeeds("xattr", "--set", "user.a=b", `${image}:/in/hello.txt`);
    await succeeds("chown", "7:8", `${image}:/in/hello.txt`);
    await succeeds("cp", "-r", "-p", `${image}:/in`, `${other}:/there`);
    run("xfs_repair", "-n", other);
    assert.equal((await succeeds("xattr", `${other}:/there/hello.txt`)).text, "user.a=b\n");
    const [one] = JSON.parse((await succeeds("ls", "--json", `${other}:/there/hello.txt`)).text);
    const [was] = JSON.parse((await succeeds("ls", "--json", `${image}:/in/hello.txt`)).text);
    assert.deepEqual(
      [one.uid, one.gid, one.mode, one.size, one.modified],
      [7, 8, was.mode, was.size, was.modified],
    );
    // Within an image, and as somebody's.
    await succeeds("cp", "--owner", "1000", `${image}:/in/hello.txt`, `${image}:/again`);
    assert.match(debugfs(image, "stat /again"), /User: +1000 +Group: +1000/);
    await fails(1, /EISDIR/, "cp", tree, `${image}:/`);
    await fails(1, /ENOENT/, "cp", at("nothing"), `${image}:/`);
    await fails(2, /in numbers/, "cp", "--owner", "me", tree, `${image}:/`);
    run("e2fsck", "-fn", image);
  });

  test("what does not fit is told, and the image stays sound", async () => {
    const image = await ext4("full.img");
    const { code, err } = await execute(
      process.execPath,
      [main, "write", `${image}:/x`],
      process.env,
      noise(40 * MIB),
    );
    assert.equal(code, 1);
    assert.match(err, /^liblinux: write .*full\.img:\/x: ENOSPC: no space left on device\n$/);
    run("e2fsck", "-fn", image);
  });
});
