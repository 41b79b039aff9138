// Images that were damaged on purpose: each is an error or a file system, and nothing hangs. A kernel
// may crash of one (it is contained, counted and told); the next kernel then works.

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { temporaryFolder } from "../images/native.ts";
import { repeats } from "../kernel.ts";
import { BASES } from "./support/hostile-bases.ts";
import { runHostile } from "./support/hostile.ts";
import type { HostileEvent } from "./support/hostile.ts";

const IMAGES = repeats(1400, 24);
const FIRST_SEED = 1;
const MAX_SHOWN = 40;

const show = ({ kind, seed, text }: HostileEvent): string => `${kind} at seed ${seed}: ${text}`;

suite("hostile images", { concurrency: 2 }, () => {
  for (const base of BASES) {
    test(`${base.name}: ${IMAGES} damaged images`, async (t) => {
      using folder = temporaryFolder();
      const tally = await runHostile(base, await base.make(folder.path), FIRST_SEED, IMAGES);
      const { images, mounted, refused, panics, hangs, stuck, events, ms } = tally;
      t.diagnostic(
        `${base.name}: ${images} images, ${mounted} mounted, ${refused} refused, ${panics} panics, ` +
          `${stuck} stuck, ${hangs} hangs, ${(ms / images).toFixed(1)} ms each`,
      );
      for (const event of events.slice(0, MAX_SHOWN)) t.diagnostic(show(event));
      assert.equal(images, IMAGES);
      assert.equal(mounted + refused + panics + stuck + hangs, images);
      const bad = events.filter(({ kind }) => ["hang", "block", "failure"].includes(kind));
      assert.deepEqual(bad.map(show), []);
      assert.ok(mounted > 0, "none could be mounted: it is damaged too much");
    });
  }
});
