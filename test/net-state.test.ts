// What the kernel tells of connections, sockets and devices; and WireGuard.

import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { after, before, suite, test } from "node:test";

import { AF_UNIX, SOCK_STREAM } from "../src/abi/constants/socket.ts";
import { SockaddrUn } from "../src/abi/structs/socket.ts";
import { Kernel } from "../src/index.ts";
import { UnknownDeviceError, tcpInfo } from "../src/net/index.ts";
import type { ConnectionEvent } from "../src/net/index.ts";
import { carry, connect, end, listen, pair, ping, reaches } from "./net-support.ts";
import type { Host } from "./net-support.ts";

let kernel: Kernel;
let left: Host;
let right: Host;

before(async () => {
  kernel = await Kernel.boot({ image: "full", memoryMiB: 128 });
  [left, right] = await pair(kernel);
});
after(async () => {
  await end(left, right);
  await kernel.halt();
});

/** A connection over TCP, both ends. */
async function talk(port: number) {
  const listener = await listen(right.process, "10.0.0.2", port);
  const client = await connect(left.process, "10.0.0.2", port);
  const server = await right.process.accept4(listener, null, null, 0);
  await carry([left.process, client], [right.process, server], "hello");
  return {
    client,
    server,
    listener,
    close: async () => {
      await left.process.close(client);
      for (const fd of [server, listener]) await right.process.close(fd);
    },
  };
}

suite("connections", () => {
  before(async () => {
    // Whoever asks for states has them tracked.
    const chain = { family: "inet", table: "t" } as const;
    await right.net.nft
      .batch()
      .addTable("inet", "t")
      .addChain({ ...chain, name: "c", hook: "input" })
      .addRule({ ...chain, chain: "c", match: { state: ["invalid"] }, action: "drop" })
      .commit();
  });
  after(() => right.net.nft.flush());

  test("are listed, watched and forgotten", async () => {
    await using events = await right.net.connection.monitor();
    const talking = await talk(70);
    const ofPort = async (port: number) =>
      (await right.net.connection.list("ipv4")).find(
        ({ original }) => original.destinationPort === port,
      );
    const found = await ofPort(70);
    assert.equal(found?.original.protocol, "tcp");
    assert.equal(found?.original.source, "10.0.0.1");
    assert.equal(found?.original.destination, "10.0.0.2");
    assert.equal(found?.reply.source, "10.0.0.2");
    assert.equal(found?.reply.sourcePort, 70);
    assert.equal(found?.tcpState, "established");
    assert.ok(found?.status.includes("seen-reply"));
    assert.ok(found.timeoutSeconds! > 0);
    await right.net.connection.delete(found);
    assert.equal(await ofPort(70), undefined);
    await assert.rejects(right.net.connection.delete(found), {
      name: "NetlinkError",
      code: "ENOENT",
    });
    const seen: ConnectionEvent[] = [];
    for await (const event of events) {
      assert.notEqual(event.type, "overrun");
      if (event.type === "overrun" || event.connection.original.destinationPort !== 70) continue;
      seen.push(event);
      if (event.type === "destroy") break;
    }
    assert.equal(seen[0]?.type, "new");
    assert.equal(seen.at(-1)?.connection.id, found?.id);
    await talking.close();
    assert.equal(await ping(left.process, "10.0.0.2"), true);
    const pinged = (await right.net.connection.list()).find(
      ({ original }) => original.protocol === "icmp",
    );
    assert.equal(pinged?.original.icmpType, 8);
    assert.equal(pinged?.reply.icmpType, 0);
    await right.net.connection.flush();
    assert.deepEqual(await right.net.connection.list(), []);
  });
});

