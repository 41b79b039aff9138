// Host NAT for IPv6: addresses by themselves, the host's ::1 by the gateway, names, echoes, errors.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import nodeDgram from "node:dgram";
import { once } from "node:events";
import nodeNet from "node:net";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { IPPROTO_ICMPV6 } from "../src/abi/constants/in6.ts";
import { AF_INET6, SOCK_RAW } from "../src/abi/constants/socket.ts";
import { Kernel } from "../src/index.ts";
import { Capture, HostNat, MAX_CONNECTIONS, MAX_FLOWS, Switch, patch } from "../src/link/index.ts";
import type {
  Destination,
  Frame,
  HostFailure,
  HostNatOptions,
  HostSockets,
  Port,
} from "../src/link/index.ts";
import { ipEndpoint } from "../src/net/facade/index.ts";
import { net } from "../src/net/index.ts";
import type { Network } from "../src/net/index.ts";
import { CaptureFile, createSockets, hostNat } from "../src/platform/node/index.ts";
import type { NodeSockets } from "../src/platform/node/index.ts";
import { VirtioNet } from "../src/virtio/index.ts";
import { temporaryFolder } from "./images/native.ts";
import { Listener, nonsense, pattern } from "./link-support.ts";
import { until } from "./virtio-support.ts";

const MIB = 1 << 20;
const LOOPBACK = "127.0.0.1";
const PREFIX = "fd6c:696e:7578:";
const GATEWAY = `${PREFIX}:2`;
const DNS = `${PREFIX}:3`;
/** Whether this machine has IPv6, at least for itself. */
const HAS_IPV6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === "::1"),
);
/** Where servers of this machine listen, and how guests get there. */
const HOST = HAS_IPV6
  ? ({ loopback: "::1", gateway: GATEWAY } as const)
  : ({ loopback: LOOPBACK, gateway: "10.0.2.2" } as const);

interface Guest extends AsyncDisposable {
  readonly kernel: Kernel;
  readonly network: Network;
  readonly own: NodeSockets;
  /** The address that it made. */
  readonly address: string;
  /** The gateway's address on its link. */
  readonly router: string;
}

/** A kernel that configures itself. */
async function guest(port: Port): Promise<Guest> {
  const kernel = await Kernel.boot({ image: "full", devices: [new VirtioNet({ port })] });
  const network = net(kernel);
  await network.up("lo");
  // Nobody else has its addresses, and nobody is in a hurry: not to wait seconds for either.
  for (const [name, value] of [
    ["dad_transmits", 0],
    ["router_solicitation_delay", 0],
  ] as const)
    await network.sysctl.set(`net.ipv6.conf.eth0.${name}`, value);
  await network.up("eth0");
  await network.dhcp("eth0");
  const [{ address }] = await network.slaac("eth0");
  const own = createSockets(await kernel.process(), { ownsProcess: true });
  return {
    kernel,
    network,
    own,
    address: address.split("/")[0],
    router: `fe80::2%${(await network.link.get("eth0")).index}`,
    async [Symbol.asyncDispose]() {
      await own[Symbol.asyncDispose]();
      await network[Symbol.asyncDispose]();
      await kernel.halt();
    },
  };
}

async function behind(
  options: Partial<HostNatOptions> = {},
): Promise<Guest & { readonly nat: HostNat }> {
  const nat = hostNat(options);
  const one = await guest(nat.port);
  return {
    ...one,
    nat,
    async [Symbol.asyncDispose]() {
      await one[Symbol.asyncDispose]();
      await nat.close();
    },
  };
}

async function listening(server: nodeNet.Server, host: string): Promise<number> {
  server.listen(0, host);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

const echoServer = () =>
  nodeNet.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });

/** Send bytes, end, and read until the other end does. */
async function exchange(socket: nodeNet.Socket, bytes: Uint8Array): Promise<Buffer> {
  const pieces: Buffer[] = [];
  socket.on("data", (piece: Buffer) => pieces.push(piece));
  socket.end(bytes);
  await once(socket, "end");
  return Buffer.concat(pieces);
}

async function codeOf(socket: {
  once(event: string, listener: unknown): unknown;
}): Promise<string> {
  const error = await new Promise<{ code: string }>((resolve) => socket.once("error", resolve));
  return error.code;
}

/** Without IPv6 at the host, all that there is to see is that guests are told so. */
async function isWithout(here: Guest): Promise<boolean> {
  if (!HAS_IPV6) assert.equal(await codeOf(here.own.net.connect(80, GATEWAY)), "ENETUNREACH");
  return !HAS_IPV6;
}

