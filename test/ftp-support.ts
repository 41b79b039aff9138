// What the tests of the FTP server share: a kernel with something to serve, a client of few words, programs.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import { after, before } from "node:test";
import { connect as connectTls } from "node:tls";

import { AT_FDCWD, O_CREAT, O_TRUNC, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { MemoryDisk } from "../src/disk/index.ts";
import { attachDisk, mount, readFile } from "../src/fs/index.ts";
import { serveFtp } from "../src/ftp/index.ts";
import type { FtpOptions, FtpServer } from "../src/ftp/index.ts";
import type { Kernel } from "../src/index.ts";
import { ext4Image, run, temporaryFolder } from "./images/native.ts";
import { boot, list, until } from "./kernel.ts";

/** The directory that is served. */
export const ROOT = "/srv";

export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate for this machine that signs itself. */
export function makeCertificate(folder: string): Certificate {
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const names = "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost";
  const how = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  run(
    "openssl",
    "req",
    "-x509",
    ...how,
    "-subj",
    "/CN=localhost",
    "-addext",
    names,
    "-keyout",
    keyFile,
    "-out",
    certFile,
  );
  return { cert: readFileSync(certFile), key: readFileSync(keyFile), certFile, keyFile };
}

export interface Place {
  /** Gone after the tests. */
  readonly folder: string;
  readonly kernel: Kernel;
  /** A server of ROOT, where everybody may write; closed, and found to have left nothing, after use. */
  serve(options?: Partial<FtpOptions>): Promise<FtpServer>;
  /** A file below ROOT. */
  put(name: string, content: string | Uint8Array, mode?: number): Promise<void>;
  get(name: string): Promise<Buffer>;
}

/** Mount an empty ext4 of 32 MiB at ROOT, where everybody may write. */
export async function mountNew(kernel: Kernel, folder: string): Promise<void> {
  const empty = join(folder, "empty");
  mkdirSync(empty, { recursive: true });
  const image = readFileSync(ext4Image(join(folder, "image"), empty));
  const device = await attachDisk(kernel, new MemoryDisk(image));
  await kernel.init.mkdirat(AT_FDCWD, ROOT, 0o755);
  await mount(kernel, { source: device.path, target: ROOT });
  await kernel.init.fchmodat(AT_FDCWD, ROOT, 0o777);
}

/** For the tests of a suite: one kernel, with an ext4 of 32 MiB at ROOT. */
export function usePlace(): Place {
  const folder = temporaryFolder();
  let kernel: Kernel | undefined;
  const running = () => kernel ?? assert.fail("the kernel is booted before the tests");
  before(async () => {
    kernel = await boot();
    await mountNew(kernel, folder.path);
  });
  after(async () => {
    await kernel?.halt();
    folder[Symbol.dispose]();
  });
  return {
    folder: folder.path,
    get kernel() {
      return running();
    },
    serve: (options) => serve(running(), options),
    async put(name, content, mode = 0o644) {
      const { init } = running();
      const fd = await init.openat(AT_FDCWD, `${ROOT}/${name}`, O_CREAT | O_WRONLY | O_TRUNC, mode);
      const bytes = typeof content === "string" ? Buffer.from(content) : content;
      for (let at = 0; at < bytes.length;)
        at += await init.write(
          fd,
          bytes.subarray(at, at + 65536),
          Math.min(65536, bytes.length - at),
        );
      await init.close(fd);
    },
    get: async (name) => Buffer.from(await readFile(running().init, `${ROOT}/${name}`)),
  };
}

export const USER = { name: "user", password: "pass word" };

async function serve(kernel: Kernel, options: Partial<FtpOptions> = {}): Promise<FtpServer> {
  const ports = listeners();
  const before = { processes: kernel.processes.size, fds: await descriptors(kernel, 1) };
  const server = await serveFtp({
    kernel,
    root: ROOT,
    readOnly: false,
    users: [USER],
    loginDelayMs: 0,
    onError: (error) => assert.fail(error as Error),
    ...options,
  });
  const close = server.close.bind(server);
  server.close = async () => {
    await close();
    // Their handles go a turn later.
    await until(() => listeners() <= ports);
    if (!kernel.running) return;
    assert.deepEqual(server.sessions, []);
    assert.equal(kernel.processes.size, before.processes);
    assert.deepEqual(await descriptors(kernel, 1), before.fds);
  };
  return server;
}

/** How many sockets of this program wait for connections. */
const listeners = () =>
  process.getActiveResourcesInfo().filter((name) => name === "TCPServerWrap").length;

/** The descriptors that a process has open. */
export async function descriptors(kernel: Kernel, pid: number): Promise<string[]> {
  const names = await list(kernel.init, `/proc/${pid}/fd`);
  // The one that reads the directory comes and goes.
  return names.filter((name) => pid !== 1 || Number(name) < 3);
}

/** No session is left, nor what one held. */
export async function quiet(server: FtpServer, kernel: Kernel, processes: number): Promise<void> {
  await until(() => server.sessions.length === 0);
  await until(() => kernel.processes.size === processes);
}

export interface Answer {
  readonly code: number;
  /** All lines, without the code of the last and of the first. */
  readonly text: string;
}

/** Calls a server: by this machine's sockets, or a kernel's. */
export type Call = (port: number, host: string) => Socket;

/** A client that says what it is told. */
export class Client implements Disposable {
  socket: Socket;
  readonly #host: string;
  readonly #call: Call;
  #received = "";
  #ended = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket, host: string, call: Call) {
    this.socket = socket;
    this.#host = host;
    this.#call = call;
    this.#attach();
  }

  static async connect(
    server: { host: string; port: number },
    call: Call = connect,
  ): Promise<Client> {
    const socket = call(server.port, server.host);
    const client = new Client(socket, server.host, call);
    await once(socket, "connect");
    return client;
  }

  /** Connected, and logged in. */
  static async login(
    server: { host: string; port: number },
    { name, password } = USER,
    call: Call = connect,
  ): Promise<Client> {
    const client = await Client.connect(server, call);
    await client.expect(220);
    await client.expect(331, `USER ${name}`);
    await client.expect(230, `PASS ${password}`);
    await client.expect(200, "TYPE I");
    return client;
  }

  #attach(): void {
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
    this.socket.on("data", (bytes: Buffer) => {
      this.#received += bytes.toString("latin1");
      this.#wake();
    });
  }

  async startTls(ca: Buffer): Promise<void> {
    this.socket.removeAllListeners("data");
    this.socket = connectTls({ socket: this.socket, ca, servername: "localhost" });
    this.#attach();
    await once(this.socket, "secureConnect");
  }

  send(line: string | Uint8Array): void {
    this.socket.write(typeof line === "string" ? `${line}\r\n` : line);
  }

  /** The next reply; code 0 at the end of the connection. */
  async answer(): Promise<Answer> {
    for (;;) {
      const found = /^(?:(\d{3})-([^]*?\r\n))?(\d{3}) ([^]*?)\r\n/.exec(this.#received);
      if (found && (found[1] === undefined || found[1] === found[3])) {
        this.#received = this.#received.slice(found[0].length);
        return { code: Number(found[3]), text: (found[2] ?? "") + found[4] };
      }
      if (this.#ended) return { code: 0, text: this.#received };
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Say something if there is something to say, and get this reply. */
  async expect(code: number, line?: string | Uint8Array): Promise<string> {
    if (line !== undefined) this.send(line);
    const answer = await this.answer();
    assert.equal(answer.code, code, `${String(line)}: ${answer.code} ${answer.text}`);
    return answer.text;
  }

  /** The connection ends, after what it may still say. */
  async ended(): Promise<void> {
    while ((await this.answer()).code);
  }

  /** A data connection, by EPSV. */
  async data(): Promise<Socket> {
    const port = Number(/\|\|\|(\d+)\|/.exec(await this.expect(229, "EPSV"))?.[1]);
    const socket = this.#call(port, this.#host);
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  }

  /** What a command sends. */
  async fetch(line: string | Uint8Array): Promise<Buffer> {
    const socket = await this.data();
    this.send(line);
    await this.expect(150);
    const parts: Buffer[] = [];
    for await (const part of socket as AsyncIterable<Buffer>) parts.push(part);
    await this.expect(226);
    return Buffer.concat(parts);
  }

  /** Send bytes after a command. */
  async push(line: string | Uint8Array, content: string | Uint8Array): Promise<string> {
    const socket = await this.data();
    this.send(line);
    await this.expect(150);
    socket.end(content);
    return this.expect(226);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

export interface Ended {
  readonly code: number;
  readonly out: Buffer;
  readonly err: string;
}

/** Run a program to its end. */
export function execute(command: string, ...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { ...process.env, HOME: "/nonexistent", LC_ALL: "C.UTF-8" };
    const options = { encoding: "buffer", maxBuffer: 64 << 20, env } as const;
    execFile(command, args, options, (error, out, err) =>
      resolve({
        code: error ? (typeof error.code === "number" ? error.code : -1) : 0,
        out,
        err: err.toString(),
      }),
    );
  });
}

/** Run a program that has to succeed. */
export async function succeed(command: string, ...args: string[]): Promise<Buffer> {
  const { code, out, err } = await execute(command, ...args);
  assert.equal(code, 0, `${command} ${args.join(" ")}: ${err}${out.toString()}`);
  return out;
}
