// The FTP server, used by clients that others wrote: curl, lftp (Debian packages of these names) and basic-ftp.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { before, suite, test } from "node:test";

import { Client } from "basic-ftp";

import type { FtpOptions, FtpServer } from "../src/ftp/index.ts";
import { execute, makeCertificate, succeed, USER, usePlace } from "./ftp-support.ts";
import type { Certificate } from "./ftp-support.ts";
import { noise, run, sampleTree } from "./images/native.ts";

const PASSWORD = encodeURIComponent(USER.password);

/** Whether this machine has an address of IPv6. */
const hasIPv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === "::1"),
);

const urlOf = ({ url }: FtpServer) => url.replace("//", `//${USER.name}:${PASSWORD}@`);

interface Way {
  readonly options?: Partial<FtpOptions>;
  readonly tls?: "explicit" | "implicit";
  /** curl's arguments; null: without curl. */
  readonly curl?: readonly string[] | null;
  /** lftp's settings. */
  readonly lftp?: readonly string[];
}

const WAYS: Readonly<Record<string, Way>> = {
  passive: {},
  "passive, by PASV": { curl: ["--disable-epsv"], lftp: ["ftp:prefer-epsv no"] },
  active: { curl: ["-P", "-"], lftp: ["ftp:passive-mode off"] },
  "active, by PORT": { curl: ["-P", "-", "--disable-eprt"], lftp: ["ftp:passive-mode off"] },
  "over TLS": { tls: "explicit" },
  // curl 7.88 forgets TLS on connections that it accepts: lftp alone.
  "over TLS, active": { tls: "explicit", curl: null, lftp: ["ftp:passive-mode off"] },
  "over implicit TLS": { tls: "implicit" },
  // A machine without it has no other way to try this.
  ...(hasIPv6 && {
    "over IPv6": { options: { host: "::1" } },
    "over IPv6, active": {
      options: { host: "::1" },
      curl: ["-P", "-"],
      lftp: ["ftp:passive-mode off"],
    },
    "over IPv6 and TLS": { options: { host: "::1" }, tls: "explicit" },
    "over IPv4, to a server of both": { options: { host: "::" } },
  }),
};