test("a guest makes its address, and knows the way out", async () => {
  await using here = await behind();
  const { nat, network, address } = here;
  assert.ok(address.startsWith(PREFIX));
  assert.deepEqual([nat.gateway6, nat.dns6], [GATEWAY, DNS]);
  const routes = await network.route.list({ family: "ipv6" });
  const out = routes.find(({ destination }) => destination === "default");
  assert.equal(out?.gateway, "fe80::2");
  assert.equal(hostNat({ network6: "fd00:1:2:3::" }).gateway6, "fd00:1:2:3::2");
  assert.equal(hostNat({ network6: null }).gateway6, null);
  assert.equal(hostNat({ mtu: 1000 }).dns6, null);
  for (const network6 of ["fd00::1", "10.0.2.0", "", "fd00:1:2:3:4::"])
    assert.throws(() => hostNat({ network6 }), { code: "ERR_INVALID_OPTION" });
});

test("TCP to the host's ::1: both ways, half-closed, refused", async () => {
  await using here = await behind();
  if (await isWithout(here)) return;
  const server = echoServer();
  const port = await listening(server, "::1");
  const data = pattern(6 * MIB);
  for (const host of [GATEWAY, here.router]) {
    const socket = here.own.net.connect({ host, port, allowHalfOpen: true });
    assert.equal(Buffer.compare(await exchange(socket as never, data), data), 0);
  }
  const { sentBytes, sentFrames } = here.nat.port.counters;
  assert.ok(sentBytes / sentFrames > 3000, "in segments, not in frames");
  await until(() => here.nat.connections === 0);
  server.close();
  await once(server, "close");
  assert.equal(await codeOf(here.own.net.connect(port, GATEWAY)), "ECONNREFUSED");
  assert.equal(await codeOf(here.own.net.connect(80, DNS)), "ECONNREFUSED");
});

test("UDP to the host's ::1, of any length", async () => {
  await using here = await behind();
  if (await isWithout(here)) return;
  const echo = nodeDgram.createSocket("udp6");
  echo.on("message", (bytes, { port, address }) => echo.send(bytes, port, address));
  echo.bind(0, "::1");
  await once(echo, "listening");
  const { port } = echo.address();
  const socket = here.own.dgram.createSocket("udp6");
  for (const length of [0, 1, 1452, 1453, 9000, 60_000]) {
    const data = pattern(length, length);
    const answered = once(socket, "message") as Promise<[Buffer, nodeDgram.RemoteInfo]>;
    socket.send(data, port, GATEWAY);
    const [got, from] = await answered;
    assert.equal(Buffer.compare(got, data), 0, `${length} bytes`);
    assert.deepEqual([from.address, from.port], [GATEWAY, port]);
  }
  assert.equal(here.nat.flows, 1);
  socket.close();
  echo.close();
});

/** Answers to every question for A and AAAA. */
async function nameserver(
  bind: string,
  addresses: { readonly A: readonly number[]; readonly AAAA: readonly number[] },
): Promise<nodeDgram.Socket> {
  const server = nodeDgram.createSocket(bind.includes(":") ? "udp6" : "udp4");
  server.on("message", (question, { port, address }) => {
    // What is asked ends the question: a type and a class, before what EDNS adds.
    const end = question.indexOf(0, 12) + 5;
    const data = question[end - 3] === 28 ? addresses.AAAA : addresses.A;
    const record = [0xc0, 12, 0, question[end - 3], 0, 1, 0, 0, 0, 60, 0, data.length, ...data];
    const answer = Buffer.concat([question.subarray(0, end), Buffer.from(record)]);
    answer.writeUInt16BE(0x8180, 2);
    answer.writeUInt16BE(1, 6);
    answer.writeUInt32BE(0, 8);
    server.send(answer, port, address);
  });
  server.bind(0, bind);
  await once(server, "listening");
  return server;
}

for (const bind of new Set([HOST.loopback, LOOPBACK]))
  test(`names by IPv6, from a server at ${bind}; who has two addresses is reached by the one that works`, async () => {
    const addresses = {
      A: [10, 0, 2, 2],
      AAAA: [0x20, 1, 0x0d, 0xb8, ...new Array<number>(11).fill(0), 1],
    };
    const names = await nameserver(bind, addresses);
    const { port } = names.address();
    const at = bind.includes(":") ? `[${bind}]:${port}` : `${bind}:${port}`;
    await using here = await behind({
      nameservers: [at],
      allow: ({ address }) => address !== "2001:db8::1",
    });
    await here.network.resolver.set({ nameservers: [DNS] });
    const all = await here.own.sockets.lookup("both.example");
    assert.deepEqual(all.map(({ address }) => address).toSorted(), ["10.0.2.2", "2001:db8::1"]);
    const server = echoServer();
    const socket = here.own.net.connect({
      host: "both.example",
      port: await listening(server, LOOPBACK),
      allowHalfOpen: true,
    });
    assert.equal(String(await exchange(socket as never, Buffer.from("hello"))), "hello");
    server.close();
    names.close();
  });

