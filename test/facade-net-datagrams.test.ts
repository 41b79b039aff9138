// Sockets that node:net has no name for: raw, packet, unix datagrams.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { ICMP_ECHO, ICMP_ECHOREPLY, IPPROTO_ICMP, IPPROTO_UDP } from "../src/abi/constants/in.ts";
import { AF_INET, AF_PACKET, SOCK_DGRAM, SOCK_RAW } from "../src/abi/constants/socket.ts";
import { Icmphdr, Iphdr } from "../src/abi/structs/socket.ts";
import type { Kernel } from "../src/index.ts";
import { BATCH, MAX_DATAGRAM_BYTES } from "../src/net/facade/datagram-room.ts";
import { SocketClosedError, Sockets, ipEndpoint } from "../src/net/facade/index.ts";
import type { Datagram, DatagramSocket, IpEndpoint } from "../src/net/facade/index.ts";
import { loopback } from "./facade-net-support.ts";
import { isSettled, rejection, text } from "./kernel.ts";

const LOCAL = ipEndpoint("127.0.0.1", 0);
/** linux/if_ether.h; as packet sockets take it, in network order. */
const ETH_P_IP = 0x0800;
const ETH_P_ALL_BE = 0x0300;

async function take(socket: DatagramSocket, count: number): Promise<Datagram[]> {
  const taken: Datagram[] = [];
  while (taken.length < count) taken.push(...(await socket.receive()));
  return taken;
}

suite("sockets of the kernel that keep bounds", () => {
  let kernel: Kernel;
  let sockets: Sockets;
  before(async () => {
    const host = await loopback();
    kernel = host.kernel;
    sockets = new Sockets(host.process, { ownsProcess: true });
  });
  after(async () => {
    await sockets[Symbol.asyncDispose]();
    await kernel.halt();
  });

  test("more datagrams than one call takes, each whole and in order", async () => {
    await using far = await sockets.datagrams({ local: LOCAL });
    await using near = await sockets.datagrams({ local: LOCAL });
    await far.setOption("SO_RCVBUF", 1 << 20);
    const count = BATCH * 3 + 1;
    for (let i = 0; i < count; i++) await near.send(Uint8Array.of(i, i), far.local);
    const taken = await take(far, count);
    assert.deepEqual(
      taken.map(({ bytes }) => bytes[0]),
      Array.from({ length: count }, (_, i) => i),
    );
    assert.deepEqual(taken[0].from, near.local);
    const waiting = far.receive();
    assert.equal(await isSettled(waiting), false);
    await near.send([text.encode("more "), text.encode("later")], far.local);
    assert.equal(text.decode((await waiting)[0].bytes), "more later");
  });

  test("the longest datagram, and one that is too long", async () => {
    await using far = await sockets.datagrams({ local: LOCAL });
    await using near = await sockets.datagrams({ local: LOCAL });
    const headers = 28;
    const longest = new Uint8Array(MAX_DATAGRAM_BYTES - 1 - headers).fill(7);
    await near.send(longest, far.local);
    assert.equal((await take(far, 1))[0].bytes.length, longest.length);
    await assert.rejects(near.send(new Uint8Array(MAX_DATAGRAM_BYTES), far.local), {
      code: "EMSGSIZE",
      syscall: "send",
    });
    await assert.rejects(near.send(new Uint8Array(1 << 20), far.local), { code: "EMSGSIZE" });
  });

  test("a connected socket is told that nobody is there, and goes on", async () => {
    const gone = await sockets.datagrams({ local: LOCAL });
    const remote = gone.local!;
    await gone.close();
    await using near = await sockets.datagrams({ local: LOCAL });
    await near.connect(remote);
    await near.send(text.encode("anybody?"));
    await assert.rejects(near.receive(), { code: "ECONNREFUSED", syscall: "recvmsg" });
    await using back = await sockets.datagrams({ local: remote });
    await near.send(text.encode("again"));
    assert.equal(text.decode((await take(back, 1))[0].bytes), "again");
    await back.send(text.encode("yes"), near.local);
    assert.equal(text.decode((await take(near, 1))[0].bytes), "yes");
    await near.disconnect();
    await assert.rejects(near.send(text.encode("x")), { code: "EDESTADDRREQ" });
  });

  test("closing ends the wait", async () => {
    const socket = await sockets.datagrams({ local: LOCAL });
    const waiting = rejection(socket.receive());
    await socket.close();
    assert.ok((await waiting) instanceof SocketClosedError);
  });

  test("unix datagrams have names", async () => {
    const names = ["/one.sock", "/two.sock"] as const;
    const [one, two] = await Promise.all(
      names.map((path) => sockets.datagrams({ local: { family: "unix", path } })),
    );
    await one.send(text.encode("to two"), two.local);
    const [{ bytes, from }] = await take(two, 1);
    assert.equal(text.decode(bytes), "to two");
    assert.deepEqual(from, { family: "unix", path: "/one.sock" });
    await one.close();
    await two.close();
  });

  test("a raw socket pings", async () => {
    await using raw = await sockets.datagrams({
      family: AF_INET,
      type: SOCK_RAW,
      protocol: IPPROTO_ICMP,
    });
    // RFC 792: an echo, its checksum (RFC 1071), and nothing else.
    const echo = Uint8Array.of(ICMP_ECHO, 0, 0xff - ICMP_ECHO, 0xff, 0, 0, 0, 0);
    await raw.send(echo, ipEndpoint("127.0.0.1", 0));
    // It hears the question as well.
    const answers = await take(raw, 2);
    assert.deepEqual(
      answers.map(({ bytes }) => Icmphdr.from(bytes.subarray(Iphdr.size)).type),
      [ICMP_ECHO, ICMP_ECHOREPLY],
    );
  });

  test("a packet socket sees what is on the wire", async () => {
    await using wire = await sockets.datagrams({
      family: AF_PACKET,
      type: SOCK_DGRAM,
      protocol: ETH_P_ALL_BE,
    });
    await using far = await sockets.datagrams({ local: LOCAL });
    await using near = await sockets.datagrams({ local: LOCAL });
    await near.send(text.encode("seen by all"), far.local);
    for await (const { bytes, from } of wire) {
      assert.equal(from?.family, "packet");
      assert.equal(from.interface, 1);
      if (from.protocol !== ETH_P_IP || bytes[Iphdr.offsets.protocol] !== IPPROTO_UDP) continue;
      assert.equal(text.decode(bytes).slice(-11), "seen by all");
      assert.equal((bytes[20] << 8) | bytes[21], (near.local as IpEndpoint).port);
      break;
    }
  });

  test("without the right to it there is no raw socket", async () => {
    const process = await kernel.process({ uid: 1000 });
    await using poor = new Sockets(process, { ownsProcess: true });
    const raw = { family: AF_INET, type: SOCK_RAW, protocol: IPPROTO_ICMP };
    await assert.rejects(poor.datagrams(raw), { code: "EPERM", syscall: "socket" });
    await assert.rejects(poor.listen({ local: ipEndpoint("127.0.0.1", 80) }), {
      code: "EACCES",
      message: "listen EACCES: permission denied 127.0.0.1:80",
    });
  });
});
