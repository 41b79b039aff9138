// The FTP server over a kernel, spoken to line by line.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import { suite, test } from "node:test";

import fc from "fast-check";

import { AT_FDCWD, O_CREAT, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { S_IFIFO } from "../src/abi/constants/stat.ts";
import { MemoryDisk } from "../src/disk/index.ts";
import { attachDisk, mount, readFile, stat } from "../src/fs/index.ts";
import { serveFtp } from "../src/ftp/index.ts";
import { MAX_LINE_BYTES } from "../src/ftp/lines.ts";
import { InvalidOptionError, SystemError } from "../src/index.ts";
import {
  Client,
  descriptors,
  makeCertificate,
  mountNew,
  quiet,
  ROOT,
  USER,
  usePlace,
} from "./ftp-support.ts";
import { ext4Image, noise, NOT_UTF8, SAMPLE_SECONDS } from "./images/native.ts";
import { boot, rejection, repeats, until } from "./kernel.ts";

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

suite("commands", () => {
  const place = usePlace();

  test("files come, go and are renamed", async () => {
    await using server = await place.serve();
    using client = await Client.login(server);
    const content = noise(700_001);
    await client.push("STOR a file", content);
    assert.deepEqual(await client.fetch("RETR a file"), content);
    assert.deepEqual(await place.get("a file"), content);
    assert.equal(await client.expect(213, "SIZE a file"), "700001");
    await client.push("APPE a file", "more");
    assert.deepEqual(await place.get("a file"), Buffer.concat([content, Buffer.from("more")]));
    await client.push("STOR a file", "short");
    assert.equal((await place.get("a file")).toString(), "short");
    await client.expect(350, "RNFR a file");
    await client.expect(250, "RNTO b");
    await client.expect(550, "RETR a file");
    assert.equal((await place.get("b")).toString(), "short");
    await client.expect(250, "DELE b");
    await client.expect(550, "DELE b");
    await client.expect(503, "RNTO c");
    await client.expect(550, "RNFR b");
  });

  test("directories are made, entered and removed", async () => {
    await using server = await place.serve();
    using client = await Client.login(server);
    assert.equal(await client.expect(257, "PWD"), '"/" is where you are.');
    assert.equal(await client.expect(257, 'MKD a "b"'), '"/a ""b""" is there now.');
    await client.expect(250, 'CWD a "b"');
    assert.equal(await client.expect(257, "XPWD"), '"/a ""b""" is where you are.');
    assert.equal(await client.expect(257, "MKD c"), '"/a ""b""/c" is there now.');
    assert.equal(await client.expect(257, "MKD /d"), '"/d" is there now.');
    await client.expect(550, "MKD /d");
    await client.expect(250, "CDUP");
    await client.expect(550, 'RMD a "b"');
    await client.expect(250, 'RMD a "b"/c');
    await client.expect(250, 'XRMD a "b"');
    await client.expect(250, "RMD d");
    await client.expect(550, "CWD d");
    await place.put("plain", "x");
    await client.expect(550, "CWD plain");
    await client.expect(550, "RETR /");
    await client.expect(550, "SIZE /");
  });

  test("transfers start where REST says", async () => {
    await using server = await place.serve();
    using client = await Client.login(server);
    await place.put("r", "0123456789");
    await client.expect(350, "REST 4");
    assert.equal(latin1(await client.fetch("RETR r")), "456789");
    assert.equal(latin1(await client.fetch("RETR r")), "0123456789");
    await client.expect(350, "REST 10");
    assert.equal(latin1(await client.fetch("RETR r")), "");
    await client.expect(350, "REST 6");
    await client.push("STOR r", "abc");
    // What was behind it was of the transfer that failed.
    assert.equal(latin1(await place.get("r")), "012345abc");
    for (const command of ["RETR r", "STOR r"]) {
      await client.expect(350, "REST 11");
      await client.data();
      await client.expect(554, command);
    }
    assert.equal(latin1(await place.get("r")), "012345abc");
    for (const offset of ["-1", "x", "1e3", "99999999999999999999"])
      await client.expect(501, `REST ${offset}`);
    await client.expect(200, "TYPE A");
    await client.expect(350, "REST 1");
    await client.expect(504, "RETR r");
    await client.expect(550, "SIZE r");
  });

  test("offsets are larger than 32 bits", async () => {
    await using server = await place.serve();
    using client = await Client.login(server);
    await place.put("huge", "");
    const offset = 2 ** 33 + 5;
    await place.kernel.init.truncate64(`${ROOT}/huge`, offset);
    await client.expect(350, `REST ${offset}`);
    await client.push("STOR huge", "end");
    assert.equal(await client.expect(213, "SIZE huge"), String(offset + 3));
    await client.expect(350, `REST ${offset - 2}`);
    assert.equal(latin1(await client.fetch("RETR huge")), "\0\0end");
    await client.expect(250, "DELE huge");
  });

  test("TYPE A changes the ends of lines", async () => {
    await using server = await place.serve();
    using client = await Client.login(server);
    await client.expect(200, "TYPE A N");
    // Longer than a piece, so that a CR is the last of one.
    const lines = "x\r\n".repeat(200_000);
    await client.push("STOR lines", lines);
    assert.equal(latin1(await place.get("lines")), "x\n".repeat(200_000));
    assert.equal(latin1(await client.fetch("RETR lines")), lines);
    await client.push("APPE lines", "a\rb\r");
    assert.ok(latin1(await place.get("lines")).endsWith("x\na\rb\r"));
    for (const type of ["I", "L 8", "l8", "a", "A n"]) await client.expect(200, `TYPE ${type}`);
    for (const type of ["E", "A T", "L 7"]) await client.expect(504, `TYPE ${type}`);
    await client.expect(501, "TYPE X");
    await client.expect(200, "MODE s");
    await client.expect(504, "MODE B");
    await client.expect(200, "STRU F");
    await client.expect(504, "STRU R");
    await client.expect(501, "STRU X");
  });

  test("STOU finds a name", async () => {
    await using server = await place.serve();
    using client = await Client.login(server);
    for (const [line, name] of [
      ["STOU u", "u"],
      ["STOU u", "u.1"],
      ["STOU", "upload"],
    ]) {
      const socket = await client.data();
      assert.equal(await client.expect(150, line), `FILE: ${name}`);
      socket.end(name);
      await client.expect(226);
      assert.equal(latin1(await place.get(name)), name);
    }
  });

  test("times and modes", async () => {
    await using server = await place.serve();
    using client = await Client.login(server);
    await place.put("m", "m");
    assert.match(await client.expect(213, "MFMT 20010203040506 m"), /^Modify=20010203040506; m$/);
    assert.equal(await client.expect(213, "MDTM m"), "20010203040506");
    const status = await stat(place.kernel.init, `${ROOT}/m`);
    assert.equal(status.modifiedNs, BigInt(SAMPLE_SECONDS) * 1_000_000_000n);
    assert.ok(status.accessedNs > status.modifiedNs);
    await client.expect(213, "MFMT 19601231235959.5 m");
    assert.equal(await client.expect(213, "MDTM m"), "19601231235959.500");
    await client.expect(501, "MFMT 20010230000000 m");
    await client.expect(501, "MFMT m");
    await client.expect(200, "SITE CHMOD 0640 m");
    assert.equal((await stat(place.kernel.init, `${ROOT}/m`)).mode, 0o640);
    await client.expect(501, "SITE CHMOD 999 m");
    await client.expect(504, "SITE FROB m");
    await client.expect(550, "SITE CHMOD 0640 nothing");
    await client.expect(550, "MDTM /");
  });

  test("what is there is listed in all forms", async () => {
    const { init } = place.kernel;
    await using server = await place.serve();
    using client = await Client.login(server);
    await client.expect(257, "MKD l");
    await place.put("l/file", "12345", 0o640);
    await init.fchownat(AT_FDCWD, `${ROOT}/l/file`, 1000, 100, 0);
    await client.expect(213, "MFMT 20010203040506 l/file");
    await init.symlinkat("file", AT_FDCWD, `${ROOT}/l/link`);
    await init.mkdirat(AT_FDCWD, `${ROOT}/l/dir`, 0o1777);
    await init.fchmodat(AT_FDCWD, `${ROOT}/l/dir`, 0o5777);
    await init.mknodat(AT_FDCWD, `${ROOT}/l/pipe`, S_IFIFO | 0o600, 0);
    const nameIn = (line: string) => /(?:^|[ /])(\w+)(?: -> .*)?$/.exec(line)?.[1] ?? "";
    const lines = async (command: string) =>
      latin1(await client.fetch(command))
        .split("\r\n")
        .slice(0, -1)
        .toSorted((a, b) => (nameIn(a) < nameIn(b) ? -1 : 1));

    const long = await lines("LIST -la l");
    assert.match(long[0], /^drwsrwxrwt {4}2 0 {8}0 +\d+ \w{3} [ \d]\d \d\d:\d\d dir$/);
    assert.match(long[1], /^-rw-r----- {4}1 1000 {5}100 {17}5 Feb {2}3 {2}2001 file$/);
    assert.match(long[2], /^lrwxrwxrwx .* link -> file$/);
    assert.match(long[3], /^prw------- .* pipe$/);
    assert.deepEqual(
      (await lines("LIST l")).map((line) => line[0]),
      ["d", "-", "l", "p"],
    );
    await client.expect(250, "CWD l");
    assert.deepEqual(await lines("LIST"), long);
    assert.deepEqual(await lines("LIST file"), [long[1]]);
    assert.deepEqual(await lines("NLST"), ["dir", "file", "link", "pipe"]);
    assert.deepEqual(await lines("NLST /l"), ["/l/dir", "/l/file", "/l/link", "/l/pipe"]);
    await client.expect(550, "LIST nothing");

    const facts = await lines("MLSD");
    const common = "UNIX.mode=0640;UNIX.uid=1000;UNIX.gid=100;";
    const unique = /unique=[0-9a-f]+g[0-9a-f]+;/;
    const of = (name: string) => facts.find((line) => line.endsWith(`; ${name}`)) ?? "";
    assert.equal(
      of("file").replace(unique, ""),
      `type=file;size=5;modify=20010203040506;perm=rawdf;${common} file`,
    );
    assert.match(of("file"), unique);
    assert.match(of("dir"), /^type=dir;modify=\d+(\.\d+)?;perm=elcmpdf;.*UNIX\.mode=5777;/);
    assert.match(of("link"), /^type=OS\.unix=symlink;/);
    assert.match(of("pipe"), /^type=OS\.unix=fifo;/);
    await client.expect(501, "MLSD file");
    const one = await client.expect(250, "MLST file");
    assert.equal(
      one,
      `What there is to tell:\r\n ${of("file").replace(/file$/, "/l/file")}\r\nEnd.`,
    );
    assert.match(await client.expect(250, "MLST"), /type=dir;.*perm=elcmp;.* \/l\/\.\r\n/);
    assert.equal(await client.expect(200, "OPTS MLST size;type;frob;"), "MLST OPTS type;size;");
    assert.ok((await lines("MLSD")).includes("type=file;size=5; file"));
    assert.match(await client.expect(211, "FEAT"), / MLST type\*;size\*;modify;perm;unique;/);
    assert.equal(await client.expect(200, "OPTS MLST"), "MLST OPTS");
    assert.ok((await lines("MLSD")).includes(" file"));

    const told = await client.expect(213, "STAT .");
    assert.ok(
      long.every((line) => told.includes(` ${line}\r\n`)),
      told,
    );
  });

  test("any name that a line can have is a name", async () => {
    await using server = await place.serve();
    using client = await Client.login(server);
    await client.expect(257, "MKD names");
    await client.expect(250, "CWD names");
    const names = ["ünïcödé 名前", " space ", "-l", "a;b", "back\\slash", "*?[x]", '"', "a\rb"];
    for (const name of names.slice(0, -1)) {
      await client.push(`STOR ${name}`, name);
      assert.equal((await client.fetch(`RETR ${name}`)).toString(), name);
    }
    await client.push(
      Buffer.concat([Buffer.from("STOR "), NOT_UTF8, Buffer.from("\r\n")]),
      "bytes",
    );
    const shown = latin1(await client.fetch("NLST"))
      .split("\r\n")
      .slice(0, -1);
    const expected = [
      ...names.slice(0, -1).map((name) => latin1(Buffer.from(name))),
      latin1(NOT_UTF8),
    ];
    assert.deepEqual(shown.toSorted(), expected.toSorted());

    // Those that no line can have are counted.
    await place.put("names/two\r\nlines", "x");
    await place.put("names/carriage\rreturn", "x");
    for (const command of ["NLST", "LIST", "MLSD"]) {
      const socket = await client.data();
      client.send(command);
      await client.expect(150);
      let text = "";
      for await (const part of socket as AsyncIterable<Buffer>) text += part.toString("latin1");
      assert.equal(await client.expect(226), "Done, but for 2 that cannot be shown.");
      assert.equal(text.split("\r\n").length - 1, expected.length);
      assert.ok(!text.includes("lines") && !text.includes("return"));
    }
    await place.kernel.init.mkdirat(AT_FDCWD, `${ROOT}/names/d\n257 "etc"`, 0o777);
    await place.kernel.init.symlinkat(`d\n257 "etc"`, AT_FDCWD, `${ROOT}/names/in`);
    await client.expect(250, "CWD in");
    await client.expect(550, "PWD");
    await client.expect(501, Buffer.from("DELE a\0b\r\n"));
    await client.expect(553, `DELE ${"x".repeat(5000)}`);
  });

  test("a directory of many entries is listed whole", async () => {
    const { init } = place.kernel;
    await using server = await place.serve();
    using client = await Client.login(server);
    await client.expect(257, "MKD many");
    const names = Array.from({ length: 1500 }, (_, i) => `entry-${String(i).padStart(60, "0")}`);
    for (const name of names) await init.symlinkat("x", AT_FDCWD, `${ROOT}/many/${name}`);
    assert.equal(latin1(await client.fetch("NLST many")).split("\r\n").length, 1501);
    assert.equal(latin1(await client.fetch("LIST many")).split("\r\n").length, 1501);
    assert.equal((await client.expect(213, "STAT many")).split("\r\n").length, 1502);
  });

  test("what the server is, and what it has not", async () => {
    await using server = await place.serve();
    using client = await Client.login(server);
    assert.equal(await client.expect(215, "SYST"), "UNIX Type: L8");
    assert.match(await client.expect(211, "FEAT"), /^Beyond RFC 959:\r\n(?: [^\r\n]+\r\n)+End\.$/);
    assert.match(await client.expect(214, "HELP"), /USER PASS/);
    assert.equal(await client.expect(214, "HELP stor"), "STOR file");
    await client.expect(502, "HELP FROB");
    assert.match(await client.expect(211, "STAT"), /logged in as user/);
    await client.expect(200, "NOOP");
    await client.expect(202, "ACCT x");
    await client.expect(202, "ALLO 5");
    await client.expect(501, "ALLO x");
    await client.expect(200, "OPTS UTF8 ON");
    await client.expect(504, "OPTS UTF8 OFF");
    await client.expect(501, "OPTS FROB");
    assert.ok(Number(await client.expect(213, "AVBL /")) > 0);
    await client.expect(226, "ABOR");
    await client.expect(502, "SMNT x");
    await client.expect(502, "XYZZY");
    await client.expect(502, "XYZZYABC");
    for (const line of ["", " ", "@@@", "ab", "constructor", "PASV\tx"])
      await client.expect(500, line);
    for (const line of ["STOR", "PWD x", "CWD", "EPSV x", "PORT 1,2,3", "PORT 1,2,3,4,5,256"])
      await client.expect(501, line);
    await client.expect(503, "PASS x");
    await client.expect(534, "AUTH TLS");
    await client.expect(503, "PBSZ 0");
    await client.expect(425, "RETR m");
    await client.expect(221, "QUIT");
    await client.ended();
  });

  test("lines are answered one by one, in turn, also if they come at once", async () => {
    await using server = await place.serve();
    using client = await Client.login(server);
    const commands = Array.from({ length: 300 }, (_, i) => [`MKD p${i}`, `RMD p${i}`, "XYZZY"]);
    client.send(Buffer.from(commands.flat().join("\r\n") + "\r\n"));
    for (const [i] of commands.entries()) {
      assert.equal(await client.expect(257), `"/p${i}" is there now.`);
      await client.expect(250);
      await client.expect(502);
    }
    client.send(`CWD ${"x".repeat(MAX_LINE_BYTES)}`);
    await client.expect(500);
    // Whoever says no more is still answered.
    client.socket.end("NOOP\r\nPWD\r\n");
    await client.expect(200);
    await client.expect(257);
    await client.ended();
  });
});

suite("who may do what", () => {
  const place = usePlace();
  const alice = {
    name: "alice",
    password: "secret",
    uid: 1000,
    gid: 100,
    groups: [7],
    home: "/home",
  };

  test("is for the kernel to say", async () => {
    const { init } = place.kernel;
    await init.mkdirat(AT_FDCWD, `${ROOT}/home`, 0o755);
    await init.fchownat(AT_FDCWD, `${ROOT}/home`, 1000, 100, 0);
    await place.put("mine", "x", 0o600);
    await place.put("group", "g", 0o640);
    await init.fchownat(AT_FDCWD, `${ROOT}/group`, 0, 7, 0);
    await using server = await place.serve({ users: [USER, alice], anonymous: true, umask: 0o027 });
    using client = await Client.login(server, alice);
    assert.match(await client.expect(257, "PWD"), /^"\/home"/);
    assert.match(await client.expect(550, "RETR /mine"), /^Permission denied \(EACCES\)\.$/);
    assert.equal(latin1(await client.fetch("RETR /group")), "g");
    await client.expect(550, "DELE /nothing/x");
    await client.push("STOR new", "n");
    const { uid, gid, mode } = await stat(init, `${ROOT}/home/new`);
    assert.deepEqual({ uid, gid, mode }, { uid: 1000, gid: 100, mode: 0o640 });
    await client.expect(550, "SITE CHMOD 777 /group");
    const facts = latin1(await client.fetch("MLSD /"));
    assert.match(facts, /perm=df;[^\r]* mine\r\n/);
    assert.match(facts, /perm=rdf;[^\r]* group\r\n/);

    using guest = await Client.login(server, { name: "FTP", password: "me@" });
    await guest.expect(550, "RETR /home/new");
    await guest.expect(550, "MKD /home/x");
    await guest.expect(550, "RETR /group");
    assert.deepEqual(
      server.sessions.map(({ user }) => user),
      ["alice", "anonymous"],
    );
    // In a sticky directory others' files stay.
    await init.fchmodat(AT_FDCWD, ROOT, 0o1777);
    assert.match(latin1(await guest.fetch("MLSD /")), /perm=;[^\r]* mine\r\n/);
    await guest.expect(550, "DELE /mine");
    await init.fchmodat(AT_FDCWD, ROOT, 0o777);
  });

  test("nobody changes what is read-only", async () => {
    await place.put("ro", "x");
    const writes = [
      "STOR",
      "APPE",
      "STOU",
      "DELE",
      "MKD",
      "RMD",
      "RNFR",
      "RNTO",
      "MFMT 20010203040506",
    ];
    const reader = { name: "reader", password: "r", readOnly: true };
    for (const options of [{ readOnly: true, users: [USER, reader] }, { users: [reader] }]) {
      await using server = await place.serve(options);
      using client = await Client.login(server, reader);
      for (const command of writes)
        assert.match(await client.expect(550, `${command} ro`), /read-only/);
      await client.expect(550, "SITE CHMOD 777 ro");
      assert.equal(latin1(await client.fetch("RETR ro")), "x");
      assert.match(latin1(await client.fetch("MLSD")), /perm=r;[^\r]* ro\r\n/);
    }
    assert.equal(latin1(await place.get("ro")), "x");
    // It is so unless it is said otherwise.
    const { kernel } = place;
    await using server = await serveFtp({ kernel, root: ROOT, users: [USER] });
    using client = await Client.login(server);
    await client.expect(550, "DELE ro");
    assert.equal(server.host, "127.0.0.1");
  });

  test("passwords are asked of everybody, and wrong ones end it", async () => {
    await using server = await place.serve({ anonymous: false });
    using client = await Client.connect(server);
    await client.expect(220);
    for (const command of ["PWD", "RETR x", "PASV", "LIST", "TYPE I", "REST 5"])
      await client.expect(530, command);
    await client.expect(331, "USER nobody");
    await client.expect(530, "PASS x");
    await client.expect(331, "USER anonymous");
    await client.expect(530, "PASS x");
    await client.expect(503, "PASS x");
    await client.expect(331, `USER ${USER.name}`);
    await client.expect(421, `PASS ${USER.password}x`);
    await client.ended();
    using other = await Client.login(server);
    await other.expect(220, "REIN");
    await other.expect(530, "PWD");
    assert.equal(place.kernel.processes.size, 1);
  });

  test("nothing leads out of a root", async () => {
    const { init } = place.kernel;
    await place.put("outside", "outside");
    await init.mkdirat(AT_FDCWD, `${ROOT}/jail`, 0o777);
    await init.mkdirat(AT_FDCWD, `${ROOT}/jail/in`, 0o777);
    await place.put("jail/file", "inside");
    await init.symlinkat("/", AT_FDCWD, `${ROOT}/jail/root`);
    await init.symlinkat("../../../..", AT_FDCWD, `${ROOT}/jail/up`);
    await init.symlinkat(`${ROOT}/outside`, AT_FDCWD, `${ROOT}/jail/absolute`);
    await init.symlinkat("../outside", AT_FDCWD, `${ROOT}/jail/relative`);
    const users = [
      { ...USER, root: "/jail" },
      // A link in the place of a root leads nowhere else either.
      { ...USER, name: "linked", root: "/jail/root/../../jail" },
    ];
    for (const options of [{ root: `${ROOT}/jail` }, { users }, { users: [users[1]] }]) {
      await using server = await place.serve(options);
      using client = await Client.login(server, options.users?.[0]);
      for (const path of [
        "..",
        "/..",
        "../../..",
        "root",
        "up",
        "in/../..",
        "//..//",
        "root/up/root/..",
      ]) {
        await client.expect(250, `CWD ${path}`);
        assert.match(await client.expect(257, "PWD"), /^"\/"/, path);
        assert.equal(latin1(await client.fetch(`RETR ${path}/file`)), "inside");
      }
      for (const path of ["absolute", "relative", "../outside", "/../outside", `up${ROOT}/outside`])
        await client.expect(550, `RETR ${path}`);
      await client.expect(257, "MKD ../made");
      assert.equal((await stat(init, `${ROOT}/jail/made`)).type, "directory");
      await client.expect(250, "RMD /../../made");
    }
  });

  test("what is no file is not transferred, and waits for nobody", async () => {
    const { init } = place.kernel;
    await init.mknodat(AT_FDCWD, `${ROOT}/pipe`, S_IFIFO | 0o666, 0);
    await using server = await place.serve();
    using client = await Client.login(server);
    await client.data();
    await client.expect(550, "RETR pipe");
    await client.expect(550, "STOR pipe");
    await client.expect(550, "SIZE pipe");
    assert.deepEqual(await descriptors(place.kernel, [...place.kernel.processes].at(-1)!.pid), []);
  });

  test("a home that is not there is not for the client to know", async () => {
    const errors: unknown[] = [];
    await using server = await place.serve({
      users: [{ ...USER, home: "/nowhere" }],
      onError: (error) => errors.push(error),
    });
    using client = await Client.connect(server);
    await client.expect(220);
    await client.expect(331, `USER ${USER.name}`);
    await client.expect(451, `PASS ${USER.password}`);
    await client.expect(530, "PWD");
    assert.ok(errors[0] instanceof SystemError);
  });

  test("a root has to be there", async () => {
    const { kernel } = place;
    await place.put("ro", "x");
    const start = (root: string) => rejection(serveFtp({ kernel, root, users: [USER] }));
    assert.ok((await start("/nowhere")) instanceof SystemError);
    assert.ok((await start(`${ROOT}/ro`)) instanceof InvalidOptionError);
    await using server = await place.serve();
    const taken = serveFtp({ kernel, root: ROOT, users: [USER], port: server.port });
    assert.equal(((await rejection(taken)) as NodeJS.ErrnoException).code, "EADDRINUSE");
  });
});

suite("data connections", () => {
  const place = usePlace();

  /** A port of this machine, and the first connection to it. */
  async function listener(host = "127.0.0.1") {
    const server = createServer();
    server.listen(0, host);
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const first = once(server, "connection") as Promise<[Socket]>;
    return { port, first, [Symbol.dispose]: () => void server.close() };
  }

  test("go to the client itself, and to nobody else", async () => {
    await place.put("a", "active");
    await using server = await place.serve();
    using client = await Client.login(server);
    for (const how of [
      (port: number) => `PORT 127,0,0,1,${port >> 8},${port & 255}`,
      (port: number) => `EPRT |1|127.0.0.1|${port}|`,
    ]) {
      using data = await listener();
      await client.expect(200, how(data.port));
      client.send("RETR a");
      const [socket] = await data.first;
      socket.on("data", (bytes: Buffer) => assert.equal(latin1(bytes), "active"));
      await client.expect(150);
      await client.expect(226);
    }
    for (const line of ["PORT 127,0,0,2,200,1", "PORT 192,0,2,1,200,1", "PORT 127,0,0,1,0,25"])
      await client.expect(504, line);
    await client.expect(504, "EPRT |1|10.0.0.1|5000|");
    await client.expect(522, "EPRT |2|::1|5000|");
    await client.expect(522, "EPSV 2");
    for (const line of [
      "EPRT |1|x|5000|",
      "EPRT |1|127.0.0.1|70000|",
      "EPRT 1",
      "EPRT |1|127.0.0.1|5000",
    ])
      await client.expect(501, line);
    // Nobody listens there any more.
    const gone = await listener();
    gone[Symbol.dispose]();
    await client.expect(200, `EPRT |1|127.0.0.1|${gone.port}|`);
    await client.expect(425, "RETR a");
    await client.expect(425, "RETR a");
    await client.expect(200, "EPSV ALL");
    await client.expect(501, "PASV");
    await client.expect(501, "PORT 127,0,0,1,200,1");
    assert.equal(latin1(await client.fetch("RETR a")), "active");
  });

  test("come from the client itself, once", async () => {
    await place.put("a", "passive");
    await using server = await place.serve({ host: "0.0.0.0", publicAddress: "192.0.2.7" });
    using client = await Client.login({ host: "127.0.0.1", port: server.port });
    const [, high, low] = /\(192,0,2,7,(\d+),(\d+)\)/.exec(await client.expect(227, "PASV")) ?? [];
    const port = Number(high) * 256 + Number(low);
    const stranger = connect({ port, host: "127.0.0.1", localAddress: "127.0.0.2" });
    stranger.on("error", () => {});
    await once(stranger, "close");
    client.send("RETR a");
    const own = connect(port, "127.0.0.1");
    const [bytes] = (await once(own, "data")) as [Buffer];
    assert.equal(latin1(bytes), "passive");
    await client.expect(150);
    await client.expect(226);
    const late = connect(port, "127.0.0.1");
    const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNREFUSED");
  });

  test("use the ports that they may", async () => {
    using free = await listener();
    free[Symbol.dispose]();
    const { port } = free;
    await using server = await place.serve({ passivePorts: [port, port] });
    using client = await Client.login(server);
    assert.ok((await client.expect(229, "EPSV")).includes(`|||${port}|`));
    using other = await Client.login(server);
    await other.expect(425, "EPSV");
    // A new one is in the place of the last.
    assert.ok((await client.expect(229, "EPSV 1")).includes(`|||${port}|`));
    await client.expect(221, "QUIT");
    await client.ended();
    await until(() => server.sessions.length === 1);
    await other.expect(229, "EPSV");
  });

  test("that never come are given up", async () => {
    await place.put("a", "x");
    await using server = await place.serve({ connectTimeoutMs: 500 });
    using client = await Client.login(server);
    await client.expect(229, "EPSV");
    await client.expect(425, "RETR a");
    // A listener that is not used goes by itself, and a connection that is not, too.
    const socket = await client.data();
    await once(socket, "close");
    await client.expect(425, "RETR a");
  });

  test("that stall are given up, on either side", async () => {
    await place.put("big", noise(8_000_000));
    await using server = await place.serve({ dataTimeoutMs: 500, idleTimeoutMs: 50_000 });
    using client = await Client.login(server);
    const slow = await client.data();
    slow.pause();
    client.send("RETR big");
    await client.expect(150);
    assert.match(await client.expect(426), /stalled/);
    slow.destroy();
    const silent = await client.data();
    client.send("STOR half");
    await client.expect(150);
    silent.write("half");
    assert.match(await client.expect(426), /stalled/);
    assert.equal(latin1(await place.get("half")), "half");
    silent.destroy();
    await client.expect(250, "DELE big");
  });

  test("a transfer is aborted, and told of, while it goes on", async () => {
    await place.put("big", noise(20_000_000));
    await using server = await place.serve();
    using client = await Client.login(server);
    const slow = await client.data();
    slow.pause();
    client.send("RETR big");
    await client.expect(150);
    await until(() => server.sessions[0].transferring);
    // What nobody takes is not read: as much is under way as the sockets hold.
    let [moved, same] = [-1, 0];
    while (same < 20) {
      const told = /a transfer goes on: (\d+) bytes/.exec(await client.expect(211, "STAT"));
      same = Number(told?.[1]) === moved ? same + 1 : 0;
      moved = Number(told?.[1]);
    }
    assert.ok(moved > 0 && moved < 20_000_000, `${moved} bytes`);
    await client.expect(450, "STAT big");
    client.send("PWD");
    // As clients that know Telnet send it.
    client.send(Buffer.from("\xff\xf4\xff\xf2ABOR\r\n", "latin1"));
    // What waited for the transfer is before the command that ends it.
    await until(() => client.socket.bytesWritten > 0);
    slow.resume();
    await client.expect(226);
    await client.expect(257);
    await client.expect(226);

    const again = await client.data();
    again.pause();
    client.send("RETR big");
    await client.expect(150);
    await client.expect(426, "ABOR");
    await client.expect(226);
    const waiting = client.expect(229, "EPSV").then(() => client.send("RETR big"));
    await waiting;
    await client.expect(426, "ABOR");
    await client.expect(226);
    await client.expect(250, "DELE big");
  });

  test("an upload that breaks is never done", async () => {
    await using server = await place.serve();
    using client = await Client.login(server);
    const broken = await client.data();
    client.send("STOR broken");
    await client.expect(150);
    await new Promise<void>((resolve) => broken.write(noise(100_000), () => resolve()));
    await until(async () => (await stat(place.kernel.init, `${ROOT}/broken`)).sizeBytes > 0);
    broken.resetAndDestroy();
    assert.match(await client.expect(426), /broke/);

    const full = await client.data();
    client.send("STOR full");
    await client.expect(150);
    full.write(noise(40_000_000));
    assert.match(await client.expect(452), /ENOSPC/);
    await client.expect(250, "DELE full");
    await client.expect(250, "DELE broken");
    await client.push("STOR after", "after");
  });
});

suite("limits", () => {
  const place = usePlace();

  test("of sessions", async () => {
    await using server = await place.serve({ maxSessions: 2 });
    using first = await Client.login(server);
    using second = await Client.connect(server);
    await second.expect(220);
    using third = await Client.connect(server);
    await third.expect(421);
    await third.ended();
    await second.expect(221, "QUIT");
    await second.ended();
    await until(() => server.sessions.length === 1);
    using fourth = await Client.login(server);
    for (const client of [first, fourth]) await client.expect(200, "NOOP");
  });

  test("of time to log in", async () => {
    await using server = await place.serve({ loginTimeoutMs: 500 });
    using client = await Client.connect(server);
    await client.expect(220);
    assert.match(await client.expect(421), /too long/);
    await client.ended();
    await until(() => server.sessions.length === 0);
  });

  test("of time to do nothing", async () => {
    await using server = await place.serve({ idleTimeoutMs: 1000 });
    using client = await Client.login(server);
    assert.match(await client.expect(421), /idle/);
    await client.ended();
    await quiet(server, place.kernel, 1);
  });

  test("a client that is gone leaves nothing", async () => {
    const { kernel } = place;
    await place.put("big", noise(4_000_000));
    await using server = await place.serve();
    const leave: Record<string, (client: Client) => Promise<void>> = {
      idle: async () => {},
      "waiting for data": async (client) => {
        await client.expect(229, "EPSV");
        client.send("RETR big");
      },
      "reading slowly": async (client) => {
        (await client.data()).pause();
        client.send("RETR big");
        await client.expect(150);
      },
      writing: async (client) => {
        const socket = await client.data();
        client.send("STOR half");
        await client.expect(150);
        socket.write(noise(50_000));
      },
      "in the middle of a line": async (client) => void client.socket.write("RETR b"),
      listing: async (client) => {
        const socket = await client.data();
        client.send("LIST");
        socket.destroy();
      },
      "not reading replies": async (client) => {
        client.socket.pause();
        client.send(Buffer.from("HELP\r\n".repeat(5000)));
      },
    };
    for (const [what, act] of Object.entries(leave)) {
      for (const how of ["destroy", "resetAndDestroy", "end"] as const) {
        using client = await Client.login(server);
        await act(client);
        if (how === "end") {
          client.socket.end();
          client.socket.resume();
        } else client.socket[how]();
        await quiet(server, kernel, 1).catch((error: unknown) =>
          assert.fail(`${what}: ${String(error)}`),
        );
      }
    }
  });

  test("memory of the kernel is given back", async () => {
    await place.put("small", "small");
    await using server = await place.serve();
    using client = await Client.login(server);
    // More than would fit, if each transfer's buffer stayed.
    for (let i = 0; i < repeats(3000, 300); i++)
      assert.equal((await client.fetch("RETR small")).length, 5);
    const [, session] = [...place.kernel.processes];
    assert.deepEqual(await descriptors(place.kernel, session.pid), []);
  });

  test("whatever is said, it is answered, and the server goes on", async () => {
    await using server = await place.serve({ maxLoginAttempts: 1000, maxSessions: 10_000 });
    const verbs =
      "USER PASS ACCT CWD CDUP REIN PORT PASV TYPE STRU MODE RETR STOR STOU APPE ALLO REST RNFR RNTO ABOR DELE RMD MKD PWD LIST NLST SITE SYST STAT HELP NOOP FEAT OPTS EPRT EPSV MLSD MLST MDTM MFMT SIZE AVBL AUTH PBSZ PROT CCC XYZZY";
    const verb = fc.constantFrom(...verbs.split(" "));
    const argument = fc.oneof(
      fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
      fc
        .constantFrom(
          "/",
          "..",
          "x",
          "-la",
          "1",
          "I",
          "ALL",
          "UTF8 ON",
          "CHMOD 777 x",
          "|1|127.0.0.1|1|",
          "|",
          "%s%n",
          "user",
        )
        .map(Buffer.from as (text: string) => Buffer),
    );
    const wellFormed = fc
      .tuple(verb, argument)
      .map(([name, bytes]) => Buffer.concat([Buffer.from(`${name} `), bytes]));
    const line = fc
      .oneof(
        wellFormed,
        wellFormed,
        fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      )
      .map((bytes) => bytes.filter((byte) => byte !== 10))
      .filter((bytes) => bytes.at(-1) !== 13);
    const lines = fc.array(line, { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(lines, fc.boolean(), async (commands, loggedIn) => {
        using client = loggedIn ? await Client.login(server) : await Client.connect(server);
        if (!loggedIn) await client.expect(220);
        for (const command of commands) {
          client.send(Buffer.concat([command, Buffer.from("\r\n")]));
          const { code } = await client.answer();
          assert.ok(code >= 200 && code < 600, `${JSON.stringify(latin1(command))}: ${code}`);
        }
        await client.expect(221, "QUIT");
      }),
      { numRuns: repeats(1000, 60) },
    );
    await quiet(server, place.kernel, 1);
  });
});

suite("the end", () => {
  const place = usePlace();

  test("of a server ends everything", async () => {
    await place.put("big", noise(8_000_000));
    const server = await place.serve();
    using idle = await Client.login(server);
    using busy = await Client.login(server);
    const slow = await busy.data();
    slow.pause();
    busy.send("RETR big");
    await busy.expect(150);
    using stranger = await Client.connect(server);
    await stranger.expect(220);
    using waiting = await Client.login(server);
    await waiting.expect(229, "EPSV");
    await server.close();
    for (const client of [idle, busy, waiting, stranger])
      assert.equal((await client.answer()).code, 421);
    slow.resume();
    await until(() => slow.closed);
    const late = connect(server.port, server.host);
    await once(late, "error");
    await server.close();
  });

  test("of a kernel in the middle of everything is told", async () => {
    const kernel = await boot();
    await mountNew(kernel, place.folder);
    const fd = await kernel.init.openat(AT_FDCWD, `${ROOT}/big`, O_CREAT | O_WRONLY, 0o644);
    await kernel.init.ftruncate64(fd, 20_000_000);
    await using server = await serveFtp({
      kernel,
      root: ROOT,
      readOnly: false,
      users: [USER],
      onError: (error) => assert.fail(error as Error),
    });
    using reader = await Client.login(server);
    (await reader.data()).pause();
    reader.send("RETR big");
    await reader.expect(150);
    using writer = await Client.login(server);
    const socket = await writer.data();
    writer.send("STOR new");
    await writer.expect(150);
    socket.write("new");
    using asker = await Client.login(server);
    // As if the power failed.
    kernel.dispose();
    for (const client of [reader, writer, asker]) {
      await client.expect(421);
      await client.ended();
    }
  });

  test("of power leaves what was told to be done, if that was asked for", async () => {
    const disk = new MemoryDisk(
      readFileSync(ext4Image(join(place.folder, "image"), import.meta.dirname)),
    );
    const content = noise(500_000);
    {
      await using kernel = await boot();
      const device = await attachDisk(kernel, disk);
      const { target } = await mount(kernel, { source: device.path });
      const common = { kernel, root: target, readOnly: false, users: [USER] };
      await using server = await serveFtp({ ...common, durable: true });
      using client = await Client.login(server);
      await client.push("STOR kept", content);
      kernel.dispose();
    }
    await using kernel = await boot();
    const device = await attachDisk(kernel, disk);
    await using mounted = await mount(kernel, { source: device.path });
    const kept = await readFile(kernel.init, `${mounted.target}/kept`);
    assert.ok(content.equals(kept));
  });

  test("of a kernel ends its servers", async () => {
    const kernel = await boot();
    const server = await serveFtp({ kernel, root: "/tmp", users: [USER] });
    using client = await Client.login(server);
    using guest = await Client.connect(server);
    await guest.expect(220);
    await kernel.halt();
    await client.expect(421);
    await client.ended();
    await guest.expect(421);
    await server.close();
    assert.deepEqual(server.sessions, []);
  });
});

suite("TLS", () => {
  const place = usePlace();
  const certificate = () => makeCertificate(place.folder);

  test("begins on demand, and nothing from before counts", async () => {
    const tls = certificate();
    await using server = await place.serve({ tls: { cert: tls.cert, key: tls.key } });
    using client = await Client.connect(server);
    await client.expect(220);
    assert.match(await client.expect(211, "FEAT"), /AUTH TLS\r\n PBSZ\r\n PROT\r\n/);
    await client.expect(504, "AUTH KERBEROS");
    await client.expect(503, "PBSZ 0");
    await client.expect(503, "PROT P");
    await client.expect(234, "AUTH TLS");
    await client.startTls(tls.cert);
    await client.expect(503, "AUTH TLS");
    await client.expect(200, "PBSZ 0");
    await client.expect(536, "PROT S");
    await client.expect(504, "PROT X");
    await client.expect(200, "PROT P");
    await client.expect(200, "PROT C");
    await client.expect(534, "CCC");
    await client.expect(331, `USER ${USER.name}`);
    await client.expect(230, `PASS ${USER.password}`);
    assert.deepEqual(
      server.sessions.map(({ secure }) => secure),
      [true],
    );

    // A command that somebody else put in front of the handshake is not run behind it.
    using injected = await Client.connect(server);
    await injected.expect(220);
    injected.send(Buffer.from("AUTH TLS\r\nUSER evil\r\n"));
    await injected.expect(234);
    await injected.startTls(tls.cert);
    await injected.expect(503, "PASS x");
  });

  test("is wanted of everybody, if so", async () => {
    const { cert, key } = certificate();
    await using server = await place.serve({ tls: { cert, key, required: true } });
    using client = await Client.connect(server);
    await client.expect(220);
    await client.expect(530, `USER ${USER.name}`);
    await client.expect(530, "PWD");
    await client.expect(234, "AUTH TLS");
    await client.startTls(cert);
    await client.expect(331, `USER ${USER.name}`);
    await client.expect(230, `PASS ${USER.password}`);
    await client.expect(200, "PBSZ 0");
    await client.expect(534, "PROT C");
    await client.data();
    await client.expect(521, "LIST");
    using nonsense = await Client.connect(server);
    await nonsense.expect(220);
    await nonsense.expect(234, "AUTH TLS");
    nonsense.send("this is no handshake");
    await nonsense.ended();
  });

  test("a certificate has to be one", async () => {
    const { kernel } = place;
    const { cert } = certificate();
    const tls = { cert, key: "no key" };
    const start = serveFtp({ kernel, root: ROOT, users: [USER], tls });
    assert.ok((await rejection(start)) instanceof InvalidOptionError);
  });
});
