// One client: what it has set, and what it holds in the kernel.
//
// Invariants: a session has at most one process, one way to the client's data port, and one
// transfer. All of them are gone when close() settles, however the client went.

import type { SecureContext } from "node:tls";

import { KernelPanicError, KernelStoppedError } from "../machine/errors.ts";
import { TaskExitedError } from "../machine/user.ts";
import { DisposedError, SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import type { ControlChannel } from "./control.ts";
import { DataConnection, plainAddress } from "./data.ts";
import type { DataPath, Track } from "./data.ts";
import type { FtpSocket } from "./net.ts";
import type { Settings } from "./options.ts";
import { FtpError, reply, replyOfError } from "./reply.ts";
import type { Text } from "./reply.ts";
import { Transfer } from "./transfer.ts";
import type { TransferPlan } from "./transfer.ts";
import type { Account, Users } from "./users.ts";

/** What the sessions of one server share. */
export interface ServerContext {
  readonly settings: Settings;
  readonly users: Users;
  /** Null without TLS. */
  readonly secureContext: SecureContext | null;
  readonly track: Track;
}

/** What MLST and MLSD can tell of a file (RFC 3659, section 7.5). */
export const FACTS = [
  "type",
  "size",
  "modify",
  "perm",
  "unique",
  "UNIX.mode",
  "UNIX.uid",
  "UNIX.gid",
] as const;
export type Fact = (typeof FACTS)[number];

/** The kernel, or this session's process, is gone. */
export function isOver(error: unknown): boolean {
  return (
    error instanceof KernelStoppedError ||
    error instanceof KernelPanicError ||
    error instanceof TaskExitedError ||
    error instanceof DisposedError
  );
}

/** What a client sets with commands, and REIN undoes. */
class Preferences {
  /** Given to USER, and waiting for a password. */
  pendingName: string | null = null;
  type: "A" | "I" = "A";
  /** Where the next transfer starts. */
  restartBytes = 0;
  renameFrom: Uint8Array | null = null;
  /** After EPSV ALL no other way to a data connection is taken. */
  onlyExtendedPassive = false;
  facts: ReadonlySet<Fact> = new Set(FACTS);
}

export class Session {
  readonly context: ServerContext;
  readonly control: ControlChannel;
  /** The client's address, without brackets. */
  readonly remoteAddress: string;
  preferences = new Preferences();
  loginAttempts = 0;
  /** Whether a command is being done. */
  working = false;
  account: Account | null = null;
  /** PBSZ was given, as PROT wants it. */
  protectionBuffer = false;
  /** Whether data connections are to have TLS. */
  protected = false;
  #process: Process | null = null;
  #path: DataPath | null = null;
  #transfer: Transfer | null = null;
  readonly #idle: NodeJS.Timeout;
  readonly #login: NodeJS.Timeout;

  constructor(context: ServerContext, control: ControlChannel) {
    this.context = context;
    this.control = control;
    this.remoteAddress = plainAddress(control.remoteAddress);
    // Whoever is gone waits for nothing: what is in the kernel ends as well.
    void control.closed.then(() => this.#abandon());
    const { idleTimeoutMs, loginTimeoutMs } = context.settings;
    this.#login = setTimeout(() => {
      if (!this.account) this.dismiss("Logging in took too long.");
    }, loginTimeoutMs);
    this.#idle = setTimeout(() => {
      // A transfer has a limit of its own, and a command is not the client's to end.
      if (this.#transfer || this.working) this.touch();
      else this.dismiss("You have been idle for too long.");
    }, idleTimeoutMs);
  }

  get settings(): Settings {
    return this.context.settings;
  }

  /** Who has logged in, or null. */
  get user(): string | null {
    return this.account?.name ?? null;
  }

  get secure(): boolean {
    return this.control.secure;
  }

  get transferring(): boolean {
    return this.#transfer !== null;
  }

  get transfer(): Transfer | null {
    return this.#transfer;
  }

  /** The process whose rights this session has. @throws {FtpError} 530 if nobody has logged in */
  get process(): Process {
    if (!this.#process) throw new FtpError(530, "Log in with USER and PASS.");
    return this.#process;
  }

  /** The client has done something. */
  touch(): void {
    this.#idle.refresh();
  }

  logIn(account: Account, process: Process): void {
    this.account = account;
    this.#process = process;
  }

  /** As if it had just begun, but for TLS. */
  async reset(): Promise<void> {
    const process = this.#process;
    this.#process = null;
    this.account = null;
    this.preferences = new Preferences();
    this.setPath(null);
    await process?.exit();
  }

  // --- Data connections --------------------------------------------------------------------

  /** How the next data connection will come about. */
  setPath(path: DataPath | null): void {
    this.#path?.close();
    this.#path = path;
  }

  /**
   * Begin a transfer: it goes on while other commands are taken, and tells its end itself.
   *
   * @param announce what is said when it begins
   * @param done what is said when it went well
   * @throws {FtpError} 425, 521 if there cannot be a data connection
   */
  begin(
    announce: Text,
    work: (connection: DataConnection) => Promise<void>,
    release: () => Promise<unknown>,
    done: (bytes: number) => string = (bytes) => `Done: ${bytes} bytes.`,
  ): void {
    const path = this.#path;
    if (!path) throw new FtpError(425, "Say PASV, EPSV, PORT or EPRT first.");
    if (this.settings.tls?.required && !this.protected)
      throw new FtpError(521, "Data connections have to be protected: PROT P.");
    this.#path = null;
    const plan: TransferPlan = {
      path,
      open: async () => this.#open(await path.connect()),
      begin: () => this.control.reply(reply(150, announce)),
      work,
      release,
      end: async (error, bytes) => {
        this.#transfer = null;
        this.touch();
        if (error === undefined) await this.control.reply(reply(226, done(bytes)));
        else await this.fail(error);
      },
    };
    this.#transfer = new Transfer(plan);
  }

  #open(socket: FtpSocket): DataConnection {
    const secure = this.protected ? this.context.secureContext : null;
    return new DataConnection(socket, secure, this.settings.dataTimeoutMs);
  }

  // --- Replies and the end -----------------------------------------------------------------

  /** Tell what an error means to the client, and to whoever runs the server if it is not the client's. */
  async fail(error: unknown): Promise<void> {
    if (error instanceof FtpError || error instanceof SystemError)
      return this.control.reply(replyOfError(error));
    if (isOver(error)) return this.dismiss("The kernel has ended this session.");
    this.settings.onError(error);
    return this.control.reply(reply(451, "Something went wrong in the server."));
  }

  /** End it from this side, and tell why. */
  dismiss(why: string): void {
    void this.control.reply(reply(421, why));
    this.control.finish();
    this.#transfer?.abort("The session has ended.");
  }

  #abandon(): void {
    this.#transfer?.abort("The session has ended.");
    void this.#process?.exit().catch(this.settings.onError);
  }

  /** Give back all that it holds. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    clearTimeout(this.#login);
    this.setPath(null);
    const transfer = this.#transfer;
    transfer?.abort("The session has ended.");
    this.control.finish();
    await transfer?.done;
    await this.reset();
    await this.control.closed;
  }
}
