// Links that lose nearly every second frame, and links that come and go while bytes are on their way: all
// of them arrive, as they were, and nothing is left behind.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { suite, test } from "node:test";

import { VirtualClock } from "../../src/index.ts";
import { EmulatedLink, Switch, patch } from "../../src/link/index.ts";
import type { Jack } from "../../src/link/index.ts";
import { Sockets, ipEndpoint } from "../../src/net/facade/index.ts";
import type { Connection } from "../../src/net/facade/index.ts";
import { net } from "../../src/net/index.ts";
import { noise } from "../images/native.ts";
import { repeats } from "../kernel.ts";
import { Host } from "../link-support.ts";
import { assertNothingLeft, census } from "./support/census.ts";
import { Chooser } from "./support/numbers.ts";
import { pass } from "./support/pass.ts";
import { assertNoGrowth, usage } from "./support/usage.ts";

const KIB = 1 << 10;
const MS = 1e6;
const SECOND_NS = 1e9;
/** Longer than the kernel tries to end a connection that it has no application for. */
const PATIENCE_NS = 1800 * SECOND_NS;
const PIECE_BYTES = 16 * KIB;
/** Time passes in larger steps where most of it is spent waiting for the next try. */
const STEP_NS = 20 * MS;

/** Two hosts at two ports, with sockets, on one clock. */
class Two implements AsyncDisposable {
  readonly clock: VirtualClock;
  readonly a: Host;
  readonly b: Host;
  readonly near: Sockets;
  readonly far: Sockets;

  constructor(
    clock: VirtualClock,
    hosts: readonly [Host, Host],
    sockets: readonly [Sockets, Sockets],
  ) {
    this.clock = clock;
    [this.a, this.b] = hosts;
    [this.near, this.far] = sockets;
  }

  static async at(clock: VirtualClock, a: Jack, b: Jack): Promise<Two> {
    const boot = (n: number, port: Jack) =>
      Host.boot(
        `10.0.0.${n}`,
        { port, mac: `02:00:00:00:00:0${n}` },
        { clock, memoryMiB: 64, random: n },
      );
    const hosts: [Host, Host] = [await boot(1, a), await boot(2, b)];
    for (const { kernel } of hosts) {
      await using network = net(kernel);
      await network.up("lo");
      // Fifteen tries in vain are too few where every second one is.
      await network.sysctl.set("net.ipv4.tcp_retries2", 100);
    }
    const [near, far] = await Promise.all(
      hosts.map(async ({ kernel }) => new Sockets(await kernel.process(), { ownsProcess: true })),
    );
    return new Two(clock, hosts, [near, far]);
  }

  pass<T>(work: Promise<T>): Promise<T> {
    return pass(this.clock, work, STEP_NS);
  }

  async connect(): Promise<[Connection, Connection]> {
    const listener = await this.far.listen({ local: ipEndpoint("10.0.0.2", 0) });
    const pair = await Promise.all([
      this.near.connect({ remote: listener.local! }),
      listener.accept(),
    ]);
    await listener.close();
    return pair;
  }

  /** That both hold what they held before `work`. */
  async leavingNothing(what: string, work: () => Promise<void>): Promise<void> {
    const hosts = [this.a, this.b];
    // What went before may have ends that nobody has acknowledged yet.
    await this.clock.advance(PATIENCE_NS);
    const before = await Promise.all(hosts.map(({ kernel }) => census(kernel)));
    await work();
    await this.clock.advance(PATIENCE_NS);
    for (const [i, { kernel }] of hosts.entries())
      await assertNothingLeft(kernel, before[i], what, () => this.clock.advance(SECOND_NS));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const sockets of [this.near, this.far]) await this.pass(sockets[Symbol.asyncDispose]());
    await Promise.all([this.a.kernel.halt(), this.b.kernel.halt()]);
  }
}

/** Send bytes of a seed until it is enough, then end. @returns their digest */
async function send(
  to: Connection,
  seed: number,
  enough: (sentBytes: number) => boolean,
): Promise<string> {
  const hash = createHash("sha256");
  for (let sent = 0, round = 0; !enough(sent); sent += PIECE_BYTES, round++) {
    const piece = noise(PIECE_BYTES, seed + round);
    hash.update(piece);
    await to.write(piece);
  }
  await to.end();
  return hash.digest("hex");
}

/** Read to the end. @returns the digest, and how many bytes it was */
async function receive(from: Connection): Promise<{ digest: string; bytes: number }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of from) {
    hash.update(piece);
    bytes += piece.length;
  }
  return { digest: hash.digest("hex"), bytes };
}