suite("sockets", () => {
  test("of TCP are listed with what TCP knows of them", async () => {
    const talking = await talk(71);
    const sockets = await right.net.socket.list({ protocol: "tcp", family: "ipv4" });
    const listener = sockets.find(({ state, localPort }) => state === "listen" && localPort === 71);
    assert.equal(listener?.localAddress, "10.0.0.2");
    assert.equal(listener?.sendQueue, 16);
    const connected = sockets.find(
      ({ state, localPort }) => state === "established" && localPort === 71,
    );
    assert.equal(connected?.remoteAddress, "10.0.0.1");
    assert.equal(connected?.congestionControl, "cubic");
    assert.equal(connected?.tcpInfo?.bytesReceived, 5);
    assert.ok(connected.memory!.receiveLimitBytes > 0);
    const [other] = await left.net.socket.list({ states: ["established"], protocol: "tcp" });
    assert.equal(other?.localPort, connected?.remotePort);
    const info = await tcpInfo(left.process, talking.client);
    assert.equal(info.state, "established");
    assert.equal(info.bytesAcked, other.tcpInfo!.bytesAcked);
    assert.equal(info.bytesSent, 5);
    assert.equal(info.sendMssBytes, 1448);
    assert.equal(info.maxPacingBytesPerSecond, Infinity);
    assert.ok(info.rttUs > 0 && info.congestionWindow > 0);
    await talking.close();
    await assert.rejects(left.net.socket.list({ states: ["odd" as never] }), { option: "states" });
    await assert.rejects(left.net.socket.list({ protocol: "odd" as never }), {
      option: "protocol",
    });
    await assert.rejects(tcpInfo(left.process, 999), { code: "EBADF" });
  });

  test("of UDP, raw ones, and unix sockets by their names", async () => {
    const { process, net } = left;
    const fd = await process.socket(AF_UNIX, SOCK_STREAM, 0);
    const address = SockaddrUn.alloc();
    address.sun_family = AF_UNIX;
    address.bytes.set(new TextEncoder().encode("\0named"), 2);
    await process.bind(fd, address.bytes, 8);
    await process.listen(fd, 3);
    const pairOf = new Int32Array(2);
    await process.socketpair(AF_UNIX, SOCK_STREAM, 0, new Uint8Array(pairOf.buffer));
    const sockets = await net.socket.listUnix();
    const named = sockets.find(({ path }) => path === "@named");
    assert.equal(named?.state, "listen");
    assert.equal(named?.type, "stream");
    assert.equal(named?.sendQueue, 3);
    const peers = sockets.filter(({ peerInode }) => peerInode !== undefined);
    assert.ok(peers.some(({ inode }) => peers.some(({ peerInode }) => peerInode === inode)));
    for (const one of [fd, ...pairOf]) await process.close(one);
    assert.deepEqual(await net.socket.list({ protocol: "raw" }), []);
    assert.deepEqual(await net.socket.list({ protocol: "udp" }), []);
  });
});

suite("devices", () => {
  test("features are listed and changed", async () => {
    const name = "tx-tcp-segmentation";
    const find = async () =>
      (await left.net.ethtool.features("eth0")).find((one) => one.name === name);
    assert.deepEqual(await find(), { name, active: true, wanted: true, changeable: true });
    await left.net.ethtool.setFeatures("eth0", { [name]: false });
    assert.deepEqual(await find(), { name, active: false, wanted: false, changeable: true });
    const talking = await talk(72);
    await talking.close();
    await left.net.ethtool.setFeatures("eth0", { [name]: true });
    assert.equal((await find())?.active, true);
    const link = await left.net.ethtool.link("eth0");
    assert.deepEqual(link, { link: true, speedMbps: 10000, duplex: "full" });
    const channels = await left.net.ethtool.channels("eth0");
    assert.equal(channels.rx, 1);
    assert.equal((await left.net.ethtool.driver("eth0")).driver, "veth");
    const counted = await left.net.ethtool.statistics("eth0");
    assert.ok([...counted.keys()].includes("rx_queue_0_xdp_packets"), [...counted.keys()].join());
    assert.ok([...counted.values()].every((value) => value >= 0));
    assert.equal((await left.net.ethtool.statistics("lo")).size, 0);
    await assert.rejects(left.net.ethtool.driver("lo"), { code: "EOPNOTSUPP", path: "lo" });
  });

  test("mistakes are named", async () => {
    await assert.rejects(left.net.ethtool.features("nobody"), UnknownDeviceError);
    await assert.rejects(left.net.ethtool.setFeatures("eth0", { nonsense: true }), {
      code: "ERR_INVALID_OPTION",
      option: "nonsense",
    });
    await assert.rejects(left.net.ethtool.setFeatures("lo", { "tx-lockless": false }), {
      option: "tx-lockless",
    });
    await assert.rejects(left.net.ethtool.setChannels("eth0", { rx: 100 }), {
      code: "EINVAL",
      path: "eth0",
    });
  });
});