test("echoes: the gateway answers, and so does the name server", async () => {
  await using here = await behind();
  const socket = await here.own.sockets.datagrams({
    family: AF_INET6,
    type: SOCK_RAW,
    protocol: IPPROTO_ICMPV6,
  });
  for (const [sequence, address] of [GATEWAY, DNS, here.router].entries()) {
    // The kernel makes the checksum, and adds the rest.
    const request = Uint8Array.of(128, 0, 0, 0, 1, 2, 0, sequence, ...pattern(32));
    await socket.send(request, ipEndpoint(address, 0));
    // It hears all of ICMPv6.
    for await (const { bytes } of socket) {
      if (bytes[0] !== 129) continue;
      assert.deepEqual([...bytes.subarray(4)], [...request.subarray(4)]);
      break;
    }
  }
  await socket.close();
});

test("a port of the host's leads to a server's IPv6 address, by TCP and UDP", async () => {
  await using here = await behind();
  const server = here.own.net.createServer((socket) => socket.pipe(socket));
  server.listen(80, "::");
  await once(server, "listening");
  const data = pattern(MIB);
  for (const hostAddress of new Set([LOOPBACK, HOST.loopback])) {
    const where = { hostAddress, hostPort: 0, guestAddress: here.address, guestPort: 80 };
    const forward = await here.nat.forwardPort(where);
    const socket = nodeNet.connect(forward.port, hostAddress);
    assert.equal(Buffer.compare(await exchange(socket, data), data), 0);
    await forward.close();
  }
  const datagrams = here.own.dgram.createSocket("udp6");
  datagrams.on("message", (bytes, { address, port }) => datagrams.send(bytes, port, address));
  datagrams.bind(5000);
  await once(datagrams, "listening");
  const where = {
    protocol: "udp",
    hostPort: 0,
    guestAddress: here.address,
    guestPort: 5000,
  } as const;
  await assert.rejects(here.nat.forwardPort(where), { code: "ERR_INVALID_OPTION" });
  await assert.rejects(here.nat.forwardPort({ ...where, guestAddress: "2001:db8::1" }), {
    code: "ERR_INVALID_OPTION",
  });
  if (!(await isWithout(here))) {
    const forward = await here.nat.forwardPort({ ...where, hostAddress: "::1" });
    const client = nodeDgram.createSocket("udp6");
    const answered = once(client, "message") as Promise<[Buffer]>;
    client.send("question", forward.port, "::1");
    assert.equal(String((await answered)[0]), "question");
    client.close();
  }
  datagrams.close();
  server.close();
});

test("two guests at a switch: each has its address, they reach each other and the world", async () => {
  const center = new Switch();
  await using nat = hostNat();
  patch(nat.port, center.port());
  await using one = await guest(center.port());
  await using two = await guest(center.port());
  assert.notEqual(one.address, two.address);
  const server = two.own.net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  server.listen(7, "::");
  await once(server, "listening");
  const near = one.own.net.connect({ port: 7, host: two.address, allowHalfOpen: true });
  assert.equal(String(await exchange(near as never, Buffer.from("near"))), "near");
  const outside = echoServer();
  const port = await listening(outside, HOST.loopback);
  const far = two.own.net.connect({ port, host: HOST.gateway, allowHalfOpen: true });
  assert.equal(String(await exchange(far as never, Buffer.from("far"))), "far");
  server.close();
  outside.close();
});

/** Sockets of a host on which everything fails, in one way. */
function failing(why: HostFailure): HostSockets {
  const none = (): never => {
    throw new Error("nobody asks for it");
  };
  return {
    connect(_address, _port, listener) {
      setImmediate(() => listener.failed(why));
      const nothing = () => {};
      return {
        write: nothing,
        backlogBytes: 0,
        end: nothing,
        destroy: nothing,
        pause: nothing,
        resume: nothing,
      };
    },
    datagrams: () => ({ send: (_bytes, _address, _port, failed) => failed(why), close() {} }),
    listen: none,
    listenDatagrams: none,
  };
}

