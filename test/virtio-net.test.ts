// Network devices under the real kernel: what passes between two of them, what the driver can ask of one,
// and what happens when something goes away.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ETHTOOL_GFEATURES,
  ETHTOOL_GSTATS,
  ETHTOOL_GSTRINGS,
  ETHTOOL_SFEATURES,
  ETH_SS_FEATURES,
  ETH_SS_STATS,
} from "../src/abi/constants/ethtool.ts";
import { IFF_ALLMULTI, IFF_PROMISC, IFF_RUNNING, IFF_UP } from "../src/abi/constants/if_link.ts";
import { IPPROTO_IP, IP_ADD_MEMBERSHIP } from "../src/abi/constants/in.ts";
import {
  SIOCETHTOOL,
  SIOCGIFINDEX,
  SIOCSIFADDR,
  SIOCSIFHWADDR,
} from "../src/abi/constants/ioctl.ts";
import { ETH_P_8021Q, ETH_P_ARP, ETH_P_LOOP } from "../src/abi/constants/packet.ts";
import {
  AF_INET6,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  SOL_UDP,
  SO_RCVBUF,
} from "../src/abi/constants/socket.ts";
import { UDP_SEGMENT } from "../src/abi/constants/udp.ts";
import { In6Ifreq, SockaddrIn6 } from "../src/abi/structs/socket.ts";
import { Kernel } from "../src/index.ts";
import { Cable, Hub, Switch } from "../src/link/index.ts";
import { net } from "../src/net/index.ts";
import { VirtioNet } from "../src/virtio/index.ts";
import { Host, Listener, connected, ethernet, pattern } from "./link-support.ts";
import { Calls, until } from "./virtio-support.ts";

const MIB = 1048576;
const OTHER = "02:00:00:00:00:99";

async function pair(
  a: { offload?: boolean; mtu?: number } = {},
  b = a,
): Promise<{ cable: Cable; a: Host; b: Host } & AsyncDisposable> {
  const cable = new Cable();
  const [one, two] = await Promise.all([
    Host.boot("10.0.0.1", { port: cable.a, mac: "02:00:00:00:00:01", ...a }),
    Host.boot("10.0.0.2", { port: cable.b, mac: "02:00:00:00:00:02", ...b }),
  ]);
  return {
    cable,
    a: one,
    b: two,
    async [Symbol.asyncDispose]() {
      await Promise.all([one.kernel.halt(), two.kernel.halt()]);
    },
  };
}

/** Both ways at once, all of it the same at the other end. */
async function exchange(a: Host, b: Host, bytes: number, port = 7000): Promise<void> {
  const [mine, theirs] = await connected(a, b, port);
  const [there, back] = [pattern(bytes, 1), pattern(bytes, 2)];
  const [, , gotThere, gotBack] = await Promise.all([
    a.send(mine, there),
    b.send(theirs, back),
    b.receive(theirs, bytes),
    a.receive(mine, bytes),
  ]);
  assert.equal(Buffer.compare(gotThere, there), 0, "what came there");
  assert.equal(Buffer.compare(gotBack, back), 0, "what came back");
  await a.init.close(mine);
  await b.init.close(theirs);
}

/** A number of /proc/net/snmp. */
async function snmp(host: Host, protocol: string, name: string): Promise<number> {
  const text = await new Calls(host.init).text("/proc/net/snmp");
  const [names, values] = text
    .split("\n")
    .filter((line) => line.startsWith(`${protocol}:`))
    .map((line) => line.split(" "));
  return Number(values[names.indexOf(name)]);
}

test("TCP between two kernels, in segments that nobody cuts or sums", async () => {
  await using net = await pair();
  await exchange(net.a, net.b, 8 * MIB);
  const { sentFrames, sentBytes } = net.cable.a.counters;
  assert.ok(sentBytes / sentFrames > 8000, `${sentBytes} bytes in ${sentFrames} frames`);
  for (const { counters } of [net.a.device, net.b.device])
    assert.deepEqual([counters.droppedFrames, counters.overrunFrames], [0, 0]);
  assert.ok(net.b.device.counters.receivedUnsummed > 0);
});

