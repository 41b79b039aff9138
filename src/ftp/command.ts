// What a command is.

import type { Reply } from "./reply.ts";
import type { Session } from "./session.ts";

export interface Command {
  /** What HELP says its argument is. */
  readonly usage: string;
  /** Whether it has to have an argument, and whether it can. Default: it can. */
  readonly argument?: "none" | "required";
  /** Whether it is for everybody, or for those who have logged in. Default: the latter. */
  readonly open?: true;
  /** It changes what is stored. */
  readonly writes?: true;
  /** It uses up the way to the client's data port, also if it fails. */
  readonly moves?: true;
  /** It is run at once, also while a transfer goes on. */
  readonly urgent?: true;
  /**
   * The reply; null if it was sent, or a transfer sends it.
   *
   * @throws {FtpError} @throws {SystemError} for a reply that says so
   */
  readonly run: (session: Session, argument: Buffer) => Promise<Reply | null> | Reply | null;
}

export type Commands = Readonly<Record<string, Command>>;
