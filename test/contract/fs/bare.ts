// An fs object in an engine that has neither Buffer nor node:stream nor Temporal, as pages have none:
// it does what Node's own Buffer does. Run by test/facade-bare.test.ts.

import assert from "node:assert/strict";
import { Buffer as NodeBuffer } from "node:buffer";
import process from "node:process";

import type { LinuxFs } from "../../../src/fs/index.ts";

const ENCODINGS = ["utf8", "latin1", "ascii", "hex", "base64", "base64url", "utf16le"] as const;

function strip(): void {
  const host: Record<string, unknown> = globalThis;
  delete host.Buffer;
  delete host.Temporal;
  Object.defineProperty(process, "getBuiltinModule", { value: undefined });
}

async function encodings({ promises }: LinuxFs): Promise<void> {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (const encoding of ENCODINGS) {
    await promises.writeFile("file", all);
    const text = await promises.readFile("file", encoding);
    assert.equal(text, NodeBuffer.from(all).toString(encoding), encoding);
    await promises.writeFile("file", text, encoding);
    assert.deepEqual([...(await promises.readFile("file"))], [...NodeBuffer.from(text, encoding)]);
  }
  // Half of a surrogate, and what ends in the middle.
  for (const bytes of [Uint8Array.of(0x3d, 0xd8, 0x41), Uint8Array.of(0xff, 0xfe, 0xe2, 0x82)])
    for (const encoding of ENCODINGS) {
      await promises.writeFile("file", bytes);
      const expected = NodeBuffer.from(bytes).toString(encoding);
      assert.equal(await promises.readFile("file", encoding), expected, encoding);
    }
}

async function contents(fs: LinuxFs): Promise<void> {
  const { promises } = fs;
  await promises.mkdir("folder/below", { recursive: true });
  await promises.writeFile("folder/below/lines", "1\n2\r\n3");
  const bytes = await promises.readFile("folder/below/lines");
  assert.equal(bytes.constructor, Uint8Array);
  await using lines = await promises.open("folder/below/lines");
  assert.deepEqual(await Array.fromAsync(lines.readLines({ autoClose: false })), ["1", "2", "3"]);
  const web = await promises.open("folder/below/lines");
  const parts = await Array.fromAsync(web.readableWebStream({ autoClose: true }));
  assert.equal(parts.map(({ length }) => length).join(), `${bytes.length}`);
  assert.equal(await (await fs.openAsBlob("folder/below/lines")).text(), "1\n2\r\n3");
  assert.throws(() => fs.createReadStream("folder/below/lines"), {
    code: "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM",
    message: /this runtime has no node:stream/,
  });
}

async function names(fs: LinuxFs): Promise<void> {
  const { promises } = fs;
  assert.deepEqual(await promises.readdir("folder", { recursive: true }), ["below", "below/lines"]);
  const [name] = await promises.readdir("folder", "buffer");
  assert.deepEqual([...name], [...NodeBuffer.from("below")]);
  assert.deepEqual(await Array.fromAsync(promises.glob("**/lines")), ["folder/below/lines"]);
  const { atimeInstant } = await promises.stat("folder");
  assert.equal(atimeInstant, undefined);
  const changes = promises.watch("folder");
  const change = changes.next();
  await promises.writeFile("folder/new", "");
  assert.deepEqual((await change).value, { eventType: "rename", filename: "new" });
  await changes.return?.();
}

strip();
const { Kernel } = await import("../../../src/index.ts");
const { createFs } = await import("../../../src/fs/index.ts");
await using kernel = await Kernel.boot({ image: "fs" });
await using fs = createFs(await kernel.process({ cwd: "/tmp" }), { ownsProcess: true });
for (const part of [encodings, contents, names]) await part(fs);
process.stdout.write("as with all of them\n");