for (const [a, b] of [
  [false, false],
  [true, false],
  [false, true],
])
  test(`TCP where offloads are ${a ? "on" : "off"} at one end, ${b ? "on" : "off"} at the other`, async () => {
    await using net = await pair({ offload: a }, { offload: b });
    await exchange(net.a, net.b, 2 * MIB);
    const { counters } = net.b.device;
    if (!b) assert.ok(counters.receivedBytes / counters.receivedFrames <= 1514);
    for (const host of [net.a, net.b]) assert.equal(await snmp(host, "Tcp", "InCsumErrors"), 0);
  });

test("TCP between kernels with shared memory, and after one of them restarted", async () => {
  const cable = new Cable();
  const shared = { memoryMiB: 32, shared: true };
  await using a = await Host.boot("10.0.0.1", { port: cable.a }, shared);
  const b = await Host.boot("10.0.0.2", { port: cable.b }, shared);
  await exchange(a, b, MIB);
  const again = new Host(await b.kernel.reboot(), b.device, b.address);
  await again.up("eth0", "10.0.0.2");
  await exchange(a, again, MIB);
  await again.kernel.halt();
  assert.equal(cable.b.occupied, false);
});

test("UDP: datagrams of any size arrive as they were sent", async () => {
  await using net = await pair();
  const [from, to] = [await net.a.udp(), await net.b.udp(9000)];
  for (const length of [0, 1, 1472, 1473, 9000, 65507]) {
    const sent = pattern(length, length);
    assert.equal(await net.a.sendTo(from, "10.0.0.2", 9000, sent), length);
    const got = new Uint8Array(65536);
    const count = await net.b.init.recvfrom(to, got, got.length, 0, null, null);
    assert.equal(Buffer.compare(got.subarray(0, count), sent), 0, `${length} bytes`);
  }
});

test("a sender that is faster than the receiver waits: nothing is lost on a cable", async () => {
  await using net = await pair();
  const [from, to] = [await net.a.udp(), await net.b.udp(9000)];
  await net.b.init.setsockopt(to, SOL_SOCKET, SO_RCVBUF, new Uint8Array(4), 4);
  const datagram = pattern(1400);
  for (let i = 0; i < 3000; i++) await net.a.sendTo(from, "10.0.0.2", 9000, datagram);
  await until(async () => (await snmp(net.b, "Ip", "InReceives")) >= 3000);
  assert.equal(net.b.device.counters.overrunFrames, 0);
  assert.equal(net.cable.b.counters.droppedFrames, 0);
});

test("MTU: what the device is given is the most that its kernel can set", async () => {
  await using net = await pair({ mtu: 9000 });
  assert.equal(await net.a.mtu(), 9000);
  await assert.rejects(net.a.setMtu(9001), { code: "EINVAL" });
  const [from, to] = [await net.a.udp(), await net.b.udp(9000)];
  const before = net.cable.a.counters.sentFrames;
  await net.a.sendTo(from, "10.0.0.2", 9000, pattern(8000));
  assert.equal(await net.b.init.recvfrom(to, new Uint8Array(9000), 9000, 0, null, null), 8000);
  assert.ok(net.cable.a.counters.sentFrames - before <= 3, "not in fragments");
  await exchange(net.a, net.b, MIB);
  await using other = await pair();
  await other.a.setMtu(65535);
  assert.equal(await other.a.mtu(), 65535);
});

test("options that cannot be are refused", () => {
  const refused = { code: "ERR_INVALID_OPTION" };
  for (const mac of ["", "02:00:00:00:00", "01:00:00:00:00:01", "00:00:00:00:00:00", "xx"])
    assert.throws(() => new VirtioNet({ mac }), refused, mac);
  for (const mtu of [67, 65536, 1500.5, NaN]) assert.throws(() => new VirtioNet({ mtu }), refused);
  assert.throws(() => new VirtioNet({ speedMbps: -2 }), refused);
});

