// The two ends of iperf3's protocol, over sockets of the kernel, so that the real program is at the other
// end. It has one connection for control, on which states (one byte) and JSON (behind its length) go to and
// fro, and others for the data. Facts are from the program's documentation and from what it sends.

import { randomUUID } from "node:crypto";

import type { Connection, IpEndpoint, Listener, Sockets } from "../src/net/facade/index.ts";

/** Length of the text, with a NUL, by which connections of one test know each other. */
const COOKIE_BYTES = 37;
const BLOCK_BYTES = 131_072;

const STATE = {
  testStart: 1,
  testRunning: 2,
  testEnd: 4,
  exchangeParameters: 9,
  createStreams: 10,
  exchangeResults: 13,
  displayResults: 14,
  done: 16,
} as const;

interface Parameters {
  readonly num?: number;
  readonly parallel?: number;
  readonly reverse?: boolean;
}

/** What one end has seen. */
export interface Measured {
  readonly bytes: number;
  readonly seconds: number;
}

interface Results {
  readonly streams: readonly { readonly bytes: number }[];
}

/** A connection of which exactly so many bytes are read as are asked for. */
class Control {
  readonly connection: Connection;
  #rest: Buffer = Buffer.alloc(0);

  constructor(connection: Connection) {
    this.connection = connection;
  }

  async bytes(count: number): Promise<Buffer> {
    while (this.#rest.length < count) {
      const more = await this.connection.read();
      if (!more) throw new Error("iperf3 hung up");
      this.#rest = Buffer.concat([this.#rest, more]);
    }
    const taken = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(count);
    return taken;
  }

  async expect(state: number): Promise<void> {
    const got = (await this.bytes(1)).readInt8();
    if (got !== state) throw new Error(`iperf3 is in state ${got}, not ${state}`);
  }

  tell(state: number): Promise<void> {
    return this.connection.write(Uint8Array.of(state));
  }

  async json<T>(): Promise<T> {
    const length = (await this.bytes(4)).readUInt32BE();
    return JSON.parse((await this.bytes(length)).toString()) as T;
  }

  send(value: object): Promise<void> {
    const body = Buffer.from(JSON.stringify(value));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    return this.connection.write([length, body]);
  }
}

const resultsOf = (streams: readonly number[], seconds: number): object => ({
  cpu_util_total: 0,
  cpu_util_user: 0,
  cpu_util_system: 0,
  sender_has_retransmits: 0,
  streams: streams.map((bytes, index) => ({
    // The program numbers them 1, 3, 4, 5…
    id: index === 0 ? 1 : index + 2,
    bytes,
    retransmits: 0,
    jitter: 0,
    errors: 0,
    packets: 0,
    start_time: 0,
    end_time: seconds,
  })),
});

/** Read all that comes until the end, or the reset, of a stream. */
async function drain(from: Connection, count: (bytes: number) => void): Promise<void> {
  const block = new Uint8Array(BLOCK_BYTES);
  for (;;) {
    const bytes = await from.readInto(block).catch(() => 0);
    if (bytes === 0) return;
    count(bytes);
  }
}

/** Send so many bytes, or until the stream breaks. */
async function fill(to: Connection, bytes: number, count: (bytes: number) => void): Promise<void> {
  const block = new Uint8Array(BLOCK_BYTES).fill(0x5a);
  try {
    for (let left = bytes; left > 0; left -= BLOCK_BYTES) {
      const part = left < BLOCK_BYTES ? block.subarray(0, left) : block;
      await to.write(part);
      count(part.length);
    }
  } catch {
    // The other end has had enough.
  }
}

const secondsSince = (start: number): number => (performance.now() - start) / 1000;
const totalOf = (results: Results): number =>
  results.streams.reduce((sum, { bytes }) => sum + bytes, 0);

/** Be the client of a server: send it so many bytes, or get them. @returns what each end has counted */
export async function iperf3Client(
  sockets: Sockets,
  remote: IpEndpoint,
  { bytes, reverse }: { readonly bytes: number; readonly reverse: boolean },
): Promise<{ readonly ours: Measured; readonly theirs: number }> {
  const control = new Control(await sockets.connect({ remote }));
  const cookie = Buffer.from(`${randomUUID()}\0`);
  await control.connection.write(cookie);
  await control.expect(STATE.exchangeParameters);
  await control.send({
    tcp: true,
    omit: 0,
    time: 0,
    num: bytes,
    blockcount: 0,
    parallel: 1,
    len: BLOCK_BYTES,
    client_version: "3.12",
    ...(reverse && { reverse }),
  });
  await control.expect(STATE.createStreams);
  const stream = await sockets.connect({ remote });
  await stream.write(cookie);
  await control.expect(STATE.testStart);
  await control.expect(STATE.testRunning);
  const start = performance.now();
  let seen = 0;
  const enough = Promise.withResolvers<void>();
  const count = (more: number) => {
    seen += more;
    if (seen >= bytes) enough.resolve();
  };
  const moving = reverse ? drain(stream, count) : fill(stream, bytes, count);
  await Promise.race([enough.promise, moving]);
  const seconds = secondsSince(start);
  await control.tell(STATE.testEnd);
  await control.expect(STATE.exchangeResults);
  await control.send(resultsOf([seen], seconds));
  const theirs = totalOf(await control.json<Results>());
  await control.expect(STATE.displayResults);
  await control.tell(STATE.done);
  // Before it hangs up, it is busy, and refuses the next.
  await drain(control.connection, () => {});
  await Promise.all([stream.close(), control.connection.close(), moving]);
  return { ours: { bytes: seen, seconds }, theirs };
}

/** Be the server of one test of a client. @returns what each end has counted */
export async function iperf3Server(
  listener: Listener,
): Promise<{ readonly ours: Measured; readonly theirs: number }> {
  const control = new Control(await listener.accept());
  await control.bytes(COOKIE_BYTES);
  await control.tell(STATE.exchangeParameters);
  const parameters = await control.json<Parameters>();
  await control.tell(STATE.createStreams);
  const streams: Connection[] = [];
  while (streams.length < (parameters.parallel ?? 1)) {
    const stream = await listener.accept();
    await new Control(stream).bytes(COOKIE_BYTES);
    streams.push(stream);
  }
  await control.tell(STATE.testStart);
  await control.tell(STATE.testRunning);
  const start = performance.now();
  const seen = streams.map(() => 0);
  const moving = streams.map((stream, index) => {
    const count = (more: number) => void (seen[index] += more);
    return parameters.reverse ? fill(stream, Infinity, count) : drain(stream, count);
  });
  await control.expect(STATE.testEnd);
  const seconds = secondsSince(start);
  const bytes = seen.reduce((sum, one) => sum + one, 0);
  const results = resultsOf(seen, seconds);
  await control.tell(STATE.exchangeResults);
  const theirs = totalOf(await control.json<Results>());
  await control.send(results);
  await control.tell(STATE.displayResults);
  await control.expect(STATE.done);
  await Promise.all([...streams, control.connection].map((one) => one.close()));
  await Promise.all(moving);
  return { ours: { bytes, seconds }, theirs };
}
