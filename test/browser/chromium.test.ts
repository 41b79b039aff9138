// The published JavaScript in a page of headless Chromium, with and without cross-origin isolation.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import { after, before, suite, test } from "node:test";

import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";

import { HELLO, makeKit } from "../image.ts";
import type { Kit } from "../image.ts";

const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

const PAGE = "<!doctype html><title>test</title><p>Linux";

/** What makes a page isolated, so that it may share memory. */
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** Where the file of a URL's path is; undefined for none that the page may have. */
function locate(kit: Kit, path: string): string | undefined {
  if (path === "/boot.mjs") return join(import.meta.dirname, "..", "runtimes", "boot.mjs");
  if (path === "/ext4.img") return kit.image;
  if (path.startsWith("/dist/") || path.startsWith("/kernels/")) return join(kit.folder, path);
  return undefined;
}

/** Serve the kit, isolated under the host name "localhost" and not under "127.0.0.1". */
async function serve(kit: Kit): Promise<Server> {
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const isolated = request.headers.host?.startsWith("localhost") === true;
    const headers = isolated ? ISOLATION : {};
    const path = locate(kit, normalize(pathname));
    const page = pathname === "/";
    const body = page ? PAGE : path && (await readFile(path).catch(() => undefined));
    const type = page ? ".html" : extname(pathname);
    response.writeHead(body === undefined ? 404 : 200, {
      ...headers,
      "Content-Type": TYPES[type] ?? "application/octet-stream",
    });
    response.end(body);
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => void server.listen(0, resolve));
  return server;
}

suite("a kernel in a page mounts a Blob and reads a file", () => {
  let kit: Kit;
  let server: Server;
  let browser: Browser;
  let port: number;

  before(async () => {
    kit = await makeKit();
    server = await serve(kit);
    const address = server.address();
    assert.ok(typeof address === "object" && address);
    ({ port } = address);
    browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    });
  });

  after(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
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
      await page.goto(`http://${host}:${port}/`);
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
