// What is sent: text, a file, standard input.

import { openAsBlob } from "node:fs";
import { stat } from "node:fs/promises";

import type { RequestBody } from "../../http/index.ts";
import { FailedError, UsageError, withoutCall } from "../errors.ts";
import { EXIT } from "./failures.ts";

/** In place of a file's name. */
export const STDIN = "-";

async function fileOrStdin(path: string): Promise<RequestBody> {
  if (path === STDIN) return process.stdin;
  try {
    if ((await stat(path)).isDirectory())
      throw new FailedError(`${path}: is a directory`, EXIT.read);
    return await openAsBlob(path);
  } catch (error) {
    if (error instanceof FailedError) throw error;
    throw new FailedError(`${path}: ${withoutCall(error)}`, EXIT.read, error);
  }
}

/** Of -d and -T; undefined if there is none of them. */
export async function bodyFrom(
  data: readonly string[],
  upload: string | undefined,
): Promise<RequestBody | undefined> {
  if (upload !== undefined) {
    if (data.length) throw new UsageError("fetch", "-d and -T: one of them");
    return fileOrStdin(upload);
  }
  if (!data.length) return undefined;
  const [first] = data;
  if (!first.startsWith("@")) return data.join("&");
  if (data.length > 1) throw new UsageError("fetch", "-d @FILE stands alone");
  return fileOrStdin(first.slice(1));
}
