// Short helpers: DHCP, IPv6 autoconfiguration, the resolver, sysctls, LKL's configuration.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import * as fc from "fast-check";

import { IPPROTO_ICMPV6, IPV6_MULTICAST_HOPS } from "../src/abi/constants/in6.ts";
import {
  AF_INET,
  AF_INET6,
  SOCK_DGRAM,
  SOCK_RAW,
  SOL_IPV6,
  SOL_SOCKET,
  SO_BINDTODEVICE,
  SO_BROADCAST,
} from "../src/abi/constants/socket.ts";
import { SockaddrIn, SockaddrIn6 } from "../src/abi/structs/socket.ts";
import { Kernel, VirtualClock } from "../src/index.ts";
import { parseIp } from "../src/net/address.ts";
import { decodeDhcp, encodeDhcp, unwrap, wrap } from "../src/net/dhcp-message.ts";
import type { DhcpMessage } from "../src/net/dhcp-message.ts";
import {
  DhcpRefusedError,
  DuplicateAddressError,
  NetworkTimeoutError,
  UnknownDeviceError,
  formatResolver,
  parseLklConfig,
  parseResolver,
} from "../src/net/index.ts";
import { end, host, inet, pair, ping } from "./net-support.ts";
import type { Host } from "./net-support.ts";

let kernel: Kernel;

before(async () => {
  kernel = await Kernel.boot({ image: "full", memoryMiB: 128 });
});
after(() => kernel.halt());

/** What a DHCP server gives, and what it was asked. */
interface DhcpServer {
  readonly asked: DhcpMessage[];
  /** What it answers to requests; "nak": no. */
  mode: "ack" | "nak" | "silent";
  stop(): Promise<void>;
}

/** A server on a host's eth0 that gives 10.0.0.50 for 100 s. */
async function serve({ process }: Host): Promise<DhcpServer> {
  const fd = await process.socket(AF_INET, SOCK_DGRAM, 0);
  const one = new Uint8Array(Int32Array.of(1).buffer);
  await process.setsockopt(fd, SOL_SOCKET, SO_BROADCAST, one, one.length);
  const device = new TextEncoder().encode("eth0\0");
  await process.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, device.length);
  await process.bind(fd, inet("0.0.0.0", 67), SockaddrIn.size);
  const stop = new AbortController();
  const server: DhcpServer = { asked: [], mode: "ack", stop: async () => {} };
  const buffer = new Uint8Array(2048);
  const from = inet("0.0.0.0", 0);
  const answer = async (message: DhcpMessage): Promise<void> => {
    const type = message.type === "discover" ? "offer" : server.mode;
    if (type === "silent" || message.type === "release") return;
    const reply = encodeDhcp(
      {
        type,
        transaction: message.transaction,
        hardwareAddress: message.hardwareAddress,
        server: "10.0.0.1",
        ...(type === "nak"
          ? { message: "not here" }
          : {
              yourAddress: "10.0.0.50",
              subnetMask: "255.255.255.0",
              routers: ["10.0.0.1"],
              nameservers: ["10.0.0.1", "10.0.0.2"],
              domain: "example.org",
              mtu: 1400,
              leaseSeconds: 100,
            }),
      },
      true,
    );
    const known = message.clientAddress !== undefined;
    const to = known ? inet(message.clientAddress, 68) : inet("255.255.255.255", 68);
    await process.sendto(fd, reply, reply.length, 0, to, SockaddrIn.size);
  };
  const serving = (async () => {
    for (;;) {
      const size = new Uint8Array(Int32Array.of(SockaddrIn.size).buffer);
      const length = await process.recvfrom(fd, buffer, buffer.length, 0, from, size, stop);
      const message = decodeDhcp(buffer.subarray(0, length));
      if (!message) continue;
      server.asked.push(message);
      await answer(message);
    }
  })();
  server.stop = async () => {
    stop.abort(new Error("stopped"));
    await assert.rejects(serving, { message: "stopped" });
    await process.close(fd);
  };
  return server;
}

