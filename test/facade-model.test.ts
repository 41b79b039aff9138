// Random sequences of operations do the same on ext4 in the kernel as on the host's own file system.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as nodeFs from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";

import fc from "fast-check";

import { MemoryDisk } from "../src/disk/index.ts";
import { createFs } from "../src/fs/facade/index.ts";
import { attachDisk, mount } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { emptyImage, run, temporaryFolder } from "./images/native.ts";
import { repeats } from "./kernel.ts";

type Promises = typeof nodeFs.promises;

const UMASK = 0o027;
const SEQUENCES = repeats(5000, 800);
const MAX_OPERATIONS = 25;
const SEED = 20_240_607;

/** One thing to do below a folder. What it gives is compared. */
interface Operation {
  readonly text: string;
  run(fs: Promises, root: string): Promise<unknown>;
}

const NAMES = ["a", "b", "c"];

/** Few names, so that operations meet. */
const plainPath = fc
  .array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 })
  .map((names) => names.join("/"));
/** Now and then with a slash at its end. */
const path = plainPath.chain((name) => fc.constantFrom(name, name, `${name}/`));
const mode = fc.constantFrom(0o777, 0o700, 0o644, 0o600, 0o4755, 0o1777, 0o000);
const size = fc.constantFrom(0, 1, 5, 4095, 4096, 5000, 70_000);
const flags = fc.constantFrom("w", "wx", "a", "ax", "r+", "w+", "a+");
const seconds = fc.constantFrom(0, 1, 1_000_000_000.5, -1.25, 4_000_000_000);

function operation<A extends unknown[]>(
  name: string,
  args: { [K in keyof A]: fc.Arbitrary<A[K]> },
  body: (fs: Promises, root: string, ...args: A) => Promise<unknown>,
): fc.Arbitrary<Operation> {
  return fc.tuple<A>(...args).map((values) => ({
    text: `${name}(${values.map((value) => JSON.stringify(value)).join(", ")})`,
    run: (fs, root) => body(fs, root, ...values),
  }));
}

const content = (length: number) => Buffer.alloc(length, `${length},`);
const facts = (stats: nodeFs.Stats) => ({
  type: stats.mode >> 12,
  mode: stats.mode & 0o7777,
  // The sizes of directories are the file system's own.
  size: stats.isDirectory() ? null : stats.size,
  links: stats.nlink,
  uid: stats.uid,
});

const operations = fc.oneof(
  {
    weight: 4,
    arbitrary: operation(
      "writeFile",
      [path, size, flags, mode],
      (fs, root, name, length, flag, bits) =>
        fs.writeFile(`${root}/${name}`, content(length), { flag, mode: bits }),
    ),
  },
  {
    weight: 4,
    arbitrary: operation("mkdir", [path, mode], (fs, root, name, bits) =>
      fs.mkdir(`${root}/${name}`, bits),
    ),
  },
  {
    weight: 3,
    arbitrary: operation("mkdir -p", [path], async (fs, root, name) =>
      (await fs.mkdir(`${root}/${name}`, { recursive: true }))?.slice(root.length),
    ),
  },
  {
    weight: 2,
    arbitrary: operation("readFile", [path], async (fs, root, name) =>
      (await fs.readFile(`${root}/${name}`)).toString("latin1"),
    ),
  },
  {
    weight: 1,
    arbitrary: operation("appendFile", [path, size], (fs, root, name, length) =>
      fs.appendFile(`${root}/${name}`, content(length)),
    ),
  },
  {
    weight: 1,
    arbitrary: operation("truncate", [path, size], (fs, root, name, length) =>
      fs.truncate(`${root}/${name}`, length),
    ),
  },
  {
    weight: 2,
    arbitrary: operation("unlink", [path], (fs, root, name) => fs.unlink(`${root}/${name}`)),
  },
  {
    weight: 2,
    arbitrary: operation("rmdir", [path], (fs, root, name) => fs.rmdir(`${root}/${name}`)),
  },
  {
    weight: 1,
    arbitrary: operation(
      "rm",
      [path, fc.boolean(), fc.boolean()],
      (fs, root, name, recursive, force) => fs.rm(`${root}/${name}`, { recursive, force }),
    ),
  },
  {
    weight: 4,
    arbitrary: operation("rename", [path, path], (fs, root, from, to) =>
      fs.rename(`${root}/${from}`, `${root}/${to}`),
    ),
  },
  {
    weight: 3,
    arbitrary: operation("link", [path, path], (fs, root, from, to) =>
      fs.link(`${root}/${from}`, `${root}/${to}`),
    ),
  },
  {
    weight: 3,
    arbitrary: operation(
      "symlink",
      [fc.constantFrom("a", "b", "../a", "c/b", "."), path],
      (fs, root, target, to) => fs.symlink(target, `${root}/${to}`),
    ),
  },
  {
    weight: 1,
    arbitrary: operation("readlink", [path], (fs, root, name) => fs.readlink(`${root}/${name}`)),
  },
  {
    weight: 1,
    arbitrary: operation("realpath", [path], async (fs, root, name) =>
      (await fs.realpath(`${root}/${name}`)).slice(root.length),
    ),
  },
  {
    weight: 1,
    arbitrary: operation("chmod", [path, mode], (fs, root, name, bits) =>
      fs.chmod(`${root}/${name}`, bits),
    ),
  },
  {
    weight: 1,
    arbitrary: operation("lchown", [path, fc.constantFrom(0, 1000)], (fs, root, name, uid) =>
      fs.lchown(`${root}/${name}`, uid, -1),
    ),
  },
  {
    weight: 1,
    arbitrary: operation(
      "utimes",
      [path, seconds, seconds],
      async (fs, root, name, atime, mtime) => {
        await fs.utimes(`${root}/${name}`, atime, mtime);
        // Times before 1970 are "now".
        return mtime < 0 ? null : (await fs.stat(`${root}/${name}`)).mtimeMs;
      },
    ),
  },
  {
    weight: 2,
    arbitrary: operation("stat", [path], async (fs, root, name) =>
      facts(await fs.stat(`${root}/${name}`)),
    ),
  },
  {
    weight: 2,
    arbitrary: operation("lstat", [path], async (fs, root, name) =>
      facts(await fs.lstat(`${root}/${name}`)),
    ),
  },
  {
    weight: 2,
    arbitrary: operation("readdir", [path], (fs, root, name) => fs.readdir(`${root}/${name}`)),
  },
  {
    weight: 2,
    arbitrary: operation(
      "copyFile",
      [path, path, fc.constantFrom(0, 1)],
      async (fs, root, from, to, how) => {
        // Of a directory, libuv removes what it could not be copied to.
        const found = await fs.stat(`${root}/${from}`).catch(() => null);
        if (!found?.isDirectory()) await fs.copyFile(`${root}/${from}`, `${root}/${to}`, how);
      },
    ),
  },
  {
    weight: 1,
    arbitrary: operation(
      "cp",
      [plainPath, plainPath, fc.boolean(), fc.boolean()],
      (fs, root, from, to, force, errorOnExist) =>
        fs.cp(`${root}/${from}`, `${root}/${to}`, {
          recursive: true,
          force,
          errorOnExist,
          verbatimSymlinks: true,
        }),
    ),
  },
  {
    weight: 1,
    arbitrary: operation("access", [path, fc.constantFrom(0, 1, 2, 4, 7)], (fs, root, name, bits) =>
      fs.access(`${root}/${name}`, bits),
    ),
  },
  {
    weight: 2,
    arbitrary: operation("holes", [path, size], async (fs, root, name, offset) => {
      await using handle = await fs.open(`${root}/${name}`, "r+");
      await handle.write("hole", offset * 3);
      const { bytesRead } = await handle.read(Buffer.alloc(10_000), 0, 10_000, offset);
      return [bytesRead, (await handle.stat()).size];
    }),
  },
);