/** A private and a public key, made by somebody else. */
function keys(): { privateKey: string; publicKey: string } {
  const { privateKey } = generateKeyPairSync("x25519");
  const raw = (der: Buffer) => der.subarray(-32).toString("base64");
  return {
    privateKey: raw(privateKey.export({ format: "der", type: "pkcs8" })),
    publicKey: raw(createPublicKey(privateKey).export({ format: "der", type: "spki" })),
  };
}

suite("WireGuard", () => {
  test("carries packets between those who know each other", async () => {
    const mine = keys();
    const theirs = keys();
    const presharedKey = keys().privateKey;
    const ends = [
      { ...left, own: mine, peer: theirs, number: 1 },
      { ...right, own: theirs, peer: mine, number: 2 },
    ];
    for (const { net, own, peer, number } of ends) {
      await net.link.add({ name: "wg0", kind: "wireguard" });
      await net.wireguard.set("wg0", {
        privateKey: own.privateKey,
        listenPort: 51820,
        peers: [
          {
            publicKey: peer.publicKey,
            presharedKey,
            endpoint: `10.0.0.${3 - number}:51820`,
            keepaliveSeconds: 25,
            allowedIps: [`10.6.0.${3 - number}/32`, "fd06::/64"],
          },
        ],
      });
      await net.up("wg0", `10.6.0.${number}/24`);
    }
    assert.equal(await reaches(left.process, "10.6.0.2"), true);
    const device = await left.net.wireguard.get("wg0");
    assert.equal(device.name, "wg0");
    assert.equal(device.publicKey, mine.publicKey);
    assert.equal(device.privateKey, mine.privateKey);
    assert.equal(device.listenPort, 51820);
    const [peer] = device.peers;
    assert.equal(peer?.publicKey, theirs.publicKey);
    assert.equal(peer?.presharedKey, presharedKey);
    assert.equal(peer?.endpoint, "10.0.0.2:51820");
    assert.equal(peer?.keepaliveSeconds, 25);
    assert.deepEqual([...peer.allowedIps].toSorted(), ["10.6.0.2/32", "fd06::/64"]);
    assert.ok(peer.rxBytes! > 0 && peer.txBytes! > 0);
    assert.ok(Math.abs(peer.lastHandshakeMs! - Date.now()) < 600000);
    await left.net.wireguard.set("wg0", { peers: [{ publicKey: theirs.publicKey, remove: true }] });
    assert.deepEqual((await left.net.wireguard.get("wg0")).peers, []);
    assert.equal(await ping(left.process, "10.6.0.2", 50), false);
  });

  test("has hundreds of peers with many networks, in several messages", async () => {
    const { wireguard } = left.net;
    const peers = Array.from({ length: 150 }, (_, i) => ({
      publicKey: btoa(String.fromCharCode(...new Uint8Array(32).fill(i + 1))),
      endpoint: `[fd00::${(i + 1).toString(16)}]:51820`,
      allowedIps: Array.from(
        { length: 20 },
        (_, j) => `10.${100 + (i >> 4)}.${(i & 15) * 16}.${j}/32`,
      ),
    }));
    await wireguard.set("wg0", { peers, replacePeers: true });
    const found = await wireguard.get("wg0");
    assert.equal(found.peers.length, 150);
    const networks = new Map(found.peers.map((peer) => [peer.publicKey, peer]));
    for (const { publicKey, endpoint, allowedIps } of peers) {
      assert.equal(networks.get(publicKey)?.endpoint, endpoint);
      assert.deepEqual([...networks.get(publicKey)!.allowedIps].toSorted(), allowedIps.toSorted());
    }
  });

  test("mistakes are named", async () => {
    const { wireguard } = left.net;
    await assert.rejects(wireguard.get("eth0"), { name: "NetlinkError", code: "EOPNOTSUPP" });
    await assert.rejects(wireguard.get("nobody"), UnknownDeviceError);
    await assert.rejects(wireguard.set("wg0", { privateKey: "short" }), { option: "privateKey" });
    const publicKey = keys().publicKey;
    await assert.rejects(wireguard.set("wg0", { peers: [{ publicKey, endpoint: "here" }] }), {
      option: "peers.0.endpoint",
    });
    await assert.rejects(
      wireguard.set("wg0", { peers: [{ publicKey, allowedIps: ["10.0.0.0/99"] }] }),
      {
        option: "peers.0.allowedIps.0",
      },
    );
  });
});