for (const [why, four, six] of [
  ["refused", "ECONNREFUSED", "ECONNREFUSED"],
  ["reset", "ECONNREFUSED", "ECONNREFUSED"],
  ["unreachable", "EHOSTUNREACH", "EHOSTUNREACH"],
  ["no-network", "ENETUNREACH", "ENETUNREACH"],
  ["prohibited", "EHOSTUNREACH", "EACCES"],
] as const)
  test(`a host that says "${why}": the guest's errors are Linux's, at once`, async () => {
    await using nat = new HostNat(failing(why), { nameservers: [] });
    await using here = await guest(nat.port);
    for (const [host, code, type] of [
      ["192.0.2.1", four, "udp4"],
      ["2001:db8::1", six, "udp6"],
    ] as const) {
      assert.equal(await codeOf(here.own.net.connect(80, host)), code);
      // A connected socket is told what became of its datagrams.
      const socket = here.own.dgram.createSocket(type);
      socket.connect(9, host);
      await once(socket, "connect");
      await socket.socket!.setOption(type === "udp4" ? "IP_RECVERR" : "IPV6_RECVERR", true);
      socket.send("lost");
      assert.equal(await codeOf(socket), code);
      socket.close();
    }
    assert.equal(nat.connections, 0);
  });

test("on a host without a network all is unreachable at once, where one can be made", () => {
  const program = join(import.meta.dirname, "programs", "nat-alone.ts");
  const alone = ["--net", ...(process.getuid?.() === 0 ? [] : ["--map-root-user"])];
  if (spawnSync("unshare", [...alone, "true"]).status !== 0) return;
  const codes = execFileSync("unshare", [...alone, process.execPath, program], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  assert.deepEqual(JSON.parse(codes), {
    "192.0.2.1": "ENETUNREACH",
    "2001:db8::1": "ENETUNREACH",
    "both.example": "ENETUNREACH ENETUNREACH",
    "10.0.2.2": "ENETUNREACH",
  });
});

test("frames of nonsense: the NAT goes on, and keeps its bounds", async () => {
  const server = echoServer();
  const port = await listening(server, HOST.loopback);
  // Nonsense stays in this test.
  const allow = ({ protocol, address, port: to }: Destination) =>
    protocol === "tcp" && address === HOST.loopback && to === port;
  await using nat = hostNat({ allow });
  const real: Frame[] = [];
  const stop = nat.port.observe((frame) => void real.push(frame.copy()));
  {
    await using here = await guest(nat.port);
    const socket = here.own.net.connect({ host: HOST.gateway, port, allowHalfOpen: true });
    await exchange(socket as never, pattern(50_000));
    const datagrams = here.own.dgram.createSocket("udp6");
    await new Promise<void>((sent) => datagrams.send(pattern(5000), 1, DNS, () => sent()));
    datagrams.close();
  }
  stop();
  const station = new Listener(nat.port);
  for (const frame of nonsense(11, 20_000, real)) {
    station.port.send(frame);
    station.frames.length = 0;
  }
  nat.port.detach(station);
  assert.ok(nat.connections <= MAX_CONNECTIONS && nat.flows <= MAX_FLOWS);
  await using here = await guest(nat.port);
  const socket = here.own.net.connect({ host: HOST.gateway, port, allowHalfOpen: true });
  const data = pattern(50_000);
  assert.equal(Buffer.compare(await exchange(socket as never, data), data), 0);
  server.close();
});

test("what tshark sees at the NAT's port is in order", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "nat.pcapng");
  const server = echoServer();
  const port = await listening(server, HOST.loopback);
  {
    await using nat = hostNat();
    await using capture = new Capture(new CaptureFile(file), { cut: true });
    capture.add(nat.port);
    await using here = await guest(nat.port);
    const data = pattern(MIB);
    const socket = here.own.net.connect({ host: HOST.gateway, port, allowHalfOpen: true });
    assert.equal(Buffer.compare(await exchange(socket as never, data), data), 0);
    const datagrams = here.own.dgram.createSocket("udp6");
    await new Promise<void>((sent) => datagrams.send(pattern(5000), 1, DNS, () => sent()));
    await until(() => nat.connections === 0);
    datagrams.close();
  }
  server.close();
  const checks = ["tcp", "udp"].flatMap((one) => ["-o", `${one}.check_checksum:TRUE`]);
  const tshark = (filter: string, ...fields: string[]) =>
    execFileSync(
      "tshark",
      [
        "-r",
        file,
        ...checks,
        "-Y",
        filter,
        ...fields.flatMap((field) => ["-T", "fields", "-e", field]),
      ],
      { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
    );
  assert.equal(tshark("_ws.malformed"), "");
  const bad = ["tcp", "udp", "icmpv6"].map((one) => `${one}.checksum.status == 0`).join(" || ");
  assert.equal(tshark(bad), "");
  assert.match(tshark("icmpv6.type == 134", "icmpv6.opt.rdnss"), new RegExp(`^${DNS}$`, "m"));
  assert.match(tshark("icmpv6.type == 134", "icmpv6.opt.prefix"), new RegExp(`^${PREFIX}:$`, "m"));
  assert.match(tshark("icmpv6.type == 1", "icmpv6.code"), /^4$/m, "a port that is not there");
  assert.notEqual(tshark("tcp.flags.fin == 1"), "");
});