/** What came of an operation, without what differs between two folders. */
async function outcome(fs: Promises, root: string, { run, text }: Operation): Promise<unknown> {
  try {
    return { value: (await run(fs, root)) ?? null };
  } catch (error) {
    assert.ok(error instanceof Error);
    const { code, syscall, path, dest } = error as NodeJS.ErrnoException & { dest?: string };
    // Where both names of cp() are bad, it tells of either.
    if (text.startsWith("cp(")) return { failed: true };
    const told = [error.message, path, dest].map((text) => text?.replaceAll(root, "ROOT") ?? null);
    return { code, syscall, told };
  }
}

/** All there is: names, types, permissions, sizes, contents, counts of links. */
async function tree(fs: Promises, root: string): Promise<unknown[]> {
  const found: unknown[] = [];
  const visit = async (folder: string): Promise<void> => {
    for (const name of await fs.readdir(folder)) {
      const below = `${folder}/${name}`;
      const stats = await fs.lstat(below);
      const body = stats.isFile()
        ? (await fs.readFile(below)).toString("base64")
        : stats.isSymbolicLink()
          ? await fs.readlink(below)
          : null;
      found.push([below.slice(root.length), facts(stats), body]);
      if (stats.isDirectory()) await visit(below);
    }
  };
  await visit(root);
  return found;
}

const folder = temporaryFolder();
let kernel: Kernel;
let ours: Promises;
let umask: number;

before(async () => {
  const image = emptyImage(join(folder.path, "ext4.img"), 64);
  run("mke2fs", "-q", "-F", "-t", "ext4", image);
  kernel = await Kernel.boot({ image: "fs", memoryMiB: 128 });
  const disk = new MemoryDisk(new Uint8Array(readFileSync(image)));
  const device = await attachDisk(kernel, disk);
  // What is not trusted cannot be executed, which access() tells.
  const { target } = await mount(kernel, { source: device.path, trusted: true });
  const fs = createFs(await kernel.process({ root: target, umask: UMASK }));
  // test/contract/fs/types.test.ts says how far the types agree.
  ours = fs.promises as unknown as Promises;
  umask = process.umask(UMASK);
});

after(async () => {
  process.umask(umask);
  await kernel.halt();
  folder[Symbol.dispose]();
});

test(`${SEQUENCES} sequences of operations`, async () => {
  const host = nodeFs.realpathSync(folder.path);
  let count = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(operations, { minLength: 1, maxLength: MAX_OPERATIONS }),
      async (sequence) => {
        // Of two levels, for links may lead one up.
        const name = `/s${count++}/in`;
        const [native, own] = [host + name, name];
        const recursive = { recursive: true };
        await Promise.all([nodeFs.promises.mkdir(native, recursive), ours.mkdir(own, recursive)]);
        const done: string[] = [];
        for (const step of sequence) {
          done.push(step.text);
          const [expected, actual] = await Promise.all([
            outcome(nodeFs.promises, native, step),
            outcome(ours, own, step),
          ]);
          assert.deepEqual(actual, expected, done.join("\n"));
        }
        assert.deepEqual(
          await tree(ours, own),
          await tree(nodeFs.promises, native),
          done.join("\n"),
        );
        await Promise.all([
          nodeFs.promises.rm(`${native}/..`, recursive),
          ours.rm(`${own}/..`, recursive),
        ]);
      },
    ),
    { numRuns: SEQUENCES, seed: SEED },
  );
});
