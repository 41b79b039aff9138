// Discs, and the file systems of other times and systems.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { listXattrs, readXattrs, setXattr } from "../src/fs/index.ts";
import { openImage } from "../src/index.ts";
import { OTHER_FORMATS } from "./images/formats/others.ts";
import { emptyHfsPlus } from "./images/hfsplus.ts";
import { testFormats } from "./images/matrix.ts";
import { emptyImage, temporaryFolder } from "./images/native.ts";

testFormats("other file systems", OTHER_FORMATS);

test("hfsplus: a file without attributes, and one with what the kernel calls by half a name", async () => {
  {
    await using image = await openImage(emptyHfsPlus());
    const { process, fs } = await image.volume().mount();
    for (const name of ["/none", "/one"]) await fs.promises.mkdir(name);
    assert.deepEqual(await listXattrs(process, "/none"), []);
    await setXattr(process, "/one", "user.note", Buffer.from("kept"));
    assert.deepEqual(await listXattrs(process, "/none"), []);
    const [[name, value], ...more] = await readXattrs(process, "/one");
    assert.deepEqual([name, String(Buffer.from(value)), more], ["user.note", "kept", []]);
  }
  using folder = temporaryFolder();
  const source = join(folder.path, "source");
  mkdirSync(source);
  writeFileSync(join(source, "file"), "of xorriso");
  const path = emptyImage(join(folder.path, "image"), 0);
  const format = OTHER_FORMATS.find(({ name }) => name === "hfsplus: of xorriso");
  format?.writers?.[0].write([path], source);
  await using image = await openImage(path, { readOnly: true });
  const { process } = await image.volume().mount({ readOnly: true });
  assert.deepEqual(await listXattrs(process, "/file"), ["osx.com.apple.FinderInf"]);
  assert.deepEqual([...(await readXattrs(process, "/file"))], []);
});
