// Whatever node:fs has, an fs object has: every name is compared, and those that are missing are listed
// here with why.

import assert from "node:assert/strict";
import nodeFs from "node:fs";
import { after, before, suite, test } from "node:test";

import { createFs } from "../src/fs/index.ts";
import type { LinuxFs } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { temporaryFolder } from "./images/native.ts";

/** The names that an object answers to; those that begin with _ and symbols of Node's own are its own affair. */
function namesOf(object: object): Set<string> {
  const names = new Set<string>();
  for (
    let one: object | null = object;
    one && one !== Object.prototype;
    one = Object.getPrototypeOf(one) as object | null
  )
    for (const key of Reflect.ownKeys(one)) {
      const name = String(key);
      const wellKnown = typeof key === "symbol" && Object.values(WELL_KNOWN).includes(key);
      if (typeof key === "symbol" ? wellKnown : !name.startsWith("_")) names.add(name);
    }
  return names;
}

const WELL_KNOWN = {
  asyncDispose: Symbol.asyncDispose,
  asyncIterator: Symbol.asyncIterator,
  dispose: Symbol.dispose,
  iterator: Symbol.iterator,
};

/** Node's EventEmitter has more than what tells of events. */
const EMITTER = [
  "eventNames",
  "getMaxListeners",
  "listeners",
  "prependListener",
  "prependOnceListener",
  "rawListeners",
  "setMaxListeners",
];

suite("the names of node:fs", () => {
  const folder = temporaryFolder();
  let kernel: Kernel;
  let fs: LinuxFs;
  before(async () => {
    kernel = await Kernel.boot({ image: "fs" });
    fs = createFs(await kernel.process({ cwd: "/tmp" }));
    await fs.promises.writeFile("/tmp/file", "");
    nodeFs.writeFileSync(`${folder.path}/file`, "");
  });
  after(async () => {
    await kernel.halt();
    folder[Symbol.dispose]();
  });

  /** Compare what both make, and let both go of it. */
  const compare = (
    what: string,
    make: (fs: typeof nodeFs, folder: string) => object | Promise<object>,
    missing: readonly string[] = [],
    letGo: (made: never) => unknown = () => {},
  ): void => {
    test(what, async () => {
      const ours = fs as unknown as typeof nodeFs;
      const [theirs, own] = [await make(nodeFs, folder.path), await make(ours, "/tmp")];
      const lacking = [...namesOf(theirs)].filter((name) => !namesOf(own).has(name));
      const unknown = lacking.filter((name) => !missing.includes(name));
      await letGo(theirs as never);
      await letGo(own as never);
      assert.deepEqual(unknown, []);
    });
  };

  compare("the module", (subject) => subject, [
    // Undefined on Linux.
    "lchmod",
    // Names of long ago for ReadStream and WriteStream.
    "FileReadStream",
    "FileWriteStream",
    // Writes synchronously.
    "Utf8Stream",
  ]);
  compare("promises", (subject) => subject.promises);
  compare("constants", (subject) => subject.constants);
  compare(
    "FileHandle",
    (subject, at) => subject.promises.open(`${at}/file`),
    [...EMITTER, "getAsyncId"],
    (handle: nodeFs.promises.FileHandle) => handle.close(),
  );
  compare("Stats", (subject, at) => subject.promises.stat(at));
  compare("BigIntStats", (subject, at) => subject.promises.stat(at, { bigint: true }));
  compare("StatFs", (subject, at) => subject.promises.statfs(at));
  compare(
    "Dir",
    (subject, at) => subject.promises.opendir(at),
    [],
    (dir: nodeFs.Dir) => dir.close(),
  );
  compare("Dirent", async (subject, at) => {
    const [entry] = await subject.promises.readdir(at, { withFileTypes: true });
    return entry;
  });
  compare(
    "FSWatcher",
    (subject, at) => subject.watch(at),
    [...EMITTER, "start"],
    (watcher: nodeFs.FSWatcher) => watcher.close(),
  );
  compare(
    "StatWatcher",
    (subject, at) => {
      const watcher = subject.watchFile(at, () => {});
      subject.unwatchFile(at);
      return watcher;
    },
    [...EMITTER, "start"],
  );
  const destroy = (stream: {
    destroy(): void;
    on(event: "error", listener: () => void): unknown;
  }) => {
    stream.on("error", () => {});
    stream.destroy();
  };
  // Where in the file it is, is nobody else's affair.
  compare("ReadStream", (subject, at) => subject.createReadStream(`${at}/file`), ["pos"], destroy);
  compare(
    "WriteStream",
    (subject, at) => subject.createWriteStream(`${at}/file`),
    ["pos"],
    destroy,
  );

  test("every synchronous function says what to use instead, and that is there", () => {
    const names = Object.keys(nodeFs).filter((name) => name.endsWith("Sync"));
    const all = fs as unknown as Readonly<Record<string, () => void>>;
    const promises = fs.promises as unknown as Readonly<Record<string, unknown>>;
    for (const name of names) {
      let message = "";
      try {
        all[name]();
      } catch (error) {
        assert.ok(error instanceof Error && "code" in error);
        assert.equal(error.code, "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM");
        ({ message } = error);
      }
      const found = /; use fs\.(promises\.)?(\w+)\(\)/.exec(message);
      assert.ok(found, `${name}: ${message}`);
      const [, promised, instead] = found;
      assert.equal(typeof (promised ? promises : all)[instead], "function", message);
    }
  });
});
