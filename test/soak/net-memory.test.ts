// Peers that stop reading, and kernels that run out of memory: what is sent waits, in a bounded room, or is
// refused with a clear error; nothing hangs, and when the room is given back all goes on.

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { AT_FDCWD, O_WRONLY } from "../../src/abi/constants/fcntl.ts";
import { IPPROTO_TCP } from "../../src/abi/constants/in.ts";
import {
  AF_INET,
  AF_UNIX,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  SO_LINGER,
  SO_RCVBUFFORCE,
  SO_SNDBUFFORCE,
  SO_SNDTIMEO,
} from "../../src/abi/constants/socket.ts";
import { TCP_USER_TIMEOUT } from "../../src/abi/constants/tcp.ts";
import { readFile } from "../../src/fs/files.ts";
import { KernelPanicError, TaskExitedError, VirtualClock } from "../../src/index.ts";
import type { Process } from "../../src/index.ts";
import { Cable } from "../../src/link/index.ts";
import { Sockets, ipEndpoint } from "../../src/net/facade/index.ts";
import type { Connection } from "../../src/net/facade/index.ts";
import { net } from "../../src/net/index.ts";
import { repeats, text } from "../kernel.ts";
import { Host, at, connected, pattern } from "../link-support.ts";
import { assertNothingLeft, census } from "./support/census.ts";
import { pass } from "./support/pass.ts";
import { assertNoGrowth, usage } from "./support/usage.ts";

const MIB = 1 << 20;
const MS = 1e6;
const SECOND_NS = 1e9;
const FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;

const codeOf = (error: unknown): string =>
  error instanceof TaskExitedError ? "killed" : String((error as NodeJS.ErrnoException).code);