suite("clients", () => {
  const place = usePlace();
  let certificate: Certificate;
  const at = (...names: string[]) => join(place.folder, ...names);
  before(() => {
    certificate = makeCertificate(place.folder);
  });

  function serve({ options, tls }: Way): Promise<FtpServer> {
    const { cert, key } = certificate;
    return place.serve({
      ...options,
      ...(tls && { tls: { cert, key, required: true, implicit: tls === "implicit" } }),
    });
  }

  const base = (server: FtpServer) => urlOf(server).replace("[::]", "127.0.0.1");

  function curl({ curl, tls }: Way, ...args: string[]): Promise<Buffer> {
    const secure = tls ? ["--cacert", certificate.certFile] : [];
    const demand = tls === "explicit" ? ["--ssl-reqd"] : [];
    return succeed(
      "curl",
      "-sSg",
      "--max-time",
      "20",
      ...secure,
      ...demand,
      ...(curl ?? []),
      ...args,
    );
  }

  async function lftp(way: Way, server: FtpServer, ...commands: string[]): Promise<string> {
    const settings = [
      "net:max-retries 1",
      "net:timeout 10",
      "cmd:fail-exit yes",
      "ftp:use-mdtm-overloaded no",
      `ssl:ca-file ${certificate.certFile}`,
      // Without it lftp takes what it asks of the certificate from the numbers of the address.
      "ssl:check-hostname no",
      ...(way.tls ? ["ftp:ssl-force yes", "ftp:ssl-protect-data yes"] : ["ftp:ssl-allow no"]),
      ...(way.lftp ?? []),
    ].map((setting) => `set ${setting}`);
    const script = [...settings, `open ${base(server)}`, ...commands].join("\n");
    return (await succeed("lftp", "--norc", "-c", script)).toString();
  }

  async function byCurl(way: Way, server: FtpServer, content: Buffer): Promise<void> {
    const url = `${base(server)}by-curl`;
    await curl(way, "-T", at("up"), url);
    assert.deepEqual(await place.get("by-curl"), content);
    assert.deepEqual(await curl(way, url), content);
    assert.match(
      (await curl(way, base(server))).toString(),
      /-rw-r--r-- +1 .* 1500001 .* by-curl\n/,
    );
    // What is missing of a file is fetched, and sent.
    writeFileSync(at("half"), content.subarray(0, 700_000));
    await curl(way, "-C", "-", "-o", at("half"), url);
    assert.deepEqual(readFileSync(at("half")), content);
    await place.put("by-curl", content.subarray(0, 700_000));
    await curl(way, "-C", "-", "-T", at("up"), url);
    assert.deepEqual(await place.get("by-curl"), content);
  }

  async function byLftp(way: Way, server: FtpServer, content: Buffer): Promise<void> {
    writeFileSync(at("rest"), content.subarray(0, 700_000));
    await lftp(
      way,
      server,
      `put ${at("up")} -o by-lftp`,
      `get by-lftp -o ${at("down")}`,
      `get -c by-lftp -o ${at("rest")}`,
      "mkdir d",
      "mv by-lftp d/x",
      "rm -r d",
    );
    for (const name of ["down", "rest"]) assert.deepEqual(readFileSync(at(name)), content);
    run("rm", at("down"));
  }

  for (const [name, way] of Object.entries(WAYS))
    test(`transfer ${name}`, async () => {
      const content = noise(1_500_001);
      writeFileSync(at("up"), content);
      await using server = await serve(way);
      if (way.curl !== null) await byCurl(way, server, content);
      await byLftp(way, server, content);
    });

  test("lftp mirrors a tree, down and up again", async () => {
    await using server = await serve({});
    for (const settings of [
      ["ftp:use-mlsd yes"],
      ["ftp:use-mlsd no"],
      ["mirror:parallel-transfer-count 4"],
    ]) {
      const way: Way = { lftp: settings };
      const source = sampleTree(mkdtemp("source"));
      const target = mkdtemp("target");
      // Names that are not UTF-8 come back as they are only where nothing is taken for another set.
      const raw = ["set file:charset UTF-8", "set ftp:use-utf8 no", "set ftp:charset UTF-8"];
      run("rm", join(source, "sub", "hard"));
      await lftp(way, server, ...raw, `mirror -R --no-symlinks ${source} tree`);
      await lftp(way, server, ...raw, `mirror tree ${target}`, "rm -r tree");
      run("rm", join(source, "link"), join(source, "absolute"), join(source, "dangling"));
      run("diff", "-r", "--no-dereference", source, target);
      assert.equal(run("stat", "-c", "%Y", join(target, "hello.txt")), "981173106\n");
    }
  });

  test("lftp sees links", async () => {
    await using server = await serve({});
    await place.put("file", "linked");
    await place.kernel.init.symlinkat("file", -100, "/srv/a-link");
    const target = mkdtemp("links");
    await lftp({ lftp: ["ftp:use-mlsd no"] }, server, `mirror / ${target}`);
    assert.equal(readlinkSync(join(target, "a-link")), "file");
    await lftp({}, server, "rm a-link", "rm file");
  });

  let made = 0;
  function mkdtemp(name: string): string {
    const path = at(`${name}-${++made}`);
    mkdirSync(path);
    return path;
  }

  for (const tls of [undefined, "explicit", "implicit"] as const)
    test(`basic-ftp does all that it can${tls ? `, with ${tls} TLS` : ""}`, async () => {
      await using server = await serve(tls ? { tls } : {});
      const client = new Client(10_000);
      try {
        const secure = tls === "implicit" ? "implicit" : tls === "explicit";
        await client.access({
          host: server.host,
          port: server.port,
          user: USER.name,
          password: USER.password,
          secure,
          secureOptions: { ca: certificate.cert },
        });
        const content = noise(300_000);
        await client.ensureDir("/x/y");
        await client.uploadFrom(Readable.from([content]), "z");
        assert.equal(await client.size("z"), content.length);
        await client.appendFrom(Readable.from(["more"]), "z");
        const parts: Buffer[] = [];
        const sink = new Writable({
          write(part: Buffer, _, done) {
            parts.push(part);
            done();
          },
        });
        await client.downloadTo(sink, "z", 200_000);
        assert.deepEqual(
          Buffer.concat(parts),
          Buffer.concat([content.subarray(200_000), Buffer.from("more")]),
        );
        const [entry] = await client.list();
        assert.deepEqual(
          { name: entry.name, size: entry.size, isFile: entry.isFile },
          { name: "z", size: 300_004, isFile: true },
        );
        assert.ok(entry.modifiedAt);
        assert.equal((await client.lastMod("z")).getTime(), entry.modifiedAt.getTime());
        await client.rename("z", "../w");
        await client.cdup();
        const names = (await client.list()).map(({ name, isDirectory }) => ({ name, isDirectory }));
        assert.equal(names.length, 2);
        assert.ok(names.some(({ name, isDirectory }) => name === "w" && !isDirectory));
        assert.ok(names.some(({ name, isDirectory }) => name === "y" && isDirectory));
        await client.cd("/");
        await client.removeDir("x");
        assert.deepEqual(
          (await client.list()).filter(({ name }) => name === "x"),
          [],
        );
      } finally {
        client.close();
      }
    });

  test("many transfer at once", async () => {
    await using server = await serve({});
    const contents = Array.from({ length: 20 }, (_, i) => noise(300_000 + i, i + 1));
    await Promise.all(
      contents.map(async (content, i) => {
        writeFileSync(at(`c${i}`), content);
        await curl({}, "-T", at(`c${i}`), `${base(server)}c${i}`);
      }),
    );
    const back = await Promise.all(contents.map((_, i) => curl({}, `${base(server)}c${i}`)));
    for (const [i, content] of contents.entries()) assert.ok(content.equals(back[i]), `file ${i}`);
  });

  test("an upload that does not fit fails, for the client too", async () => {
    await using server = await serve({});
    writeFileSync(at("large"), noise(40_000_000));
    const failed = await execute("curl", "-sS", "-T", at("large"), `${base(server)}large`);
    assert.notEqual(failed.code, 0);
    await curl({}, "-Q", "DELE large", base(server));
  });

  test("a certificate that a client does not know ends it", async () => {
    await using server = await serve({ tls: "explicit" });
    const refused = await execute("curl", "-sS", "--ssl-reqd", base(server));
    assert.equal(refused.code, 60, refused.err);
    const plain = await execute("curl", "-sS", base(server));
    assert.equal(plain.code, 67, plain.err);
  });
});
