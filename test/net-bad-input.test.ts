// What is asked of the network and cannot be: what the error says, word for word. And back ends that
// break: the interface loses its carrier, the kernel goes on, and another link takes over.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import type nodeNet from "node:net";
import { createConnection } from "node:net";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import { WebSocketServer } from "ws";

import { IFF_RUNNING } from "../src/abi/constants/if_link.ts";
import { Kernel, VirtualClock } from "../src/index.ts";
import { Cable, Capture, Uplink, WebSocketLink } from "../src/link/index.ts";
import { ipEndpoint } from "../src/net/facade/index.ts";
import { net } from "../src/net/index.ts";
import type { Network } from "../src/net/index.ts";
import {
  CaptureFile,
  SocketLink,
  SocketLinkServer,
  TapLink,
  UdpLink,
  createSockets,
  hostNat,
} from "../src/platform/node/index.ts";
import type { NodeSockets } from "../src/platform/node/index.ts";
import { VirtioNet } from "../src/virtio/index.ts";
import { run, temporaryFolder } from "./images/native.ts";
import { isSettled, rejection, until } from "./kernel.ts";
import { Host, Listener, connected, ethernet, pattern } from "./link-support.ts";
import { Namespace, whyNoTap } from "./tap-support.ts";

const folder = temporaryFolder();
after(() => folder[Symbol.dispose]());

const MIB = 1 << 20;
const NS_PER_S = 1e9;

const messageOf = async (work: Promise<unknown>) => ((await rejection(work)) as Error).message;