test("address, speed and carrier are what the kernel shows", async () => {
  const cable = new Cable();
  const peer = new Listener(cable.b);
  await using host = await Host.boot("10.0.0.1", {
    port: cable.a,
    mac: "02:12:34:56:78:9a",
    speedMbps: 40000,
  });
  const calls = new Calls(host.init);
  const shown = (name: string) => calls.text(`/sys/class/net/eth0/${name}`);
  assert.equal(await shown("address"), "02:12:34:56:78:9a");
  assert.equal(await shown("speed"), "40000");
  assert.equal(await shown("duplex"), "full");
  assert.equal(await shown("carrier"), "1");
  assert.notEqual(new VirtioNet().mac, new VirtioNet().mac);
  await host.setFlags("eth0", IFF_UP, 0);
  await host.interface(SIOCSIFHWADDR, "eth0", (ifreq) => {
    ifreq.ifr_ifru.ifru_hwaddr.sa_family = 1;
    ifreq.ifr_ifru.ifru_hwaddr.sa_data = Uint8Array.of(2, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0);
  });
  assert.equal(host.device.mac, "02:00:00:00:00:07");
  assert.equal(await shown("address"), "02:00:00:00:00:07");
  peer.port.detach(peer);
});

test("the device filters for its kernel: stations, groups, VLANs, or nothing", async () => {
  const cable = new Cable();
  const peer = new Listener(cable.b);
  await using host = await Host.boot("10.0.0.1", { port: cable.a, mac: "02:00:00:00:00:01" });
  const { counters } = host.device;
  // IPv6 joins its groups when the carrier is there.
  await until(() => peer.frames.length > 0);
  const passes = (to: string, type: number = ETH_P_LOOP, tag?: number): boolean => {
    const before = counters.receivedFrames;
    const payload = new Uint8Array(60);
    if (tag !== undefined) payload.set([tag >> 8, tag & 0xff, 0x90, 0x00]);
    peer.send(ethernet(to, OTHER, type, payload));
    return counters.receivedFrames > before;
  };
  const group = "01:00:5e:01:02:03";
  await until(() => !passes(OTHER));
  assert.ok(passes("02:00:00:00:00:01"));
  assert.ok(passes("ff:ff:ff:ff:ff:ff"));
  assert.ok(!passes(group));
  const fd = await host.udp(9000);
  const membership = Uint8Array.of(239, 1, 2, 3, 10, 0, 0, 1);
  await host.init.setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, membership, 8);
  await until(() => passes(group));
  await host.init.close(fd);
  await until(() => !passes(group));
  await host.setFlags("eth0", IFF_ALLMULTI, IFF_ALLMULTI);
  await until(() => passes(group));
  assert.ok(!passes(OTHER));
  await host.setFlags("eth0", IFF_ALLMULTI, 0);

  assert.ok(!passes("02:00:00:00:00:01", ETH_P_8021Q, 42));
  await using network = net(host.init);
  await network.link.add({ name: "vlan42", kind: "vlan", link: "eth0", vlan: { id: 42 } });
  await until(() => passes("02:00:00:00:00:01", ETH_P_8021Q, 42));
  assert.ok(!passes("02:00:00:00:00:01", ETH_P_8021Q, 43));
  await host.setFlags("eth0", IFF_PROMISC, IFF_PROMISC);
  await until(() => passes(OTHER));
  assert.ok(passes("02:00:00:00:00:01", ETH_P_8021Q, 43));
});

test("the carrier comes and goes; connections outlive it", async () => {
  await using net = await pair();
  const running = async (host: Host) => ((await host.flags()) & IFF_RUNNING) !== 0;
  const [mine, theirs] = await connected(net.a, net.b);
  for (let round = 0; round < 2; round++) {
    net.cable.a.on = false;
    assert.deepEqual([net.a.device.up, net.b.device.up], [false, false]);
    await until(async () => !(await running(net.a)) && !(await running(net.b)));
    net.cable.a.on = true;
    await until(async () => (await running(net.a)) && (await running(net.b)));
  }
  const [got] = await Promise.all([net.b.receive(theirs, MIB), net.a.send(mine, pattern(MIB))]);
  assert.equal(Buffer.compare(got, pattern(MIB)), 0);
  // Faster than the kernel looks.
  for (let i = 0; i < 1000; i++) net.cable.b.on = i % 2 === 1;
  await until(async () => (await running(net.a)) && (await running(net.b)));
  await exchange(net.a, net.b, MIB, 7001);
});

