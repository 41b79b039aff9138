// What goes beside the bytes of a message, and many datagrams by one call.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import fc from "fast-check";

import { FD_CLOEXEC, F_GETFD } from "../src/abi/constants/fcntl.ts";
import { AF_UNIX, MSG_CTRUNC, MSG_OOB } from "../src/abi/constants/socket.ts";
import { CLOCK_REALTIME } from "../src/abi/constants/time.ts";
import { KernelTimespec } from "../src/abi/structs/time.ts";
import { InvalidOptionError } from "../src/index.ts";
import type { Kernel, Process } from "../src/index.ts";
import { CONTROL_BYTES, putControl, takeControl } from "../src/net/facade/control.ts";
import type { ControlMessage } from "../src/net/facade/control.ts";
import { SEND_BATCH } from "../src/net/facade/datagram-room.ts";
import {
  Sockets,
  ipEndpoint,
  packetInfo,
  packetInfoOf,
  rights,
  rightsOf,
  timestampOf,
} from "../src/net/facade/index.ts";
import type { Connection, Datagram, DatagramSocket } from "../src/net/facade/index.ts";
import { loopback } from "./facade-net-support.ts";
import { isSettled, list, text } from "./kernel.ts";

const LOCAL = ipEndpoint("127.0.0.1", 0);

async function take(socket: DatagramSocket, count: number): Promise<Datagram[]> {
  const taken: Datagram[] = [];
  while (taken.length < count) taken.push(...(await socket.receive()));
  return taken;
}