suite("what is asked of a kernel that has a cable to nobody", () => {
  const clock = new VirtualClock();
  const cable = new Cable();
  let kernel: Kernel;
  let network: Network;
  let own: NodeSockets;

  before(async () => {
    // Somebody is plugged in at the other end, and says nothing.
    assert.equal(new Listener(cable.b).frames.length, 0);
    kernel = await Kernel.boot({
      image: "full",
      clock,
      devices: [new VirtioNet({ port: cable.a })],
    });
    network = net(kernel);
    await network.up("eth0", "10.0.0.1/24");
    // By it the kernel tells its own sockets what it has found out (ICMP).
    await network.up("lo");
    own = createSockets(await kernel.process(), { ownsProcess: true });
  });
  after(async () => {
    await own[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
    await kernel.halt();
  });

  test("wrong addresses and ports", async () => {
    const isNone = "is no IP address: it is like 10.0.0.1/24 or fd00::1/64";
    for (const [address, problem] of [
      ["10.0.0.300/24", isNone],
      ["fe80::1::/64", isNone],
      ["", isNone],
      ["10.0.0.1/33", 'the number behind "/" is one from 0 to 32'],
      ["fe80::/129", 'the number behind "/" is one from 0 to 128'],
    ]) {
      const error = await rejection(network.up("eth0", address));
      assert.equal((error as { code: string }).code, "ERR_INVALID_OPTION");
      const between = problem === isNone ? " " : ": ";
      assert.equal((error as Error).message, `option "address": "${address}"${between}${problem}`);
    }
    assert.equal(
      await messageOf(network.up("eth9", "10.0.0.2/24")),
      'device: there is no network interface "eth9"',
    );
    const wrong = (message: string) => ({ code: "ERR_INVALID_OPTION", message });
    assert.throws(
      () => ipEndpoint("300.0.0.1", 80),
      wrong('option "address": "300.0.0.1" is no IP address: it is like 10.0.0.1 or fe80::1%2'),
    );
    assert.throws(
      () => ipEndpoint("10.0.0.1", 70_000),
      wrong('option "port": 70000: it is a whole number from 0 to 65535'),
    );
    assert.throws(
      () => new VirtioNet({ mac: "01:02" }),
      wrong('option "mac": "01:02": it is written as 02:00:00:00:00:01'),
    );
    assert.throws(() => own.net.connect({ host: "10.0.0.1", port: 70_000 }), {
      code: "ERR_SOCKET_BAD_PORT",
    });
    assert.equal(
      await messageOf(own.sockets.listen({ local: ipEndpoint("10.0.0.7", 80) })),
      "listen EADDRNOTAVAIL: address not available 10.0.0.7:80",
    );
  });

  test("routes to nowhere", async () => {
    const destination = "10.30.0.0/16";
    assert.equal(
      await messageOf(network.route.add({ destination, gateway: "99.0.0.1" })),
      "ENETUNREACH: network is unreachable, add the route to 10.30.0.0/16: Nexthop has invalid gateway",
    );
    assert.equal(
      await messageOf(network.route.add({ destination, device: "eth9" })),
      'device: there is no network interface "eth9"',
    );
    assert.equal(
      await messageOf(network.route.add({ destination })),
      'option "device": the route to 10.30.0.0/16 leads nowhere: name a device, a gateway or next hops',
    );
    assert.equal(
      await messageOf(network.route.get("203.0.113.1")),
      "ENETUNREACH: network is unreachable, find the route to 203.0.113.1",
    );
    assert.equal(
      await messageOf(own.sockets.connect({ remote: ipEndpoint("203.0.113.1", 80) })),
      "connect ENETUNREACH 203.0.113.1:80 - Local (0.0.0.0:0)",
    );
    const datagrams = await own.sockets.datagrams({ local: ipEndpoint("10.0.0.1", 0) });
    assert.equal(
      await messageOf(datagrams.send(pattern(9), ipEndpoint("203.0.113.1", 9))),
      "send ENETUNREACH 203.0.113.1:9",
    );
    await datagrams.close();
  });

  test("unknown kinds and parameters of a qdisc", async () => {
    const netem = { dealyMs: 3 } as object;
    assert.match(
      await messageOf(network.qdisc.add("eth0", { kind: "netem", netem })),
      /^option "netem\.dealyMs": unknown: it is one of delayMs, jitterMs, /,
    );
    assert.equal(
      await messageOf(network.qdisc.add("eth0", { kind: "nonsense" })),
      "ENOENT: no such file or directory, add nonsense at 'eth0': Specified qdisc kind is unknown",
    );
  });

  test("names, addresses and ports that are taken", async () => {
    assert.equal(
      await messageOf(network.link.add({ name: "eth0", kind: "dummy" })),
      "EEXIST: file exists, add the dummy 'eth0'",
    );
    assert.equal(
      await messageOf(network.address.add("eth0", "10.0.0.1/24")),
      "EEXIST: file exists, add the address 10.0.0.1/24 of 'eth0': ipv4: Address already assigned",
    );
    const local = ipEndpoint("10.0.0.1", 80);
    const listener = await own.sockets.listen({ local });
    assert.equal(
      await messageOf(own.sockets.listen({ local })),
      "listen EADDRINUSE: address already in use 10.0.0.1:80",
    );
    await listener.close();
    assert.equal(
      await messageOf(kernel.plug(new VirtioNet({ port: cable.b }))),
      'virtio-net: EBUSY: port "b" has a station; detach that one first',
    );
    const names = (await network.link.list()).map(({ name }) => name);
    assert.equal(names.filter((name) => name.startsWith("eth")).length, 1);
  });

  test("hosts that do not answer to ARP, and a cable that is pulled: EHOSTUNREACH", async () => {
    for (const plugged of [true, false]) {
      cable.b.on = plugged;
      const unanswered = rejection(own.sockets.connect({ remote: ipEndpoint("10.0.0.9", 80) }));
      const socket = own.net.connect({ host: "10.0.0.10", port: 80 });
      const told = once(socket, "error") as Promise<[NodeJS.ErrnoException]>;
      // The kernel asks three times who has an address, a second apart (arp(7)).
      const both = Promise.all([unanswered, told]);
      let seconds = 0;
      while (!(await isSettled(both))) {
        await clock.advance(NS_PER_S);
        assert.ok(seconds++ < 20, "it asks for ever");
      }
      const error = (await unanswered) as NodeJS.ErrnoException;
      assert.equal(error.message, "connect EHOSTUNREACH 10.0.0.9:80");
      assert.equal(error.code, "EHOSTUNREACH");
      const [{ message, syscall, errno }] = await told;
      assert.equal(message, "connect EHOSTUNREACH 10.0.0.10:80");
      assert.deepEqual({ syscall, errno }, { syscall: "connect", errno: -113 });
    }
    cable.b.on = true;
  });

  test("what only root may: a low port, a raw socket, a change", async () => {
    const user = await kernel.process({ uid: 1000, gid: 1000 });
    await using poor = createSockets(user, { ownsProcess: true });
    await using mine = net(user);
    assert.equal(
      await messageOf(poor.sockets.listen({ local: ipEndpoint("10.0.0.1", 80) })),
      "listen EACCES: permission denied 10.0.0.1:80",
    );
    assert.equal(
      await messageOf(mine.link.set("eth0", { up: false })),
      "EPERM: operation not permitted, change the link 'eth0'",
    );
  });
});

// --- Back ends that cannot be made ---------------------------------------------------------------

test("places where no back end can be", async () => {
  const port = (option: string, least: number) =>
    `option "${option}": 70000: a port is ${least} to 65535`;
  for (const [work, message] of [
    [() => UdpLink.open({ remote: { port: 70_000 } }), port("remote.port", 1)],
    [() => UdpLink.open({ remote: { port: 9 }, local: { port: 70_000 } }), port("local.port", 0)],
    [() => SocketLink.connect({ port: 70_000 }), port("port", 1)],
    [() => SocketLinkServer.listen({ port: 70_000 }, () => {}), port("port", 0)],
    [
      () => UdpLink.open({ remote: { port: 9 }, local: { host: "192.0.2.1" } }),
      "EIO: cannot be at the local address: bind EADDRNOTAVAIL 192.0.2.1",
    ],
    [
      () => UdpLink.open({ remote: { host: "no such host", port: 9 } }),
      /^EIO: there is no host "no such host": getaddrinfo /,
    ],
    [
      () => SocketLink.connect({ path: join(folder.path, "nobody") }),
      /^EIO: nobody listens at .*nobody: connect ENOENT/,
    ],
    [
      () => WebSocketLink.open("nonsense"),
      /^option "to": "nonsense": it is like wss:\/\/relay\.example\/: /,
    ],
  ] as const)
    if (typeof message === "string") assert.equal(await messageOf(work()), message);
    else assert.match(await messageOf(work()), message);
});

test("a remote that is named, not numbered, is the one that datagrams come from", async () => {
  // A port that is free, and likely still is.
  const probe = await UdpLink.open({ remote: { port: 9 } });
  const { localPort: port } = probe;
  await probe.close();
  const host = "localhost";
  await using left = await UdpLink.open({ remote: { host, port } });
  await using right = await UdpLink.open({
    remote: { host, port: left.localPort },
    local: { port },
  });
  const [sender, receiver] = [new Listener(left.port), new Listener(right.port)];
  sender.send(ethernet("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:01", 0x88b5));
  await until(() => receiver.frames.length === 1);
  assert.equal(right.droppedFrames, 0);
});

// --- TAP -----------------------------------------------------------------------------------------

/** Opens a device as nobody, and says how that went. */
const AS_NOBODY = `
  const { TapLink } = await import(process.argv[1]);
  process.setgroups([]);
  process.setgid(65534);
  process.setuid(65534);
  const [device, netns] = process.argv.slice(2);
  const told = [];
  try {
    const tap = await TapLink.open({ device, netns, onError: ({ code }) => told.push(code) });
    console.log("opened " + tap.port.name);
    await tap.close();
  } catch (error) {
    console.log([error.name, error.message, ...told].join("|"));
  }
`;
const platform = new URL("../src/platform/node/index.ts", import.meta.url).href;
const nobody = (...args: readonly string[]) => [
  process.execPath,
  "--input-type=module",
  "--eval",
  AS_NOBODY,
  platform,
  ...args,
];

/** The processes that this one has started with such an argument (proc_pid_stat(5)). */
function childrenWith(argument: string): number[] {
  const read = (path: string) => {
    try {
      return readFileSync(path, "latin1");
    } catch {
      // It has ended meanwhile.
      return "";
    }
  };
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => read(`/proc/${pid}/cmdline`).split("\0").includes(argument))
    .filter((pid) => read(`/proc/${pid}/stat`).split(") ")[1]?.split(" ")[1] === `${process.pid}`)
    .map(Number);
}