test("plugged in and out again and again, while frames come", async () => {
  const hub = new Hub();
  const peer = new Listener(hub.port());
  await using kernel = await Kernel.boot({ image: "full" });
  const calls = new Calls(kernel.init);
  for (let round = 0; round < 10; round++) {
    const device = new VirtioNet({ port: hub.port() });
    await kernel.plug(device);
    const host = new Host(kernel, device, "10.0.0.1");
    await host.up("eth0", "10.0.0.1");
    assert.equal(await calls.text("/sys/class/net/eth0/address"), device.mac);
    for (let i = 0; i < 2000; i++) peer.send(ethernet("ff:ff:ff:ff:ff:ff", OTHER, ETH_P_LOOP));
    await kernel.unplug(device);
    await assert.rejects(calls.text("/sys/class/net/eth0/address"), { code: "ENOENT" });
    assert.equal(device.port?.up, false);
  }
  const many = Array.from({ length: 16 }, () => new VirtioNet({ port: hub.port() }));
  await Promise.all(many.map((one) => kernel.plug(one)));
  for (const [i, one] of many.entries()) {
    const names = await Promise.all(
      many.map((_, n) => calls.text(`/sys/class/net/eth${n}/address`)),
    );
    assert.equal(names.filter((mac) => mac === one.mac).length, 1, `device ${i}`);
  }
  await Promise.all(many.map((one) => kernel.unplug(one)));
});

test("pulled out while a connection is busy: the kernels go on", async () => {
  await using net = await pair();
  const [mine] = await connected(net.a, net.b);
  const sending = net.a.send(mine, new Uint8Array(16 * MIB));
  sending.catch(() => {});
  await until(() => net.cable.a.counters.sentFrames > 10);
  await net.a.kernel.unplug(net.a.device);
  assert.equal(net.b.device.up, false);
  const again = new VirtioNet({ port: net.cable.a });
  await net.a.kernel.plug(again);
  const host = new Host(net.a.kernel, again, "10.0.0.1");
  await host.up("eth0", "10.0.0.1");
  await exchange(host, net.b, MIB, 7001);
});

test("a driver that lets go and comes back finds its device reset", async () => {
  await using net = await pair();
  const calls = new Calls(net.a.init);
  for (let round = 0; round < 3; round++) {
    await calls.put("/sys/bus/virtio/drivers/virtio_net/unbind", "virtio0");
    await assert.rejects(calls.text("/sys/class/net/eth0/address"), { code: "ENOENT" });
    await calls.put("/sys/bus/virtio/drivers/virtio_net/bind", "virtio0");
    await net.a.up("eth0", "10.0.0.1");
    await exchange(net.a, net.b, MIB, 7000 + round);
  }
});

test("moved to another port, it announces itself there", async () => {
  const [first, second] = [new Cable(), new Cable()];
  const [here, there] = [new Listener(first.b), new Listener(second.b)];
  await using host = await Host.boot("10.0.0.1", { port: first.a });
  host.device.connect(second.a);
  assert.deepEqual([here.port.up, there.port.up, host.device.up], [false, true, true]);
  // A gratuitous ARP: from its address, to its address.
  await until(() =>
    there.frames.some((frame) => {
      const bytes = frame.bytes();
      return (
        ((bytes[12] << 8) | bytes[13]) === ETH_P_ARP &&
        Buffer.from(bytes.subarray(28, 32)).equals(bytes.subarray(38, 42))
      );
    }),
  );
  assert.throws(() => host.device.connect(first.b), { code: "EBUSY" });
  assert.equal(host.device.port, second.a);
  host.device.connect(null);
  assert.equal(host.device.up, false);
  await until(async () => ((await host.flags()) & IFF_RUNNING) === 0);
  host.device.connect(first.a);
  await until(async () => ((await host.flags()) & IFF_RUNNING) !== 0);
});

test("a receiver that is switched off does not hold the sender up", async () => {
  await using net = await pair();
  const [from, to] = [await net.a.udp(), await net.b.udp(9000)];
  await net.a.sendTo(from, "10.0.0.2", 9000, pattern(10));
  await net.b.init.recvfrom(to, new Uint8Array(10), 10, 0, null, null);
  // Its driver keeps its buffers, and takes no frame out of them.
  await net.b.setFlags("eth0", IFF_UP, 0);
  for (let i = 0; i < 2000; i++) await net.a.sendTo(from, "10.0.0.2", 9000, pattern(1400));
  assert.ok(net.b.device.counters.overrunFrames > 1000);
  await net.b.setFlags("eth0", IFF_UP, IFF_UP);
  await exchange(net.a, net.b, MIB);
});

