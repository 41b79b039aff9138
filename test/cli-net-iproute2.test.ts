// The same commands in a namespace of this machine and in liblinux net: iproute2's programs and ours say
// the same, as text and as JSON.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

import { execute, succeeds } from "./command.ts";

/** Both have a bridge, a cable with one end in it, addresses, routes and so on. */
const SETUP = [
  "ip link set lo up",
  "ip link add br0 address 02:00:00:00:00:01 type bridge ageing_time 10000 priority 100 vlan_default_pvid 0",
  "ip link add v0 address 02:00:00:00:00:02 numtxqueues 1 numrxqueues 1 type veth peer name v1 address 02:00:00:00:00:03 numtxqueues 1 numrxqueues 1",
  "ip link set dev br0 addrgenmode none",
  "ip link set dev v0 addrgenmode none",
  "ip link set dev v1 addrgenmode none alias cable",
  "ip link property add dev v1 altname the-other-end",
  "ip link set v0 master br0",
  "ip link set v0 type bridge_slave cost 7 hairpin on learning off",
  "ip l s br0 up mtu 1400",
  "ip link set v0 up",
  "ip link set v1 up txqueuelen 500",
  "ip addr add 10.1.0.1/24 brd + dev v1",
  "ip a a 10.1.0.2/24 dev v1",
  "ip addr add 10.2.0.1 peer 10.2.0.2/32 dev v1",
  "ip addr add 10.3.0.1/16 dev br0 metric 7 valid_lft 5000 preferred_lft 4000",
  "ip addr add fd00::1/64 dev v1 nodad",
  "ip route add default via 10.1.0.9 metric 5 mtu 1300 advmss 1000",
  "ip route add 10.9.0.0/16 nexthop via 10.1.0.8 weight 2 nexthop via 10.1.0.7",
  "ip r a blackhole 10.10.0.0/16",
  "ip route add 10.11.0.0/16 dev v1 table 100 proto static src 10.1.0.2",
  "ip route add unreachable 10.12.0.0/16 table 100",
  "ip route add 10.13.0.0/16 via inet6 fd00::9 dev v1",
  "ip route add fd01::/16 via fd00::9 metric 77",
  "ip nexthop add id 1 via 10.1.0.8 dev v1",
  "ip nexthop add id 2 via 10.1.0.7 dev v1 onlink",
  "ip nexthop add id 10 group 1/2,3",
  "ip nexthop add id 11 blackhole",
  "ip route add 10.20.0.0/16 nhid 10",
  "ip rule add from 10.0.0.0/8 to 11.0.0.0/8 fwmark 0x1/0xff iif v0 lookup 100 pref 100",
  "ip rule add not from 10.0.0.0/8 oif v1 ipproto tcp dport 80-90 blackhole pref 200",
  "ip rule add uidrange 0-10 sport 5 goto 200 pref 150",
  "ip rule add pref 160 table main suppress_prefixlength 0",
  "ip neigh add 10.1.0.5 lladdr 02:00:00:00:00:05 dev v1",
  "ip neigh add fd00::5 lladdr 02:00:00:00:00:06 dev v1 nud noarp",
  "bridge fdb add 02:00:00:00:00:09 dev v0 master static",
  "tc qdisc add dev v1 root handle 1: htb default 10",
  "tc class add dev v1 parent 1: classid 1:1 htb rate 10mbit",
  "tc class add dev v1 parent 1:1 classid 1:10 htb rate 5mbit ceil 10mbit burst 15k",
  "tc qdisc add dev v1 parent 1:10 handle 20: pfifo limit 50",
  "tc filter add dev v1 parent 1: protocol ip prio 5 u32 match ip dst 10.1.0.0/20 match ip dport 80 0xffff match ip protocol 6 0xff flowid 1:10",
  "tc qdisc add dev v1 ingress",
  "tc qdisc add dev v0 root handle 8: tbf rate 1mbit burst 5k latency 50ms peakrate 2mbit mtu 1600",
  "tc qdisc add dev br0 root handle 9: bfifo limit 100k",
  // Nothing passes there, so nothing is counted.
  "ip link add x0 address 02:00:00:00:00:0a numtxqueues 1 numrxqueues 1 type veth peer name x1 address 02:00:00:00:00:0b",
  "tc qdisc add dev x0 root handle 7: pfifo limit 5",
];

