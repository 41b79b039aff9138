// What docs/matrix.md says is tried is what is tried.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { DOCUMENT, withTables } from "./images/matrix-table.ts";

test("docs/matrix.md has the tables of the tests' own lists", () => {
  const document = readFileSync(DOCUMENT, "utf8");
  assert.equal(document, withTables(document), "write them: node test/images/matrix-table.ts");
});

test("a document that says something else is noticed", () => {
  const document = readFileSync(DOCUMENT, "utf8");
  assert.notEqual(document.replace("e2fsck", "nobody"), withTables(document));
  assert.throws(() => withTables(document.replace("<!-- debian -->", "")), /no place for "debian"/);
});
