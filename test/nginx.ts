// nginx of Debian's on loopback: unprivileged, with a folder of its own, gone after the tests.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { freePort } from "./free-port.ts";

/** Debian's user without rights. */
const NOBODY = 65534;
const BIG_FIELDS = 12;
const BIG_FIELD_BYTES = 3000;
const MAX_ATTEMPTS = 5;

export interface Nginx extends AsyncDisposable {
  /** What is served; PUT below /upload/ writes to it. */
  readonly root: string;
  /** HTTP/1.1, in the clear. */
  readonly port: number;
  /** HTTP/2, in the clear. */
  readonly h2cPort: number;
  /** TLS with HTTP/1.1 and 2. */
  readonly tlsPort: number;
  /** TLS with HTTP/1.1 only. */
  readonly oldPort: number;
  /** TLS that refuses everybody. */
  readonly refusingPort: number;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

const bigHeaders = Array.from(
  { length: BIG_FIELDS },
  (_, i) => `add_header X-Big-${i} ${"x".repeat(BIG_FIELD_BYTES)};`,
).join("\n");

function configuration(
  folder: string,
  ports: Omit<Nginx, "root" | typeof Symbol.asyncDispose>,
  certificate: { readonly certFile: string; readonly keyFile: string },
  upstream: number,
): string {
  const locations = `
    location /upload/ { dav_methods PUT DELETE; create_full_put_path on; }
    location /small/ { dav_methods PUT; client_max_body_size 1k; }
    location /gzip/ { alias ${folder}/root/; gzip on; gzip_types *; gzip_min_length 1; }
    location /moved/ { return 301 /$arg_to; }
    location /see-other { return 303 /echo; }
    location /keep { return 307 /upload/kept; }
    location /loop { return 302 /loop; }
    location /elsewhere { return 302 http://other.test:${ports.port}/echo; }
    location /nowhere { return 302 gopher://old.test/; }
    location /big-headers { ${bigHeaders} return 200 "big\\n"; }
    location /silent { return 444; }
    location /slow/ { alias ${folder}/root/; limit_rate 4k; limit_rate_after 0; }
    location /error { return 503 "later\\n"; }
    location /none { return 204; }
    location /echo { return 200 "$request_method $http_authorization $http_x_own $connection_requests\\n"; }
    location /broken { proxy_pass http://127.0.0.1:${upstream}; proxy_buffering off; }
  `;
  const tls = `ssl_certificate ${certificate.certFile}; ssl_certificate_key ${certificate.keyFile};`;
  return `
daemon off;
master_process off;
pid ${folder}/pid;
error_log ${folder}/error.log;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/temp;
  proxy_temp_path ${folder}/temp;
  fastcgi_temp_path ${folder}/temp;
  uwsgi_temp_path ${folder}/temp;
  scgi_temp_path ${folder}/temp;
  client_max_body_size 256m;
  root ${folder}/root;
  sendfile on;
  server { listen 127.0.0.1:${ports.port}; ${locations} }
  server { listen 127.0.0.1:${ports.h2cPort} http2; ${locations} }
  server { listen 127.0.0.1:${ports.tlsPort} ssl http2; ${tls} ${locations} }
  server { listen 127.0.0.1:${ports.oldPort} ssl; ${tls} ${locations} }
  server { listen 127.0.0.1:${ports.refusingPort} ssl; ssl_reject_handshake on; }
}
`;
}

/** A server that breaks off in the middle of each answer: /broken leads to it. */
async function brokenServer(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"x".repeat(1000)}`);
      setTimeout(() => socket.resetAndDestroy(), 20);
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}

/**
 * Start it; settles when it answers.
 *
 * @param folder empty, and the caller's to remove
 */
export async function nginx(
  folder: string,
  certificate: { readonly certFile: string; readonly keyFile: string },
): Promise<Nginx> {
  await using held = new AsyncDisposableStack();
  const broken = held.adopt(await brokenServer(), (server) => void server.close());
  const upstream = (broken.address() as AddressInfo).port;
  const root = join(folder, "root");
  for (const path of [root, join(root, "upload"), join(folder, "temp")]) mkdirSync(path);
  const file = join(folder, "nginx.conf");
  for (let attempt = 1; ; attempt++) {
    const ports = {
      port: await freePort(),
      h2cPort: await freePort(),
      tlsPort: await freePort(),
      oldPort: await freePort(),
      refusingPort: await freePort(),
    };
    writeFileSync(file, configuration(folder, ports, certificate, upstream));
    const isRoot = process.getuid?.() === 0;
    if (isRoot) {
      chmodSync(folder, 0o755);
      for (const name of ["", ...readdirSync(folder), "root/upload"])
        chownSync(join(folder, name), NOBODY, NOBODY);
      for (const name of [certificate.certFile, certificate.keyFile]) chmodSync(name, 0o644);
    }
    const child = spawn("nginx", ["-c", file, "-p", folder, "-e", join(folder, "error.log")], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin` },
      ...(isRoot && { uid: NOBODY, gid: NOBODY }),
    });
    let said = "";
    child.stderr.on("data", (part: Buffer) => (said += String(part)));
    const ended = once(child, "close").then(() => "ended" as const);
    let state: "ended" | "starting" | "answers" = "starting";
    while (state === "starting")
      if (await answers(ports.port)) state = "answers";
      else state = await Promise.race([ended, sleep(20, "starting" as const)]);
    if (state === "answers") {
      held.defer(async () => {
        child.kill("SIGTERM");
        await ended;
      });
      const all = held.move();
      return { root, ...ports, [Symbol.asyncDispose]: () => all.disposeAsync() };
    }
    // Somebody else may have taken a port meanwhile.
    const taken = said.includes("Address already in use") && attempt < MAX_ATTEMPTS;
    assert.ok(taken, `nginx ended: ${said}`);
  }
}