/** Compared as text, and as JSON. */
const SHOWN = [
  "ip link show",
  "ip -s link show dev lo",
  "ip link show master br0",
  "ip link show type veth",
  "ip addr show",
  "ip -4 addr show dev v1",
  "ip addr show dev br0 scope global",
  "ip -br link",
  "ip -br addr",
  "ip route",
  "ip route show dev v1",
  "ip route show 10.9.0.0/16",
  "ip route show root 10.8.0.0/14",
  "ip -4 route show table all",
  "ip route show table 100",
  "ip -6 route show",
  "ip route get 10.1.0.77",
  "ip route get 10.3.1.1 from 10.1.0.1",
  "ip rule",
  "ip rule show table 100",
  "ip neigh",
  "ip nexthop",
  "ip nexthop show groups",
  "tc qdisc",
  "tc -s qdisc show dev x0",
  "tc qdisc show dev v0",
  "tc class show dev v1",
  "tc filter show dev v1",
  "bridge link",
  "bridge fdb show dev v0",
];

/** Parts in which JSON is compared, where one of the two has more than the other. */
const DETAILS = ["ip -d link show dev br0", "ip -d link show dev v0", "bridge -d link show dev v0"];

const RULESET = `table inet filter {
  set admins { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 1.1.1.1-1.1.1.9 }; }
  map targets { type inet_service : verdict; elements = { 22 : accept, 80 : jump other }; }
  counter hits { packets 3 bytes 5 }
  chain other { }
  chain input {
    type filter hook input priority filter - 5; policy drop;
    ct state established,related accept
    iifname "lo" accept
    ip saddr @admins tcp dport 22 counter accept comment "by hand"
    tcp dport { 80, 443 } accept
    udp sport != 1000-2000 limit rate over 10/minute burst 7 packets drop
    ip6 daddr fd00::/8 ct mark 0x1 ct mark set 0x2
    icmpv6 type { echo-request, nd-neighbor-solicit } accept
    icmp type echo-request limit rate 10 kbytes/second counter name "hits" jump other
    meta l4proto tcp reject with tcp reset
    meta mark 7 meta mark set 0x9 goto other
    reject with icmpx admin-prohibited
  }
}
table ip nat {
  chain post {
    type nat hook postrouting priority srcnat;
    oifname "eth*" masquerade
    ip saddr 10.0.0.0/8 snat to 192.0.2.4
  }
  chain pre {
    type nat hook prerouting priority dstnat;
    tcp dport 8080 dnat to 10.0.0.2:80
    udp dport 53 redirect to :5353
  }
}
`;

/** Both tell it after a while. */
const SETTLE = "sleep 1.2";
const MARK = "========";
const asJson = (command: string) => command.replace(/^\w+/, "$& -j");
/** iproute2 itself has these as text alone, or with heads of lists in between. */
const hasJson = (command: string) => !/^tc (class|filter)/.test(command);
const all = [...SHOWN, ...[...SHOWN, ...DETAILS].filter(hasJson).map(asJson)];

/** What there is on the screen, without what newer versions add and spaces at the ends of lines. */
const plain = (text: string) =>
  text
    .replaceAll(/ proto kernel_(lo|ll|ra)\b/g, "")
    .replaceAll(/\b\d+sec\b/g, "some seconds")
    .split("\n")
    .map((line) => line.trimEnd())
    // Heads of lists of filters.
    .filter((line) => !/^filter .*( chain 0| divisor 1)$/.test(line))
    .join("\n")
    .trim();

const parts = (output: string) => output.split(`${MARK}\n`).slice(1);

/** What the kernels of both may tell differently. */
const VOLATILE = new Set([
  "promiscuity",
  "allmulti",
  "tso_max_size",
  "max_mtu",
  "min_mtu",
  "valid_life_time",
  "preferred_life_time",
]);