/** A server's host, and one that has no address. */
async function dhcpPair(of: Kernel): Promise<[Host, Host]> {
  const hosts = await pair(of);
  await hosts[1].net.address.flush("eth0");
  await hosts[1].net.down("eth0");
  return hosts;
}

suite("DHCP", () => {
  test("gives an address, a way out and servers for names; and takes it back", async () => {
    const [router, client] = await dhcpPair(kernel);
    const server = await serve(router);
    const lease = await client.net.dhcp("eth0", { hostname: "client" });
    assert.equal(lease.address, "10.0.0.50/24");
    assert.equal(lease.server, "10.0.0.1");
    assert.deepEqual(lease.routers, ["10.0.0.1"]);
    assert.equal(lease.leaseSeconds, 100);
    assert.equal(lease.renewSeconds, 50);
    assert.deepEqual(
      server.asked.map(({ type, hostname }) => [type, hostname]),
      [
        ["discover", "client"],
        ["request", "client"],
      ],
    );
    assert.equal(server.asked[1]?.requestedAddress, "10.0.0.50");
    const link = await client.net.link.get("eth0");
    assert.equal(link.mtu, 1400);
    const address = (await client.net.address.list("eth0")).find((one) =>
      one.address.includes("."),
    );
    assert.equal(address?.address, "10.0.0.50/24");
    assert.ok(address.validSeconds > 90 && address.validSeconds <= 100);
    const way = (await client.net.route.list()).find(
      ({ destination }) => destination === "default",
    );
    assert.equal(way?.gateway, "10.0.0.1");
    assert.equal(way?.protocol, "dhcp");
    assert.equal(way?.metric, 100);
    assert.deepEqual(await client.net.resolver.get(), {
      nameservers: ["10.0.0.1", "10.0.0.2"],
      search: ["example.org"],
    });
    assert.equal(await ping(client.process, "10.0.0.1"), true);
    await lease.renew();
    assert.equal(server.asked.at(-1)?.clientAddress, "10.0.0.50");
    assert.equal(await ping(router.process, "10.0.0.50"), true);
    await lease.release();
    await lease.release();
    const left = await client.net.address.list("eth0");
    assert.ok(left.every((one) => !one.address.includes("10.0.0.50")));
    await server.stop();
    assert.equal(server.asked.at(-1)?.type, "release");
    await end(router, client);
  });

  test("says when there is no server, or one that refuses, or no such device", async () => {
    const [router, client] = await dhcpPair(kernel);
    await assert.rejects(client.net.dhcp("eth0", { timeoutMs: 50 }), NetworkTimeoutError);
    await assert.rejects(client.net.dhcp("nobody"), UnknownDeviceError);
    const stop = new AbortController();
    const asking = client.net.dhcp("eth0", { signal: stop.signal });
    stop.abort(new Error("enough"));
    await assert.rejects(asking, { message: "enough" });
    const server = await serve(router);
    server.mode = "nak";
    await assert.rejects(client.net.dhcp("eth0"), (error: Error) => {
      assert.ok(error instanceof DhcpRefusedError);
      return /not here/.test(error.message);
    });
    server.mode = "ack";
    const lease = await client.net.dhcp("eth0");
    server.mode = "silent";
    await assert.rejects(lease.renew({ timeoutMs: 50 }), { code: "ETIMEDOUT" });
    server.mode = "nak";
    await assert.rejects(lease.renew(), DhcpRefusedError);
    assert.ok(
      (await client.net.address.list("eth0")).every((one) => !one.address.includes("10.0.0.50")),
    );
    await server.stop();
    assert.equal(client.process.callsInFlight, 0);
    await end(router, client);
  });

  test("is kept for hours, on a virtual clock; without it the kernel takes the address away", async () => {
    const clock = new VirtualClock();
    const virtual = await Kernel.boot({ image: "full", memoryMiB: 128, clock, random: 1 });
    const [router, client] = await clock.drive(dhcpPair(virtual));
    const server = await clock.drive(serve(router));
    const lease = await clock.drive(client.net.dhcp("eth0"));
    const stop = new AbortController();
    const kept = lease.maintain(stop.signal);
    await clock.advance(3600e9);
    // Two messages to get it, then one every 50 s and what the kernel's timers are late.
    const renewals = server.asked.length - 2;
    assert.ok(renewals >= 70 && renewals <= 72, `${renewals} renewals`);
    stop.abort();
    await clock.drive(kept);
    const has = async () =>
      (await clock.drive(client.net.address.list("eth0"))).some(
        (one) => one.address === "10.0.0.50/24",
      );
    assert.equal(await has(), true);
    await clock.advance(300e9);
    assert.equal(await has(), false);
    await clock.drive(lease.release());
    await clock.drive(server.stop());
    await clock.drive(end(router, client));
    await virtual.halt();
  });

  const address = fc.ipV4().filter((text) => text !== "0.0.0.0");
  const message = fc.record(
    {
      type: fc.constantFrom("offer" as const, "ack" as const, "nak" as const, "release" as const),
      transaction: fc.nat(0xffffffff),
      hardwareAddress: fc.uint8Array({ minLength: 6, maxLength: 6 }),
      broadcast: fc.boolean(),
      clientAddress: address,
      yourAddress: address,
      server: address,
      subnetMask: address,
      routers: fc.array(address, { minLength: 1, maxLength: 5 }),
      nameservers: fc.array(address, { minLength: 1, maxLength: 5 }),
      hostname: fc.stringMatching(/^[a-z]{1,20}$/),
      domain: fc.stringMatching(/^[a-z]{1,20}$/),
      mtu: fc.nat(0xffff),
      leaseSeconds: fc.nat(0xffffffff),
    },
    {
      requiredKeys: ["type", "transaction", "hardwareAddress", "broadcast"],
      noNullPrototype: true,
    },
  );

  test("messages: what is written is read; anything else is none, or nonsense of the same shape", () => {
    fc.assert(
      fc.property(message, (value) => {
        assert.deepEqual(decodeDhcp(encodeDhcp(value)), value);
      }),
    );
    fc.assert(
      fc.property(message, fc.array(fc.tuple(fc.nat(299), fc.nat(255))), (value, changes) => {
        const bytes = encodeDhcp(value);
        for (const [at, byte] of changes) bytes[at] = byte;
        const decoded = decodeDhcp(bytes);
        assert.ok(decoded === undefined || typeof decoded.transaction === "number");
        assert.equal(unwrap(wrap(bytes)), undefined, "it goes to the server, not to a client");
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const payload = unwrap(bytes);
        assert.ok(payload === undefined || payload.length <= bytes.length);
        const decoded = decodeDhcp(bytes);
        assert.ok(decoded === undefined || decoded.type.length > 0);
      }),
    );
  });
});

