// Where a capture is written to: a file, or a row of files of which the last ones are kept.

import { open, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { parse, join } from "node:path";

import type { CaptureSink } from "../../link/capture.ts";
import { InvalidOptionError } from "../../machine/errors.ts";

export interface CaptureFileOptions {
  /** How many files are kept of a capture that rotates: 1 or more. Default: all. */
  readonly keep?: number;
}

/** Digits of a file's number, so that they sort. */
const DIGITS = 5;

export class CaptureFile implements CaptureSink {
  readonly #path: string;
  readonly #keep: number;
  readonly #paths: string[] = [];
  #file: FileHandle | null = null;
  /** What the file has. */
  #bytes = 0;
  #count = 0;

  /**
   * @param path where to write; when the capture rotates, the files after the first one get a number:
   * trace.pcapng, trace.00001.pcapng … What is there is overwritten.
   * @throws {InvalidOptionError}
   */
  constructor(path: string, options: CaptureFileOptions = {}) {
    const { keep = Infinity } = options;
    if (!(keep >= 1)) throw new InvalidOptionError("keep", `${keep}: one file or more`);
    this.#path = path;
    this.#keep = keep;
  }

  async write(pieces: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
    this.#file ??= await this.#open();
    // What has come of these pieces, and where the last one ended that came whole.
    let done = 0;
    let whole = this.#bytes;
    try {
      done = (await this.#file.writev(pieces)).bytesWritten;
      // Hardly ever is something left.
      for (const piece of pieces) {
        while (done < piece.length) done += (await this.#file.write(piece, done)).bytesWritten;
        done -= piece.length;
        whole += piece.length;
      }
      this.#bytes = whole;
    } catch (error) {
      // A disk that is full may have room for a part of a piece, which nobody could read.
      await this.#file.truncate(whole).catch(() => {});
      throw error;
    }
  }

  async rotate(): Promise<void> {
    await this.close();
    this.#file = await this.#open();
    while (this.#paths.length > this.#keep) await unlink(this.#paths.shift()!);
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  #open(): Promise<FileHandle> {
    const { dir, name, ext } = parse(this.#path);
    const number = this.#count++;
    const path =
      number === 0
        ? this.#path
        : join(dir, `${name}.${String(number).padStart(DIGITS, "0")}${ext}`);
    this.#paths.push(path);
    this.#bytes = 0;
    return open(path, "w");
  }
}