/** What ethtool asks of a device: the buffer holds the request, then the answer. */
async function ethtool(
  host: Host,
  words: readonly number[],
  sizeBytes: number,
): Promise<DataView<ArrayBuffer>> {
  const buffer = await host.init.buffer(sizeBytes);
  new Uint32Array(buffer.view.buffer, buffer.address, words.length).set(words);
  await host.interface(SIOCETHTOOL, "eth0", (ifreq) => {
    ifreq.ifr_ifru.ifru_data = buffer.address;
  });
  const copy = new Uint8Array(buffer.bytes);
  await buffer.dispose();
  return new DataView(copy.buffer);
}

const STRING_BYTES = 32;

async function strings(host: Host, set: number): Promise<string[]> {
  const view = await ethtool(host, [ETHTOOL_GSTRINGS, set, 0], 65536);
  return Array.from({ length: view.getUint32(8, true) }, (_, i) =>
    Buffer.from(view.buffer, 12 + i * STRING_BYTES, STRING_BYTES)
      .toString()
      .replace(/\0.*$/s, ""),
  );
}

test("the device's own counters are what ethtool shows", async () => {
  await using net = await pair();
  await exchange(net.a, net.b, MIB);
  const names = await strings(net.a, ETH_SS_STATS);
  const view = await ethtool(net.a, [ETHTOOL_GSTATS, 0], 65536);
  assert.equal(view.getUint32(4, true), names.length);
  const values = new Map(
    names.map((name, i) => [name, Number(view.getBigUint64(8 + 8 * i, true))]),
  );
  const { counters } = net.a.device;
  assert.equal(values.get("rx0_hw_packets"), counters.receivedFrames);
  assert.equal(values.get("rx0_hw_bytes"), counters.receivedBytes);
  assert.equal(values.get("tx0_hw_packets"), counters.sentFrames);
  assert.equal(values.get("rx0_hw_needs_csum"), counters.receivedUnsummed);
  assert.ok(counters.receivedUnsummed > 10);
});

/** Switch an offload on or off, as `ethtool -K` does. */
async function setFeature(host: Host, name: string, on: boolean): Promise<void> {
  const names = await strings(host, ETH_SS_FEATURES);
  const bit = names.indexOf(name);
  const mask = 1 << (bit & 31);
  const block = bit >> 5;
  const blocks = Math.ceil(names.length / 32);
  const words = new Array<number>(2 + 2 * blocks).fill(0);
  words[0] = ETHTOOL_SFEATURES;
  words[1] = blocks;
  words[2 + 2 * block] = mask;
  words[3 + 2 * block] = on ? mask : 0;
  await ethtool(host, words, 4 * words.length);
  const view = await ethtool(host, [ETHTOOL_GFEATURES, blocks], 8 + 16 * blocks);
  assert.equal((view.getUint32(8 + 16 * block + 8, true) & mask) !== 0, on, name);
}

test("ethtool switches receive offloads off and on: then frames are cut before they arrive", async () => {
  await using net = await pair();
  const { counters } = net.b.device;
  for (const [round, on] of [false, true].entries()) {
    await setFeature(net.b, "rx-gro-hw", on);
    const { receivedFrames, receivedBytes } = counters;
    await exchange(net.a, net.b, MIB, 7000 + round);
    const average =
      (counters.receivedBytes - receivedBytes) / (counters.receivedFrames - receivedFrames);
    assert.equal(average > 1514, on, `${average} bytes a frame`);
  }
  assert.equal(await snmp(net.b, "Tcp", "InCsumErrors"), 0);
});

test("several kernels on a switch, each with each", async () => {
  const center = new Switch();
  const hosts = await Promise.all(
    [1, 2, 3, 4].map((n) => Host.boot(`10.0.0.${n}`, { port: center.port() }, { memoryMiB: 32 })),
  );
  const pairs = hosts.flatMap((a) => hosts.map((b) => [a, b] as const)).filter(([a, b]) => a !== b);
  await Promise.all(pairs.map(([a, b], i) => exchange(a, b, MIB / 4, 7000 + i)));
  assert.equal(center.stations.length, 4);
  for (const { device } of hosts)
    assert.ok(center.stations.some(({ mac, port }) => mac === device.mac && port === device.port));
  await Promise.all(hosts.map((host) => host.kernel.halt()));
});

