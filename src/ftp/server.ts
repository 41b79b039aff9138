// An FTP server whose files are a kernel's.
//
// Invariants: every socket that it has is in #sockets until it is closed. A session is in
// #sessions until it holds nothing any more. After close() there is none of either.

import { createSecureContext } from "node:tls";
import type { SecureContext } from "node:tls";

import { stat } from "../fs/stat.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { perform } from "./commands.ts";
import { ControlChannel } from "./control.ts";
import type { FtpListener, FtpSocket } from "./net.ts";
import { checkOptions } from "./options.ts";
import type { FtpOptions, FtpTls, Settings } from "./options.ts";
import { reply } from "./reply.ts";
import { Session } from "./session.ts";
import type { ServerContext } from "./session.ts";
import { Users } from "./users.ts";

/** What can be seen of a client. */
export interface FtpSession {
  readonly remoteAddress: string;
  /** Who has logged in, or null. */
  readonly user: string | null;
  /** Whether the control connection has TLS. */
  readonly secure: boolean;
  readonly transferring: boolean;
}

/** Connections beyond those that may have a session, while they are told so. */
const MAX_REFUSED = 100;
/** What lets a certificate's sessions be taken up again, as clients do for data connections. */
const SESSION_CONTEXT = "liblinux-ftp";

/**
 * Serve a directory of a kernel by FTP (RFC 959, 2389, 2428, 3659, 4217). Settles when it listens.
 * The kernel stays the caller's. Everybody who logs in becomes a process of the kernel, with
 * credentials and a root directory of its own.
 *
 * @throws {InvalidOptionError}
 * @throws {SystemError} if the root is not there
 * @throws {Error} the system's, if it cannot listen, e.g. EADDRINUSE
 */
export async function serveFtp(options: FtpOptions): Promise<FtpServer> {
  const settings = checkOptions(options);
  const { type } = await stat(settings.kernel.init, settings.root);
  if (type !== "directory")
    throw new InvalidOptionError("root", `${settings.root} is a ${type}, not a directory`);
  const secureContext = settings.tls ? makeContext(settings.tls) : null;
  const server = settings.net.createServer({ allowHalfOpen: true, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: settings.host, port: settings.port }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
  return new FtpServer(server, settings, secureContext);
}

function makeContext({ cert, key, passphrase }: FtpTls): SecureContext {
  const pem = (text: string | Uint8Array) => (typeof text === "string" ? text : Buffer.from(text));
  try {
    return createSecureContext({
      cert: pem(cert),
      key: pem(key),
      ...(passphrase !== undefined && { passphrase }),
      sessionIdContext: SESSION_CONTEXT,
    });
  } catch (error) {
    throw new InvalidOptionError("tls", (error as Error).message);
  }
}

/** A server that runs. Disposing it closes it. */
export class FtpServer implements AsyncDisposable {
  readonly #server: FtpListener;
  readonly #settings: Settings;
  readonly #context: ServerContext;
  readonly #sockets = new Set<FtpSocket>();
  readonly #sessions = new Map<Session, Promise<void>>();
  #refused = 0;
  #closing: Promise<void> | null = null;
  /** The address that it listens at. */
  readonly host: string;
  readonly port: number;

  /** @internal Use {@link serveFtp}. */
  constructor(server: FtpListener, settings: Settings, secureContext: SecureContext | null) {
    this.#server = server;
    this.#settings = settings;
    this.#context = {
      settings,
      users: new Users(settings),
      secureContext,
      track: (socket) => this.#track(socket),
    };
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("it listens at no port");
    this.host = address.address;
    this.port = address.port;
    server.on("connection", (socket: FtpSocket) => this.#welcome(socket));
    server.on("error", settings.onError);
    // Sessions have lost what they are for.
    void settings.kernel.stopped.then(() => this.close());
  }

  /** E.g. `ftp://127.0.0.1:2121/`. */
  get url(): string {
    const scheme = this.#settings.tls?.implicit ? "ftps" : "ftp";
    const host = this.host.includes(":") ? `[${this.host}]` : this.host;
    return `${scheme}://${host}:${this.port}/`;
  }

  /** The clients that are connected. */
  get sessions(): readonly FtpSession[] {
    return [...this.#sessions.keys()];
  }

  /**
   * Listen no more, tell every client, break off transfers, and end all sessions. Settles when
   * nothing is left. Once is enough; a second call gives the first one's result.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    const sessions = [...this.#sessions];
    for (const [session] of sessions) session.dismiss("The server is closing.");
    await Promise.all(sessions.map(([, ended]) => ended));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #track(socket: FtpSocket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  #welcome(socket: FtpSocket): void {
    socket.on("error", () => socket.destroy());
    // It may be gone before it is looked at.
    if (socket.remoteAddress === undefined || this.#closing) return void socket.destroy();
    this.#track(socket);
    const control = new ControlChannel(socket);
    if (this.#sessions.size >= this.#settings.maxSessions) return this.#refuse(control);
    const session = new Session(this.#context, control);
    const ended = this.#serve(session)
      .catch(this.#settings.onError)
      .finally(() => this.#sessions.delete(session));
    this.#sessions.set(session, ended);
  }

  #refuse(control: ControlChannel): void {
    if (this.#refused >= MAX_REFUSED) return control.destroy();
    this.#refused++;
    void control.closed.then(() => this.#refused--);
    // One that wants TLS first would not understand it.
    if (!this.#settings.tls?.implicit)
      void control.reply(reply(421, "Too many are here: come again later."));
    control.finish();
  }

  async #serve(session: Session): Promise<void> {
    const { control } = session;
    try {
      const { secureContext } = this.#context;
      if (this.#settings.tls?.implicit && secureContext) {
        session.protectionBuffer = true;
        session.protected = true;
        await control.secureWith(secureContext);
      }
      await control.reply(reply(220, "liblinux"));
      for (;;) {
        const line = await control.next();
        if (line === undefined) break;
        session.working = true;
        await perform(session, line);
        session.working = false;
        session.touch();
      }
    } finally {
      await session.close();
    }
  }
}
