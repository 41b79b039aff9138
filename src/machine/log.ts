// The kernel's log: records as the console got them.

/** One message of the kernel's log. */
export interface LogRecord {
  /** 0 (emergency) to 7 (debug), as syslog has it. */
  readonly level: number;
  /** Counts the records of this boot. */
  readonly sequence: number;
  /** Since the machine was switched on, in microseconds. */
  readonly timeUs: number;
  readonly text: string;
  /** What the record belongs to, e.g. `{ SUBSYSTEM: "block", DEVICE: "b254:0" }`. */
  readonly properties: Readonly<Record<string, string>>;
}

/** How many records are kept; older ones are forgotten. */
export const LOG_RECORDS = 4096;

const decoder = new TextDecoder();

/** Bytes that are no printable ASCII come as \xNN each. */
const unescape = (text: string) =>
  text.replace(/(?:\\x[0-9a-f]{2})+/g, (run) =>
    decoder.decode(Uint8Array.from(run.split("\\x").slice(1), (hex) => parseInt(hex, 16))),
  );

/** Parses a record in the format of /dev/kmsg (Documentation/ABI/testing/dev-kmsg). */
export function parseRecord(raw: string): LogRecord {
  const semicolon = raw.indexOf(";");
  const [prefix = "0", sequence = "0", timeUs = "0"] = raw.slice(0, semicolon).split(",");
  const [text = "", ...lines] = raw.slice(semicolon + 1).split("\n");
  const properties: Record<string, string> = {};
  for (const line of lines) {
    const equals = line.indexOf("=");
    if (line.startsWith(" ") && equals > 0)
      properties[line.slice(1, equals)] = unescape(line.slice(equals + 1));
  }
  return {
    level: Number(prefix) & 7,
    sequence: Number(sequence),
    timeUs: Number(timeUs),
    text: unescape(text),
    properties,
  };
}

/** As dmesg prints it: `[    0.012345] text`. */
export function formatRecord(record: LogRecord): string {
  const seconds = Math.floor(record.timeUs / 1e6);
  const micros = String(record.timeUs % 1e6).padStart(6, "0");
  const prefix = `[${String(seconds).padStart(5)}.${micros}] `;
  return prefix + record.text.replaceAll("\n", `\n${" ".repeat(prefix.length)}`);
}

/** The log so far, and what is added to it. */
export class KernelLog implements Iterable<LogRecord> {
  #records: LogRecord[] = [];
  readonly #listeners = new Set<(record: LogRecord) => void>();
  #closed = false;
  readonly #closers = new Set<() => void>();

  /** @internal */
  add(raw: string): void {
    const record = parseRecord(raw);
    this.#records.push(record);
    if (this.#records.length > 2 * LOG_RECORDS) this.#records = this.#records.slice(-LOG_RECORDS);
    for (const listener of this.#listeners) {
      try {
        listener(record);
      } catch (error) {
        // The kernel is on the stack below: it must not be unwound by a listener's mistake.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** @internal The machine stopped: nothing will be added. */
  close(): void {
    this.#closed = true;
    for (const close of this.#closers) close();
    this.#closers.clear();
    this.#listeners.clear();
  }

  /** The records that are kept, oldest first. */
  [Symbol.iterator](): Iterator<LogRecord> {
    return this.#records.slice(-LOG_RECORDS)[Symbol.iterator]();
  }

  /** The last lines, formatted. */
  tail(lines: number): string[] {
    return this.#records.slice(-lines).map(formatRecord);
  }

  /** The whole log as dmesg would print it. */
  get text(): string {
    return [...this].map((record) => `${formatRecord(record)}\n`).join("");
  }

  /** Calls back at once for every record to come, until the function returned is called. */
  listen(listener: (record: LogRecord) => void): () => void {
    if (!this.#closed) this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The records so far and to come, until the machine stops. */
  async *follow(): AsyncGenerator<LogRecord, void, undefined> {
    const queue = [...this];
    let wake: (() => void) | undefined;
    const stop = this.listen((record) => {
      queue.push(record);
      wake?.();
    });
    const close = () => wake?.();
    this.#closers.add(close);
    try {
      for (;;) {
        for (let record; (record = queue.shift());) yield record;
        if (this.#closed) return;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      stop();
      this.#closers.delete(close);
    }
  }
}