test("a bridge in one kernel carries segments between two others", async () => {
  const [left, right] = [new Cable(), new Cable()];
  const [a, b] = await Promise.all([
    Host.boot("10.0.0.1", { port: left.a }),
    Host.boot("10.0.0.2", { port: right.a }),
  ]);
  const device = new VirtioNet({ port: left.b });
  await using kernel = await Kernel.boot({
    image: "full",
    devices: [device, new VirtioNet({ port: right.b })],
  });
  const middle = new Host(kernel, device, "");
  await using network = net(kernel);
  await network.link.add({ name: "br0", kind: "bridge" });
  for (const name of ["eth0", "eth1"]) await network.link.set(name, { master: "br0", up: true });
  await middle.setFlags("br0", IFF_UP, IFF_UP);
  await exchange(a, b, 4 * MIB);
  await Promise.all([a.kernel.halt(), b.kernel.halt()]);
});

/** An IPv6 address of a device, at once. */
async function addIpv6(host: Host, last: number): Promise<void> {
  const calls = new Calls(host.init);
  // No look whether somebody else has it.
  await calls.put("/proc/sys/net/ipv6/conf/eth0/accept_dad", "0");
  const { ifr_ifru: index } = await host.interface(SIOCGIFINDEX, "eth0");
  const request = In6Ifreq.alloc();
  request.bytes.set([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
  request.ifr6_prefixlen = 64;
  request.ifr6_ifindex = index.ifru_ivalue;
  const fd = await host.init.socket(AF_INET6, SOCK_DGRAM, 0);
  await host.init.ioctl(fd, SIOCSIFADDR, request.bytes);
  await host.init.close(fd);
}

function at6(last: number, port: number): Uint8Array {
  const address = SockaddrIn6.alloc();
  address.sin6_family = AF_INET6;
  address.sin6_port = port;
  if (last) address.bytes.set([0xfd, ...new Uint8Array(14), last], SockaddrIn6.offsets.sin6_addr);
  return address.bytes;
}

for (const offload of [true, false])
  test(`IPv6, to an end whose offloads are ${offload ? "on" : "off"}: TCP, and datagrams sent as one segment`, async () => {
    await using net = await pair({}, { offload });
    await Promise.all([addIpv6(net.a, 1), addIpv6(net.b, 2)]);
    const listener = await net.b.init.socket(AF_INET6, SOCK_STREAM, 0);
    const [any, there] = [at6(0, 7000), at6(2, 7000)];
    await net.b.init.bind(listener, any, any.length);
    await net.b.init.listen(listener, 1);
    const mine = await net.a.init.socket(AF_INET6, SOCK_STREAM, 0);
    const [theirs] = await Promise.all([
      net.b.init.accept4(listener, null, null, 0),
      net.a.init.connect(mine, there, there.length),
    ]);
    const data = pattern(2 * MIB);
    const [got] = await Promise.all([net.b.receive(theirs, data.length), net.a.send(mine, data)]);
    assert.equal(Buffer.compare(got, data), 0);
    const { receivedBytes, receivedFrames } = net.b.device.counters;
    assert.equal(receivedBytes / receivedFrames > 3000, offload);

    await setFeature(net.a, "tx-udp-segmentation", true);
    const to = await net.b.init.socket(AF_INET6, SOCK_DGRAM, 0);
    await net.b.init.bind(to, any, any.length);
    const from = await net.a.init.socket(AF_INET6, SOCK_DGRAM, 0);
    const size = new Uint8Array(Uint32Array.of(1000).buffer);
    await net.a.init.setsockopt(from, SOL_UDP, UDP_SEGMENT, size, 4);
    const before = net.a.device.counters.sentFrames;
    const many = pattern(20_500);
    await net.a.init.sendto(from, many, many.length, 0, there, there.length);
    for (let sent = 0; sent < many.length; sent += 1000) {
      const one = new Uint8Array(2000);
      const count = await net.b.init.recvfrom(to, one, one.length, 0, null, null);
      const expected = many.subarray(sent, sent + 1000);
      assert.equal(Buffer.compare(one.subarray(0, count), expected), 0);
    }
    assert.ok(net.a.device.counters.sentFrames - before < 5, "one segment, not many");
    for (const host of [net.a, net.b]) assert.equal(await snmp(host, "Udp", "InCsumErrors"), 0);
  });