suite("peers that stop reading", () => {
  const stalled = repeats(300, 40);
  test(`${stalled} of them: writers wait, in bounded memory; then each goes on or ends as it is told`, async (t) => {
    const clock = new VirtualClock();
    const cable = new Cable();
    const boot = (n: number, port: Cable["a"]) =>
      // Enough for TCP not to be short of memory: then it would drop what comes, and not answer.
      Host.boot(`10.0.0.${n}`, { port }, { clock, memoryMiB: repeats(512, 128), random: n });
    const [a, b] = [await boot(1, cable.a), await boot(2, cable.b)];
    const [near, far] = await Promise.all(
      [a, b].map(async ({ kernel }) => new Sockets(await kernel.process(), { ownsProcess: true })),
    );
    const listener = await far.listen({ local: ipEndpoint("10.0.0.2", 0), backlog: 4096 });
    const pair = async (): Promise<[Connection, Connection]> => {
      const one = near.connect({ remote: listener.local! });
      return Promise.all([one, listener.accept()]);
    };
    const first = await pair();
    await Promise.all(first.map((one) => one.close()));
    await clock.advance(120 * SECOND_NS);
    const before = await Promise.all([a, b].map(({ kernel }) => census(kernel)));
    const used = await usage();

    const pairs: [Connection, Connection][] = [];
    for (let i = 0; i < stalled; i++) pairs.push(await pair());
    const data = pattern(8 * MIB);
    const writes = pairs.map(([one]) => {
      const writing = one.write(data).then(
        () => "written",
        (error: unknown) => codeOf(error),
      );
      return { writing, settled: false };
    });
    for (const write of writes) void write.writing.then(() => (write.settled = true));
    await clock.advance(10 * SECOND_NS);
    assert.ok(writes.every(({ settled }) => !settled));
    const full = await Promise.all([a, b].map(({ kernel }) => census(kernel)));
    const sent = cable.a.counters.sentFrames;
    // An hour later they have only asked, now and then, whether there is room.
    await clock.advance(3600 * SECOND_NS);
    assert.ok(writes.every(({ settled }) => !settled));
    const later = await Promise.all([a, b].map(({ kernel }) => census(kernel)));
    for (const [i, { sockets, freeBytes }] of later.entries()) {
      assert.ok(Math.abs(sockets["TCP.mem"] - full[i].sockets["TCP.mem"]) < 500);
      assert.ok(freeBytes > 40 * MIB, `${freeBytes} bytes are free`);
    }
    const probes = (cable.a.counters.sentFrames - sent) / stalled;
    assert.ok(probes < 100, `${probes} frames for each in an hour`);
    const pages = later.map(({ sockets }) => sockets["TCP.mem"]);
    t.diagnostic(
      `${pages.join(" and ")} pages in TCP's buffers; ${probes.toFixed(0)} probes an hour`,
    );
    // The application's memory is what it wanted to write, once.
    assertNoGrowth(
      { ...used, rssBytes: used.rssBytes + 128 * MIB, heapBytes: used.heapBytes + 24 * MIB },
      await usage(),
      "stalled writes",
    );

    const read = async (from: Connection): Promise<void> => {
      let at = 0;
      while (at < data.length) {
        const bytes = await from.read();
        assert.ok(bytes);
        assert.equal(Buffer.compare(bytes, data.subarray(at, at + bytes.length)), 0);
        at += bytes.length;
      }
    };
    await pass(
      clock,
      Promise.all(
        pairs.map(async ([one, other], i) => {
          const { writing } = writes[i];
          if (i % 10 === 0) {
            await read(other);
            assert.equal(await writing, "written");
          } else if (i % 3 === 0) {
            await other.reset();
            assert.ok(["ECONNRESET", "EPIPE"].includes(await writing), await writing);
          } else if (i % 3 === 1) {
            await one.close();
            assert.equal(await writing, "ERR_SOCKET_CLOSED");
          } else {
            await one.reset();
            assert.equal(await writing, "ERR_SOCKET_CLOSED");
          }
          await Promise.all([one.close(), other.close()]);
        }),
      ),
      20 * MS,
    );
    await clock.advance(1800 * SECOND_NS);
    for (const [i, { kernel }] of [a, b].entries())
      await assertNothingLeft(kernel, before[i], "stalled peers", () => clock.advance(SECOND_NS));
    await Promise.all([near, far].map((one) => pass(clock, one[Symbol.asyncDispose]())));
    await Promise.all([a.kernel.halt(), b.kernel.halt()]);
  });

  test("a call that waits ends after SO_SNDTIMEO, a connection after TCP_USER_TIMEOUT", async () => {
    const clock = new VirtualClock();
    const cable = new Cable();
    const a = await Host.boot("10.0.0.1", { port: cable.a }, { clock });
    const b = await Host.boot("10.0.0.2", { port: cable.b }, { clock });
    const [mine] = await pass(clock, connected(a, b));
    const piece = pattern(65536);
    const fill = async (): Promise<string> => {
      for (;;) {
        const error = await a.init.sendto(mine, piece, piece.length, MSG_NOSIGNAL, null, 0).then(
          () => null,
          (error: unknown) => error,
        );
        if (error !== null) return codeOf(error);
      }
    };
    const two = new Uint8Array(BigInt64Array.of(2n, 0n).buffer);
    await a.init.setsockopt(mine, SOL_SOCKET, SO_SNDTIMEO, two, two.length);
    let start = clock.nowNs();
    assert.equal(await pass(clock, fill()), "EAGAIN");
    const waited = (clock.nowNs() - start) / SECOND_NS;
    // The last call that could send a part of its bytes has waited as long for the rest.
    assert.ok(waited >= 2 && waited < 5, `${waited} s`);
    const limit = new Uint8Array(Uint32Array.of(30_000).buffer);
    await a.init.setsockopt(mine, IPPROTO_TCP, TCP_USER_TIMEOUT, limit, limit.length);
    const never = new Uint8Array(16);
    await a.init.setsockopt(mine, SOL_SOCKET, SO_SNDTIMEO, never, never.length);
    start = clock.nowNs();
    assert.equal(await pass(clock, fill(), 100 * MS), "ETIMEDOUT");
    const lasted = (clock.nowNs() - start) / SECOND_NS;
    assert.ok(lasted > 20 && lasted < 90, `${lasted} s`);
    await Promise.all([a.kernel.halt(), b.kernel.halt()]);
  });
});

/** Makes the next socket of a process, and fills it with what nobody reads. @throws what the kernel refuses */
type Hog = (process: Process, number: number, greed: Greed) => Promise<void>;

/** How much it takes. */
interface Greed {
  /** Sockets that it makes, if it is not refused them. */
  readonly sockets: number;
  /** The buffers of each; 0: what the kernel gives. More takes root. */
  readonly bufferBytes: number;
  readonly user: { readonly uid: number };
}

/** A program gives up when so much was refused. */
const REFUSALS = 20;
const PIECE = pattern(60_000);
const PORT = 5000;

/** Fill a socket until it takes no more. */
async function fill(
  process: Process,
  fd: number,
  { bufferBytes }: Greed,
  to: Uint8Array | null = null,
): Promise<void> {
  const size = new Uint8Array(Uint32Array.of(bufferBytes).buffer);
  if (bufferBytes)
    for (const option of [SO_SNDBUFFORCE, SO_RCVBUFFORCE])
      await process.setsockopt(fd, SOL_SOCKET, option, size, size.length);
  try {
    // Datagrams that there is no room for are dropped, and nobody is told.
    for (let i = 0; i < (to ? 10 : 1000); i++)
      await process.sendto(fd, PIECE, PIECE.length, FLAGS, to, to?.length ?? 0);
  } catch (error) {
    if (codeOf(error) !== "EAGAIN") throw error;
  }
}

