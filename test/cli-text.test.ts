// What the command line reads and writes: addresses, names, sizes, modes, times, errors.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { formatAddress, parseAddress } from "../src/cli/address.ts";
import { describeError, PlaceError, withoutCall } from "../src/cli/errors.ts";
import { formatMode } from "../src/cli/ls.ts";
import { formatBytes, formatTime, printable, table } from "../src/cli/output.ts";
import { KernelPanicError } from "../src/index.ts";
import { SystemError } from "../src/syscall/errors.ts";
import { temporaryFolder } from "./images/native.ts";

test("addresses", () => {
  const cases: [string, string, number | null, string | null][] = [
    ["a.img", "a.img", null, null],
    ["a.img:/", "a.img", null, "/"],
    ["a.img:/etc/x", "a.img", null, "/etc/x"],
    ["a.img:2", "a.img", 2, null],
    ["a.img:p12:/etc", "a.img", 12, "/etc"],
    ["a.img:P3:/", "a.img", 3, "/"],
    ["a.img:0:/", "a.img", 0, "/"],
    ["a.img:/x:/y", "a.img", null, "/x:/y"],
    ["a.img:1:/x:2:/y", "a.img", 1, "/x:2:/y"],
    ["./a:b.img:/x", "./a:b.img", null, "/x"],
    ["C:\\a.img", "C:\\a.img", null, null],
    ["C:\\a.img:2:/x", "C:\\a.img", 2, "/x"],
    ["C:/a.img:/x", "C:/a.img", null, "/x"],
    ["a.img:/line\nbreak", "a.img", null, "/line\nbreak"],
    ["a.img:x", "a.img:x", null, null],
    ["", "", null, null],
  ];
  for (const [text, image, volume, path] of cases)
    assert.deepEqual(parseAddress(text), { image, volume, path }, text);
  using folder = temporaryFolder();
  const odd = join(folder.path, "odd:2");
  writeFileSync(odd, "");
  assert.deepEqual(parseAddress(odd), { image: odd, volume: null, path: null });
  assert.equal(formatAddress({ image: "a", volume: 2, path: null }, "/x"), "a:2:/x");
  assert.equal(formatAddress({ image: "a", volume: null, path: null }, "/x"), "a:/x");
});

test("names for a terminal", () => {
  assert.equal(printable("plain ünï 名前"), "plain ünï 名前");
  assert.equal(printable("a\x1b[2J\x07\n\x9b\u202e"), "a\\x1b[2J\\x07\\x0a\\x9b\\u202e");
});

test("sizes, modes and times", () => {
  assert.deepEqual([0, 1023, 1024, 1536, 10_000, 2 ** 31, 5e12, 2 ** 62].map(formatBytes), [
    "0 B",
    "1023 B",
    "1 KiB",
    "1.5 KiB",
    "9.8 KiB",
    "2 GiB",
    "4.5 TiB",
    "4096 PiB",
  ]);
  assert.equal(formatMode("file", 0o644), "-rw-r--r--");
  assert.equal(formatMode("directory", 0o1777), "drwxrwxrwt");
  assert.equal(formatMode("file", 0o6755), "-rwsr-sr-x");
  assert.equal(formatMode("fifo", 0o7000), "p--S--S--T");
  assert.equal(formatTime(0n), "1970-01-01T00:00:00.000000000Z");
  assert.equal(formatTime(981173106123456789n), "2001-02-03T04:05:06.123456789Z");
  assert.equal(formatTime(-1n), "1969-12-31T23:59:59.999999999Z");
  assert.equal(formatTime(10n ** 28n), "10000000000000000000s");
});

test("columns", () => {
  assert.equal(
    table(
      [
        ["a", "1"],
        ["long", "200"],
      ],
      [1],
    ),
    "a       1\nlong  200\n",
  );
});

test("errors in one line", () => {
  const system = new SystemError(-2, "openat", "/mnt/vda/x");
  assert.equal(withoutCall(system), "ENOENT: no such file or directory");
  const own = Object.assign(new Error("EACCES: permission denied, open '/a, b'"), {
    syscall: "open",
  });
  assert.equal(withoutCall(own), "EACCES: permission denied");
  assert.equal(withoutCall(new PlaceError("a.img", "is odd")), "a.img: is odd");
  const panic = new KernelPanicError("stack overflow", ["one", "two"], ["f", "g"]);
  assert.match(describeError(panic), /^the kernel crashed: stack overflow [^\n]*$/);
  const tidying = new SuppressedError(new Error("then"), new Error("first"), "both");
  assert.equal(describeError(tidying), "first");
  assert.equal(describeError("text"), "text");
});
