// packetdrill scripts, many times over: begun at any moment of a jiffy, and changed by chance; and those
// of the newest kernel.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";

import { Dice } from "../../src/link/dice.ts";
import { temporaryFolder } from "../images/native.ts";
import { repeats, soaking } from "../kernel.ts";
import { IP_VERSIONS } from "../packetdrill/config.ts";
import { ScriptError } from "../packetdrill/errors.ts";
import { LATER_FAILURES, fetchLaterScripts } from "../packetdrill/later.ts";
import { mutate } from "../packetdrill/mutate.ts";
import { runScript } from "../packetdrill/run.ts";
import {
  FILTER_SCRIPTS,
  TCP_SCRIPTS,
  kernelScripts,
  setupFor,
  versionsOf,
} from "../packetdrill/source.ts";
import { JIFFY_NS } from "../packetdrill/timeline.ts";

const MUTANTS = repeats(3000, 20);
const PHASES = repeats(50, 1);
/** A part of a jiffy that no number of these meets twice. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

test(`packetdrill scripts pass wherever in a jiffy they begin (${PHASES})`, async (t) => {
  let packets = 0;
  const failures: string[] = [];
  const scripts = kernelScripts(TCP_SCRIPTS);
  for (const path of scripts)
    for (let phase = 1; phase <= PHASES; phase++) {
      const version = IP_VERSIONS[phase % IP_VERSIONS.length];
      const startInJiffyNs = Math.floor(((phase * GOLDEN) % 1) * JIFFY_NS);
      try {
        const setup = setupFor(path, version);
        packets += (await runScript(path, { ...setup, startInJiffyNs })).packets;
      } catch (error) {
        if (!(error instanceof ScriptError)) throw error;
        failures.push(`${version}, ${startInJiffyNs} ns into a jiffy: ${error.message}`);
      }
    }
  t.diagnostic(`packetdrill: ${scripts.length * PHASES} runs, ${packets} packets`);
  assert.deepEqual(failures, []);
});

test(`packetdrill scripts changed by chance end no kernel, and are not endless (${MUTANTS})`, async (t) => {
  const scripts = [TCP_SCRIPTS, FILTER_SCRIPTS].flatMap((at) => kernelScripts(at));
  const outcomes = { passed: 0, differed: 0, refused: 0 };
  for (let seed = 1; seed <= MUTANTS; seed++) {
    const dice = new Dice(seed);
    const path = scripts[dice.below(scripts.length)];
    const versions = versionsOf(path);
    const setup = setupFor(path, versions[dice.below(versions.length)]);
    const text = mutate(readFileSync(path, "utf8"), dice);
    try {
      // What differs is no reason to end: most is behind that.
      const options = [...setup.options, { name: "non_fatal", value: "packet,syscall", line: 0 }];
      const { notes } = await runScript(path, { ...setup, options, text });
      outcomes[notes.length ? "differed" : "passed"]++;
    } catch (error) {
      assert.ok(error instanceof ScriptError, `seed ${seed}, ${path}: ${String(error)}`);
      outcomes.refused++;
    }
  }
  const { passed, differed, refused } = outcomes;
  t.diagnostic(
    `packetdrill: of ${MUTANTS} changed scripts ${passed} passed, ${differed} differed, ${refused} failed`,
  );
  assert.ok(differed > MUTANTS / 10, "they are changed too much, or too little");
});

// They have to be fetched: too much for every run of the tests.
if (soaking)
  test("packetdrill scripts of the newest kernel pass, but for what is new in it", async (t) => {
    using folder = temporaryFolder();
    const { source, version } = fetchLaterScripts(folder.path);
    const known = new Map(LATER_FAILURES.map(({ reason }) => [reason, new Set<string>()]));
    const unknown: string[] = [];
    let passed = 0;
    let failed = 0;
    const scripts = [TCP_SCRIPTS, FILTER_SCRIPTS].flatMap((at) => kernelScripts(at, source));
    for (const path of scripts)
      for (const ipVersion of versionsOf(path)) {
        const name = basename(path, ".pkt");
        try {
          await runScript(path, setupFor(path, ipVersion));
          passed++;
        } catch (error) {
          if (!(error instanceof ScriptError)) throw error;
          const why = LATER_FAILURES.find(
            ({ script, says }) => script.test(name) && says.test(error.message),
          );
          if (why) {
            failed++;
            known.get(why.reason)?.add(name);
          } else unknown.push(`${ipVersion}: ${error.message}`);
        }
      }
    t.diagnostic(
      `packetdrill: ${version}: ${passed} passed, ${failed} failed as known, ${unknown.length} failed`,
    );
    for (const [reason, names] of known)
      t.diagnostic(`${reason}: ${names.size} scripts: ${[...names].join(", ")}`);
    const stale = [...known].filter(([, names]) => names.size === 0);
    assert.deepEqual(stale, [], "nothing fails for these reasons: take them off the list");
    assert.deepEqual(unknown, []);
    assert.ok(passed > 250, `only ${passed} passed`);
  });
