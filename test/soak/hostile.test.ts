// Images that were damaged on purpose: each is an error or a file system, and nothing hangs. A kernel
// may crash of one (it is contained, counted and told); the next kernel then works. A call may have no
// end (a directory of many TiB of nothing): its process can be killed, and the kernel goes on.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { TestContext } from "node:test";

import { temporaryFolder } from "../images/native.ts";
import { repeats, soaking } from "../kernel.ts";
import { fetchBrokenImages } from "./support/e2fsprogs.ts";
import { BASES, PANICKING } from "./support/hostile-bases.ts";
import { runHostile } from "./support/hostile.ts";
import type { HostileEvent, HostileTally } from "./support/hostile.ts";

const IMAGES = repeats(1400, 16);
const FIRST_SEED = 1;
/** Of kernels that are told to crash of damage. */
const CRASHES = repeats(300, 40);
const MAX_SHOWN = 40;
/** Of those of e2fsprogs. */
const LARGEST_BYTES = 96 << 20;

const show = ({ kind, seed, text }: HostileEvent): string => `${kind} at seed ${seed}: ${text}`;

/** Tell what came of images, and that nothing went wrong. */
function judge(t: TestContext, name: string, tally: HostileTally, expected: number): void {
  const { images, mounted, noticed, refused, panics, hangs, stuck, endless, events, ms } = tally;
  t.diagnostic(
    `${name}: ${images} images, ${mounted} mounted (${noticed} with errors), ${refused} refused, ` +
      `${panics} panics, ` +
      `${endless} endless, ${stuck} stuck, ${hangs} hangs, ${(ms / images).toFixed(1)} ms each`,
  );
  for (const event of events.slice(0, MAX_SHOWN)) t.diagnostic(show(event));
  assert.equal(images, expected);
  assert.equal(mounted + refused + panics + endless + stuck + hangs, images);
  const bad = events.filter(({ kind }) => ["hang", "block", "failure"].includes(kind));
  assert.deepEqual(bad.map(show), []);
  assert.ok(mounted > 0, "none could be mounted: it is damaged too much");
}

suite("hostile images", { concurrency: 2 }, () => {
  for (const base of BASES) {
    test(`${base.name}: ${IMAGES} damaged images`, async (t) => {
      using folder = temporaryFolder();
      const tally = await runHostile(base, await base.make(folder.path), FIRST_SEED, IMAGES);
      judge(t, base.name, tally, IMAGES);
    });
  }

  test(`${PANICKING.name}: kernels crash of ${CRASHES} damaged images, and others go on`, async (t) => {
    using folder = temporaryFolder();
    const image = await PANICKING.make(folder.path);
    const tally = await runHostile(PANICKING, image, FIRST_SEED, CRASHES);
    judge(t, PANICKING.name, tally, CRASHES);
    assert.ok(tally.panics > 0, "no kernel crashed");
    const panics = tally.events.filter(({ kind }) => kind === "panic");
    assert.equal(panics.length, tally.panics);
    for (const { text } of panics)
      assert.match(text, /EXT4-fs \(device vda\): panic forced after error/);
  });

  // They have to be fetched: too much for every run of the tests.
  if (soaking)
    test("the broken images of e2fsprogs", async (t) => {
      using folder = temporaryFolder();
      const files = fetchBrokenImages(folder.path);
      const good = await BASES[0].make(folder.path);
      const whole = new Uint8Array(LARGEST_BYTES);
      whole.set(good);
      const subject = { type: "ext4", writable: true, files };
      const count = 2 * files.length;
      judge(t, "e2fsprogs", await runHostile(subject, whole, 0, count), count);
      assert.ok(files.length > 200, `only ${files.length} images`);
    });
});
