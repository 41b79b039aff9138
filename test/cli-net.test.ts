// liblinux net: what commands are understood as, what they do, and what is said when they cannot be.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import * as fc from "fast-check";

import type { Context } from "../src/cli/net/command.ts";
import { COMMAND_NAMES, parseLine, parseWords } from "../src/cli/net/commands.ts";
import { expectedAfter } from "../src/cli/net/complete.ts";
import { explained } from "../src/cli/net/errors.ts";
import { linesOf } from "../src/cli/net/lines.ts";
import { nearest, WordError, Words } from "../src/cli/net/words.ts";
import { World } from "../src/cli/net/world.ts";
import { Kernel } from "../src/index.ts";
import { execute, fails, main, succeeds, succeedsWith, top } from "./command.ts";
import { freePort } from "./free-port.ts";
import { temporaryFolder } from "./images/native.ts";
import { connect, listen } from "./net-support.ts";
import { typed } from "./terminal.ts";

suite("words", () => {
  test("a text is commands: lines, semicolons, quotes, comments, braces, and lines that go on", () => {
    const text = `ip link # all of them
      addr ; route;; rule
      ip link set dev v0 alias "a; b # c"
      nft table ip t { chain c {
        # nothing; yet
      } }
      ip route add 10.0.0.0/8 \\
        via 10.1.1.1`;
    assert.deepEqual(
      linesOf(text, "x.net").map(({ words, place }) => [place].concat(words)),
      [
        ["x.net:1", "ip", "link"],
        ["x.net:2", "addr"],
        ["x.net:2", "route"],
        ["x.net:2", "rule"],
        ["x.net:3", "ip", "link", "set", "dev", "v0", "alias", "a; b # c"],
        ["x.net:4", "nft", "table", "ip", "t", "{", "chain", "c", "{", "}", "}"],
        ["x.net:7", "ip", "route", "add", "10.0.0.0/8", "via", "10.1.1.1"],
      ],
    );
    for (const [wrong, problem] of [
      ["ip link set alias 'x", /x:1: a quote is not closed/],
      ["\nnft table ip t {\n", /a \{ is not closed/],
      ["ip link\n}", /x:2: \} without a \{/],
    ] as const)
      assert.throws(() => linesOf(wrong, "x"), problem);
  });

  test("what was meant is told, if it is near", () => {
    assert.equal(nearest("lnk", ["address", "link"]), "link");
    assert.equal(nearest("netme", ["fq", "netem"]), "netem");
    assert.equal(nearest("xyzzy", ["fq", "netem"]), undefined);
  });

  test("any words are a command or a WordError, and nothing else", () => {
    const vocabulary = [
      COMMAND_NAMES.join(" "),
      "ip addr link route rule neigh nexthop netns monitor add del show set replace flush get exec",
      "type dev root bridge veth peer name vlan id via table main all netem delay loss rate htb class",
      "qdisc filter flower action 10.0.0.1/24 default fe80::1 10ms 5% 1mbit eth0 7 -1 0x10 { } ; , =",
      "tcp dport accept chain inet hook -j -4 -c \0 != elements @s 1-2 02:00:00:00:00:01",
    ].flatMap((words) => words.split(" "));
    const word = fc.oneof(
      { weight: 20, arbitrary: fc.constantFrom(...vocabulary) },
      { weight: 1, arbitrary: fc.string({ maxLength: 6 }) },
    );
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 9 }), (words) => {
        try {
          assert.equal(typeof parseWords(new Words(words)), "function");
        } catch (error) {
          assert.ok(error instanceof WordError, String(error));
          assert.ok(error.message.length > 0);
        }
      }),
      { numRuns: 4000, seed: 7 },
    );
  });

  test("so is any text in nft's language", () => {
    const vocabulary = [
      "add list rule chain table set map element inet f c tcp dport { } ; , = @s 80 accept type filter",
      "hook input priority 0 policy drop elements flags interval 10.0.0.0/8 : jump verdict limit rate",
      "10/second log prefix counter ruleset != ct state new meta mark ip saddr comment # \" ' \\ \n",
    ].flatMap((words) => words.split(" "));
    const words = fc.array(fc.constantFrom(...vocabulary), { maxLength: 25 });
    fc.assert(
      fc.property(words, (some) => {
        try {
          for (const line of linesOf(`nft ${some.join(" ")}`, "x")) parseLine(line);
        } catch (error) {
          assert.ok(error instanceof WordError, String(error));
        }
      }),
      { numRuns: 4000, seed: 7 },
    );
  });

  test("mistakes are named, with what may stand there", () => {
    for (const [line, problem] of MISTAKES)
      assert.throws(
        () => linesOf(line, "").map((one) => parseLine(one)),
        (error) => error instanceof WordError && problem.test(error.message),
        line,
      );
  });

  test("what may stand where the cursor is", () => {
    assert.ok(expectedAfter([]).includes("tc"));
    assert.ok(expectedAfter(["ip"]).includes("neighbour"));
    assert.ok(expectedAfter(["ip", "link"]).includes("add"));
    assert.ok(expectedAfter(["ip", "link", "add", "x", "type"]).includes("vxlan"));
    assert.ok(expectedAfter(["link", "add", "x", "type", "bond", "mode"]).includes("802.3ad"));
    assert.ok(expectedAfter(["tc", "qdisc", "add", "dev", "x", "root"]).includes("netem"));
    assert.ok(expectedAfter(["tc", "qdisc", "add", "dev", "x", "root", "netem"]).includes("loss"));
    // The name of an interface.
    assert.deepEqual(expectedAfter(["ip", "addr", "show", "dev"]), [""]);
    assert.deepEqual(expectedAfter(["nonsense"]), []);
  });
});

