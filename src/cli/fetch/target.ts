// Where a body goes: standard output, or a file, maybe behind what it has.
//
// Invariant: a file is made when its first response is to be written, and not before.

import { open, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";

import { FailedError, withoutCall } from "../errors.ts";
import { write } from "../output.ts";
import { EXIT } from "./failures.ts";

/** What is written to; null is standard output. */
export class Target implements AsyncDisposable {
  readonly path: string | null;
  /** Where it goes on. */
  readonly startBytes: number;
  #file: FileHandle | null = null;
  #failed = false;

  private constructor(path: string | null, startBytes: number) {
    this.path = path;
    this.startBytes = startBytes;
  }

  /** @param goOn behind what is in the file */
  static async of(path: string | null, goOn: boolean): Promise<Target> {
    if (path === null || !goOn) return new Target(path, 0);
    try {
      return new Target(path, (await stat(path)).size);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Target(path, 0);
      throw failed(path, error);
    }
  }

  /** Make the file, or find the end of what is there. */
  async begin(): Promise<void> {
    if (this.path === null) return;
    try {
      this.#file ??= await open(this.path, this.startBytes ? "a" : "w");
    } catch (error) {
      throw failed(this.path, error);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.path === null) return write(bytes);
    try {
      for (let at = 0; at < bytes.length;) at += (await this.#file!.write(bytes, at)).bytesWritten;
    } catch (error) {
      this.#failed = true;
      throw failed(this.path, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file;
    this.#file = null;
    try {
      await file?.close();
    } catch (error) {
      // What could not be written was told, and some file systems say it again.
      if (!this.#failed) throw failed(this.path ?? "", error);
    }
  }
}

const failed = (path: string, error: unknown): FailedError =>
  new FailedError(`${path}: ${withoutCall(error)}`, EXIT.write, error);