suite("messages of the kernel's sockets", () => {
  let kernel: Kernel;
  let process: Process;
  let sockets: Sockets;
  before(async () => {
    ({ kernel, process } = await loopback());
    sockets = new Sockets(process, { ownsProcess: true });
  });
  after(async () => {
    await sockets[Symbol.asyncDispose]();
    await kernel.halt();
  });

  async function unixPair(): Promise<[Connection, Connection]> {
    const local = { family: "unix", path: "\0control" } as const;
    await using listener = await sockets.listen({ local });
    return await Promise.all([sockets.connect({ remote: local }), listener.accept()]);
  }

  async function pipe(): Promise<[number, number]> {
    const ends = new Int32Array(2);
    await process.pipe2(new Uint8Array(ends.buffer), 0);
    return [ends[0], ends[1]];
  }

  const descriptors = async () => (await list(process, "/proc/self/fd")).length;

  test("a connection passes descriptors beside its bytes", async () => {
    const [near, far] = await unixPair();
    const before = await descriptors();
    const [reader, writer] = await pipe();
    await near.writeMessage([text.encode("a "), text.encode("pipe")], [rights([writer, writer])]);
    await process.close(writer);
    await near.write(text.encode(", and more"));
    const message = (await far.readMessage())!;
    assert.equal(text.decode(message.bytes), "a pipe");
    const passed = rightsOf(message.control);
    assert.equal(passed.length, 2);
    assert.equal(await process.fcntl64(passed[0], F_GETFD, 0), FD_CLOEXEC);
    await process.write(passed[0], text.encode("through"), 7);
    const got = new Uint8Array(7);
    await process.read(reader, got, got.length);
    assert.equal(text.decode(got), "through");
    for (const fd of [reader, ...passed]) await process.close(fd);
    assert.deepEqual((await far.readMessage())?.control, []);
    await near.end();
    assert.equal(await far.readMessage(), null);
    assert.equal(await descriptors(), before);
    await Promise.all([near.close(), far.close()]);
  });

  test("descriptors that nobody asks for are dropped, and none is left", async () => {
    const [near, far] = await unixPair();
    const [reader, writer] = await pipe();
    const before = await descriptors();
    await near.writeMessage(text.encode("x"), [rights([writer])]);
    await near.write(text.encode("y"));
    assert.equal(text.decode((await far.read())!), "x");
    assert.equal(text.decode((await far.read())!), "y");
    const path = "/plain.sock";
    await using plain = await sockets.datagrams({ local: { family: "unix", path } });
    await using sender = await sockets.datagrams({ family: AF_UNIX });
    const to = { family: "unix", path } as const;
    const control = [rights([writer])];
    assert.deepEqual(await sender.sendAll([{ bytes: text.encode("y"), to, control }]), [null]);
    const [datagram] = await plain.receive();
    assert.deepEqual(datagram.control, []);
    assert.equal(datagram.flags & MSG_CTRUNC, MSG_CTRUNC);
    // The two sockets that are open by now are all there is more.
    assert.equal(await descriptors(), before + 2);
    for (const fd of [reader, writer]) await process.close(fd);
    await Promise.all([near.close(), far.close()]);
  });

  test("datagrams pass descriptors", async () => {
    const to = { family: "unix", path: "/rights.sock" } as const;
    await using far = await sockets.datagrams({ local: to, control: true });
    await using near = await sockets.datagrams({ family: AF_UNIX });
    const [reader, writer] = await pipe();
    await near.sendAll([
      { bytes: text.encode("one"), to, control: [rights([writer])] },
      { bytes: text.encode("two"), to },
    ]);
    const [one, two] = await take(far, 2);
    assert.deepEqual(
      [one, two].map(({ bytes }) => text.decode(bytes)),
      ["one", "two"],
    );
    assert.deepEqual(two.control, []);
    const [fd] = rightsOf(one.control);
    for (const end of [reader, writer, fd]) await process.close(end);
  });

  test("what cannot go beside bytes is refused, and the connection goes on", async () => {
    const [near, far] = await unixPair();
    assert.throws(() => rights([]), InvalidOptionError);
    assert.throws(() => rights(new Array<number>(254).fill(0)), InvalidOptionError);
    assert.throws(() => packetInfo({ interface: 0, local: "nowhere" }), InvalidOptionError);
    await assert.rejects(near.writeMessage(new Uint8Array(), [rights([0])]), InvalidOptionError);
    const long: ControlMessage = { level: 1, type: 1, data: new Uint8Array(CONTROL_BYTES) };
    await assert.rejects(near.writeMessage(text.encode("x"), [long]), InvalidOptionError);
    await assert.rejects(near.writeMessage(text.encode("x"), [rights([9999])]), { code: "EBADF" });
    await near.write(text.encode("still there"));
    assert.equal(text.decode((await far.read())!), "still there");
    await Promise.all([near.close(), far.close()]);
  });

  test("from which address, by which interface, to which address", async () => {
    await using far = await sockets.datagrams({ local: ipEndpoint("0.0.0.0", 0), control: true });
    await far.setOption("IP_PKTINFO", true);
    await using near = await sockets.datagrams({ local: ipEndpoint("0.0.0.0", 0) });
    const { port } = far.local as { port: number };
    const control = [packetInfo({ interface: 0, local: "127.0.0.3" })];
    await near.sendAll([{ bytes: text.encode("x"), to: ipEndpoint("127.0.0.2", port), control }]);
    const [{ from, control: came }] = await far.receive();
    assert.equal((from as { address: string }).address, "127.0.0.3");
    assert.deepEqual(packetInfoOf(came), { interface: 1, local: "127.0.0.2" });
    await using six = await sockets.datagrams({ local: ipEndpoint("::", 0), control: true });
    await six.setOption("IPV6_RECVPKTINFO", true);
    await using nearSix = await sockets.datagrams({ local: ipEndpoint("::", 0) });
    const sixPort = (six.local as { port: number }).port;
    const beside = [packetInfo({ interface: 1, local: "::1" })];
    const to = ipEndpoint("::1", sixPort);
    assert.deepEqual(await nearSix.sendAll([{ bytes: [], to, control: beside }]), [null]);
    const [datagram] = await six.receive();
    assert.equal(datagram.bytes.length, 0);
    assert.deepEqual(packetInfoOf(datagram.control), { interface: 1, local: "::1" });
    assert.equal(packetInfoOf([]), undefined);
  });

  test("when a datagram came, by the kernel's clock", async () => {
    const now = async () => {
      const time = KernelTimespec.alloc();
      await process.clock_gettime64(CLOCK_REALTIME, time.bytes);
      return time.tv_sec * 1_000_000_000n + time.tv_nsec;
    };
    await using near = await sockets.datagrams({ local: LOCAL });
    for (const name of ["SO_TIMESTAMPNS", "SO_TIMESTAMP"] as const) {
      await using far = await sockets.datagrams({ local: LOCAL, control: true });
      await far.setOption(name, true);
      const start = await now();
      await near.send(text.encode("x"), far.local);
      const [{ control }] = await far.receive();
      const end = await now();
      const came = timestampOf(control)!;
      assert.ok(came >= start - 1000n && came <= end, `${start} ${came} ${end}`);
    }
    assert.equal(timestampOf([]), undefined);
  });

  test("many datagrams: each is told what became of it, the others go on", async () => {
    await using far = await sockets.datagrams({ local: LOCAL });
    await using near = await sockets.datagrams({ local: LOCAL });
    await far.setOption("SO_RCVBUF", 1 << 20);
    const count = SEND_BATCH * 3;
    const [long, huge, unreachable] = [5, 40, 41];
    const outcomes = await near.sendAll(
      Array.from({ length: count }, (_, index) => {
        if (index === long) return { bytes: new Uint8Array(65536), to: far.local };
        if (index === huge) return { bytes: new Uint8Array(1 << 20), to: far.local };
        const to = index === unreachable ? ipEndpoint("198.51.100.1", 9) : far.local;
        return { bytes: [Uint8Array.of(index), new Uint8Array(index)], to };
      }),
    );
    const codes = outcomes.map((outcome) => outcome?.code);
    assert.deepEqual([codes[long], codes[huge]], ["EMSGSIZE", "EMSGSIZE"]);
    assert.equal(codes[unreachable], "ENETUNREACH");
    assert.equal(codes.filter((code) => code === undefined).length, count - 3);
    const taken = await take(far, count - 3);
    const expected = Array.from({ length: count }, (_, index) => index).filter(
      (index) => ![long, huge, unreachable].includes(index),
    );
    assert.deepEqual(
      taken.map(({ bytes }) => bytes[0]),
      expected,
    );
    assert.ok(taken.every(({ bytes }) => bytes.length === bytes[0] + 1));
    assert.deepEqual(await near.sendAll([]), []);
  });

  test("a receiver that does not read holds the sender up, and nothing is lost", async () => {
    const to = { family: "unix", path: "/slow.sock" } as const;
    await using far = await sockets.datagrams({ local: to });
    await using near = await sockets.datagrams({ family: AF_UNIX });
    await near.connect(to);
    const count = 100;
    const sending = near.sendAll(
      Array.from({ length: count }, (_, index) => ({ bytes: Uint8Array.of(index) })),
    );
    assert.equal(await isSettled(sending), false);
    const taken = await take(far, count);
    assert.deepEqual(
      taken.map(({ bytes }) => bytes[0]),
      Array.from({ length: count }, (_, index) => index),
    );
    assert.ok((await sending).every((outcome) => outcome === null));
  });

  test("of streams as well: when bytes came", async () => {
    await using listener = await sockets.listen({ local: LOCAL });
    const [near, far] = await Promise.all([
      sockets.connect({ remote: listener.local! }),
      listener.accept(),
    ]);
    await far.setOption("SO_TIMESTAMPNS", true);
    await near.write(text.encode("x"));
    const message = (await far.readMessage())!;
    assert.ok(timestampOf(message.control)! > 0n);
    await Promise.all([near.close(), far.close()]);
  });

  test("what is behind an urgent byte is read as well", async () => {
    await using listener = await sockets.listen({ local: LOCAL });
    const [near, far] = await Promise.all([
      sockets.connect({ remote: listener.local! }),
      listener.accept(),
    ]);
    const send = (bytes: string, flags: number) =>
      process.sendto(near.fd, text.encode(bytes), bytes.length, flags, null, 0);
    await send("before", 0);
    await send("!", MSG_OOB);
    await send("behind", 0);
    let came = "";
    while (!came.endsWith("behind")) came += text.decode((await far.read())!);
    assert.equal(came, "beforebehind");
    await Promise.all([near.close(), far.close()]);
  });
});

suite("control messages in memory", () => {
  const message = fc
    .tuple(fc.integer(), fc.integer(), fc.uint8Array({ maxLength: 40 }))
    .map(([level, type, data]) => ({ level, type, data }));

  test("are taken as they were put", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), (messages) => {
        const target = new Uint8Array(CONTROL_BYTES).fill(0xff);
        const length = putControl(target, messages);
        assert.deepEqual(takeControl(target.slice(0, length)), messages);
      }),
    );
  });

  test("whatever is there is read to its end, and no further", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const length = takeControl(bytes).reduce((sum, { data }) => sum + data.length, 0);
        assert.ok(length <= bytes.length);
      }),
    );
  });
});
