// Disks on a web server, read by a page of headless Chromium from another origin.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, suite, test } from "node:test";
import { gzipSync } from "node:zlib";

import type { Browser, Page } from "playwright-core";

import { HELLO, makeKit } from "../image.ts";
import type { Kit } from "../image.ts";
import { serve as serveFile } from "../range-server.ts";
import type { FileServer } from "../range-server.ts";
import { launch, serve } from "./server.ts";
import type { Site } from "./server.ts";

/** What a server has to send for pages of other origins. */
const SHARED = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Expose-Headers": "Content-Range, ETag",
};

suite("a page reads a disk on a server of another origin", () => {
  let kit: Kit;
  let site: Site;
  let browser: Browser;
  let page: Page;
  let file: FileServer;

  before(async () => {
    kit = await makeKit();
    site = await serve(kit, {
      "/boot.mjs": new URL("../runtimes/boot.mjs", import.meta.url).pathname,
    });
    browser = await launch();
    page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${site.port}/`);
    file = await serveFile(readFileSync(kit.image));
  });

  after(async () => {
    await browser?.close();
    file?.stop();
    site?.[Symbol.dispose]();
    await kit?.[Symbol.asyncDispose]();
  });

  /** Mount what an expression makes of the modules `disk`, and read its file. */
  function readHello(expression: string): Promise<string> {
    return page.evaluate<string>(`(async () => {
      const load = (path) => import(new URL(path, location.href).href);
      const [{ readHelloOn }, core, disk, virtio] = await Promise.all([
        load("/boot.mjs"), load("/dist/index.js"), load("/dist/disk/index.js"),
        load("/dist/virtio/index.js"),
      ]);
      try {
        return await readHelloOn(core, ${expression}, virtio, false);
      } catch (error) {
        return error.message;
      }
    })()`);
  }

  test("in ranges, with nothing asked beforehand", async () => {
    Object.assign(file.headers, SHARED);
    assert.equal(await readHello(`await disk.HttpDisk.open("${file.url}")`), HELLO);
    // No OPTIONS: the header Range needs no permission.
    assert.ok(file.asked.every((range) => range.startsWith("bytes=")));
  });

  test("that is compressed", async () => {
    Object.assign(file.headers, SHARED);
    file.bytes = gzipSync(readFileSync(kit.image));
    const open = `await disk.openCompressed(await disk.HttpDisk.open("${file.url}"))`;
    assert.equal(await readHello(open), HELLO);
  });

  test("that does not tell pages enough: which header is missing", async () => {
    delete file.headers["Access-Control-Expose-Headers"];
    assert.match(
      await readHello(`await disk.HttpDisk.open("${file.url}", { retries: 0 })`),
      /^ENODEV: .*Access-Control-Expose-Headers: Content-Range, ETag$/,
    );
    delete file.headers["Access-Control-Allow-Origin"];
    assert.match(
      await readHello(`await disk.HttpDisk.open("${file.url}", { retries: 0 })`),
      /^EIO: .*cannot be read from byte 0 on: Failed to fetch/,
    );
  });
});
