// Examples are documentation that cannot go stale: each is run, and says what it should.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";

import { ext4Image, run, temporaryFolder } from "./images/native.ts";

const top = join(import.meta.dirname, "..");

suite("examples", () => {
  const folder = temporaryFolder();
  const image = join(folder.path, "sample.img");
  const written = join(folder.path, "written.img");
  before(() => {
    const root = join(folder.path, "root");
    mkdirSync(join(root, "etc"), { recursive: true });
    writeFileSync(join(root, "hello.txt"), "hello\n");
    ext4Image(image, root, "-L", "sample");
  });
  after(() => folder[Symbol.dispose]());

  const cases: Record<string, { args?: string[]; says: RegExp; check?: () => void }> = {
    "boot-and-uname.ts": { says: /^Linux 6\.\S+ on \w+\nbooted in \d+ ms; its log ends with: \[/ },
    "list-image.ts": {
      args: [image],
      says: /^0 \(ext4 "sample"\): \d+ bytes\n[^]* {2}etc\/\n {2}hello\.txt\n/,
    },
    "ftp-server.ts": {
      args: [image],
      says: /^volume 0 \(ext4 "sample"\) is at ftp:\/\/127\.0\.0\.1:\d+\/\n[^]* hello\.txt\r\n[^]*221 /,
    },
    "edit-image.ts": {
      says: /^volumes: 1 \(ext4 "root"\)\n[^]*\/etc hostname \n\/etc name \(a link\)\n[^]*made-without-linux\n/,
    },
    "write-image.ts": {
      args: [image, written],
      says: /written\.img has a new file, note\.txt\n$/,
      check() {
        const cat = run("debugfs", "-R", "cat /note.txt", written);
        assert.equal(cat, "written by Linux, without Linux\n");
        run("e2fsck", "-fn", written);
      },
    },
    "virtual-clock.ts": {
      says: /^2030-01-01T08\S+: 8 hours are over\n2030-01-01T16\S+: 16 hours are over\n2030-01-02T00\S+: 24 /,
    },
    "two-kernels.ts": {
      says: /^left: .* has 1 files in \/tmp\nright: .* has 0 files in \/tmp\nleft runs: false, right runs: true\n$/,
    },
  };

  test("are all here", () => {
    const names = readdirSync(join(top, "examples"));
    assert.deepEqual(
      names.filter((name) => name.endsWith(".ts")).toSorted(),
      Object.keys(cases).toSorted(),
    );
  });

  for (const [name, { args = [], says, check }] of Object.entries(cases)) {
    test(name, async () => {
      const file = join(top, "examples", name);
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [file, ...args]);
      assert.equal(stderr, "");
      assert.match(stdout, says);
      check?.();
    });
  }
});
