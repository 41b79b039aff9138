// The kernel's own packetdrill scripts, each over IPv4, IPv6 and IPv4 on sockets of IPv6; and that the
// interpreter notices when the kernel does something else than a script says.

import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { suite, test } from "node:test";

import { rejection } from "./kernel.ts";
import { ScriptError } from "./packetdrill/errors.ts";
import { EXPECTED_FAILURES } from "./packetdrill/expected.ts";
import { runScript } from "./packetdrill/run.ts";
import {
  FILTER_SCRIPTS,
  TCP_SCRIPTS,
  kernelScripts,
  setupFor,
  versionsOf,
} from "./packetdrill/source.ts";

const tcpScripts = kernelScripts(TCP_SCRIPTS);
const filterScripts = kernelScripts(FILTER_SCRIPTS);
const own = globSync("packetdrill/scripts/*.pkt", { cwd: import.meta.dirname })
  .toSorted()
  .map((name) => join(import.meta.dirname, name));

/** How often scripts are run: once for each version of IP that they are for. */
const runsOf = (paths: readonly string[]) =>
  paths.reduce((sum, path) => sum + versionsOf(path).length, 0);

/** All scripts of a folder pass, but for those that are expected not to. */
function scriptsPass(folder: string, scripts: readonly string[], atLeast: number): void {
  const totals = { passed: 0, failed: 0, events: 0, packets: 0, deviationNs: 0, notes: 0 };

  test("are there", () => assert.ok(scripts.length >= atLeast, `${scripts.length} scripts`));

  for (const path of scripts)
    for (const version of versionsOf(path)) {
      const name = `${basename(path)} (${version})`;
      const reason = EXPECTED_FAILURES.get(name);
      test(`${name}${reason === undefined ? "" : ` fails: ${reason}`}`, async () => {
        const run = runScript(path, setupFor(path, version));
        if (reason !== undefined) {
          await assert.rejects(run, ScriptError);
          totals.failed++;
          return;
        }
        const { events, packets, deviationNs, notes } = await run;
        assert.ok(packets > 0);
        totals.passed++;
        totals.events += events;
        totals.packets += packets;
        totals.deviationNs = Math.max(totals.deviationNs, deviationNs);
        totals.notes += notes.filter((note) => note.includes(": error handling packet: ")).length;
      });
    }

  test("totals", (t) => {
    const { passed, failed, events, packets, deviationNs, notes } = totals;
    t.diagnostic(
      `packetdrill: ${folder}: ${scripts.length} scripts, ${runsOf(scripts)} runs: ${passed} passed, ` +
        `${failed} failed as expected; ${events} events, ${packets} packets, ` +
        `${notes} of which differ where that is not fatal, off by ${(deviationNs / 1e6).toFixed(3)} ms at most`,
    );
    assert.equal(passed + failed, runsOf(scripts));
  });
}

suite("the kernel's packetdrill scripts of TCP", () => scriptsPass(TCP_SCRIPTS, tcpScripts, 24));

suite("the kernel's packetdrill scripts of connection tracking", () =>
  scriptsPass(FILTER_SCRIPTS, filterScripts, 6),
);

suite("the project's own packetdrill scripts", () =>
  scriptsPass("test/packetdrill/scripts", own, 12),
);

test("what is expected to fail is there", () => {
  const names = new Set(
    [...tcpScripts, ...filterScripts].flatMap((path) =>
      versionsOf(path).map((version) => `${basename(path)} (${version})`),
    ),
  );
  assert.deepEqual(
    [...EXPECTED_FAILURES.keys()].filter((name) => !names.has(name)),
    [],
  );
});

