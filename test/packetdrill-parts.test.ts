// The parts of the packetdrill interpreter: its language, packets, Python, and shell.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";

import {
  assert as check,
  array,
  constantFrom,
  nat,
  property,
  record,
  uint8Array,
} from "fast-check";

import { VirtualClock, Kernel } from "../src/index.ts";
import { net } from "../src/net/index.ts";
import { writeText } from "../src/net/text-file.ts";
import { execute } from "./command.ts";
import { temporaryFolder } from "./images/native.ts";
import { rejection } from "./kernel.ts";
import { configure } from "./packetdrill/config.ts";
import { Mismatch, ScriptError } from "./packetdrill/errors.ts";
import { decode, encode, format } from "./packetdrill/packet.ts";
import type { Packet } from "./packetdrill/packet.ts";
import { parse } from "./packetdrill/parser.ts";
import { runPython } from "./packetdrill/python.ts";
import type { PyScope } from "./packetdrill/python.ts";
import { runScript } from "./packetdrill/run.ts";
import { Shell } from "./packetdrill/shell.ts";
import {
  TCPOPT_SACK,
  decodeOptions,
  encodeOptions,
  formatOptions,
} from "./packetdrill/tcp-options.ts";

suite("packetdrill's language", () => {
  const one = (text: string) => parse(text, "x.pkt").events[0];

  test("has times of all kinds", () => {
    const { events } = parse(
      `0 > . 1:1(0)
       +.25 > . 1:1(0)
       * > . 1:1(0)
       1.5~2 > . 1:1(0)
       +1~+1.000001 > . 1:1(0)`,
      "x.pkt",
    );
    assert.deepEqual(
      events.map(({ time }) => time),
      [
        { kind: "absolute", ns: 0 },
        { kind: "relative", ns: 250_000_000 },
        { kind: "any" },
        { kind: "absolute", ns: 1_500_000_000, endNs: 2_000_000_000 },
        { kind: "relative", ns: 1_000_000_000, endNs: 1_000_001_000 },
      ],
    );
    assert.deepEqual(
      events.map(({ line }) => line),
      [1, 2, 3, 4, 5],
    );
  });

  test("has all TCP options", () => {
    const text =
      "mss 1460,nop,wscale 7,sackOK,TS val 1 ecr 4294967295,eol,FO 0102030405060708,FOEXP,nop,nop,nop,nop,nop";
    const event = one(`0 > S. 5:105(100) ack 7 win 8 urg 9 <${text}>`);
    assert.ok(event.kind === "packet" && event.packet.protocol === "tcp");
    assert.ok(event.packet.options);
    assert.equal(formatOptions(event.packet.options), text);
    assert.deepEqual(
      { ...event.packet, options: null },
      {
        protocol: "tcp",
        flags: 0x12,
        ace: false,
        sequence: 5,
        payloadBytes: 100,
        acknowledgment: 7,
        window: 8,
        urgent: 9,
        options: null,
      },
    );
    for (const others of [
      "nop,nop,sack 1:2 3:4",
      "nop,nop,md5 000102030405060708090a0b0c0d0e0f",
      "nop,ECN e1b 1 ceb 2 e0b 3",
      "nop,ECN e0b 16777215 ceb 0 e1b 1",
    ]) {
      const packet = one(`0 > . 1:1(0) ack 1 <${others}>`);
      assert.ok(packet.kind === "packet" && packet.packet.protocol === "tcp");
      assert.ok(packet.packet.options);
      assert.equal(formatOptions(packet.packet.options), others);
    }
  });

  test("has comments, notes, strings, blocks and words that are defined", () => {
    const script = parse(
      `// One line.
       --tolerance_usecs=5 --define=OPTION=SO_MARK --define=NAME="reno"
       \`true\` /* Many
       lines. */
       0...1.5 setsockopt(3, SOL_SOCKET, OPTION, [1, 0x10], 8) = -1 EPERM (Not permitted)
       +0 setsockopt(3, SOL_TCP, TCP_CONGESTION, NAME, 4) = 0 (as a note)
       +0 writev(3, [{..., 10}, {..., 20}], 2) = 30
       +0 %{ assert tcpi_rto > 0,
               'rto' }%
       \`echo "done"\``,
      "x.pkt",
      (options) => {
        assert.deepEqual(
          options.map(({ name }) => name),
          ["tolerance_usecs", "define", "define"],
        );
        return new Map(options.slice(1).map(({ value }) => value!.split("=") as [string, string]));
      },
    );
    assert.equal(script.init?.command, "true");
    assert.equal(script.cleanup?.command, 'echo "done"');
    const [first, second, third, fourth] = script.events;
    assert.ok(first.kind === "call");
    assert.equal(first.endNs, 1_500_000_000);
    assert.equal(first.error, "EPERM");
    assert.deepEqual(first.args[2], { kind: "word", name: "SO_MARK" });
    assert.ok(second.kind === "call" && second.error === undefined);
    assert.deepEqual(second.args[3], { kind: "string", value: "reno" });
    assert.ok(third.kind === "call");
    assert.deepEqual(third.args[1], {
      kind: "list",
      items: [10, 20].map((value) => ({
        kind: "list",
        items: [{ kind: "ellipsis" }, { kind: "number", value }],
      })),
    });
    assert.ok(fourth.kind === "code");
    assert.match(fourth.code, /^assert tcpi_rto > 0,\s+'rto'$/);
  });

  const mistakes: readonly (readonly [text: string, says: string])[] = [
    ["0 > S 0:0(0)\n+0 bind(3, ..., ...) 0", "x.pkt:2: parse error: at '0': expected '='"],
    ["0 > S 0:5(4)", "x.pkt:1: semantic error: inconsistent TCP sequence numbers and payload size"],
    ["0 > SX 0:0(0)", "x.pkt:1: semantic error: Invalid TCP flag: 'X'"],
    ["0 < S 0:0(0)", "x.pkt:1: semantic error: window must be specified for inbound packets"],
    [
      "0 < S 0:0(0) win 5 <...>",
      "x.pkt:1: semantic error: <...> for TCP options can only be used with outbound packets",
    ],
    [
      "0 > S 0:0(0) <mss 5,nop>",
      "x.pkt:1: semantic error: TCP options are not padded correctly to ensure TCP header is a multiple of 4 bytes: 1 excess bytes",
    ],
    [
      "* < S 0:0(0) win 5",
      "x.pkt:1: semantic error: event time <star> can only be used with outbound packets",
    ],
    ["2~1 > S 0:0(0)", "x.pkt:1: semantic error: time range is backwards"],
    ["0 > S 0:0(0) win 65536", "x.pkt:1: semantic error: TCP window value out of range: 65536"],
    [
      "0 > S 0:0(0) <FO 123,nop>",
      "x.pkt:1: semantic error: '123' is not a valid hex string with an even number of digits",
    ],
    ["\n\n0 `true", "x.pkt:3: parse error: at '`': it does not end"],
    [
      "0 > gre: S 0:0(0)",
      "x.pkt:1: parse error: at 'gre': expected a packet without encapsulation: others are not supported",
    ],
    ["0 close(3", "x.pkt:1: parse error: at 'the end of the script': expected ')'"],
  ];
  for (const [text, says] of mistakes)
    test(`says what is wrong with ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parse(text, "x.pkt"),
        (error) => {
          assert.ok(error instanceof ScriptError);
          assert.equal(error.message, says);
          return true;
        },
      );
    });

  test("does not hang or throw anything else, whatever a script says", () => {
    const words = constantFrom(
      ...'0 +0 * ~ > < S. . 1:1(0) ack win 5 <mss 1460> { } [ ] ( ) , = | ... `x` %{ x }% a(1) = " -'.split(
        " ",
      ),
    );
    check(
      property(array(words, { maxLength: 30 }), (parts) => {
        try {
          parse(parts.join(" "), "x.pkt");
        } catch (error) {
          assert.ok(error instanceof ScriptError, String(error));
        }
      }),
      { numRuns: 2000, seed: 4 },
    );
  });

  test("refuses options that there are not, and values that cannot be", () => {
    const set = (name: string, value?: string) =>
      configure("x.pkt", [{ name, value, line: 3 }], []);
    assert.throws(
      () => set("nonsense", "1"),
      /^ScriptError: x\.pkt:3: semantic error: unknown option --nonsense$/,
    );
    assert.throws(() => set("mtu", "many"), /bad --mtu: many/);
    assert.throws(() => set("local_ip", "1.2.3"), /bad --local_ip: 1\.2\.3/);
    assert.throws(() => set("netmask_ip", "255.0.255.0"), /bad --netmask_ip/);
    assert.throws(() => set("ip_version", "ipv5"), /bad --ip_version: ipv5/);
    assert.throws(() => set("tolerance_usecs"), /bad --tolerance_usecs: \(nothing\)/);
  });
});

test("the command line goes before what the script says", () => {
  const option = (name: string, value: string) => ({ name, value, line: 1 });
  const own = [option("mtu", "1400"), option("define", "A=own"), option("define", "B=own")];
  const given = [option("define", "B=given"), option("ip_version", "ipv6"), option("mtu", "1300")];
  const { ipVersion, mtu, defines } = configure("x.pkt", own, given);
  assert.deepEqual([ipVersion, mtu], ["ipv6", 1300]);
  assert.deepEqual([defines.get("A"), defines.get("B")], ["own", "given"]);
  assert.equal(defines.get("CMSG_LEVEL_IP"), "SOL_IPV6");
  assert.equal(configure("x.pkt", own, []).mtu, 1400);
});

suite("packetdrill's packets", () => {
  const address = (length: number) => uint8Array({ minLength: length, maxLength: length });
  const body = record({
    protocol: constantFrom("tcp" as const),
    sourcePort: nat(65535),
    destinationPort: nat(65535),
    sequence: nat(0xffffffff),
    acknowledgment: nat(0xffffffff),
    flags: nat(0x1ff),
    window: nat(65535),
    urgent: nat(65535),
    payload: uint8Array({ maxLength: 2000 }),
  });

  for (const length of [4, 16])
    test(`of TCP are the same when they come back, in IP with addresses of ${length} bytes`, () => {
      check(
        property(
          address(length),
          address(length),
          body,
          nat(255),
          (source, destination, tcp, tos) => {
            const options = decodeOptions(
              encodeOptions([{ kind: TCPOPT_SACK, data: new Uint8Array(8) }]),
            );
            const padded = [
              ...options,
              { kind: 1, data: new Uint8Array(0) },
              { kind: 1, data: new Uint8Array(0) },
            ];
            const packet: Packet = {
              ip: { source, destination, tos, ttl: 64, flowLabel: 0 },
              body: { ...tcp, options: padded },
            };
            assert.deepEqual(decode(encode(packet)), packet);
          },
        ),
        { seed: 5 },
      );
    });

  test("that are damaged are noticed", () => {
    const packet: Packet = {
      ip: {
        source: Uint8Array.of(1, 2, 3, 4),
        destination: Uint8Array.of(5, 6, 7, 8),
        tos: 2,
        ttl: 1,
        flowLabel: 0,
      },
      body: { protocol: "udp", sourcePort: 1, destinationPort: 2, payload: new Uint8Array(3) },
    };
    const bytes = encode(packet);
    assert.equal(format(decode(bytes)!), "[ect0] udp (3)");
    bytes[8]++;
    assert.throws(() => decode(bytes), /bad outbound IP checksum/);
    assert.throws(() => decode(Uint8Array.of(0x50, 0)), Mismatch);
    assert.throws(() => decodeOptions(Uint8Array.of(2, 0)), /TCP option 2 has a bad length: 0/);
  });
});

suite("packetdrill's Python", () => {
  const run = (code: string, values: Record<string, number> = {}) => {
    const scope: PyScope = new Map(Object.entries(values));
    const said: string[] = [];
    runPython(code, scope, (line) => said.push(line));
    return { scope, said };
  };

  test("works expressions out as Python does", () => {
    const { said } = run(`
x = (1 + 2) * 3 - 4 // 3   # A comment.
print(x, 7 % 3, -7 % 3, -7 // 2, 7 / 2, 2 ** 3 ** 2)
print(0x10 | 3, 6 & 3, 6 ^ 3, 1 << 4, 256 >> 4, ~5); print(1 < 2 < 3, 1 < 3 < 2, not 1 == 2)
print('%d of %s: %x' % (5, 'ten', 255), "a" 'b' + "c", '%.2f' % 1.5)
print(abs(-3), min(4, 2), max(1, 5), int(3.7), 1 if x else 2)
x += 2; x <<= 3; x //= 5; print(x); x |= 1  # ("Not closed: '
print(x, "# no comment; really")
print(3 in (1, 2, 3), 4 not in [1, 2], True and False or None)
`);
    assert.deepEqual(said, [
      "(8, 1, 2, -4, 3.5, 512)",
      "(19, 2, 5, 16, 16, -6)",
      "(True, False, True)",
      "(5 of ten: ff, abc, 1.50)",
      "(3, 2, 5, 3, 1)",
      "16",
      "(17, # no comment; really)",
      "(True, True, None)",
    ]);
  });

  test("says which assertion does not hold, and what there was instead", () => {
    run("assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd", { tcpi_snd_cwnd: 10 });
    assert.throws(
      () => run("assert 5 <= tcpi_rtt <= 8, 'rtt=%d' % tcpi_rtt", { tcpi_rtt: 9 }),
      /^Mismatch: AssertionError: assert 5 <= tcpi_rtt <= 8, 'rtt=%d' % tcpi_rtt: got rtt=9$/,
    );
  });

  for (const [code, says] of [
    ["assert tcpi_nothing", /NameError: name 'tcpi_nothing' is not defined/],
    ["exec('x')", /NameError: name 'exec' is not a function that is known/],
    ["import os", /SyntaxError|NameError/],
    ["assert 1 +", /SyntaxError: invalid syntax at 'the end of the line'/],
    ["x = 1 / 0", /ZeroDivisionError/],
    ["x = 'a' - 1", /TypeError: a is no number/],
    ["x = '%d %d' % 1", /TypeError: not enough arguments/],
    ["y += 1", /NameError: name 'y' is not defined/],
    ["x = $", /SyntaxError: invalid syntax at '\$'/],
  ] as const)
    test(`refuses ${code}`, () => assert.throws(() => run(code), says));
});

suite("packetdrill's shell", () => {
  async function withShell(use: (shell: Shell, kernel: Kernel) => Promise<void>): Promise<void> {
    const clock = new VirtualClock();
    const kernel = await Kernel.boot({ clock });
    using folder = temporaryFolder();
    writeFileSync(
      join(folder.path, "more.sh"),
      "#!/bin/sh\necho from more; A=$((2 * (3+4) - 8 / 4))\n",
    );
    await clock.drive(
      (async () => {
        await using network = net(kernel);
        const context = { process: kernel.init, network, folder: folder.path };
        await use(new Shell({ ...context, variables: new Map([["PPID", "7"]]) }), kernel);
      })(),
    );
    await kernel.halt();
  }

  test("runs what scripts have", () =>
    withShell(async (shell, kernel) => {
      const says = async (text: string) => (await shell.run(text)).output;
      assert.equal(
        await says("echo \"a  b\" c\\ d '$X' ${PPID} # no\necho e"),
        "a  b c d $X 7\ne\n",
      );
      assert.equal(await says("./more.sh && echo $A"), "from more\n12\n");
      assert.equal(await says("false && echo no; false || echo yes; true || echo no"), "yes\n");
      await writeText(kernel.init, "/tmp/list", "one 1\ntwo 2\nthree 3\n");
      assert.equal(await says('cat /tmp/list | grep -v two | grep "t.*3"'), "three 3\n");
      assert.equal(await says("echo x > /tmp/x; echo y >> /tmp/x 2>&1; cat /tmp/x"), "x\ny\n");
      assert.equal(await says("echo gone > /dev/null 2>&1"), "");
      const missing = await shell.run("grep one /tmp/nothing");
      assert.equal(missing.status, 2);
      assert.match(missing.errors, /ENOENT.*\/tmp\/nothing/);
      assert.deepEqual(await shell.run("no-such-thing"), {
        status: 127,
        output: "",
        errors: "no-such-thing: there is no such command\n",
      });
      for (const wrong of ['echo "x', "echo 'x", "echo $(ls)", "echo $((x))"])
        await assert.rejects(shell.run(wrong), SyntaxError, wrong);
    }));

  test("changes the kernel that it is on, and sets it back", () =>
    withShell(async (shell, kernel) => {
      await using network = net(kernel);
      const path = "/proc/sys/net/ipv4/tcp_sack";
      assert.equal((await shell.run(`./set_sysctls.py ${path}=0`)).status, 0);
      assert.equal(await network.sysctl.get("net.ipv4.tcp_sack"), "0");
      assert.equal((await shell.run("/tmp/sysctl_restore_${PPID}.sh")).status, 0);
      assert.equal(await network.sysctl.get("net.ipv4.tcp_sack"), "1");
      assert.equal((await shell.run("sysctl -q net.ipv4.tcp_no_such=1")).status, 1);
      assert.equal((await shell.run("sysctl -e -q net.ipv4.tcp_no_such=1")).status, 0);
      assert.equal((await shell.run("sysctl -n net/ipv4/tcp_sack")).output, "1\n");

      await network.link.add({ name: "d0", kind: "dummy" });
      const done = await shell.run(
        `ip link set dev d0 mtu 1400 up
         ip addr add 10.0.0.1/24 dev d0; tc qdisc replace dev d0 root fq
         ip -4 route add 192.0.2.0/24 dev d0 rto_min 5ms initcwnd 20 features ecn; ip tcp_metrics flush all
         ethtool -K d0 tso off`,
      );
      assert.match(done.errors, /^ip: 'addr' is not known\n$/);
      assert.equal((await network.link.get("d0")).mtu, 1400);
      assert.equal((await network.qdisc.list("d0"))[0].kind, "fq");
      const route = (await network.route.list()).find(({ device }) => device === "d0");
      assert.deepEqual(route?.metrics, {
        minRetransmitMs: 5,
        initialCongestionWindow: 20,
        features: 1,
      });
      const features = await network.ethtool.features("d0");
      assert.equal(features.find(({ name }) => name === "tx-tcp-segmentation")?.active, false);
      for (const wrong of [
        "tc class add",
        "tc qdisc add dev d0 root nonsense",
        "ip link set d9 up",
        "ethtool -S d0",
      ])
        assert.notEqual((await shell.run(wrong)).status, 0, wrong);
    }));
});

suite("the packetdrill program", () => {
  const program = join(import.meta.dirname, "packetdrill/main.ts");
  const own = join(import.meta.dirname, "packetdrill/scripts/udp.pkt");

  test("says how scripts went, and shows their packets", async () => {
    const { code, text } = await execute(process.execPath, [
      program,
      "--ip_version=ipv6",
      "-v",
      own,
    ]);
    assert.match(
      text,
      /0\.000000 > udp \(1000\)\n[^]*udp\.pkt: passed: 17 events, 4 packets, off by 0\.000 ms at most\n$/,
    );
    assert.equal(code, 0);
  });

  test("fails when one of them does, and heeds what each says that it is for", async () => {
    const other = join(import.meta.dirname, "packetdrill/scripts/path-mtu-ipv6.pkt");
    using folder = temporaryFolder();
    const path = join(folder.path, "wrong.pkt");
    writeFileSync(path, "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 close(4) = 0\n");
    const { code, text } = await execute(process.execPath, [program, path, other]);
    assert.ok(
      text.startsWith(
        `${path}:2: runtime error in close call: Expected result 0 but got -1 with errno 9 (Bad file number)\n`,
      ),
      text,
    );
    assert.match(text, /path-mtu-ipv6\.pkt: passed/);
    assert.equal(code, 1);
  });

  test("says how it is used", async () => {
    const { code, text } = await execute(process.execPath, [program]);
    assert.match(text, /^usage: /);
    assert.equal(code, 1);
  });

  test("says what it cannot do", async () => {
    const { code, text, err } = await execute(process.execPath, [
      program,
      "none.pkt",
      "--mtu=x",
      own,
    ]);
    assert.equal(
      text,
      "ENOENT: no such file or directory, open 'none.pkt'\npacketdrill: semantic error: bad --mtu: x\n",
    );
    assert.equal(err, "");
    assert.equal(code, 1);
  });
});

test("addresses and ports are those of the options", async () => {
  const told = {
    local_ip: "10.1.0.5",
    netmask_ip: "255.255.255.0",
    gateway_ip: "10.1.0.7",
    remote_ip: "203.0.113.9/24",
    bind_port: "99",
    connect_port: "98",
    mtu: "600",
  };
  const options = Object.entries(told).map(([name, value]) => ({ name, value, line: 0 }));
  const text = `\`cat /proc/net/route\`
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 bind(3, ..., ...) = 0
   +0 listen(3, 1) = 0
   +0 \`cat /proc/net/tcp\`
   +0 < S 0:0(0) win 1000 <mss 1000>
   +0 > S. 0:0(0) ack 1 <mss 560>
   +0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 4
   +0 fcntl(4, F_SETFL, O_NONBLOCK) = 0
   +0 connect(4, ..., ...) = -1 EINPROGRESS (Operation now in progress)
   +0 > S 0:0(0) <...>
   +0 \`grep " 02 " /proc/net/tcp\``;
  const { notes } = await runScript("options.pkt", { options, text });
  // 203.0.113.0 by 10.1.0.7, and 10.1.0.0/24.
  assert.match(notes[0], /^tun0\s+007100CB\s+0700010A\s.*00FFFFFF/m);
  assert.match(notes[0], /^tun0\s+0000010A\s+00000000\s.*00FFFFFF/m);
  assert.match(notes[1], /0500010A:0063 00000000:0000 0A/);
  assert.match(notes[2], /0500010A:[\dA-F]{4} 097100CB:0062 02/);
});

test("what is not fatal is told", async () => {
  const path = join(import.meta.dirname, "packetdrill/scripts/linger.pkt");
  const text = readFileSync(path, "utf8").replace("linger=0}, [8]", "linger=5}, [8]");
  await assert.rejects(runScript(path, { text }), /Bad getsockopt optval/);
  const options = [{ name: "non_fatal", value: "packet,syscall", line: 0 }];
  const { notes } = await runScript(path, { options, text });
  assert.equal(notes.length, 1);
  assert.match(
    notes[0],
    /linger\.pkt:\d+: runtime error in getsockopt call: Bad getsockopt optval/,
  );
});

suite("docs/packetdrill.md", () => {
  const document = readFileSync(join(import.meta.dirname, "../docs/packetdrill.md"), "utf8");
  const [, example = ""] = /^```packetdrill\n(.*?)^```$/ms.exec(document) ?? [];

  test("has an example that passes", async () => {
    assert.equal((await runScript("greet.pkt", { text: example })).events, 13);
  });

  test("shows what is said of one that does not", async () => {
    const text = example.replace(/ack 1\n$/, "ack 2\n");
    const [, says = ""] = /^```\n(greet.*?)\n```$/ms.exec(document) ?? [];
    const error = await rejection(runScript("greet.pkt", { text }));
    assert.ok(error instanceof ScriptError);
    assert.equal(error.message, says);
  });
});
