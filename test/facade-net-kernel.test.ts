// What becomes of node:net's options and errors in the kernel.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { EventEmitter } from "node:events";
import type nodeNet from "node:net";
import { after, before, suite, test } from "node:test";

import { IPPROTO_MPTCP } from "../src/abi/constants/in.ts";
import { KernelPanicError, VirtualClock } from "../src/index.ts";
import type { Kernel } from "../src/index.ts";
import { ipEndpoint } from "../src/net/facade/index.ts";
import type { OptionName } from "../src/net/facade/index.ts";
import { net as network } from "../src/net/index.ts";
import { createSockets } from "../src/platform/node/index.ts";
import type { NodeSockets } from "../src/platform/node/index.ts";
import { loopback } from "./facade-net-support.ts";
import { rejection } from "./kernel.ts";

/** (module (func (export "f") (param i32) (result i32) unreachable)) */
const TRAP = Uint8Array.fromHex(
  "0061736d0100000001060160017f017f03020100070501016600000a05010300000b",
);

suite("node:net's options in the kernel", () => {
  let kernel: Kernel;
  let own: NodeSockets;
  before(async () => {
    const host = await loopback();
    kernel = host.kernel;
    own = createSockets(host.process, { ownsProcess: true });
  });
  after(async () => {
    await own[Symbol.asyncDispose]();
    await kernel.halt();
  });

  async function connected(
    server: object,
    given: object,
  ): Promise<[Socket, Socket, () => Promise<void>]> {
    const listening = own.net.createServer(server);
    listening.listen({ port: 0, host: "127.0.0.1", ...server });
    await once(listening, "listening");
    const { port } = listening.address() as nodeNet.AddressInfo;
    const near = own.net.connect({ port, host: "127.0.0.1", ...given });
    const [[far]] = await Promise.all([
      once(listening, "connection") as Promise<[Socket]>,
      once(near, "connect"),
    ]);
    const end = async () => {
      near.destroy();
      far.destroy();
      await new Promise((resolve) => void listening.close(resolve));
    };
    return [near, far, end];
  }

  type Socket = ReturnType<NodeSockets["net"]["connect"]>;
  const optionsOf = (socket: Socket, ...names: readonly OptionName[]) =>
    Promise.all(names.map((name) => socket.connection!.getOption(name)));

  test("noDelay and keepAlive, given and changed, before connecting and after", async () => {
    const names = ["TCP_NODELAY", "SO_KEEPALIVE", "TCP_KEEPIDLE", "TCP_KEEPINTVL"] as const;
    const [near, far, end] = await connected(
      { noDelay: true },
      { keepAlive: true, keepAliveInitialDelay: 5000 },
    );
    assert.deepEqual(await optionsOf(near, ...names), [0, 1, 5, 1]);
    assert.deepEqual((await optionsOf(far, ...names)).slice(0, 2), [1, 0]);
    near.setNoDelay();
    near.setKeepAlive(false);
    far.setNoDelay(false);
    far.setKeepAlive(true, 90_000);
    assert.deepEqual((await optionsOf(near, ...names)).slice(0, 2), [1, 0]);
    assert.deepEqual(await optionsOf(far, ...names), [0, 1, 90, 1]);
    await end();
  });

  test("MPTCP by an option", async () => {
    const [near, far, end] = await connected(
      { protocol: IPPROTO_MPTCP },
      { protocol: IPPROTO_MPTCP },
    );
    assert.deepEqual(await optionsOf(far, "SO_PROTOCOL", "TCP_IS_MPTCP"), [IPPROTO_MPTCP, 1]);
    near.write("over many paths");
    assert.equal(String((await once(far, "data"))[0]), "over many paths");
    await end();
  });

  test("options of datagram sockets", async () => {
    const socket = own.dgram.createSocket({ type: "udp4", sendBufferSize: 10_000 });
    socket.bind(0);
    await once(socket, "listening");
    socket.setTTL(7);
    socket.setBroadcast(true);
    socket.setMulticastTTL(3);
    socket.setMulticastLoopback(false);
    const names = [
      "IP_TTL",
      "SO_BROADCAST",
      "IP_MULTICAST_TTL",
      "IP_MULTICAST_LOOP",
      "SO_SNDBUF",
    ] as const;
    // The first wait is for the steps before.
    await new Promise<void>((resolve) => {
      socket.send("", 9, "127.0.0.1", () => resolve());
    });
    const values = await Promise.all(names.map((name) => socket.socket!.getOption(name)));
    assert.deepEqual(values, [7, 1, 3, 0, 20_000]);
    const refused = once(socket, "error") as Promise<[NodeJS.ErrnoException]>;
    socket.addMembership("10.0.0.1");
    assert.equal((await refused)[0].code, "EINVAL");
    const ended = once(socket, "close");
    socket.close();
    await ended;
  });
});

suite("the end of a kernel below node:net", () => {
  test("a panic is every socket's error", async () => {
    const { process } = await loopback();
    const own = createSockets(process);
    const server = own.net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as nodeNet.AddressInfo;
    const near = own.net.connect(port, "127.0.0.1").resume();
    const datagrams = own.dgram.createSocket("udp4").bind(0);
    const [[far]] = (await Promise.all([
      once(server, "connection"),
      once(near, "connect"),
      once(datagrams, "listening"),
    ])) as unknown as [[nodeNet.Socket]];
    far.resume();
    const emitters: readonly EventEmitter[] = [server, near, far, datagrams];
    const failures = emitters.map(
      (emitter) => new Promise((resolve) => void emitter.once("error", resolve)),
    );
    const { instance } = await WebAssembly.instantiate(TRAP);
    await rejection(process.run(instance.exports["f"]));
    for (const why of await Promise.all(failures)) assert.ok(why instanceof KernelPanicError);
    await own[Symbol.asyncDispose]();
  });
});

suite("on a virtual clock", () => {
  test("nobody answers: ETIMEDOUT, after two minutes that take no time", async () => {
    const clock = new VirtualClock();
    const { kernel, process } = await loopback({ clock });
    {
      await using configuration = network(kernel);
      await configuration.link.add({ name: "hole", kind: "dummy" });
      await configuration.up("hole", "10.9.9.1/24");
      await configuration.neighbour.add({
        device: "hole",
        address: "10.9.9.2",
        hardwareAddress: "02:00:00:00:00:02",
      });
    }
    const own = createSockets(process);
    const connecting = rejection(own.sockets.connect({ remote: ipEndpoint("10.9.9.2", 80) }));
    const advancing = clock.advance(200e9);
    const error = (await connecting) as NodeJS.ErrnoException;
    assert.equal(error.message, "connect ETIMEDOUT 10.9.9.2:80");
    assert.equal(error.errno, -110);
    await advancing;
    await own[Symbol.asyncDispose]();
    await kernel.halt();
  });
});
