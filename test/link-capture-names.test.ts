// Names that a capture learns while it runs: in this file, and in those that follow.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Cable, Capture } from "../src/link/index.ts";
import type { CaptureSink } from "../src/link/index.ts";
import { ethernet, Listener } from "./link-support.ts";

test("names that come later are in every file from then on", async () => {
  const files: Uint8Array[][] = [[]];
  const sink: CaptureSink = {
    write: (pieces) => void files.at(-1)?.push(...pieces),
    rotate: () => void files.push([]),
    close: () => {},
  };
  const cable = new Cable();
  const [sender] = [new Listener(cable.a), new Listener(cable.b)];
  const frame = ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", 0x88b5);
  const capture = new Capture(sink, { names: { "10.0.0.1": "early.test" }, rotateBytes: 4096 });
  capture.add(cable.a);
  for (let i = 0; i < 40; i++) sender.send(frame);
  capture.addNames({ "10.0.0.2": "late.test", "10.0.0.3": "later.test" });
  capture.addNames({});
  assert.throws(() => capture.addNames({ nonsense: "x" }), { code: "ERR_INVALID_OPTION" });
  for (let i = 0; i < 40; i++) sender.send(frame);
  await capture.close();
  capture.addNames({ "10.0.0.4": "too-late.test" });
  const texts = files.map((pieces) => Buffer.concat(pieces).toString("latin1"));
  assert.ok(texts.length >= 3);
  const has = (name: string) => texts.map((text) => text.includes(name));
  assert.ok(has("early.test").every(Boolean));
  const late = has("late.test");
  assert.equal(late[0], false);
  assert.ok(late.slice(late.indexOf(true)).every(Boolean) && late.at(-1));
  assert.deepEqual(has("later.test"), late);
  assert.ok(!has("too-late.test").some(Boolean));
});