/** Everything that ours says, theirs says. */
function within(ours: unknown, theirs: unknown, path: string): void {
  if (Array.isArray(ours)) {
    assert.ok(Array.isArray(theirs), path);
    assert.equal(ours.length, theirs.length, `${path}: ${JSON.stringify(theirs)}`);
    for (const [i, one] of ours.entries()) within(one, theirs[i], `${path}[${i}]`);
  } else if (typeof ours === "object" && ours !== null) {
    assert.ok(typeof theirs === "object" && theirs !== null, path);
    const known = new Map(Object.entries(theirs));
    for (const [key, value] of Object.entries(ours))
      if (known.has(key) && !VOLATILE.has(key)) within(value, known.get(key), `${path}.${key}`);
  } else assert.deepEqual(ours, theirs, path);
}

/** Everything that theirs says on the first levels, ours says. */
function keysOf(value: unknown): string[] {
  const items: unknown[] = Array.isArray(value) ? value : [value];
  return items.flatMap((item) => (typeof item === "object" && item ? Object.keys(item) : []));
}

const KEYS_OF_NEWER = new Set(["protocol", "parentbus", "parentdev", "ref_cnt", "weight_frac"]);

const isolated = (script: string) => execute("unshare", ["-n", "sh", "-ec", script]);

/** Root may make namespaces where that is allowed, and then Debian's programs are there. */
const may = (...program: string[]) =>
  process.getuid?.() === 0 && spawnSync("unshare", ["-n", ...program]).status === 0;

/** The machine's own kernel has not all that ours has. */
const LACKS = /unknown|not supported|not permitted|No such file or directory/i;

test("links, addresses, routes, rules, neighbours and disciplines are shown as iproute2 does, where the host allows it", async () => {
  const shows = all.map((command) => `echo ${MARK}\n${command}`);
  const script = [...SETUP, SETTLE, ...shows].join("\n");
  const ours = parts((await succeeds("net", "--no-nat", "-c", script)).text);
  assert.equal(ours.length, all.length);
  // What is on the screen is what we say it is, whatever there is to compare with.
  assert.match(ours[0], /^1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN /);
  assert.match(ours[all.indexOf("ip route")], /^default via 10\.1\.0\.9 dev v1 metric 5 mtu 1300/);
  for (const [i, command] of all.entries())
    if (command.includes(" -j ")) assert.ok(Array.isArray(JSON.parse(ours[i])), command);
  if (!may("tc", "-V")) return;
  const host = await isolated(script);
  if (LACKS.test(host.err)) return;
  assert.equal(host.err, "");
  const theirs = parts(host.text);
  for (const [i, command] of all.entries())
    if (command.includes(" -j ")) {
      const [own, other] = [JSON.parse(ours[i]), JSON.parse(theirs[i])] as const;
      within(own, other, command);
      if (command.includes(" -d ")) continue;
      const missing = new Set(keysOf(other)).difference(new Set(keysOf(own)));
      assert.deepEqual([...missing.difference(KEYS_OF_NEWER)], [], command);
    } else assert.equal(plain(ours[i]), plain(theirs[i]), command);
});

test("a ruleset is listed as nft does, where the host allows it", async () => {
  const commands = (one: string) => [one, "nft list ruleset", "nft list tables", "nft list sets"];
  const script = commands(`nft '${RULESET.trim()}'`).join("\n");
  const braces = commands(
    `nft ${RULESET.split("\ntable ip nat")[0]}\nnft table ip nat${RULESET.split("\ntable ip nat")[1]}`,
  );
  const ours = await succeeds("net", "--no-nat", "-c", braces.join("\n"));
  assert.match(ours.text, /\ttcp dport \{ 80, 443 \} accept\n/);
  if (!may("nft", "list", "tables")) return;
  const theirs = await isolated(script);
  if (LACKS.test(theirs.err)) return;
  assert.equal(theirs.err, "");
  assert.equal(plain(ours.text), plain(theirs.text));
});
