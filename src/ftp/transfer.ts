// One transfer, from the moment that its command was accepted to its last reply.
//
// Invariants: it runs once, and `done` settles, never rejects, when all that it holds is given
// back: the data connection, the way to it, and what `release` lets go of.

import type { DataConnection, DataPath } from "./data.ts";
import { FtpError } from "./reply.ts";

export interface TransferPlan {
  readonly path: DataPath;
  /** Make a connection of a socket that came. */
  readonly open: (path: DataPath) => Promise<DataConnection>;
  /** Tells that it begins. */
  readonly begin: () => Promise<void>;
  /** Moves the content. */
  readonly work: (connection: DataConnection) => Promise<void>;
  /** Gives back what the command took, before the last reply. Its failure is the transfer's. */
  readonly release: () => Promise<unknown>;
  /** Tells how it ended; undefined is well. */
  readonly end: (error: unknown, bytes: number) => Promise<void>;
}

export class Transfer {
  readonly #path: DataPath;
  #connection: DataConnection | null = null;
  #aborted: Error | null = null;
  readonly done: Promise<void>;

  constructor(plan: TransferPlan) {
    this.#path = plan.path;
    this.done = this.#run(plan);
  }

  /** How many bytes of content went over the connection so far. */
  get bytes(): number {
    return this.#connection?.bytes ?? 0;
  }

  abort(problem: string): void {
    this.#aborted ??= new FtpError(426, problem);
    this.#path.close();
    this.#connection?.abort(this.#aborted);
  }

  async #run(plan: TransferPlan): Promise<void> {
    let failure: unknown;
    try {
      await this.#move(plan);
    } catch (error) {
      failure = this.#aborted ?? error;
      this.#connection?.abort(this.#aborted ?? new FtpError(426, "The transfer failed."));
    }
    this.#path.close();
    try {
      await plan.release();
    } catch (error) {
      failure ??= error;
    }
    await plan.end(failure, this.bytes);
  }

  async #move(plan: TransferPlan): Promise<void> {
    const connection = await plan.open(plan.path);
    this.#connection = connection;
    if (this.#aborted) throw this.#aborted;
    await plan.begin();
    await connection.ready();
    await plan.work(connection);
  }
}
