// A file line by line.

import { encodingOf } from "./encoding.ts";

export interface LinesOptions {
  readonly encoding?: string | null | undefined;
  /** Where to begin; default: where the file is. */
  readonly start?: number | undefined;
  /** The last byte that is read, itself included. */
  readonly end?: number | undefined;
  readonly highWaterMark?: number | undefined;
  /** Close the file at the end. Default true. */
  readonly autoClose?: boolean | undefined;
}

/** What lines are read from. */
interface Source {
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number | null,
  ): Promise<{ readonly bytesRead: number }>;
  close(): Promise<void>;
}

const PART_BYTES = 65536;
const LABELS: Readonly<Record<string, string>> = { utf16le: "utf-16le", latin1: "latin1" };

/** Lines end with \n, \r\n or \r, as in node:readline. */
export async function* readLines(
  source: Source,
  options: LinesOptions,
): AsyncGenerator<string, void, undefined> {
  const { start, end = Infinity, highWaterMark = PART_BYTES, autoClose = true } = options;
  const label = LABELS[encodingOf(options.encoding ?? "utf8") ?? "utf8"] ?? "utf-8";
  const decoder = new TextDecoder(label);
  let position = start ?? null;
  let left = end - (start ?? 0) + 1;
  let rest = "";
  try {
    const buffer = new Uint8Array(highWaterMark);
    while (left > 0) {
      const wanted = Math.min(buffer.length, left);
      const { bytesRead } = await source.read(buffer, 0, wanted, position);
      if (!bytesRead) break;
      if (position !== null) position += bytesRead;
      left -= bytesRead;
      rest += decoder.decode(buffer.subarray(0, bytesRead), { stream: true });
      // A \r at the end may be half of a \r\n.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop()!;
      yield* lines;
    }
    rest += decoder.decode();
    if (rest) yield rest.replace(/\r$/, "");
  } finally {
    if (autoClose) await source.close();
  }
}
