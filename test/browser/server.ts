// A web server of the published JavaScript, and a headless Chromium to visit it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";

import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";

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

export interface Site extends Disposable {
  readonly port: number;
}

/** Where the file of a URL's path is; undefined for none that the page may have. */
function locate(kit: Kit, scripts: Record<string, string>, path: string): string | undefined {
  if (path in scripts) return scripts[path];
  if (path === "/ext4.img") return kit.image;
  if (path.startsWith("/dist/") || path.startsWith("/kernels/")) return join(kit.folder, path);
  return undefined;
}

/**
 * Serve the kit, isolated under the host name "localhost" and not under "127.0.0.1".
 *
 * @param scripts further files, by the path that the page asks for
 */
export async function serve(kit: Kit, scripts: Record<string, string>): Promise<Site> {
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const isolated = request.headers.host?.startsWith("localhost") === true;
    const headers = isolated ? ISOLATION : {};
    const path = locate(kit, scripts, normalize(pathname));
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
  const address = server.address();
  assert.ok(typeof address === "object" && address);
  return {
    port: address.port,
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
}