/** A router's advertisement of a network: RFC 4861, sections 4.2 and 4.6.2. */
async function advertise({ process, net }: Host, prefix: string): Promise<void> {
  const bytes = new Uint8Array(16 + 32);
  const view = new DataView(bytes.buffer);
  bytes[0] = 134;
  bytes[4] = 64;
  view.setUint16(6, 1800);
  bytes.set([3, 4, 64, 0xc0], 16);
  view.setUint32(20, 3600);
  view.setUint32(24, 1800);
  bytes.set(parseIp(prefix, "prefix").bytes, 32);
  const fd = await process.socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
  const hops = new Uint8Array(Int32Array.of(255).buffer);
  await process.setsockopt(fd, SOL_IPV6, IPV6_MULTICAST_HOPS, hops, hops.length);
  const all = SockaddrIn6.alloc();
  all.sin6_family = AF_INET6;
  all.bytes.set(parseIp("ff02::1", "all").bytes, SockaddrIn6.offsets.sin6_addr);
  all.sin6_scope_id = (await net.link.get("eth0")).index;
  await process.sendto(fd, bytes, bytes.length, 0, all.bytes, SockaddrIn6.size);
  await process.close(fd);
}

suite("IPv6 autoconfiguration", () => {
  test("gives an address of the router's network", async () => {
    const [router, client] = await pair(kernel);
    await router.net.settled("eth0");
    await client.net.settled("eth0");
    const waiting = client.net.slaac("eth0");
    await advertise(router, "fd77::");
    const [given] = await waiting;
    assert.match(given.address, /^fd77::.*\/64$/);
    assert.ok(given.validSeconds > 3500 && given.validSeconds <= 3600);
    const way = (await client.net.route.list({ family: "ipv6" })).find(
      ({ destination, protocol }) => destination === "default" && protocol === "ra",
    );
    assert.equal(way?.device, "eth0");
    await end(router, client);
  });

  test("says when there is no router, and when another host has an address", async () => {
    const [left, right] = await pair(kernel);
    await assert.rejects(left.net.slaac("eth0", { timeoutMs: 30 }), {
      name: "NetworkTimeoutError",
      code: "ETIMEDOUT",
      timeoutMs: 30,
    });
    await assert.rejects(left.net.slaac("nobody"), UnknownDeviceError);
    await left.net.settled("eth0");
    await right.net.settled("eth0");
    await left.net.address.add("eth0", "fd78::1/64", { flags: ["no-dad"] });
    await right.net.address.add("eth0", "fd78::1/64");
    await assert.rejects(right.net.settled("eth0"), (error: Error) => {
      assert.ok(error instanceof DuplicateAddressError);
      return error.address === "fd78::1/64";
    });
    assert.equal(left.process.callsInFlight, 0);
    await end(left, right);
  });
});

