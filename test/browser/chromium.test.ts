// The published JavaScript in a page of headless Chromium, with and without cross-origin isolation.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import type { Browser } from "playwright-core";

import { HELLO, makeKit } from "../image.ts";
import type { Kit } from "../image.ts";
import { launch, serve } from "./server.ts";
import type { Site } from "./server.ts";

suite("a kernel in a page mounts a Blob and reads a file", () => {
  let kit: Kit;
  let site: Site;
  let browser: Browser;

  before(async () => {
    kit = await makeKit();
    site = await serve(kit, {
      "/boot.mjs": join(import.meta.dirname, "..", "runtimes", "boot.mjs"),
    });
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    site?.[Symbol.dispose]();
    await kit?.[Symbol.asyncDispose]();
  });

  const cases = [
    { host: "127.0.0.1", isolated: false, shared: false },
    { host: "localhost", isolated: true, shared: false },
    { host: "localhost", isolated: true, shared: true },
  ];
  for (const { host, isolated, shared } of cases) {
    const where = isolated ? "an isolated page" : "a page without isolation";
    test(`in ${where}, with ${shared ? "shared" : "unshared"} memory`, async () => {
      const page = await browser.newPage();
      const errors: unknown[] = [];
      page.on("pageerror", (error) => void errors.push(error));
      await page.goto(`http://${host}:${site.port}/`);
      assert.equal(await page.evaluate("crossOriginIsolated"), isolated);
      const read = await page.evaluate(`(async () => {
        const load = (path) => import(new URL(path, location.href).href);
        const [{ readHello }, core, disk, virtio, image] = await Promise.all([
          load("/boot.mjs"), load("/dist/index.js"), load("/dist/disk/index.js"),
          load("/dist/virtio/index.js"), fetch("/ext4.img").then((answer) => answer.blob()),
        ]);
        return readHello(core, disk, virtio, image, ${shared});
      })()`);
      assert.equal(read, HELLO);
      assert.deepEqual(errors, []);
      await page.close();
    });
  }
});
