// Connections between two kernels: thousands at once, a million one after the other, ended in every way.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { VirtualClock } from "../../src/index.ts";
import { Cable } from "../../src/link/index.ts";
import { Sockets, ipEndpoint } from "../../src/net/facade/index.ts";
import type { Connection, IpEndpoint, Listener } from "../../src/net/facade/index.ts";
import { net } from "../../src/net/index.ts";
import { repeats, text } from "../kernel.ts";
import { Host } from "../link-support.ts";
import { assertNothingLeft, census } from "./support/census.ts";
import type { Census } from "./support/census.ts";
import { pass } from "./support/pass.ts";
import { assertNoGrowth, usage } from "./support/usage.ts";

/** A second is more than the kernel's work queues wait; a minute is TIME_WAIT's. */
const SECOND_NS = 1e9;
const MINUTE_NS = 60e9;
const AT_ONCE = 64;

/** Do something so many times, some of it at once. */
async function many(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, worker));
}

/** Connections that were accepted, by the ports that they come from, until somebody takes them. */
class Arrivals {
  readonly #all = new Map<number, PromiseWithResolvers<Connection>>();

  get size(): number {
    return this.#all.size;
  }

  #at(port: number): PromiseWithResolvers<Connection> {
    const known = this.#all.get(port);
    if (known) return known;
    const made = Promise.withResolvers<Connection>();
    this.#all.set(port, made);
    return made;
  }

  add(connection: Connection): void {
    this.#at((connection.remote as IpEndpoint).port).resolve(connection);
  }

  async take(port: number): Promise<Connection> {
    const connection = await this.#at(port).promise;
    this.#all.delete(port);
    return connection;
  }
}

suite("connections between two kernels", () => {
  const clock = new VirtualClock();
  const cable = new Cable();
  let client: Host;
  let server: Host;
  let near: Sockets;
  let far: Sockets;

  before(async () => {
    const options = { clock, memoryMiB: 384 };
    client = await Host.boot("10.0.0.1", { port: cable.a }, options);
    server = await Host.boot("10.0.0.2", { port: cable.b }, options);
    await using configuration = net(client.kernel);
    await configuration.sysctl.set("net.ipv4.ip_local_port_range", "1024 65535");
    near = new Sockets(await client.kernel.process(), { ownsProcess: true });
    far = new Sockets(await server.kernel.process(), { ownsProcess: true });
    // Each opens what it works with when it is used first.
    await pass(clock, lives(200, 79));
    await clock.advance(2 * MINUTE_NS);
  });
  after(async () => {
    await pass(clock, Promise.all([near, far].map((one) => one[Symbol.asyncDispose]())));
    await client.kernel.halt();
    await server.kernel.halt();
  });

  const listen = (port: number): Promise<Listener> =>
    far.listen({ local: ipEndpoint("10.0.0.2", port), backlog: 4096 });

  async function nothingLeft(before: readonly Census[], what: string): Promise<void> {
    assert.equal(near.size + far.size, 0);
    await clock.advance(2 * MINUTE_NS);
    for (const [i, { kernel }] of [client, server].entries())
      await assertNothingLeft(kernel, before[i], what, () => clock.advance(SECOND_NS));
  }

  /** One connection from begin to end. */
  async function live(listener: Listener, arrivals: Arrivals, index: number): Promise<void> {
    const one = await near.connect({ remote: listener.local! });
    const other = await arrivals.take((one.local as IpEndpoint).port);
    const hello = text.encode(`hello from ${index}`);
    if (index % 5) {
      await one.write(hello);
      assert.deepEqual(new Uint8Array((await other.read())!), hello);
    }
    switch (index % 6) {
      case 0: // The client first, and each reads the other's end.
        await one.end();
        assert.equal(await other.read(), null);
        break;
      case 1: // The server first.
        await other.end();
        assert.equal(await one.read(), null);
        break;
      case 2: // Both at once.
        await Promise.all([one.end(), other.end()]);
        break;
      case 3: // With what nobody reads.
        await other.write(hello);
        break;
      case 4:
        await one.reset();
        break;
      default:
        await other.reset();
    }
    await Promise.all([one.close(), other.close()]);
  }

  async function lives(count: number, port: number): Promise<void> {
    const listener = await listen(port);
    const arrivals = new Arrivals();
    const accepting = (async () => {
      for await (const connection of listener) arrivals.add(connection);
    })();
    await many(count, (index) => live(listener, arrivals, index));
    await listener.close();
    await accepting;
    assert.equal(arrivals.size, 0);
  }

  const crowd = repeats(10_000, 300);
  test(`${crowd} at once, each with its own bytes`, async (t) => {
    const before = await Promise.all([client, server].map(({ kernel }) => census(kernel)));
    const round = async () => {
      const listener = await listen(80);
      const others: Connection[] = [];
      const accepting = (async () => {
        while (others.length < crowd) others.push(await listener.accept());
      })();
      const ones: Connection[] = [];
      await many(crowd, async () => {
        ones.push(await near.connect({ remote: listener.local! }));
      });
      await accepting;
      for (const { kernel } of [client, server]) {
        const { sockets } = await census(kernel);
        assert.ok(sockets["TCP.inuse"] >= crowd, `${sockets["TCP.inuse"]} in use`);
      }
      await Promise.all(
        others.map((other) => other.write(text.encode(`${(other.remote as IpEndpoint).port}`))),
      );
      await Promise.all(
        ones.map(async (one) => {
          const said = text.decode((await one.read())!);
          assert.equal(said, `${(one.local as IpEndpoint).port}`);
          // And the other way, so that each has sent and received.
          await one.write(text.encode(said));
        }),
      );
      await Promise.all(
        others.map(async (other) => {
          assert.equal(text.decode((await other.read())!), `${(other.remote as IpEndpoint).port}`);
        }),
      );
      const all = [...ones, ...others, listener];
      await Promise.all(all.map((one) => one.close()));
    };
    const start = performance.now();
    await pass(clock, round());
    t.diagnostic(`${crowd} connections at once: ${Math.round(performance.now() - start)} ms`);
    await nothingLeft(before, `${crowd} connections at once`);
  });

  const count = repeats(1_000_000, 1500);
  test(`${count} opened and closed, in every way`, async (t) => {
    const before = await Promise.all([client, server].map(({ kernel }) => census(kernel)));
    const used = await usage();
    const start = performance.now();
    await pass(clock, lives(count, 81));
    const seconds = (performance.now() - start) / 1000;
    t.diagnostic(`${count} connections: ${Math.round(count / seconds)} a second`);
    await nothingLeft(before, `${count} connections`);
    assertNoGrowth(used, await usage(), `${count} connections`);
  });
});