const hogs: readonly Hog[] = [
  // Connections within the kernel.
  async (process, number, greed) => {
    const address = at("127.0.0.1", PORT);
    if (number === 0) {
      const listener = await process.socket(AF_INET, SOCK_STREAM, 0);
      assert.equal(listener, 0);
      await process.bind(listener, address, address.length);
      await process.listen(listener, greed.sockets);
    }
    const one = await process.socket(AF_INET, SOCK_STREAM, 0);
    await process.connect(one, address, address.length);
    const other = await process.accept4(0, null, null, 0);
    await fill(process, one, greed);
    await fill(process, other, greed);
  },
  // Datagrams that nobody fetches.
  async (process, number, greed) => {
    const fd = await process.socket(AF_INET, SOCK_DGRAM, 0);
    const address = at("127.0.0.1", PORT + number);
    await process.bind(fd, address, address.length);
    await fill(process, fd, greed, address);
  },
  // Pairs of unix sockets, whose buffers have no bound but their number.
  async (process, number, greed) => {
    if (number > greed.sockets / 100) return;
    const fds = new Int32Array(2);
    await process.socketpair(AF_UNIX, SOCK_STREAM, 0, new Uint8Array(fds.buffer));
    for (const fd of fds) await fill(process, fd, greed);
  },
];

/** What a process is refused until it gives up. */
async function greedy(
  process: Process,
  hog: Hog,
  greed: Greed,
  codes: Map<string, number>,
): Promise<void> {
  let refused = 0;
  for (let number = 0; number < greed.sockets && refused < REFUSALS; number++)
    try {
      await hog(process, number, greed);
    } catch (error) {
      const code = codeOf(error);
      codes.set(code, (codes.get(code) ?? 0) + 1);
      refused++;
      if (code === "killed") return;
    }
}

const GROUPS = "/groups";
const GROUP = `${GROUPS}/greedy`;

async function put(process: Process, path: string, value: string): Promise<void> {
  const fd = await process.openat(AT_FDCWD, path, O_WRONLY, 0);
  try {
    const bytes = text.encode(value);
    await process.write(fd, bytes, bytes.length);
  } finally {
    await process.close(fd);
  }
}

/** A small kernel and another one that floods it, and what they do with each other. */
class Pressure {
  readonly small: Host;
  readonly other: Host;
  readonly codes: Map<string, number> = new Map();
  leastFreeBytes = Infinity;
  bound = false;

  constructor(small: Host, other: Host) {
    this.small = small;
    this.other = other;
  }

  static async make(memoryMiB: number): Promise<Pressure> {
    const cable = new Cable();
    const small = await Host.boot("10.0.0.1", { port: cable.a }, { memoryMiB });
    await using network = net(small.kernel);
    await network.up("lo");
    return new Pressure(small, await Host.boot("10.0.0.2", { port: cable.b }));
  }

  /** Give its processes so much memory together, and no more (Documentation/admin-guide/cgroup-v2.rst). */
  async bind(bytes: number): Promise<void> {
    const { init } = this.small;
    await init.mkdirat(AT_FDCWD, GROUPS, 0o755);
    await init.mount("none", GROUPS, "cgroup2", 0, null);
    await put(init, `${GROUPS}/cgroup.subtree_control`, "+memory");
    await init.mkdirat(AT_FDCWD, GROUP, 0o755);
    await put(init, `${GROUP}/memory.max`, `${bytes}`);
    this.bound = true;
  }

  /** A process that may take memory. */
  async process(greed: Greed): Promise<Process> {
    const process = await this.small.kernel.process(greed.user);
    if (!this.bound) return process;
    await put(process, `${GROUP}/cgroup.procs`, "0");
    // What does not fit is refused then: nobody is killed for it.
    await put(process, "/proc/self/oom_score_adj", "-1000");
    return process;
  }

  async exchange(port: number): Promise<void> {
    const { small, other } = this;
    const [mine, theirs] = await connected(small, other, port);
    const data = pattern(MIB);
    const [there, back] = await Promise.all([
      other.receive(theirs, MIB),
      small.receive(mine, MIB),
      small.send(mine, data),
      other.send(theirs, data),
    ]);
    assert.equal(Buffer.compare(there, data), 0);
    assert.equal(Buffer.compare(back, data), 0);
    // Reset, so that neither of them remembers it for a minute (socket(7), SO_LINGER).
    const linger = new Uint8Array(Uint32Array.of(1, 0).buffer);
    await small.init.setsockopt(mine, SOL_SOCKET, SO_LINGER, linger, linger.length);
    await small.init.close(mine);
    await other.init.close(theirs);
  }