suite("the resolver", () => {
  test("is read as it was written", async () => {
    const one = await host(kernel);
    const settings = {
      nameservers: ["10.0.0.1", "fd00::1"],
      search: ["a.example", "b"],
      options: ["ndots:2"],
    };
    await one.net.resolver.set(settings);
    assert.deepEqual(await one.net.resolver.get(), settings);
    await one.net.resolver.set({ nameservers: [] });
    assert.deepEqual(await one.net.resolver.get(), { nameservers: [] });
    await assert.rejects(one.net.resolver.set({ nameservers: ["dns.example"] }), {
      option: "nameservers.0",
    });
    await assert.rejects(one.net.resolver.set({ nameservers: [], search: ["a b"] }), {
      option: "search",
    });
    await end(one);
  });

  test("any text is read", () => {
    assert.deepEqual(
      parseResolver(
        "# a comment\nnameserver 1.1.1.1 ; another\n\ndomain x\nsearch  y z\noptions a b\noptions c\nodd\n",
      ),
      { nameservers: ["1.1.1.1"], search: ["y", "z"], options: ["a", "b", "c"] },
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        assert.ok(Array.isArray(parseResolver(text).nameservers));
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.ipV4(), fc.ipV6())), (nameservers) => {
        assert.deepEqual(parseResolver(formatResolver({ nameservers })), { nameservers });
      }),
    );
  });
});

suite("sysctls", () => {
  test("are those of the namespace", async () => {
    const [left, right] = [await host(kernel), await host(kernel)];
    await left.net.sysctl.set("net.ipv4.ip_forward", 1);
    assert.equal(await left.net.sysctl.get("net.ipv4.ip_forward"), "1");
    assert.equal(await right.net.sysctl.get("net/ipv4/ip_forward"), "0");
    await left.net.link.add({ name: "d.5", kind: "dummy" });
    await left.net.sysctl.set("net/ipv4/conf/d.5/rp_filter", 2);
    assert.equal(await left.net.sysctl.get("net/ipv4/conf/d.5/rp_filter"), "2");
    await assert.rejects(left.net.sysctl.set("net.ipv4.nonsense", 1), {
      code: "ENOENT",
      path: "/proc/sys/net/ipv4/nonsense",
    });
    await assert.rejects(left.net.sysctl.set("net.ipv4.tcp_retries1", "many"), { code: "EINVAL" });
    await assert.rejects(left.net.sysctl.get("../passwd"), { option: "name" });
    await end(left, right);
  });
});

