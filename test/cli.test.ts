// The command line, as a child process, against what the native tools made.

import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import { execute, fails, liblinux, main, succeeds, top } from "./command.ts";
import {
  debugfs,
  emptyImage,
  ext4Image,
  noise,
  NOT_UTF8,
  placeImage,
  run,
  runWith,
  SAMPLE_SECONDS,
  sampleTree,
  temporaryFolder,
} from "./images/native.ts";

suite("the command line", { concurrency: 2 }, () => {
  const folder = temporaryFolder();
  const at = (...names: string[]) => join(folder.path, ...names);
  let root: string;
  let image: string;
  let disk: string;

  before(() => {
    root = sampleTree(folder.path);
    image = ext4Image(
      at("sample.img"),
      root,
      "-L",
      "sample",
      "-U",
      "00000000-0000-4000-8000-00000000cafe",
    );
    disk = emptyImage(at("disk.img"), 64);
    runWith(
      'label: gpt\nstart=2048, size=16MiB, type=uefi, name="EFI boot"\nsize=32MiB, type=linux, name=root\n',
      "sfdisk",
      "--quiet",
      disk,
    );
    const boot = emptyImage(at("boot.img"), 16);
    run("mkfs.vfat", "-n", "BOOT", "-i", "1234ABCD", boot);
    placeImage(disk, 1 << 20, boot);
    placeImage(disk, 17 << 20, image);
  });
  after(() => folder[Symbol.dispose]());

  test("help, version and what makes no sense", async () => {
    const help = await succeeds("help");
    assert.match(help.text, /usage: liblinux VERB/);
    for (const verb of ["demo", "boot", "info", "ls", "cat", "cp"]) {
      assert.ok(help.text.includes(`\n  ${verb} `), verb);
      assert.match((await succeeds(verb, "--help")).text, new RegExp(`^liblinux ${verb}`));
    }
    assert.equal((await succeeds("--help")).text, help.text);
    const { version } = JSON.parse(readFileSync(join(top, "package.json"), "utf8"));
    assert.equal((await succeeds("--version")).text, `${version}\n`);
    const none = await liblinux();
    assert.equal(none.code, 2);
    assert.equal(none.err, help.text);

    await fails(2, /liblinux: frob: there is no such verb \(try: liblinux help\)/, "frob");
    await fails(2, /liblinux: --frob: there is no such option/, "--frob");
    await fails(2, /liblinux: frob: there is no such verb/, "help", "frob");
    await fails(
      2,
      /liblinux: ls: unknown option '--frob' \(try: liblinux help ls\)/,
      "ls",
      "--frob",
    );
    await fails(2, /ls: which image\?/, "ls");
    await fails(2, /which image\?/, "info");
    await fails(2, /an image is meant/, "info", `${image}:/etc`);
    await fails(2, /which file\?/, "cat");
    await fails(2, /which file\?/, "cat", image);
    await fails(2, /from where to where\?/, "cp");
    await fails(2, /from where to where\?/, "cp", `${image}:/big`);
    await fails(2, /which file\?/, "cp", image, at("x"));
    await fails(2, /what is its name\?/, "cp", "-r", `${image}:/sub/..`, folder.path);
    await fails(2, /it is fs or full/, "ls", image, "--profile", "tiny");
    await fails(2, /from 16 to 3584/, "ls", image, "--memory", "3");
    await fails(2, /boots no image/, "boot", image);
    await fails(2, /--log loud/, "boot", "--log", "loud");
    await fails(2, /takes no arguments/, "demo", "x");
  });

  test("boot", async () => {
    const { text } = await succeeds(
      "boot",
      "--profile",
      "fs",
      "--memory",
      "32",
      "--append",
      "quiet marker=1",
    );
    assert.match(text, /\[ {4}0\.\d{6}\] Linux version 6\./);
    assert.match(text, /marker=1/);
    assert.match(text, /Linux 6\.\S+ is up: .* booted in [\d.]+ ms/);
    const lines = (await succeeds("boot", "--json", "--log", "debug")).text.trimEnd().split("\n");
    const records = lines.map((line) => JSON.parse(line));
    const { timings, memoryMiB } = records.pop();
    assert.ok(timings.bootMs > 0 && timings.startMs > timings.bootMs);
    assert.equal(memoryMiB, 128);
    assert.ok(records.length > 20 && records.every(({ sequence }, i) => sequence === i));
    assert.equal((await succeeds("boot", "--log", "none")).text.split("\n").length, 2);
  });

  test("info: a file system", async () => {
    const { text } = await succeeds("info", image);
    assert.match(text, /sample\.img: 32 MiB, no partition table/);
    assert.match(text, /whole +0 B +32 MiB +ext4 +sample +0{8}-0000-4000-8000-0{8}cafe +\d+% of/);
    const { volumes, ...rest } = JSON.parse((await succeeds("info", "--json", image)).text);
    assert.deepEqual(rest, { image, size: 32 << 20, sectorSize: 512, partitionTable: null });
    const [{ usage, ...volume }] = volumes;
    assert.deepEqual(volume, {
      number: 0,
      start: 0,
      size: 32 << 20,
      partition: null,
      content: {
        type: "ext4",
        kind: "filesystem",
        title: "ext4",
        label: "sample",
        uuid: "00000000-0000-4000-8000-00000000cafe",
        version: null,
        dirty: false,
      },
      problem: null,
    });
    const free = Number(/Free blocks: +(\d+)/.exec(run("dumpe2fs", "-h", image))?.[1]);
    const block = Number(/Block size: +(\d+)/.exec(run("dumpe2fs", "-h", image))?.[1]);
    assert.equal(usage.total - usage.used, free * block);
  });

  test("info: partitions", async () => {
    const { text } = await succeeds("info", disk);
    assert.match(text, /GPT partition table [0-9a-f-]{36}/);
    assert.match(text, /1 +1 MiB +16 MiB +FAT16 +BOOT +1234-ABCD .*EFI system "EFI boot"/);
    const found = JSON.parse((await succeeds("info", "--json", disk)).text);
    assert.equal(found.partitionTable.type, "gpt");
    assert.deepEqual(
      found.volumes.map((one: { number: number; content: { type: string } }) => [
        one.number,
        one.content.type,
      ]),
      [
        [1, "vfat"],
        [2, "ext4"],
      ],
    );
    assert.equal(found.volumes[1].partition.name, "root");
    assert.ok(found.volumes[0].usage.total > 15 << 20);
  });

  test("info: what cannot be mounted", async () => {
    const swap = emptyImage(at("swap.img"), 4);
    run("mkswap", "-q", swap);
    assert.match((await succeeds("info", swap)).text, /swap space/);
    const zeroes = emptyImage(at("zeroes.img"), 4);
    assert.equal(
      JSON.parse((await succeeds("info", "--json", zeroes)).text).volumes[0].content,
      null,
    );
    const broken = at("broken.img");
    const bytes = readFileSync(image);
    bytes.fill(0xff, 1024 + 24, 1024 + 28);
    writeFileSync(broken, bytes);
    assert.match(
      (await succeeds("info", broken)).text,
      /volume 0: E\w+: .*the kernel says: EXT4-fs/,
    );
    assert.match(
      JSON.parse((await succeeds("info", "--json", broken)).text).volumes[0].problem,
      /EXT4-fs/,
    );
  });

  test("ls: names as bytes, sorted as C sorts", async () => {
    const { out } = await succeeds("ls", image);
    const native = readdirSync(root, { encoding: "buffer" });
    const expected = [...native, Buffer.from("lost+found")].toSorted(Buffer.compare);
    assert.deepEqual(out, Buffer.concat(expected.flatMap((name) => [name, Buffer.from("\n")])));
    assert.deepEqual((await succeeds("ls", `${image}:/`)).out, out);
    assert.deepEqual((await succeeds("ls", `${image}:0:/`)).out, out);
    assert.equal((await succeeds("ls", `${image}:/absolute`)).text, "secret\n");
    assert.equal((await succeeds("ls", `${image}:/hello.txt`)).text, "/hello.txt\n");
  });

  test("ls -l and -R", async () => {
    const { text } = await succeeds("ls", "-l", image);
    assert.match(text, /^-rw-r--r-- +2 +\d+ +\d+ +6 +2001-02-03 04:05 +hello\.txt$/m);
    assert.match(text, /^lrwxrwxrwx .* absolute -> \/sub\/deeper$/m);
    const all = (await succeeds("ls", "-R", image)).text;
    for (const heading of ["/:", "/lost+found:", "/sub:", "/sub/deeper:"])
      assert.ok(all.includes(`${heading}\n`), heading);
  });

  test("ls --json", async () => {
    const list = JSON.parse((await succeeds("ls", "-R", "--json", image)).text);
    const one = (path: string) => list.find((entry: { path: string }) => entry.path === path);
    const native = run("find", root, "-mindepth", "1", "-printf", "x").length;
    assert.equal(list.length, native + 1);
    const { inode, allocated, accessed, changed, created, ...hello } = one("/hello.txt");
    assert.ok(inode > 10 && allocated > 0 && accessed && changed && created);
    assert.deepEqual(hello, {
      name: "hello.txt",
      path: "/hello.txt",
      type: "file",
      mode: "0644",
      links: 2,
      uid: statSync(join(root, "hello.txt")).uid,
      gid: statSync(join(root, "hello.txt")).gid,
      size: 6,
      modified: "2001-02-03T04:05:06.000000000Z",
    });
    assert.equal(one("/dangling").target, "nowhere");
    assert.equal(one("/sub/deeper").mode, "0750");
    const odd = list.find((entry: { nameBase64?: string }) => entry.nameBase64);
    assert.deepEqual(Buffer.from(odd.nameBase64, "base64"), NOT_UTF8);
  });

  test("cat", async () => {
    assert.equal((await succeeds("cat", `${image}:/hello.txt`)).text, "hello\n");
    assert.ok((await succeeds("cat", `${image}:/big`)).out.equals(noise(3_000_001)));
    const two = await succeeds("cat", `${disk}:2:/link`, `${disk}:p2:/absolute/secret`);
    assert.equal(two.text, "hello\ns");
    assert.equal((await succeeds("cat", `${image}:/empty`)).text, "");
    await fails(
      1,
      /cat \S+sample\.img:\/none: ENOENT: no such file or directory/,
      "cat",
      `${image}:/none`,
    );
    await fails(1, /dangling: ENOENT/, "cat", `${image}:/dangling`);
    await fails(1, /sub: EISDIR/, "cat", `${image}:/sub`);
    await fails(1, /ENOTDIR/, "cat", `${image}:/hello.txt/x`);
  });

  test("a reader that has enough is no failure", async () => {
    const command = `"${process.execPath}" "${main}" cat "${image}:/big" | head -c 5 | wc -c; echo "\${PIPESTATUS[0]}"`;
    const { text, err } = await execute("bash", ["-c", command]);
    assert.equal(err, "");
    assert.equal(text, "5\n0\n");
  });

  test("images that are none, and volumes that are not there", async () => {
    await fails(1, /ls \/nowhere\/x\.img: ENOENT: no such file/, "ls", "/nowhere/x.img");
    await fails(1, /EISDIR: is a directory/, "ls", folder.path);
    await fails(1, /a directory, not a disk image/, "info", folder.path);
    await fails(1, /neither a file nor a block device/, "ls", "/dev/null");
    const text = at("text");
    writeFileSync(text, "just text\n");
    await fails(1, /no file system that is known: the first bytes are/, "ls", text);
    writeFileSync(text, noise(1 << 20));
    await fails(1, /no file system that is known: the first bytes are/, "ls", text);
    writeFileSync(text, Buffer.concat([Buffer.from([0x1f, 0x8b, 8]), Buffer.alloc(1021)]));
    await fails(1, /text: EIO: is damaged gzip near byte/, "cat", `${text}:/x`);
    writeFileSync(text, Buffer.concat([Buffer.from("BZh91AY"), Buffer.alloc(1017)]));
    await fails(1, /no disk but compressed by bzip2/, "cat", `${text}:/x`);
    await fails(
      1,
      /several volumes: 1 \(vfat "BOOT"\), 2 \(ext4 "sample"\).*disk\.img:1:\//,
      "ls",
      disk,
    );
    await fails(1, /no volume 7; there are 1/, "ls", `${disk}:7`);
    const xfs = emptyImage(at("xfs.img"), 320);
    run("mkfs.xfs", "-q", xfs);
    await fails(
      1,
      /this is XFS, which this kernel has no driver for/,
      "ls",
      "--profile",
      "fs",
      xfs,
    );
  });

  test("a damaged superblock: the kernel's own words", async () => {
    const broken = at("damaged.img");
    const bytes = readFileSync(image);
    bytes.fill(0xff, 1024 + 24, 1024 + 28);
    writeFileSync(broken, bytes);
    await fails(1, /damaged\.img: E\w+: .*the kernel says: EXT4-fs \(vda\)/, "ls", broken);
  });

  test("a journal to replay is left alone, and that is said", async () => {
    const dirty = ext4Image(at("dirty.img"), root);
    run("debugfs", "-w", "-R", "feature needs_recovery", dirty);
    const before = readFileSync(dirty);
    const { code, text, err } = await liblinux("cat", `${dirty}:/hello.txt`);
    assert.deepEqual([code, text], [0, "hello\n"]);
    assert.match(err, /^liblinux: \S+dirty\.img: its journal was not replayed[^\n]*\n$/);
    assert.match((await succeeds("info", dirty)).text, /was not unmounted/);
    assert.ok(before.equals(readFileSync(dirty)), "the image was written");
  });

  test("an image's bytes stay as they are", async () => {
    const before = readFileSync(image);
    await succeeds("ls", "-lR", image);
    await succeeds("info", image);
    assert.ok(before.equals(readFileSync(image)));
  });

  test("names cannot steer a terminal", async () => {
    const tree = at("escapes");
    mkdirSync(tree);
    writeFileSync(join(tree, "red\x1b[31m\nline"), "");
    const escapes = ext4Image(at("escapes.img"), tree);
    const command = `"${process.execPath}" "${main}" ls "${escapes}"`;
    const { text } = await execute("script", ["-qec", command, "/dev/null"]);
    assert.match(text, /red\\x1b\[31m\\x0aline/);
    assert.ok(!text.includes("\x1b[31m"));
    await fails(1, /no\\x1b\[31m: ENOENT/, "cat", `${escapes}:/no\x1b[31m`);
  });

  test("cp: a file", async () => {
    await succeeds("cp", `${image}:/hello.txt`, at("copied.txt"));
    assert.equal(readFileSync(at("copied.txt"), "utf8"), "hello\n");
    assert.equal(statSync(at("copied.txt")).mtimeMs, SAMPLE_SECONDS * 1000);
    assert.equal(statSync(at("copied.txt")).mode & 0o7777, 0o644);
    mkdirSync(at("into"));
    const { text } = await succeeds(
      "cp",
      "--json",
      `${image}:/big`,
      `${image}:/sub/deeper/secret`,
      at("into"),
    );
    assert.deepEqual(readdirSync(at("into")).toSorted(), ["big", "secret"]);
    assert.equal(statSync(at("into/secret")).mode & 0o7777, 0o400);
    const [big] = JSON.parse(text);
    assert.equal(big.files, 1);
    assert.equal(big.bytes, 3_000_001);
    // What is there is replaced; a link is, too, and not written through.
    symlinkSync(at("copied.txt"), at("into/empty"));
    await succeeds("cp", `${image}:/empty`, at("into"));
    assert.equal(readFileSync(at("copied.txt"), "utf8"), "hello\n");
    assert.ok(lstatSync(at("into/empty")).isFile());

    await fails(1, /sub: EISDIR: is a directory: use -r/, "cp", `${image}:/sub`, at("x"));
    await fails(1, /none: ENOENT/, "cp", `${image}:/none`, at("x"));
    await fails(1, /parent directory is not there/, "cp", `${image}:/big`, at("no/where"));
    await fails(
      1,
      /no directory, to copy several/,
      "cp",
      `${image}:/big`,
      `${image}:/empty`,
      at("x"),
    );
    await fails(1, /there, and no directory/, "cp", "-r", `${image}:/sub`, at("copied.txt"));
    assert.ok(!existsSync(at("x")));
  });

  test("cp -r: the same tree comes out", async () => {
    const { text, err } = await succeeds("cp", "-r", "--json", `${image}:/`, at("out"));
    assert.equal(err, "");
    const [report] = JSON.parse(text);
    assert.equal(report.symlinks, 3);
    assert.equal(report.hardLinks, 1);
    assert.deepEqual([report.skipped, report.failed, report.dropped], [[], [], []]);
    run("diff", "-r", "--no-dereference", "--exclude=lost+found", root, at("out"));
    const format = "%P %y %m %s %l %T@ %n\\n";
    const list = (path: string) =>
      run(
        "find",
        path,
        "-mindepth",
        "1",
        "-name",
        "lost+found",
        "-prune",
        "-o",
        "-type",
        "d",
        "-printf",
        "%P %m %T@\\n",
        "-o",
        "-mindepth",
        "1",
        "-printf",
        format,
      )
        .split("\n")
        // A microsecond is as exact as a double can say it; ext4 made by mke2fs has seconds.
        .map((line) => line.replace(/(\d{9,})\.\d+/, "$1"))
        .filter((line) => !line.startsWith(" "))
        .toSorted();
    assert.deepEqual(list(at("out")), list(root));
    assert.ok(statSync(at("out/sparse")).blocks * 512 < 1 << 20, "holes stay holes");
    assert.equal(statSync(at("out/hello.txt")).ino, statSync(at("out/sub/hard")).ino);
    assert.equal(statSync(at("out/sub/deeper")).mtimeMs, SAMPLE_SECONDS * 1000);
    // Into a directory that is there, under its own name; and again.
    mkdirSync(at("there"));
    for (let i = 0; i < 2; i++) await succeeds("cp", "-r", `${image}:/sub`, at("there"));
    run("diff", "-r", join(root, "sub"), at("there/sub"));
  });

  test("cp -r: what this machine cannot store is reported, and set-ID bits are dropped", async () => {
    const special = ext4Image(at("special.img"), root);
    debugfs(
      special,
      "mknod pipe p",
      "mknod null c 1 3",
      "set_inode_field big mode 0104755",
      "ea_set big user.note hello",
    );
    const { code, text, err } = await liblinux("cp", "-r", "--json", `${special}:/`, at("special"));
    assert.equal(code, 0);
    const [report] = JSON.parse(text);
    assert.deepEqual(report.skipped, [
      { path: "/null", type: "character device" },
      { path: "/pipe", type: "fifo" },
    ]);
    assert.deepEqual(report.dropped, ["/big"]);
    assert.deepEqual(report.lost, [{ path: "/big", attribute: "user.note" }]);
    assert.match(err, /1 extended attributes of 1 files cannot be kept there\n/);
    assert.match(err, /special\.img:\/null: is a character device: left out\n/);
    assert.match(err, /1 files lost their set-user-ID/);
    assert.equal(statSync(at("special/big")).mode & 0o7777, 0o755);
    if (process.getuid?.() === 0) {
      debugfs(special, "set_inode_field big uid 1234", "set_inode_field big gid 4321");
      const kept = await liblinux("cp", "-p", `${special}:/big`, at("kept"));
      assert.match(kept.err, /^liblinux: cp \S+big: 1 extended attributes of 1 files cannot/);
      const { mode, uid, gid } = statSync(at("kept"));
      assert.deepEqual([mode & 0o7777, uid, gid], [0o4755, 1234, 4321]);
    }
    await fails(1, /null: is a character device/, "cat", `${special}:/null`);
    await fails(1, /pipe: is a fifo/, "cp", `${special}:/pipe`, at("x"));
  });

  test("cp never leaves the target directory", async () => {
    const outside = at("outside");
    mkdirSync(outside);
    // A link in the target, as another image may have left it.
    mkdirSync(at("jail"));
    symlinkSync(outside, at("jail/sub"));
    const { code, err } = await liblinux("cp", "-r", `${image}:/`, at("jail"));
    assert.equal(code, 1);
    assert.match(
      err,
      /sample\.img:\/sub: in the target there is a symbolic link, which is not followed/,
    );
    assert.equal(readFileSync(at("jail/hello.txt"), "utf8"), "hello\n");

    // Names that lead up, which no file system should have.
    const tree = at("hostile");
    mkdirSync(join(tree, "dir"), { recursive: true });
    writeFileSync(join(tree, "dir/NAMETOCHANGE"), "pwned");
    writeFileSync(join(tree, "fine"), "fine");
    symlinkSync(outside, join(tree, "way-out"));
    const hostile = ext4Image(at("hostile.img"), tree, "-O", "^metadata_csum,^dir_index");
    const bytes = readFileSync(hostile);
    const found = bytes.indexOf("NAMETOCHANGE");
    assert.ok(found > 0);
    bytes.write("../../pwned1", found);
    writeFileSync(hostile, bytes);
    const result = await liblinux("cp", "-r", `${hostile}:/`, at("jail2"));
    assert.equal(result.code, 1);
    assert.match(result.err, /hostile\.img:\/dir/);
    assert.equal(readFileSync(at("jail2/fine"), "utf8"), "fine");
    assert.equal(readlinkSync(at("jail2/way-out")), outside);
    assert.ok(!existsSync(at("pwned1")));
    assert.deepEqual(readdirSync(outside), []);
    // Absolute links are the image's own.
    await fails(1, /ENOENT/, "cat", `${hostile}:/way-out/../sample.img`);
  });

  test("the full kernel is taken for what the small one lacks", async () => {
    const btrfs = emptyImage(at("btrfs.img"), 128);
    run("mkfs.btrfs", "-q", "--rootdir", root, btrfs);
    assert.equal((await succeeds("cat", `${btrfs}:/hello.txt`)).text, "hello\n");
  });

  test("demo", async () => {
    const { text } = await succeeds("demo");
    assert.match(text, /Booted in \d+ ms\n {2}Linux version 6\./);
    assert.match(text, /hello\.txt\n {2}Hello from ext4/);
  });
});