  /** Take all that can be had, while frames come in: the driver needs memory for them, too. */
  async round(greed: Greed): Promise<void> {
    const processes = await Promise.all(hogs.map(() => this.process(greed)));
    let over = false;
    const flood = (async () => {
      const fd = await this.other.udp();
      while (!over) await this.other.sendTo(fd, "10.0.0.1", 9, PIECE);
      await this.other.init.close(fd);
    })();
    try {
      await Promise.all(hogs.map((hog, i) => greedy(processes[i], hog, greed, this.codes)));
      const { freeBytes } = await census(this.small.kernel);
      if (freeBytes < this.leastFreeBytes) this.leastFreeBytes = freeBytes;
    } finally {
      over = true;
      await flood;
    }
    for (const process of processes) await process.exit();
  }

  get said(): string {
    const refused = Array.from(this.codes, ([code, times]) => `${code} ${times}`).join(", ");
    return `refused: ${refused || "nothing"}; ${this.leastFreeBytes >> 10} KiB were free at least`;
  }

  async end(): Promise<void> {
    for (const { kernel } of [this.small, this.other]) await kernel[Symbol.asyncDispose]();
  }
}

suite("a kernel that runs out of memory", () => {
  const rounds = repeats(100, 2);
  const root = { uid: 0 };
  for (const [where, memoryMiB, boundBytes, greed] of [
    ["in TCP's and UDP's own limits", 48, 0, { sockets: 100, bufferBytes: 0, user: { uid: 1000 } }],
    [
      "in a group of bounded memory",
      48,
      12 * MIB,
      { sockets: 400, bufferBytes: 4 * MIB, user: root },
    ],
  ] as const)
    test(`${rounds} times by full sockets, ${where}: what does not fit is refused, then all goes on`, async (t) => {
      const pressure = await Pressure.make(memoryMiB);
      const { small, codes } = pressure;
      if (boundBytes) await pressure.bind(boundBytes);
      await pressure.round(greed);
      await pressure.exchange(7000);
      const before = await census(small.kernel);
      const used = await usage();
      for (let i = 1; i < rounds; i++) {
        await pressure.round(greed);
        await pressure.exchange(7000 + i);
      }
      const wait = () => new Promise((resolve) => void setTimeout(resolve, 20));
      await assertNothingLeft(small.kernel, before, "pressure", wait);
      assertNoGrowth(used, await usage(), "pressure");
      assert.equal(small.device.broken, null);
      // Who is refused a listener finds nobody later.
      for (const code of codes.keys()) assert.match(code, /^(ENOBUFS|ENOMEM|ENFILE|ECONNREFUSED)$/);
      assert.equal(codes.size > 0, boundBytes > 0, pressure.said);
      // Within its own limits it refuses nobody: it takes less of each.
      const counters = text.decode(await readFile(small.init, "/proc/net/netstat")).split("\n");
      const [names, values] = counters.map((line) => line.split(" "));
      const pressures = Number(values[names.indexOf("TCPMemoryPressures")]);
      assert.ok(pressures > 0);
      t.diagnostic(pressure.said);
      await pressure.end();
    });

  test(`beyond all limits, as root: every call is told, none hangs, and others go on`, async (t) => {
    // All processes of a kernel share one address space with pid 1, so Linux does not find one that it
    // could kill without that, and gives up (mm/oom_kill.c).
    const ends = new Map<string, number>();
    for (let i = 0; i < repeats(20, 1); i++) {
      const pressure = await Pressure.make(32);
      const { small, other } = pressure;
      const greed: Greed = { sockets: 400, bufferBytes: 4 * MIB, user: { uid: 0 } };
      const end = await pressure.round(greed).then(
        () => "survived",
        (error: unknown) => (error instanceof KernelPanicError ? error.reason : String(error)),
      );
      ends.set(end, (ends.get(end) ?? 0) + 1);
      if (small.kernel.running) await pressure.exchange(7000);
      else {
        assert.equal(end, "System is deadlocked on memory");
        assert.ok((await small.kernel.stopped) instanceof KernelPanicError);
        // The other end has no carrier any more, and no harm.
        assert.equal(other.device.up, false);
      }
      assert.equal(await other.init.getpid(), 1);
      await pressure.end();
    }
    t.diagnostic(Array.from(ends, ([end, times]) => `${end}: ${times}`).join(", "));
  });
});