const noTap = await whyNoTap();
if (noTap !== null)
  test("who may not use TAP devices is told why", (t) => {
    t.diagnostic(`this machine does not allow them: ${noTap}`);
    assert.match(noTap, /root|TAP|tun/);
  });
else
  suite("TAP", () => {
    test("as nobody: EACCES, with the cure; and the cure helps", async () => {
      using host = new Namespace();
      const say = async (...args: readonly string[]) =>
        (await host.run(...nobody(...args))).trimEnd();
      assert.equal(
        await say("tap0"),
        "LinkError|EACCES: TAP device tap0: TUNSETIFF: Operation not permitted: it takes root (CAP_NET_ADMIN), or a device that root has made for this user: ip tuntap add dev tap0 mode tap user NAME",
      );
      assert.equal(
        await say("tap0", host.name),
        `LinkError|EACCES: only root (CAP_SYS_ADMIN) may enter the network namespace "${host.name}"`,
      );
      await host.run("ip", "tuntap", "add", "dev", "tap0", "mode", "tap", "user", "65534");
      assert.equal(await say("tap0"), "opened tap0");
    });

    test("devices and namespaces that are none", async () => {
      const refused = "TUNSETIFF: Invalid argument";
      const other = "is not, and cannot be, a TAP device: choose another name";
      for (const [options, message] of [
        [{ device: "lo" }, `EINVAL: TAP device lo: ${refused}: lo ${other}`],
        [{ device: "a:b" }, `EINVAL: TAP device a:b: ${refused}: a:b ${other}`],
        [
          { device: "tap0", netns: "no-such" },
          'ENOENT: there is no network namespace "no-such": ip netns add no-such makes it',
        ],
        [
          { device: "tap0", netns: "a/b" },
          'option "netns": "a/b": a name without spaces or slashes',
        ],
        [{ device: "a b" }, 'option "device": "a b": 1 to 15 bytes, no spaces or slashes'],
      ] as const)
        assert.equal(await messageOf(TapLink.open(options)), message);
    });

    test("a helper that is killed takes the interface down, and says so", async () => {
      using host = new Namespace();
      const tap = await TapLink.open({ device: "tap0", netns: host.name });
      await breaks(tap, () => {
        const [helper, ...others] = childrenWith("tap0");
        assert.equal(others.length, 0);
        process.kill(helper, "SIGKILL");
      });
      assert.equal(tap.error?.message, "EIO: the helper for tap0 was ended: SIGKILL");
      assert.doesNotMatch(await host.run("ip", "link"), /tap0/);
    });
  });

