// Power failures: work on a file system is recorded, the power fails at every flush and with random
// parts of what was not flushed, and all that was promised has to be there when a kernel mounts it.
// Each state is read whole and unmounted; the native checker then looks at it (at some, in few runs).

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { temporaryFolder } from "../images/native.ts";
import { repeats, soaking } from "../kernel.ts";
import { CrashChecker, record } from "./support/crash-check.ts";
import type { Loss } from "./support/crash-check.ts";
import { JOURNALLED } from "./support/journalled.ts";

const SEEDS = repeats(4, 1);
const STEPS = repeats(150, 60);
const SUBSETS = repeats(5, 1);
/** Of the states, one in so many is tried, and one in so many of those is checked natively. */
const TRY_EVERY = repeats(1, 3);
const CHECK_EVERY = repeats(1, 12);
const MAX_SHOWN = 3;

function show(seed: number, { state, problems }: Loss): string {
  return `seed ${seed}, ${JSON.stringify(state)}:\n  ${problems.slice(0, 12).join("\n  ")}`;
}

suite("crash consistency", () => {
  for (const kind of JOURNALLED) {
    test(`${kind.name}: nothing that was promised is lost`, async (t) => {
      using folder = temporaryFolder();
      const base = kind.make(folder.path);
      const start = performance.now();
      const shown: string[] = [];
      let [states, checked, flushes, losses, forgotten] = [0, 0, 0, 0, 0];
      for (let seed = 1; seed <= SEEDS; seed++) {
        const recording = await record(kind, base, seed, STEPS);
        const options = {
          folder: folder.path,
          seed,
          subsets: SUBSETS,
          checkEvery: CHECK_EVERY,
          tryEvery: TRY_EVERY,
        };
        await using checker = new CrashChecker(recording, options);
        const tally = await checker.run();
        states += tally.states;
        checked += tally.checked;
        losses += tally.losses.length;
        forgotten += recording.forgotten;
        flushes += recording.recorder.log.filter((entry) => entry.kind === "flush").length;
        shown.push(...tally.losses.slice(0, MAX_SHOWN).map((loss) => show(seed, loss)));
      }
      const ms = (performance.now() - start) / states;
      t.diagnostic(
        `${kind.name}: ${states} states of ${flushes} flushes, ${losses} losses, ` +
          `${checked} checked natively, ${ms.toFixed(1)} ms each` +
          (forgotten ? `, ${forgotten} fsync() without a flush` : ""),
      );
      assert.ok(states >= (soaking ? 2000 : 50), `only ${states} states`);
      assert.ok(kind.forgets || forgotten === 0, `${forgotten} promises without a flush`);
      assert.equal(losses, 0, shown.slice(0, MAX_SHOWN).join("\n"));
    });
  }

  // Inodes were made again in pages that are no neighbours, where XFS zeroes a copy of them unseen.
  test("xfs: recovery makes inodes in memory that is in pieces", async () => {
    using folder = temporaryFolder();
    const kind = JOURNALLED.find(({ name }) => name === "xfs")!;
    const recording = await record(kind, kind.make(folder.path), 1, 150);
    const options = { folder: folder.path, seed: 1, subsets: 5, checkEvery: 2, tryEvery: 1 };
    await using checker = new CrashChecker(recording, options);
    const states = [...checker.states()].filter(({ cut }) => cut >= 280 && cut < 300);
    const { losses } = await checker.run(states);
    assert.equal(losses.length, 0, losses.map((loss) => show(1, loss)).join("\n"));
  });

  for (const kind of JOURNALLED) {
    test(`${kind.name}: a disk that lies about its flushes loses what was promised`, async () => {
      using folder = temporaryFolder();
      const recording = await record(kind, kind.make(folder.path), 1, STEPS);
      const options = { folder: folder.path, seed: 1, subsets: 0, checkEvery: 1000, tryEvery: 8 };
      await using checker = new CrashChecker(recording, options);
      let durable = 0;
      const lies = [...checker.states()].map((state) => {
        const before = durable;
        durable = Math.max(durable, Math.floor((state.durable * 3) / 4));
        return { cut: state.cut, durable: before, survivors: [] };
      });
      const { states, losses } = await checker.run(lies);
      assert.ok(losses.length > states / 4, `${losses.length} losses in ${states} states`);
    });
  }
});
