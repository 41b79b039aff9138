// The reader of the kernel's own test results, on a log as the kernel writes it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { summarize } from "./kunit/report.ts";

const log = `KTAP version 1
1..3
    KTAP version 1
    # Subtest: list-test
    # module: list_test
    1..2
    ok 1 list_test_list_init
    ok 2 list_test_list_add
# list-test: pass:2 fail:0 skip:0 total:2
ok 1 list-test
    KTAP version 1
    # Subtest: checksum
    1..2
        KTAP version 1
        # Subtest: by_length
        ok 1 1 byte
        not ok 2 2 bytes
    not ok 1 by_length
    ok 2 needs_hardware # SKIP no such device
not ok 2 checksum
ok 3 empty
`.split("\n");

test("suites, cases, failures and skips are counted", () => {
  const totals = summarize(log);
  assert.equal(totals.suites, 3);
  assert.equal(totals.passed, 2);
  assert.equal(totals.failed, 1);
  assert.equal(totals.skipped, 1);
  assert.deepEqual(totals.failures, ["checksum: by_length", "checksum"]);
  assert.deepEqual(totals.skips, ["checksum: needs_hardware (no such device)"]);
});

test("a log without results has none", () => {
  assert.equal(summarize(["Linux version 6.12", "Run /init as init process"]).suites, 0);
});