const MISTAKES: readonly (readonly [line: string, problem: RegExp])[] = [
  ["ip lnk", /"lnk" is no object of ip: did you mean "link"\?; there are address, route/],
  ["ipp link", /"ipp" is no command: did you mean "ip"\?/],
  ["ip link ad x", /"type" is missing/],
  ["ip link frob", /"frob" is no verb of ip link; there are add, set/],
  ["ip -x link", /"-x" is no flag/],
  ["ip link add x type brigde", /"brigde" is no kind of links: did you mean "bridge"\?/],
  ["ip link add x type vlan", /"id" is missing: a VLAN has a number/],
  ["ip link add x type vlan id 5000", /id "5000": it is a number from 0 to 4095/],
  ["ip link add x type bridge pritority 5", /no parameter of bridge: did you mean "priority"\?/],
  ["ip link set eth0 mtu abc", /mtu "abc": it is a number/],
  ["ip link set eth0 address 1:2", /"1:2" is no hardware address/],
  ["ip link set eth0 master", /"master": an interface's name is missing/],
  ["ip link set a-name-that-is-too-long up", /has up to 15 letters/],
  ["ip addr add 10.0.0.300/24 dev eth0", /"10\.0\.0\.300\/24" is no IP address/],
  ["ip addr add 10.0.0.1/24", /"dev" is missing/],
  ["ip addr add dev eth0", /an address is missing/],
  ["ip addr add 10.0.0.1/24 dev eth0 valid_lft soon", /"soon": it is a number of seconds/],
  ["ip route add default via 10.0.0", /"10\.0\.0" is no IP address/],
  ["ip route add default via 10.0.0.1 tabel 5", /"tabel" is no word of ip route add/],
  ["ip route add default table x", /table "x": it is main, local, default or a number/],
  ["ip route flush", /which routes\?/],
  ["ip rule add fwmark zz", /fwmark "zz": it is like 1, 0x1 or 0x1\/0xff/],
  ["ip nexthop add id 1 group 1+2", /group "1\+2": it is like 1\/2/],
  ["ip netns add ..", /"\.\.": a name has letters/],
  ["ip netns exec x", /what is to be done there\?/],
  ["tc qdisc add dev lo root nettem", /"nettem" is no queueing discipline: did you mean "netem"\?/],
  [
    "tc qdisc add dev lo root netem dely 10ms",
    /"dely" is no parameter of netem: .*"delay".* limit, /,
  ],
  ["tc qdisc add dev lo root netem delay 10parsec", /delay "10parsec": it is a time such as 10ms/],
  ["tc qdisc add dev lo root netem loss 200%", /no more than 100%/],
  ["tc qdisc add dev lo root tbf rate 1mbit", /tbf: "burst" is missing/],
  ["tc qdisc add dev lo root tbf rate 1mbit burst 5k", /"limit or latency" is missing/],
  ["tc qdisc add dev lo netem", /"root" or "parent" is missing/],
  ["tc qdisc add root netem", /"dev" is missing/],
  ["tc class add dev lo classid 1:1 fq rate 1", /"fq" is no discipline with classes/],
  ["tc class add dev lo classid 1 htb ceil 1mbit", /htb: "rate" is missing/],
  [
    "tc filter add dev lo u64",
    /"u64" is no kind of filters: did you mean "u32"\?; there are flower/,
  ],
  ["tc filter add dev lo u32", /u32: "match" is missing/],
  ["tc filter add dev lo u32 match ip dts 10.0.0.1", /"dts" is no field of ip: did you mean "dst"/],
  ["tc filter add dev lo u32 match ip6 dst 10.0.0.1", /it is of the other family/],
  ["tc filter add dev lo u32 match u16 5 ff at 3", /at 3: it is a multiple of 2/],
  ["tc filter add dev lo matchall action mirred egress redirct dev lo", /did you mean "redirect"/],
  ["tc filter add dev lo matchall action police rate 1mbit", /police: "burst" is missing/],
  ["tc filter add dev lo matchall action police conform-exceed x", /"x" is no thing to do/],
  ["bridge vlan add dev v0 vid 5000", /vid "5000": it is a number from 1 to 4094/],
  ["bridge fdb add 02 dev v0", /"02" is no hardware address/],
  ["ss -Z", /"-Z" is no option of ss/],
  ["ss state foo", /"foo" is no state; there are established/],
  ["ss dport = x", /dport "x": it is like :80/],
  ["nft add rule inet f c tcp dprt 80", /"dprt" is no field of tcp: did you mean "dport"\?/],
  ["nft add rule inet f c acept", /"acept" is no word of a rule: did you mean "accept"\?/],
  ["nft add rule inet f c drop counter", /counter stands before action here: the order is match/],
  ["nft add rule inet f c tcp dport 99999 accept", /"99999" is no port/],
  ["nft add rule inet f c tcp dport { } accept", /there is no value in it/],
  ["nft add rule inet f c", /a rule says what a packet is/],
  [
    "nft add chain inet f c { type filter hook inptu priority 0; }",
    /"inptu" is no hook: .*"input"/,
  ],
  ["nft add set inet f s { flags interval; }", /"type" is missing/],
  ["nft list rulset", /"rulset" is no thing to list: did you mean "ruleset"\?/],
  ["nft -f /nonexistent.nft", /nonexistent\.nft: ENOENT/],
  ["ethtool -Q eth0", /"-Q" is no option of ethtool/],
  ["ethtool -K eth0 tso maybe", /tso "maybe": it is on or off/],
  ["sysctl ../etc", /it is like net\.ipv4\.ip_forward/],
  ["sysctl -w net.ipv4.ip_forward", /-w needs a value/],
  ["wg set wg0 endpoint 10.0.0.1:5", /"endpoint" stands behind peer KEY/],
  ["wg set wg0 private-key x", /"x" is no key/],
  ["ping", /which host\?/],
  ["ping -i 0 x", /it is a number of seconds from 0\.002/],
  ["sleep forever", /it is a number of seconds up to/],
  ["conntrack -X", /"-X" is no option of conntrack/],
  ["ip link show eth0 eth1", /"eth1" is no word of ip link show/],
];

/** Commands in one network, and what they print. */
class Lab {
  readonly world: World;
  #text = "";

  constructor(world: World) {
    this.world = world;
  }

  get #context(): Context {
    const { home } = this.world;
    return {
      world: this.world,
      space: home,
      network: home.network,
      json: false,
      signal: new AbortController().signal,
      write: async (text) => {
        this.#text += text;
      },
    };
  }

  /** What commands print. */
  async run(text: string): Promise<string> {
    this.#text = "";
    for (const line of linesOf(text, "")) await parseLine(line)(this.#context);
    return this.#text;
  }

  /** Each on its line. */
  async lines(text: string): Promise<string[]> {
    return (await this.run(text)).trimEnd().split("\n");
  }

  async json(text: string): Promise<Record<string, unknown>[]> {
    return JSON.parse(await this.run(text)) as Record<string, unknown>[];
  }
}

suite("commands", () => {
  let kernel: Kernel;
  let lab: Lab;
  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: 128 });
    lab = new Lab(await World.open(kernel, []));
  });
  after(async () => {
    await lab.world[Symbol.asyncDispose]();
    await kernel.halt();
  });

  test("kinds of links are made with their parameters, and told by -d", async () => {
    const kinds: readonly (readonly [words: string, says: RegExp])[] = [
      ["type dummy", /\n {4}dummy /],
      [
        "link base type vlan id 5 protocol 802.1ad reorder_hdr off",
        /vlan protocol 802\.1ad id 5 a/,
      ],
      ["link base type vlan id 6 gvrp on", /vlan protocol 802\.1Q id 6 <REORDER_HDR,GVRP>/],
      [
        "type bridge vlan_filtering 1 stp_state 1 forward_delay 400",
        /forward_delay 400 .*stp_state 1 .*vlan_filtering 1/,
      ],
      [
        "type bond mode 802.3ad miimon 100 lacp_rate fast",
        /bond mode 802\.3ad miimon 100 .*lacp_rate fast/,
      ],
      [
        "type vxlan id 42 remote 10.9.0.2 local 10.9.0.1 dstport 4789 dev base nolearning",
        /vxlan id 42 remote 10\.9\.0\.2 local 10\.9\.0\.1 dev base srcport 0 0 dstport 4789 nolearning ttl auto ageing 300/,
      ],
      ["link base type macvlan mode bridge", /macvlan mode bridge/],
      ["link base type ipvlan mode l3", /ipvlan mode l3/],
      ["type vrf table 10", /vrf table 10 /],
      [
        "type gre remote 10.9.0.2 local 10.9.0.1 ttl 64 key 5",
        /gre remote 10\.9\.0\.2 local 10\.9\.0\.1 ttl 64 .*ikey 0\.0\.0\.5 okey 0\.0\.0\.5/,
      ],
      [
        "type ipip remote 10.9.0.2 local 10.9.0.1 dev base",
        /ipip remote 10\.9\.0\.2 local 10\.9\.0\.1 dev base/,
      ],
      ["type geneve id 7 remote 10.9.0.2", /geneve id 7 remote 10\.9\.0\.2 dstport 6081/],
      ["type wireguard", /\n {4}wireguard /],
      ["type ifb", /\n {4}ifb /],
    ];
    await lab.run("link add base type dummy; link set base up");
    for (const [words, says] of kinds) {
      await lab.run(`ip link add x0 mtu 1300 ${words}`);
      assert.match(await lab.run("ip -d link show x0"), says, words);
      const [one] = await lab.json("ip -d -j link show dev x0");
      assert.equal(one.mtu, 1300, words);
      const kind = /type (\w+)/.exec(words)?.[1];
      assert.equal((one.linkinfo as { info_kind: string }).info_kind, kind);
      await lab.run("ip link del x0");
    }
    await lab.run("link del base");
  });

  test("disciplines that this machine may not have are told as tc does", async () => {
    await lab.run("link add q0 type dummy; link set q0 up");
    const shown: readonly (readonly [words: string, text: string])[] = [
      [
        "netem limit 500 delay 10ms 2ms 25% loss 1% duplicate 0.5% rate 1mbit seed 7",
        "limit 500 delay 10ms  2ms 25% loss 1% duplicate 0.5% rate 1Mbit seed 7",
      ],
      ["netem delay 1.5s corrupt 2% ecn", "limit 1000 delay 1.5s corrupt 2% ecn seed"],
      [
        "fq_codel limit 100 target 4ms noecn",
        "limit 100p flows 1024 quantum 1514 target 4ms interval 100ms memory_limit 32Mb drop_batch 64",
      ],
      ["codel target 3ms", "limit 1000p target 3ms interval 100ms"],
      [
        "fq maxrate 10mbit",
        "limit 10000p flow_limit 100p buckets 1024 orphan_mask 1023 quantum 3028b initial_quantum 15140b maxrate 10Mbit",
      ],
      [
        "cake bandwidth 10mbit besteffort nat",
        "bandwidth 10Mbit besteffort triple-isolate nat nowash no-ack-filter split-gso rtt 100ms",
      ],
      [
        "red limit 400k min 30k max 90k avpkt 1000 burst 55 ecn",
        "limit 400Kb min 30Kb max 90Kb ecn ewma 5 probability 0.02",
      ],
      ["prio bands 4", "bands 4 priomap  1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1"],
      ["sfq perturb 10", "limit 127p quantum 1514b depth 127 divisor 1024 perturb 10sec"],
      [
        "ets strict 1 quanta 3000 2000",
        "bands 3 strict 1 quanta 3000 2000 priomap 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2",
      ],
      ["pie target 20ms", "limit 1000p target 20ms tupdate "],
      ["hfsc default 10", "default 0x10"],
      ["pfifo_fast", "bands 3 priomap  1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1"],
    ];
    for (const [words, text] of shown) {
      await lab.run(`tc qdisc add dev q0 root handle 1: ${words}`);
      const [line] = await lab.lines("tc qdisc show dev q0");
      const [kind] = words.split(" ");
      assert.ok(line.startsWith(`qdisc ${kind} 1: root refcnt 2 ${text}`), line);
      const [one] = await lab.json("tc -j qdisc show dev q0");
      assert.equal(one.kind, kind);
      await lab.run("tc qdisc del dev q0 root");
    }
    await lab.run(`tc qdisc add dev q0 root handle 1: hfsc default 10
      tc class add dev q0 parent 1: classid 1:10 hfsc rt m1 2mbit d 10ms m2 1mbit ls rate 1mbit
      tc filter add dev q0 parent 1: protocol ip prio 5 flower ip_proto tcp dst_ip 10.1.0.0/24 dst_port 80 classid 1:10
      tc qdisc add dev q0 clsact
      tc filter add dev q0 egress matchall action mirred egress mirror dev lo
      tc filter add dev q0 ingress matchall action police rate 1mbit burst 32k`);
    const [, leaf] = await lab.lines("tc class show dev q0");
    assert.match(
      leaf,
      /^class hfsc 1:10 root rt m1 2Mbit d 10ms m2 1Mbit ls m1 0bit d 0us m2 1Mbit/,
    );
    assert.deepEqual(await lab.lines("tc filter show dev q0 parent 1:"), [
      "filter protocol ip pref 5 flower chain 0 handle 0x1 classid 1:10 ",
      "  eth_type ipv4",
      "  ip_proto tcp",
      "  dst_ip 10.1.0.0/24",
      "  dst_port 80",
    ]);
    assert.match(
      await lab.run("tc filter show dev q0 egress"),
      /mirred \(Egress Mirror to device lo\)/,
    );
    assert.match(
      await lab.run("tc filter show dev q0 ingress"),
      /action order 1: police rate 1Mbit burst 32Kb action drop/,
    );
    await lab.run("link del q0");
  });

  test("namespaces have networks of their own, and ping goes from one to the other", async () => {
    await lab.run(`ip netns add far
      ip link add near type veth peer name eth0 netns far
      addr add 10.5.0.1/24 dev near; link set near up
      ip -n far addr add 10.5.0.2/24 dev eth0
      ip netns exec far link set eth0 up`);
    assert.deepEqual(await lab.lines("netns"), ["far"]);
    assert.match(await lab.run("link show near"), /near@if\d+: .* link-netnsid 0/s);
    const text = await lab.run("ping -c 2 -i 0.05 -W 5 10.5.0.2");
    assert.match(text, /^PING 10\.5\.0\.2 \(10\.5\.0\.2\) 56\(84\) bytes of data\.\n64 bytes from/);
    assert.match(text, /2 packets transmitted, 2 received, 0% packet loss/);
    assert.match(await lab.run("neigh show dev near"), /^10\.5\.0\.2 dev near lladdr /);
    await assert.rejects(lab.run("ip -n nowhere link"), { code: "ENOENT" });
    await assert.rejects(lab.run("ip netns add far"), { code: "EEXIST" });
    await assert.rejects(lab.run("ping -c 1 -W 0.05 10.5.0.77"), /ETIMEDOUT|EHOSTUNREACH/);
    await lab.run("ip -n far link add back type dummy; ip -n far link set back netns 1");
    assert.match(await lab.run("-br link show back"), /^back +DOWN/);
    await lab.run("link del back; ip netns del far");
    assert.equal(await lab.run("netns"), "");
  });

  test("sockets are listed with what TCP knows", async () => {
    const { process } = lab.world.home;
    const listener = await listen(process, "127.0.0.1", 8080);
    const client = await connect(process, "127.0.0.1", 8080);
    const listening = await lab.lines("ss -tln");
    assert.equal(listening.length, 2);
    assert.match(listening[1], /^LISTEN 1 +16 +127\.0\.0\.1:8080 +0\.0\.0\.0:\*$/);
    const info = await lab.run("ss -tin dport = :8080");
    assert.match(info, /^ESTAB +0 +0 +127\.0\.0\.1:\d+ +127\.0\.0\.1:8080$/m);
    assert.match(info, /^\t \w+ wscale:\d+,\d+ rto:\d+ rtt:.* mss:\d+ .* cwnd:10/m);
    const all = await lab.json("ss -tj state established src 127.0.0.1");
    assert.equal(all.length, 2);
    assert.equal(all[0].state, "ESTAB");
    assert.match(await lab.run("ss -s"), /^TCP: +3 \(estab 2/m);
    await process.close(client);
    await process.close(listener);
  });

  test("changes are watched, parameters set, features switched", async () => {
    const watched = lab.run("ip monitor link count 1");
    const other = new Lab(lab.world);
    // It watches as soon as something is told: until then things change again and again.
    let done = false;
    void watched.finally(() => (done = true));
    while (!done) await other.run("link add m0 type dummy; link del m0; sleep 0.02");
    assert.match(await watched, /^(Deleted )?\d+: m0: <BROADCAST,NOARP> mtu 1500/);
    assert.equal(await lab.run("sysctl net.ipv4.ip_forward=1"), "net.ipv4.ip_forward = 1\n");
    assert.equal(await lab.run("sysctl -n net/ipv4/ip_forward"), "1\n");
    assert.match(await lab.run("ethtool -k lo"), /^tcp-segmentation-offload: on$/m);
    await lab.run("ethtool -K lo tso off");
    assert.match(await lab.run("ethtool -k lo"), /^tcp-segmentation-offload: off$/m);
    await lab.run("link add d0 type dummy");
    assert.match(await lab.run("ethtool -i d0"), /^driver: dummy$/m);
    await lab.run("link del d0");
    await assert.rejects(lab.run("ethtool -K lo nonsense on"), /"nonsense" is no feature/);
    assert.equal(await lab.run("nameserver 10.0.0.3; nameserver"), "nameserver 10.0.0.3\n");
    assert.match(await lab.run("resolve localhost"), /^localhost has address 127\.0\.0\.1$/m);
  });

  test("WireGuard, VLANs of a bridge, and the packet filter", async () => {
    const [own, peer] = [
      "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=",
      "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
    ];
    await lab.run(`link add wg0 type wireguard
      wg set wg0 listen-port 51820 private-key ${own} peer ${peer} allowed-ips 10.6.0.0/24,fd06::/64 endpoint 192.0.2.1:5 persistent-keepalive 25`);
    const shown = await lab.run("wg");
    assert.ok(shown.includes("  private key: (hidden)\n") && !shown.includes(own));
    assert.match(
      shown,
      /allowed ips: 10\.6\.0\.0\/24, fd06::\/64\n {2}persistent keepalive: every 25 seconds/,
    );
    assert.ok((await lab.run("wg showconf wg0")).includes(`PrivateKey = ${own}`));
    await lab.run("link del wg0");

    await lab.run(`link add br0 type bridge vlan_filtering 1
      link add v0 type veth peer name v1; link set v0 master br0
      bridge vlan add dev v0 vid 10-12; bridge vlan add dev v0 vid 5 pvid untagged`);
    assert.deepEqual(await lab.lines("bridge vlan show dev v0"), [
      "port              vlan-id  ",
      "v0                1 Egress Untagged",
      "                  5 PVID Egress Untagged",
      "                  10-12",
    ]);
    await lab.run(
      "nft table inet t { flowtable f { hook ingress priority 0; devices = { v0 }; }; }",
    );
    assert.match(
      await lab.run("nft list flowtables"),
      /flowtable f \{\n\t\thook ingress priority filter\n\t\tdevices = \{ v0 \}/,
    );
    await lab.run("nft delete table inet t; link del br0; link del v0");

    await lab.run(`nft add table inet f
      nft add chain inet f c { type filter hook input priority 0; }
      nft add rule inet f c tcp dport { 22, 80 } counter accept comment "two ports"
      nft insert rule inet f c ct state established accept
      nft add set inet f s { type ipv4_addr; flags interval; }
      nft add element inet f s { 10.0.0.0/8, 1.1.1.1 }
      nft delete element inet f s { 1.1.1.1 }`);
    const [{ nftables }] = [JSON.parse(await lab.run("nft -j list ruleset"))] as [
      { nftables: Record<string, { handle: number; text?: string; elem?: string[] }>[] },
    ];
    assert.deepEqual(
      nftables.flatMap((one) => one.rule?.text ?? []),
      [
        "ct state established accept",
        'tcp dport { 22, 80 } counter packets 0 bytes 0 accept comment "two ports"',
      ],
    );
    assert.deepEqual(nftables.find((one) => one.set)?.set.elem, ["10.0.0.0/8"]);
    const handle = nftables.find((one) => one.rule)?.rule.handle;
    await lab.run(`nft delete rule inet f c handle ${handle}; nft delete set inet f s`);
    assert.doesNotMatch(await lab.run("nft list ruleset"), /established|set s/);
    await lab.run("nft flush ruleset");
    assert.equal(await lab.run("nft list ruleset"), "");
  });

  test("what the kernel refuses is told in its words, with what helps", async () => {
    await lab.run("link add e0 type dummy; link set e0 up; addr add 10.8.0.1/24 dev e0");
    await lab.run("tc qdisc add dev e0 root handle 1: pfifo");
    const refused: readonly (readonly [line: string, code: string, says: RegExp])[] = [
      ["ip addr show nobody", "ENODEV", /there is no network interface "nobody" \(ip link shows/],
      ["ip link add e0 type dummy", "EEXIST", /there is one already/],
      [
        "ip addr add 10.8.0.1/24 dev e0",
        "EEXIST",
        /Address already assigned.*there is one already/,
      ],
      ["ip addr del 10.8.0.9/24 dev e0", "EADDRNOTAVAIL", /ip addr shows those that it has/],
      [
        "ip route add default via 10.77.0.1",
        "ENETUNREACH",
        /Nexthop has invalid gateway \(the gateway is in no network of an interface that is up/,
      ],
      ["ip route get 198.51.100.1", "ENETUNREACH", /no route leads there/],
      ["ip route del 10.99.0.0/16", "ESRCH", /ip route shows those that there are/],
      ["ip rule del pref 4711", "ENOENT", /delete the rule/],
      ["tc qdisc add dev e0 root pfifo", "EEXIST", /Exclusivity flag on.*tc qdisc replace/],
      ["tc qdisc add dev nobody root fq", "ENODEV", /"nobody"/],
      ["ip link set e0 master e0", "EOPNOTSUPP", /e0/],
      ["ip nexthop add id 5 group 77", "EINVAL", /Invalid nexthop id/],
      ["nft add rule inet nowhere c drop", "ENOENT", /the kernel rejects "table"/],
      ["nft list table inet nowhere", "ENOENT", /there is no table inet nowhere/],
      ["sysctl net.ipv4.nonsense", "ENOENT", /nonsense/],
      ["dhcp release e0", "ENOENT", /e0 has no address by DHCP/],
    ];
    for (const [line, code, says] of refused)
      await assert.rejects(
        lab.run(line),
        (error: NodeJS.ErrnoException) => {
          assert.equal(error.code, code, line);
          assert.match(explained(error, line), says, line);
          return true;
        },
        line,
      );
    await lab.run("link del e0");
  });
});

suite("the command line", { concurrency: 2 }, () => {
  const folder = temporaryFolder();
  after(() => folder[Symbol.dispose]());
  const at = (name: string) => join(folder.path, name);

  test("a script that makes no sense has no effect, and says where", async () => {
    writeFileSync(at("bad.net"), "ip link\naddr\nip lnk\n");
    await fails(
      2,
      /bad\.net:3: ip lnk: "lnk" is no object of ip: did you mean "link"/,
      "net",
      at("bad.net"),
    );
    await fails(2, /nowhere\.net: ENOENT/, "net", at("nowhere.net"));
    await fails(
      2,
      /-c:1: tc qdisk: "qdisk" is no object of tc: did you mean "qdisc"/,
      "net",
      "-c",
      "tc qdisk",
    );
    await fails(2, /which commands\?/, "net", "--no-nat");
    await fails(2, /--profile fs: only the full kernel/, "net", "--profile", "fs", "addr");
    await fails(2, /--nat and --no-nat/, "net", "--nat", "--no-nat", "addr");
    await fails(2, /--udp x: it is like 5001/, "net", "--udp", "x", "addr");
    await fails(2, /--ws x: it is a URL/, "net", "--ws", "x", "addr");
    await fails(2, /--dhcp: there is no interface/, "net", "--no-nat", "-d", "addr");
    await fails(
      2,
      /bad\.json: .*interfaces/,
      "net",
      "--config",
      lkl("bad.json", { interfaces: 5 }),
      "addr",
    );
    assert.match((await succeeds("net", "help")).text, /^ {2}tc \[-j\] .*\n?.* traffic control/m);
    await succeeds("net", "--dry-run", "-c", "ip link add x type dummy");
  });

  const lkl = (name: string, value: unknown): string => {
    writeFileSync(at(name), JSON.stringify(value));
    return at(name);
  };

  test("the first that fails ends a script, unless it is forced on; standard input is a script", async () => {
    const script = "link del nobody\necho still there";
    const stopped = await execute(
      process.execPath,
      [main, "net", "--no-nat", "-"],
      process.env,
      script,
    );
    assert.equal(stopped.code, 1);
    assert.equal(stopped.text, "");
    assert.match(stopped.err, /^liblinux: net -:1: link del nobody: .*"nobody".*\n$/);
    const forced = await execute(process.execPath, [
      main,
      "net",
      "--no-nat",
      "--force",
      "-c",
      script,
    ]);
    assert.equal(forced.code, 1);
    assert.equal(forced.text, "still there\n");
    const good = await succeedsWith(
      "link add x type dummy # a comment\n-br link",
      "net",
      "--no-nat",
      "-",
    );
    assert.match(good.text, /^lo .*\nx +DOWN .*<BROADCAST,NOARP>/);
  });

  test("the way out: DHCP, ping, a capture; LKL's configuration; JSON of all", async () => {
    const capture = at("trace.pcapng");
    const { text } = await succeeds(
      "net",
      "-d",
      "--pcap",
      capture,
      "-c",
      "ping -c 1 10.0.2.2; ip -br addr show eth0",
    );
    assert.match(text, /^eth0: 10\.0\.2\.15\/24 from 10\.0\.2\.2, by way of 10\.0\.2\.2/);
    assert.match(text, /1 packets transmitted, 1 received/);
    assert.match(text, /^eth0 +UP +10\.0\.2\.15\/24/m);
    // The section's block, and the interface's name.
    const bytes = readFileSync(capture);
    assert.equal(bytes.readUInt32LE(0), 0x0a0d0d0a);
    assert.ok(bytes.includes("eth0"));
    const config = lkl("lkl.json", {
      interfaces: [{ ip: "10.0.2.20", masklen: "24", ifgateway: "10.0.2.2" }],
    });
    const configured = await succeeds(
      "net",
      "--json",
      "--config",
      config,
      "-c",
      "route; sysctl net.ipv4.ip_forward",
    );
    const [routes, parameters] = configured.text
      .trim()
      .split("\n")
      .map((one) => JSON.parse(one) as unknown[]);
    assert.equal((routes[0] as { gateway: string }).gateway, "10.0.2.2");
    assert.deepEqual(parameters, [{ "net.ipv4.ip_forward": "0" }]);
  });

  test("two of them reach each other by UDP", async () => {
    const [here, there] = await Promise.all([freePort(), freePort()]);
    const end = (own: number, other: number, script: string) =>
      succeeds("net", "--udp", `127.0.0.1:${own}=127.0.0.1:${other}`, "-c", script);
    const [, { text }] = await Promise.all([
      end(here, there, "addr add 10.0.0.1/24 dev eth0; link set eth0 up; sleep 6"),
      end(
        there,
        here,
        "addr add 10.0.0.2/24 dev eth0; link set eth0 up; ping -c 25 -i 0.2 -W 1 10.0.0.1",
      ),
    ]);
    assert.match(text, /^64 bytes from 10\.0\.0\.1: icmp_seq=\d+ ttl=64 time=/m);
  });

  test("on a terminal commands are asked for, completed, and go on after errors and interrupts", async () => {
    const env = { ...process.env, XDG_STATE_HOME: at("state"), TERM: "xterm", NO_COLOR: "1" };
    const text = await typed(
      `"${process.execPath}" "${main}" net --no-nat`,
      env,
      [/net> $/, "ip li\t"],
      [/ip link $/, "show dev \t"],
      [/dev lo $/, "\n"],
      [/net> $/, "link lnk\n"],
      [/"lnk" is no verb of ip link[^]*net> $/, "ping -c 100 -i 0.05 127.0.0.1\n"],
      [/icmp_seq=2/, "\x03"],
      [/packets transmitted[^]*net> $/, "route get 192.0.2.1\n"],
      [/ENETUNREACH[^]*no route leads there[^]*net> $/, "help\n"],
      [/tc \[-j\][^]*net> $/, "exit\n"],
    );
    assert.match(text, /^1: lo: <LOOPBACK,UP,LOWER_UP>/m);
    assert.match(readFileSync(at("state/liblinux/net-history"), "utf8"), /^ip link show dev lo $/m);
  });

  test("the script of docs/cli.md does what it says", async () => {
    const guide = readFileSync(join(top, "docs/cli.md"), "utf8");
    const [, script = ""] = /^```\n(# lab\.net[^]*?)^```$/m.exec(guide) ?? [];
    writeFileSync(at("lab.net"), script);
    const { text } = await succeeds("net", at("lab.net"));
    assert.match(text, /^3 packets transmitted, [123] received/m);
    assert.match(text, /^qdisc netem 8001: root refcnt 2 limit 1000 delay 20ms {2}2ms loss 1%/m);
  });
});
