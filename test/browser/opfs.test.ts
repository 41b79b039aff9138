// Disks in the origin private file system of headless Chromium.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import type { Browser, Page } from "playwright-core";

import type { Disk } from "../../src/disk/disk.ts";
import { DiskError } from "../../src/disk/errors.ts";
import type { DiskErrorCode } from "../../src/disk/errors.ts";
import { assertBytes, diskContract, pattern } from "../contract/disk.ts";
import { HELLO, makeKit } from "../image.ts";
import type { Kit } from "../image.ts";
import { run } from "../images/native.ts";
import { launch, serve } from "./server.ts";
import type { Site } from "./server.ts";

const MIB = 1048576;

/** Makes the page's ask(): a verb for the Worker, and its answer. */
const START = `
  const worker = new Worker("/opfs-worker.mjs", { type: "module" });
  const waiting = new Map();
  worker.onmessage = ({ data }) => waiting.get(data.id)(data);
  worker.onerror = (event) => { for (const tell of waiting.values()) tell({ error: { message: event.message } }); };
  globalThis.ask = (verb, args) => new Promise((resolve) => {
    waiting.set(waiting.size, resolve);
    worker.postMessage({ id: waiting.size - 1, verb, args });
  });
`;

interface Shape {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readOnly: boolean;
  readonly synchronous: boolean;
}

interface Answer {
  readonly result?: unknown;
  readonly error?: {
    readonly code?: DiskErrorCode;
    readonly name?: string;
    readonly message: string;
  };
}

let kit: Kit;
let site: Site;
let browser: Browser;
let page: Page;

before(async () => {
  kit = await makeKit();
  site = await serve(kit, { "/opfs-worker.mjs": join(import.meta.dirname, "opfs-worker.mjs") });
  browser = await launch();
  page = await browser.newPage();
  await page.goto(`http://localhost:${site.port}/`);
  await page.evaluate(START);
});

after(async () => {
  await browser?.close();
  site?.[Symbol.dispose]();
  await kit?.[Symbol.asyncDispose]();
});

async function ask(verb: string, ...args: unknown[]): Promise<unknown> {
  const call = `ask(${JSON.stringify(verb)}, ${JSON.stringify(args)})`;
  const { result, error } = await page.evaluate<Answer>(call);
  if (!error) return result;
  if (error.name !== "DiskError" || !error.code) throw new Error(`${error.name}: ${error.message}`);
  throw new DiskError(error.code, error.message.slice(error.code.length + 2));
}

const fromText = (text: unknown) => new Uint8Array(Buffer.from(String(text), "base64"));
const toText = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

async function readAt(offset: number, length: number): Promise<Uint8Array> {
  return fromText(await ask("read", offset, length));
}

/** The Worker's disk, from here. */
async function remote(path: string, options: object): Promise<Disk> {
  const shape = (await ask("open", path, options)) as Shape;
  assert.equal(shape.synchronous, true);
  return {
    synchronous: false,
    readOnly: shape.readOnly,
    blockSizeBytes: shape.blockSizeBytes,
    sizeBytes: shape.sizeBytes,
    read: async (into, offset) => into.set(await readAt(offset, into.length)),
    write: async (from, offset) => void (await ask("write", toText(from), offset)),
    writeZeroes: async (offset, length) => void (await ask("writeZeroes", offset, length)),
    flush: async () => void (await ask("flush")),
    close: async () => void (await ask("close")),
  };
}

diskContract("OpfsDisk", async () => {
  const disk = await remote("contract.img", { createBytes: MIB + 512 });
  await disk.write(pattern(MIB + 512), 0);
  return { disk };
});
diskContract("OpfsDisk, read-only", async () => {
  const disk = await remote("contract.img", { createBytes: MIB });
  await disk.write(pattern(MIB), 0);
  await disk.close();
  return { disk: await remote("contract.img", { readOnly: true, blockSizeBytes: 4096 }) };
});

suite("a disk in the origin private file system", () => {
  test("takes views of shared memory", async () => {
    await ask("open", "shared.img", { createBytes: MIB });
    await ask("write", toText(pattern(65536)), 4096);
    assertBytes(fromText(await ask("readShared", 4096, 65536)), pattern(65536));
    await ask("close");
  });

  test("grows with zeroes, shrinks for good, and lasts", async () => {
    await ask("open", "size.img", { createBytes: 65536 });
    await ask("write", toText(pattern(65536)), 0);
    assert.deepEqual(await ask("resize", 32768), [32768, 1]);
    assert.deepEqual(await ask("resize", 2 * MIB), [2 * MIB, 1]);
    await assert.rejects(ask("resize", 1000), { code: "EINVAL" });
    await ask("close");
    await ask("open", "size.img", { readOnly: true });
    assertBytes(await readAt(0, 32768), pattern(32768));
    assertBytes(await readAt(32768, MIB), new Uint8Array(MIB));
    await assert.rejects(ask("resize", MIB), { code: "EROFS" });
    await ask("close");
  });

  test("is refused with the reason", async () => {
    await assert.rejects(ask("open", "nowhere.img", {}), {
      code: "ENOENT",
      message: /nowhere\.img/,
    });
    await assert.rejects(ask("open", "no/where.img", {}), { code: "ENOENT" });
    await assert.rejects(ask("open", "..", {}), { code: "EINVAL" });
    await assert.rejects(ask("open", "new.img", { createBytes: 1000 }), { code: "EINVAL" });
    await ask("open", "folder/busy.img", { createBytes: MIB });
    await assert.rejects(ask("open", "folder/busy.img", {}), {
      code: "EBUSY",
      message: /has the file open: close that first/,
    });
    await assert.rejects(ask("open", "folder", {}), { code: "EISDIR" });
    await ask("close");
    await ask("open", "folder/busy.img", {});
    await ask("close");
    const here = `import("/dist/platform/browser/index.js").then(({ OpfsDisk }) =>
      OpfsDisk.open("folder/busy.img")).catch(({ message }) => message)`;
    assert.match(await page.evaluate<string>(here), /^ENODEV: .*only in a dedicated Worker/);
  });

  test("whose size is odd opens read-only, filled up", async () => {
    await ask("put", "odd.img", 1000);
    await assert.rejects(ask("open", "odd.img", {}), { code: "EINVAL" });
    await ask("open", "odd.img", { readOnly: true });
    const expected = new Uint8Array(1024);
    expected.fill(1, 0, 1000);
    assertBytes(await readAt(0, 1024), expected);
    await ask("close");
    await ask("put", "even.img", 1024);
    assert.equal(await ask("openHandle", "even.img"), 1024);
  });

  for (const shared of [false, true])
    test(`a kernel with ${shared ? "shared" : "unshared"} memory writes ext4, and e2fsck agrees`, async () => {
      const length = Number(await ask("fetchImage"));
      const text = `written in a page, ${shared}\n`;
      await ask("open", "images/ext4.img", {});
      await ask("writeFile", "/new.txt", text, shared);
      await ask("close");
      await ask("open", "images/ext4.img", { readOnly: true });
      assert.equal(await ask("readFile", "/new.txt", shared), text);
      assert.equal(await ask("readFile", "/hello.txt", shared), HELLO);
      const path = join(kit.folder, "opfs.img");
      writeFileSync(path, await readAt(0, length));
      await ask("close");
      run("e2fsck", "-fn", path);
      assert.equal(run("debugfs", "-R", "cat /new.txt", path), text);
    });
});