// --- A disk that is full -------------------------------------------------------------------------

/** Mount a small disk, where that is allowed. */
function mounted(place: string): boolean {
  try {
    run("mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", place);
    return true;
  } catch {
    return false;
  }
}

test("a capture that fills a disk ends with ENOSPC; its file is whole, the network goes on", async (t) => {
  const place = join(folder.path, "small");
  const file = join(place, "trace.pcapng");
  mkdirSync(place);
  const mayMount = mounted(place);
  try {
    const cable = new Cable();
    const [a, b] = await Promise.all([
      Host.boot("10.0.0.1", { port: cable.a }),
      Host.boot("10.0.0.2", { port: cable.b }),
    ]);
    const told: string[] = [];
    // Without the right to mount there is still a device that is always full.
    const capture = new Capture(new CaptureFile(mayMount ? file : "/dev/full"), {
      onError: ({ message }) => told.push(message),
      cut: true,
    });
    capture.add(cable.a);
    const [mine, theirs] = await connected(a, b, 50_007); // A port that tshark has no protocol for.
    const data = pattern(MIB);
    const [got] = await Promise.all([b.receive(theirs, MIB), a.send(mine, data)]);
    assert.equal(Buffer.compare(got, data), 0);
    const message = "ENOSPC: the capture ended: ENOSPC: no space left on device, write";
    assert.equal(await messageOf(capture.close()), message);
    assert.deepEqual(told, [message]);
    t.diagnostic(mayMount ? "on a disk of 300 KiB" : "on /dev/full: no disk may be mounted here");
    // What is there is as good as any capture.
    if (mayMount) {
      const lines = run("tshark", "-r", file, "-T", "fields", "-e", "_ws.malformed");
      assert.ok(lines.length > 100, `${lines.length} frames`);
      assert.match(lines, /^\n+$/);
    }
    await Promise.all([a.kernel.halt(), b.kernel.halt()]);
  } finally {
    if (mayMount) run("umount", place);
  }
});

// --- Back ends that break ------------------------------------------------------------------------

