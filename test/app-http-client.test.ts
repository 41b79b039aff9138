// The programs of apps/http-client do what its README says.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { suite, test } from "node:test";

import { execute, top } from "./command.ts";
import { run, temporaryFolder } from "./images/native.ts";

const app = (name: string, ...args: string[]) =>
  execute(process.execPath, [join(top, "apps/http-client", name), ...args]);

suite("apps/http-client", () => {
  test("main.ts gets a URL, tells of TCP, and writes a capture", async () => {
    using folder = temporaryFolder();
    const web = createServer((_, response) => response.end("from this machine"));
    web.listen(0, "127.0.0.1");
    await once(web, "listening");
    const { port } = web.address() as AddressInfo;
    const trace = join(folder.path, "trace.pcapng");
    const { text, err } = await app("main.ts", `http://localhost:${port}/`, trace);
    assert.equal(err, "");
    assert.match(
      text,
      /^http:\S+: 200, 17 bytes by HTTP\/1\.1\nredirectsMs 0\.0, .*totalMs [\d.]+\n/,
    );
    assert.match(text, /\nbbr: round trip \d+ µs, 0 sent again\n$/);
    assert.equal(run("tshark", "-r", trace, "-Y", "_ws.malformed"), "");
    assert.match(run("tshark", "-r", trace, "-Y", "http"), /GET \/ HTTP\/1\.1[^]*200 OK/);
    web.close();
  });

  test("compare.ts uploads with every congestion control", async () => {
    const { text, err } = await app("compare.ts", "0.002", "0.3");
    assert.equal(err, "");
    const names = Array.from(text.matchAll(/^(\w+) +([\d.]+) Mbit\/s, \d+ segments again$/gm));
    const known = new Set(names.map(([, name]) => name));
    for (const name of ["bbr", "cubic", "reno"]) assert.ok(known.has(name), name);
    assert.ok(names.every(([, , rate]) => Number(rate) > 0 && Number(rate) < 50));
  });
});
