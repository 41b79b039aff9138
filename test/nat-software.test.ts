// What others wrote, unchanged, on the kernel's sockets, through host NAT, to real servers on this machine:
// ioredis to Redis, pg to PostgreSQL.

import assert from "node:assert/strict";
import type nodeNet from "node:net";
import { after, before, suite, test } from "node:test";

import { AbstractConnector, Redis } from "ioredis";
import pg from "pg";

import { Kernel } from "../src/index.ts";
import { net } from "../src/net/index.ts";
import { createSockets, hostNat } from "../src/platform/node/index.ts";
import type { NodeSockets } from "../src/platform/node/index.ts";
import { VirtioNet } from "../src/virtio/index.ts";
import { postgresServer, redisServer } from "./nat-servers.ts";
import { until } from "./virtio-support.ts";

const MIB = 1 << 20;
const PASSWORD = "let me in";

suite("through host NAT", () => {
  const nat = hostNat();
  let kernel: Kernel;
  let own: NodeSockets;

  before(async () => {
    kernel = await Kernel.boot({ image: "full", devices: [new VirtioNet({ port: nat.port })] });
    await using network = net(kernel);
    await network.up("lo");
    await network.dhcp("eth0");
    own = createSockets(await kernel.process(), { ownsProcess: true });
  });
  after(async () => {
    await own[Symbol.asyncDispose]();
    await kernel.halt();
    await nat.close();
  });

  /** For ioredis: connections of the kernel's. */
  class KernelConnector extends AbstractConnector {
    readonly #options: nodeNet.TcpNetConnectOpts;

    constructor(options: unknown) {
      super(2000);
      this.#options = options as nodeNet.TcpNetConnectOpts;
    }

    override async connect(): Promise<nodeNet.Socket> {
      const { host, port } = this.#options;
      this.connecting = true;
      return (this.stream = own.net.connect({ host, port }) as unknown as nodeNet.Socket);
    }
  }

  test("ioredis: values, pipelines, transactions, messages, and what is large", async () => {
    await using server = await redisServer();
    const options = {
      host: nat.gateway,
      port: server.port,
      Connector: KernelConnector,
      lazyConnect: true,
    };
    const redis = new Redis(options);
    const listener = new Redis(options);
    await Promise.all([redis.connect(), listener.connect()]);
    assert.match(await redis.info("server"), /redis_version:/);

    const large = Buffer.alloc(5 * MIB + 1, "0123456789abcdef");
    await redis.set("large", large);
    assert.ok((await redis.getBuffer("large"))?.equals(large));

    const pipeline = redis.pipeline();
    for (let i = 0; i < 1000; i++) pipeline.incrby("sum", i);
    const answers = await pipeline.exec();
    assert.deepEqual(answers?.at(-1), [null, 499_500]);
    const [, value] = (await redis.multi().set("a", "1").incr("a").exec())?.[1] ?? [];
    assert.equal(value, 2);
    await assert.rejects(redis.lpush("a", "x"), /WRONGTYPE/);

    const heard = Promise.withResolvers<string>();
    listener.on("message", (channel: string, text: string) => heard.resolve(`${channel}: ${text}`));
    await listener.subscribe("news");
    assert.equal(await redis.publish("news", "hello"), 1);
    assert.equal(await heard.promise, "news: hello");

    await Promise.all([redis.quit(), listener.quit()]);
    await until(() => nat.connections === 0);
  });

  test("ioredis: a server that goes away is told, and one that is not there", async () => {
    const server = await redisServer();
    const redis = new Redis({
      host: nat.gateway,
      port: server.port,
      Connector: KernelConnector,
      lazyConnect: true,
      retryStrategy: null,
    });
    await redis.connect();
    const closed = new Promise((resolve) => redis.once("end", resolve));
    await server[Symbol.asyncDispose]();
    await closed;
    const told = new Promise<Error>((resolve) => redis.once("error", resolve));
    await assert.rejects(redis.connect());
    assert.match((await told).message, /^connect ECONNREFUSED 10\.0\.2\.2:\d+$/);
    redis.disconnect();
    await until(() => nat.connections === 0);
  });

  test("pg: a password, many queries at once, rows by the megabyte, errors, notifications", async () => {
    await using server = await postgresServer(PASSWORD);
    const options: pg.PoolConfig = {
      host: nat.gateway,
      port: server.port,
      user: "postgres",
      password: PASSWORD,
      database: "postgres",
      stream: () => new own.net.Socket(),
    };
    const pool = new pg.Pool({ ...options, max: 8 });
    await pool.query("CREATE TABLE things (id int PRIMARY KEY, name text, data bytea)");
    const rows = await Promise.all(
      Array.from({ length: 200 }, async (_, id) => {
        const data = Buffer.alloc(id * 10, id);
        await pool.query("INSERT INTO things VALUES ($1, $2, $3)", [id, `thing ${id}`, data]);
        return { id, name: `thing ${id}`, data };
      }),
    );
    assert.deepEqual((await pool.query("SELECT * FROM things ORDER BY id")).rows, rows);
    assert.equal(pool.totalCount, 8);

    const large = Buffer.alloc(3 * MIB, "large ");
    const { rows: back } = await pool.query<{ data: Buffer }>("SELECT $1::bytea AS data", [large]);
    assert.ok(back[0].data.equals(large));
    await assert.rejects(pool.query("INSERT INTO things VALUES (1)"), { code: "23505" });

    const listener = new pg.Client(options);
    await listener.connect();
    await listener.query("LISTEN news");
    const heard = new Promise<pg.Notification>((go) => listener.once("notification", go));
    await pool.query("SELECT pg_notify('news', 'hello')");
    assert.equal((await heard).payload, "hello");
    await Promise.all([listener.end(), pool.end()]);

    const wrong = new pg.Client({ ...options, password: "wrong" });
    await assert.rejects(wrong.connect(), { code: "28P01" });
    await until(() => nat.connections === 0);
  });
});