/** A kernel at an uplink that breaks: no carrier, no panic, no broken device; another link takes over. */
async function breaks(link: Uplink, work: (host: Host) => unknown): Promise<void> {
  const host = await Host.boot("10.0.0.1", { port: link.port });
  assert.ok((await host.flags()) & IFF_RUNNING);
  await work(host);
  await link.ended;
  await until(async () => ((await host.flags()) & IFF_RUNNING) === 0);
  assert.equal(host.device.broken, null);
  const cable = new Cable();
  const peer = await Host.boot("10.0.0.2", { port: cable.b });
  host.device.connect(cable.a);
  await until(async () => ((await host.flags()) & IFF_RUNNING) !== 0);
  const [mine, theirs] = await connected(host, peer);
  await host.send(mine, pattern(1000));
  assert.deepEqual(await peer.receive(theirs, 1000), pattern(1000));
  await Promise.all([host.kernel.halt(), peer.kernel.halt()]);
}

/** Lets a host send something: at least who has the address of nobody. */
async function speak(host: Host): Promise<void> {
  const fd = await host.udp();
  await host.sendTo(fd, "10.0.0.77", 9, pattern(10));
  await host.init.close(fd);
}

/** A link to a server of ours, and the socket that it sees. */
class Stream implements AsyncDisposable {
  readonly server: SocketLinkServer;
  readonly link: SocketLink;
  readonly other: nodeNet.Socket;

  constructor(server: SocketLinkServer, link: SocketLink, other: nodeNet.Socket) {
    this.server = server;
    this.link = link;
    this.other = other;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.other.destroy();
    await this.server.close();
  }
}

async function streamed(): Promise<Stream> {
  const { promise, resolve } = Promise.withResolvers<SocketLink>();
  const server = await SocketLinkServer.listen({ port: 0 }, resolve);
  const other = createConnection(server.port!, "127.0.0.1");
  other.on("error", () => {});
  await once(other, "connect");
  return new Stream(server, await promise, other);
}

class Mistaken extends Uplink {
  mistaken = false;

  constructor() {
    super("mistaken", {});
    this.opened();
  }

  protected override transmit(): void {
    if (this.mistaken) throw new Error("this should not be");
  }

  protected override release(): void {}

  protected override get backlogBytes(): number {
    return 0;
  }
}

suite("back ends that break", { concurrency: true }, () => {
  test("a stream whose other end goes away in the middle of a frame", async () => {
    await using stream = await streamed();
    const { link, other } = stream;
    await breaks(link, () => {
      other.end(Uint8Array.of(0, 0, 5, 220, 1, 2, 3));
    });
    assert.equal(link.error?.message, "ECONNRESET: the other end hung up");
  });

  test("a stream that is reset", async () => {
    await using stream = await streamed();
    const { link, other } = stream;
    await breaks(link, () => void other.resetAndDestroy());
    assert.match(String(link.error?.message), /^ECONNRESET: (read|write) ECONNRESET$/);
  });

  test("a stream of something else", async () => {
    await using stream = await streamed();
    const { link, other } = stream;
    await breaks(link, () => void other.write("GET / HTTP/1.1\r\n\r\n"));
    assert.equal(
      link.error?.message,
      "EPROTO: a frame of 1195725856 bytes: this is no stream of frames",
    );
  });

  test("UDP: nobody there is no error, as on any wire; the socket's end is one", async () => {
    const link = await UdpLink.open({ remote: { port: 9 } });
    await breaks(link, async (host) => {
      await speak(host);
      await until(() => link.port.counters.sentFrames > 0);
      assert.ok(link.port.up);
      await link.close();
    });
    assert.equal(link.error, null);
  });

  test("a WebSocket's relay that hangs up, and says why", async () => {
    const relay = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(relay, "listening");
    const { port } = relay.address() as nodeNet.AddressInfo;
    const link = await WebSocketLink.open(`ws://127.0.0.1:${port}/`);
    await breaks(link, () => {
      for (const client of relay.clients) client.close(1001, "good night");
    });
    assert.equal(link.error?.message, "ECONNRESET: the relay hung up: good night");
    relay.close();
  });

  test("a NAT that is closed", async () => {
    const nat = hostNat();
    await breaks(nat, () => nat.close());
    assert.equal(nat.error, null);
  });

  test("one whose own code throws", async () => {
    const link = new Mistaken();
    await breaks(link, async (host) => {
      link.mistaken = true;
      await speak(host);
    });
    assert.equal(link.error?.message, "EIO: cannot send: this should not be");
  });
});