suite("bad links", () => {
  const bytes = repeats(8 << 10, 96) * KIB;
  test(`30 % loss both ways: ${bytes / KIB} KiB in each direction, with the same digests`, async (t) => {
    const clock = new VirtualClock();
    const link = new EmulatedLink({ clock, seed: 30, delayMs: 5, loss: 0.3, rateMbps: 100 });
    await using two = await Two.at(clock, link.a, link.b);
    // What opens at the first use is open, and who has which address is known.
    const [one, other] = await two.pass(two.connect());
    await two.pass(Promise.all([one.close(), other.close()]));
    await two.leavingNothing("30 % loss", async () => {
      const [mine, theirs] = await two.pass(two.connect());
      const start = clock.nowNs();
      const enough = (sent: number) => sent >= bytes;
      const [there, back, got, gotBack] = await two.pass(
        Promise.all([
          send(mine, 1, enough),
          send(theirs, 100_000, enough),
          receive(theirs),
          receive(mine),
        ]),
      );
      assert.deepEqual(got, { digest: there, bytes });
      assert.deepEqual(gotBack, { digest: back, bytes });
      const { lostFrames: lost, sentFrames: sent } = link.aToB.counters;
      const seconds = (clock.nowNs() - start) / SECOND_NS;
      t.diagnostic(`${lost} of ${sent} frames lost one way; ${Math.round(seconds)} virtual s`);
      assert.ok(lost > 0.2 * sent && lost < 0.4 * sent);
      await two.pass(Promise.all([mine.close(), theirs.close()]));
    });
  });

  const storms = repeats(2000, 30);
  test(`${storms} times a cable is pulled, a device unplugged or moved, an interface down: streams go on`, async (t) => {
    const clock = new VirtualClock();
    const [one, two] = [new Switch({ clock }), new Switch({ clock })];
    // Without a rate all would happen at one moment.
    const between = new EmulatedLink({ clock, seed: 1, delayMs: 1, rateMbps: 10 });
    patch(one.port(), between.a);
    patch(between.b, two.port());
    const remote = new EmulatedLink({ clock, seed: 2, delayMs: 1, rateMbps: 10 });
    patch(remote.a, one.port());
    const places = [one.port(), two.port()];
    await using hosts = await Two.at(clock, places[0], remote.b);
    const { device, kernel } = hosts.a;
    await using network = net(kernel);
    await using elsewhere = net(hosts.b.kernel);
    await elsewhere.neighbour.list();
    await network.neighbour.list();
    const [first, last] = await hosts.pass(hosts.connect());
    await hosts.pass(Promise.all([first.close(), last.close()]));
    const choose = new Chooser(7);
    let place = places[0];
    const did = { pulled: 0, moved: 0, unplugged: 0, down: 0 };
    const wait = () => clock.advance(choose.between(1, 400) * MS);
    const storm = async () => {
      switch (choose.of(["pulled", "moved", "unplugged", "down"] as const)) {
        case "pulled":
          did.pulled++;
          place.on = false;
          await wait();
          place.on = true;
          break;
        case "moved":
          did.moved++;
          place = places[did.moved % 2];
          device.connect(place);
          break;
        case "unplugged":
          did.unplugged++;
          // The kernel waits for what still refers to it.
          await hosts.pass(kernel.unplug(device));
          await wait();
          await hosts.pass(kernel.plug(device));
          await hosts.pass(network.up("eth0", "10.0.0.1/24"));
          break;
        case "down":
          did.down++;
          await hosts.pass(network.down("eth0"));
          await wait();
          await hosts.pass(network.up("eth0"));
      }
      await wait();
    };
    const before = await usage();
    await hosts.leavingNothing("storms", async () => {
      const [mine, theirs] = await hosts.pass(hosts.connect());
      let over = false;
      const enough = () => over;
      const streams = Promise.all([
        send(mine, 1, enough),
        send(theirs, 100_000, enough),
        receive(theirs),
        receive(mine),
      ]);
      for (let i = 0; i < storms; i++) await storm();
      over = true;
      const [there, back, got, gotBack] = await hosts.pass(streams);
      assert.equal(got.digest, there);
      assert.equal(gotBack.digest, back);
      assert.ok(got.bytes > 0 && gotBack.bytes > 0);
      const mib = (got.bytes + gotBack.bytes) / KIB / KIB;
      t.diagnostic(`${JSON.stringify(did)}, ${mib.toFixed(1)} MiB meanwhile`);
      await hosts.pass(Promise.all([mine.close(), theirs.close()]));
    });
    assert.equal(device.broken, null);
    assertNoGrowth(before, await usage(), "storms");
  });
});