suite("LKL's configuration", () => {
  const configuration = {
    gateway: "10.70.0.254",
    gateway6: "fd70::fe",
    debug: "1",
    mount: "proc,sysfs",
    sysctl: "net.ipv4.tcp_wmem=4096 87380 2147483; net.ipv4.ip_forward=1",
    boot_cmdline: "loglevel=3",
    dump: "/tmp/dump",
    interfaces: [
      {
        type: "tap",
        param: "lkl_tap0",
        mac: "02:00:00:00:70:01",
        mtu: "1400",
        ip: "10.70.0.1",
        masklen: "24",
        ipv6: "fd70::1",
        masklen6: 64,
        neigh: "10.70.0.254|02:00:00:00:70:fe;fd70::fe|02:00:00:00:70:fe",
        qdisc: "root|fq",
        offload: "0xc803",
      },
      { type: "raw", param: "eth1", ip: "10.71.0.1", masklen: "16" },
    ],
  };

  test("is read, and done", async () => {
    const parsed = parseLklConfig(JSON.stringify(configuration));
    assert.deepEqual(parsed.mount, ["proc", "sysfs"]);
    assert.equal(parsed.bootCommandLine, "loglevel=3");
    assert.equal(parsed.debug, 1);
    assert.equal(parsed.interfaces[0]?.offload, 0xc803);
    assert.equal(parsed.interfaces[0]?.param, "lkl_tap0");
    assert.equal(parsed.interfaces[1]?.ip, "10.71.0.1/16");
    const one = await host(kernel);
    for (const name of ["eth0", "second"])
      await one.net.link.add({ name, kind: "dummy", arp: true });
    await one.net.configure(configuration, ["eth0", "second"]);
    const link = await one.net.link.get("eth0");
    assert.equal(link.address, "02:00:00:00:70:01");
    assert.equal(link.mtu, 1400);
    assert.equal(link.qdisc, "fq");
    const addresses = new Set(
      (await one.net.address.list()).map(({ address, device }) => `${device} ${address}`),
    );
    for (const wanted of ["eth0 10.70.0.1/24", "eth0 fd70::1/64", "second 10.71.0.1/16"])
      assert.ok(addresses.has(wanted), wanted);
    const routes = (await one.net.route.list()).filter(
      ({ destination }) => destination === "default",
    );
    assert.deepEqual(
      routes.map(({ gateway }) => gateway),
      ["10.70.0.254", "fd70::fe"],
    );
    const neighbours = await one.net.neighbour.list("eth0");
    assert.ok(
      neighbours.some(({ address, state }) => address === "10.70.0.254" && state === "permanent"),
    );
    assert.equal(await one.net.sysctl.get("net.ipv4.tcp_wmem"), "4096\t87380\t2147483");
    await end(one);
  });

  test("mistakes are named", () => {
    const wrong: readonly (readonly [string, unknown])[] = [
      ["configuration", "{"],
      ["configuration", "[]"],
      ["configuration", null],
      ["gatway", { gatway: "10.0.0.1" }],
      ["gateway", { gateway: "10.0.0.300" }],
      ["interfaces", { interfaces: {} }],
      ["interfaces.0", { interfaces: ["eth0"] }],
      ["interfaces.0.mtu", { interfaces: [{ mtu: "many" }] }],
      ["interfaces.0.ip", { interfaces: [{ ip: "here" }] }],
      ["interfaces.1.masklen", { interfaces: [{}, { ip: "10.0.0.1", masklen: "33" }] }],
      ["interfaces.0.mac", { interfaces: [{ mac: "02:zz" }] }],
      ["interfaces.0.neigh", { interfaces: [{ neigh: "10.0.0.1" }] }],
      ["interfaces.0.speed", { interfaces: [{ speed: 1 }] }],
      ["sysctl", { sysctl: "net.ipv4.ip_forward" }],
      ["debug", { debug: "loud" }],
    ];
    for (const [option, value] of wrong)
      assert.throws(() => parseLklConfig(value), { code: "ERR_INVALID_OPTION", option }, option);
    fc.assert(
      fc.property(fc.json(), (text) => {
        try {
          assert.ok(Array.isArray(parseLklConfig(text).interfaces));
        } catch (error) {
          assert.equal((error as NodeJS.ErrnoException).code, "ERR_INVALID_OPTION");
        }
      }),
    );
  });
});
