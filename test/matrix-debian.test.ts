// The root of a Debian, in both directions: every file, mode, owner, time, attribute, link and content.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import { Kernel } from "../src/index.ts";
import { debianRoot } from "./images/debian.ts";
import { asKept, both, differences, EVERYTHING } from "./images/facts.ts";
import type { Facts } from "./images/facts.ts";
import { DEBIAN_FORMATS } from "./images/formats/debian.ts";
import { readTree, writeTree } from "./images/guest.ts";
import { itemsIn, mountsNatively, readNativeTree, withNativeMount } from "./images/host.ts";
import { withMounted } from "./images/matrix.ts";
import type { Reader } from "./images/matrix.ts";
import { emptyImage, temporaryFolder } from "./images/native.ts";
import { soaking } from "./kernel.ts";

suite("the root of a Debian", () => {
  let kernel: Kernel;
  let root: string;
  let expected: Facts;
  before(async () => {
    root = debianRoot(soaking);
    expected = readNativeTree(root);
    assert.ok(expected.size > (soaking ? 4000 : 500));
    kernel = await Kernel.boot({ image: "full", memoryMiB: 512 });
  });
  after(() => kernel.halt());

  const same = (
    actual: Facts,
    { keeps = {}, omits = () => false }: Pick<Reader, "keeps" | "omits"> = {},
  ) => {
    const kept = both(EVERYTHING, keeps);
    const left = (facts: Facts) =>
      new Map([...asKept(facts, kept)].filter(([path]) => !omits(path)));
    assert.deepEqual(differences(left(actual), left(expected)), []);
  };

  for (const format of DEBIAN_FORMATS)
    for (const writer of format.writers ?? [])
      test(`${format.type}: reads what ${writer.name} packed`, async () => {
        using folder = temporaryFolder();
        const image = emptyImage(join(folder.path, "image"), format.mib);
        writer.write([image], root);
        await withMounted(kernel, format, [image], true, async ({ target }) => {
          same(await readTree(kernel.init, target), writer);
        });
      });

  for (const format of DEBIAN_FORMATS) {
    const { type, make, checker, readers = [] } = format;
    if (!make) continue;
    test(`${type}: what it wrote is clean, and the same elsewhere`, async (t) => {
      using folder = temporaryFolder();
      const image = emptyImage(join(folder.path, "image"), format.mib);
      make([image]);
      const native = mountsNatively([image], type, "ro");
      await withMounted(kernel, format, [image], false, ({ target }) =>
        writeTree(kernel.init, target, itemsIn(root), EVERYTHING),
      );
      checker?.check([image]);
      await withMounted(kernel, format, [image], true, async ({ target }) => {
        same(await readTree(kernel.init, target));
      });
      for (const reader of readers) {
        using scratch = temporaryFolder();
        same(reader.read([image], scratch.path), reader);
      }
      t.diagnostic(`${expected.size} files`);
      if (!native) return;
      t.diagnostic("also compared with this machine's own kernel");
      same(withNativeMount([image], type, "ro", readNativeTree));
    });
  }
});
