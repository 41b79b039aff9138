// Real servers on this machine's loopback, for the tests of what reaches them from a kernel: Redis and
// PostgreSQL from Debian, as nobody, with all they keep in a folder that is gone afterwards.

import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, globSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { freePort } from "./free-port.ts";
import { temporaryFolder } from "./images/native.ts";

export const LOOPBACK = "127.0.0.1";
/** Debian's user who owns nothing: PostgreSQL does not run as root. */
const NOBODY = 65534;
const PATIENCE_MS = 60_000;

export interface NativeServer extends AsyncDisposable {
  readonly port: number;
}

/** Who a server runs as. */
const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};

/** A folder that a server may write to. */
function ownFolder(): Disposable & { readonly path: string } {
  const folder = temporaryFolder();
  chmodSync(folder.path, 0o700);
  if (user.uid !== undefined) chownSync(folder.path, user.uid, user.gid);
  return folder;
}

/** Start a server, and wait until it says that it is ready. */
async function start(
  folder: Disposable & { readonly path: string },
  port: number,
  command: string,
  args: readonly string[],
): Promise<NativeServer> {
  const child = spawn(command, args, {
    ...user,
    cwd: folder.path,
    env: { ...process.env, HOME: folder.path, LC_ALL: "C.UTF-8" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  const ready = Promise.withResolvers<void>();
  const fail = (what: string) => ready.reject(new Error(`${command} ${what}: ${said}`));
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-4096);
      if (/ready to accept connections/i.test(said)) ready.resolve();
    });
  child.on("error", (error) => fail(error.message));
  child.on("exit", () => fail("ended"));
  const patience = setTimeout(() => fail("does not get ready"), PATIENCE_MS);
  try {
    await ready.promise;
  } catch (error) {
    await stop(child, folder);
    throw error;
  } finally {
    clearTimeout(patience);
  }
  return { port, [Symbol.asyncDispose]: () => stop(child, folder) };
}

async function stop(child: ChildProcess, folder: Disposable): Promise<void> {
  const ended = once(child, "exit");
  // PostgreSQL: at once, without waiting for clients. Redis: as SIGTERM.
  const runs = child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  if (runs && child.kill("SIGINT")) await ended;
  folder[Symbol.dispose]();
}

/** A Redis that keeps nothing, in a folder of its own. */
export async function redisServer(): Promise<NativeServer> {
  const folder = ownFolder();
  const port = await freePort();
  const options = { port, bind: `${LOOPBACK} -::1`, dir: folder.path, save: "", appendonly: "no" };
  const args = Object.entries(options).map(([name, value]) => `${name} ${value || '""'}`);
  const configuration = join(folder.path, "redis.conf");
  writeFileSync(configuration, `${args.join("\n")}\n`, { mode: 0o644 });
  return start(folder, port, "redis-server", [configuration]);
}

/** A PostgreSQL whose user `postgres` has this password, in a folder of its own. */
export async function postgresServer(password: string): Promise<NativeServer> {
  const [postgres] = globSync("/usr/lib/postgresql/*/bin/postgres");
  const folder = ownFolder();
  const port = await freePort();
  const secret = join(folder.path, "password");
  writeFileSync(secret, password, { mode: 0o644 });
  const data = join(folder.path, "data");
  const how = ["--no-sync", "--auth=scram-sha-256", "--username=postgres", "--no-locale"];
  execFileSync(
    join(dirname(postgres), "initdb"),
    [...how, "--encoding=UTF8", `--pwfile=${secret}`, data],
    { ...user, cwd: folder.path, stdio: ["ignore", "ignore", "pipe"] },
  );
  const settings = {
    port,
    listen_addresses: "localhost",
    unix_socket_directories: "",
    fsync: "off",
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return start(folder, port, postgres, ["-D", data, ...args]);
}