test("docs/packetdrill.md has the totals", () => {
  const document = readFileSync(join(import.meta.dirname, "../docs/packetdrill.md"), "utf8");
  const rows = [...document.matchAll(/^\|.*`(\S+)`\) \| (\d+) \| (\d+).*\| (\d+) \|$/gm)];
  const said = new Map(rows.map(([, where, ...numbers]) => [where, numbers.map(Number)]));
  assert.deepEqual(
    Object.fromEntries(said),
    Object.fromEntries(
      [
        [TCP_SCRIPTS, tcpScripts] as const,
        [FILTER_SCRIPTS, filterScripts] as const,
        ["test/packetdrill/scripts", own] as const,
      ].map(([folder, paths]) => {
        const names = paths.flatMap((path) =>
          versionsOf(path).map((version) => `${basename(path)} (${version})`),
        );
        const passing = names.filter((name) => !EXPECTED_FAILURES.has(name));
        return [folder, [paths.length, names.length, passing.length]];
      }),
    ),
  );
});

/** What a script says after a change: it has to fail at that line, and say this. */
interface Change {
  readonly name: string;
  readonly script: string;
  readonly from: string;
  readonly to: string;
  readonly says: RegExp;
}

const CHANGES: readonly Change[] = [
  {
    name: "an acknowledgment",
    script: "tcp_inq_client",
    from: "+0	> . 1:1(0) ack 20002",
    to: "+0	> . 1:1(0) ack 20001",
    says: /error handling packet: live packet field tcp_ack_seq: expected: 20001 \(0x4e21\) vs actual: 20002 \(0x4e22\)\nscript packet: +\S+ \. 1:1\(0\) ack 20001.*\nactual packet: +\S+ \. 1:1\(0\) ack 20002/,
  },
  {
    name: "a sequence number",
    script: "tcp_slow_start_slow-start-ack-per-1pkt",
    from: "P. 28001:30001(2000)",
    to: "P. 28002:30002(2000)",
    says: /live packet field tcp_seq: expected: 28002 /,
  },
  {
    name: "a length",
    script: "tcp_slow_start_slow-start-ack-per-1pkt",
    from: "P. 28001:30001(2000)",
    to: "P. 28001:29001(1000)",
    says: /live packet payload: expected 1000 bytes vs actual 2000 bytes/,
  },
  {
    name: "a flag",
    script: "tcp_slow_start_slow-start-app-limited",
    from: "> P. 1:",
    to: "> . 1:",
    says: /live packet field tcp_psh: expected: 0 \(0x0\) vs actual: 1 \(0x1\)/,
  },
  {
    name: "an option's value",
    script: "tcp_inq_client",
    from: "<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>",
    to: "<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>",
    says: /bad value of outbound TCP option 3: expected: <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7> vs actual: <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>/,
  },
  {
    name: "an option",
    script: "tcp_inq_server",
    from: "<mss 1460,nop,nop,sackOK,nop,wscale 8>",
    to: "<mss 1460,nop,nop,nop,nop,nop,wscale 8>",
    says: /bad outbound TCP options: expected: /,
  },
  {
    name: "a time that comes too late",
    script: "tcp_slow_start_slow-start-after-win-update",
    from: "+.6~+.620 >",
    to: "+.4~+.420 >",
    says: /timing error: expected outbound packet in time range \S+ sec but happened at \S+ sec; tolerance \S+ sec/,
  },
  {
    name: "a time that comes too early",
    script: "tcp_slow_start_slow-start-after-win-update",
    from: "+.6~+.620 >",
    to: "+.8~+.820 >",
    says: /timing error: expected outbound packet in time range/,
  },
  {
    name: "a packet that never comes",
    script: "tcp_inq_client",
    from: "+0	read(3, ..., 2000) = 0",
    to: "+0	> . 1:1(0) ack 30002",
    says: /Timed out waiting for packet/,
  },
  {
    name: "a result",
    script: "tcp_inq_client",
    from: "+0	read(3, ..., 2000) = 0",
    to: "+0	read(3, ..., 2000) = 1",
    says: /runtime error in read call: Expected result 1 but got 0/,
  },
  {
    name: "an error",
    script: "tcp_inq_server",
    from: "-1 ENOTCONN",
    to: "-1 EPIPE",
    says: /runtime error in read call: Expected errno 32 \(Broken pipe\) but got 107 \(.*not connected\)/,
  },
  {
    name: "a call that should fail",
    script: "tcp_inq_server",
    from: "listen(3, 1) = 0",
    to: "listen(3, 1) = -1 EBADF (Bad file descriptor)",
    says: /runtime error in listen call: Expected result -1 but got 0/,
  },
  {
    name: "what TCP knows",
    script: "tcp_slow_start_slow-start-ack-per-1pkt",
    from: "assert tcpi_snd_cwnd == 20, tcpi_snd_cwnd",
    to: "assert tcpi_snd_cwnd == 21, tcpi_snd_cwnd",
    says: /error executing code: AssertionError: assert tcpi_snd_cwnd == 21, tcpi_snd_cwnd: got 20/,
  },
  {
    name: "a control message",
    script: "tcp_inq_client",
    from: "cmsg_data=9000",
    to: "cmsg_data=9001",
    says: /runtime error in recvmsg call: Bad cmsg_data: expected: 9001 \(9001\) vs actual: 9000/,
  },
  {
    name: "a notification",
    script: "tcp_zerocopy_batch",
    from: "ee_data=1",
    to: "ee_data=2",
    says: /runtime error in recvmsg call: Bad ee_data: expected: 2 \(2\) vs actual: 1/,
  },
  {
    name: "an event",
    script: "tcp_zerocopy_epoll_edge",
    from: "epoll_wait(5, {events=EPOLLERR|EPOLLOUT, fd=4}, 1, 0) = 1",
    to: "epoll_wait(5, {events=EPOLLOUT, fd=4}, 1, 0) = 1",
    says: /runtime error in epoll_wait call: Bad epoll_event events: expected: EPOLLOUT \(4\) vs actual: 12/,
  },
  {
    name: "a command that fails",
    script: "tcp_md5_md5-only-on-client-ack",
    from: ":1F90",
    to: ":1F91",
    says: /error executing command: expected status 0 but got 1/,
  },
  {
    name: "the state of a connection",
    script: "conntrack_inexact_rst",
    from: "grep -q CLOSE_WAIT",
    to: "grep -q TIME_WAIT",
    says: /error executing command: expected status 0 but got 1/,
  },
  {
    name: "what a filter has counted",
    script: "conntrack_rst_invalid",
    from: '"-c 4 "',
    to: '"-c 5 "',
    says: /error executing command: expected status 0 but got 1/,
  },
  {
    name: "a parameter that cannot be",
    script: "tcp_inq_client",
    from: "`./defaults.sh\n`",
    to: "`./defaults.sh\nsysctl -q net.ipv4.tcp_nonsense=1`",
    says: /error executing command: expected status 0 but got 1: .*tcp_nonsense.*ENOENT/,
  },
];

suite("a script that says something else fails", () => {
  const all = [...tcpScripts, ...filterScripts];
  const script = (name: string) => all.find((path) => basename(path) === `${name}.pkt`)!;

  for (const { name, script: file, from, to, says } of CHANGES)
    test(name, async () => {
      const path = script(file);
      const text = readFileSync(path, "utf8");
      const at = text.indexOf(from);
      assert.ok(at >= 0, `${file} has ${from}`);
      const changed = text.slice(0, at) + to + text.slice(at + from.length);
      const error = await rejection(runScript(path, { ...setupFor(path, "ipv4"), text: changed }));
      assert.ok(error instanceof ScriptError, String(error));
      assert.match(error.message, says);
      const [place] = error.message.split(": ", 1);
      const line = Number(place.slice(path.length + 1));
      const changedLine = text.slice(0, at).split("\n").length;
      // A statement of several lines is where it begins.
      assert.ok(
        place.startsWith(`${path}:`) && line <= changedLine && line > changedLine - 16,
        place,
      );
    });
});
