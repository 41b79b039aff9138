// What an fs object of Node's shape does. The oracle is node:fs itself, on which it runs first.

import assert from "node:assert/strict";
import type nodeFs from "node:fs";
import type { BigIntStats, Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { posix } from "node:path";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

/** What a file system can hold. */
export interface Capabilities {
  readonly symlinks: boolean;
  readonly hardLinks: boolean;
  /** Permissions of every file, kept as they are set. */
  readonly modes: boolean;
  readonly owners: boolean;
  /** "a" and "A" are two names. */
  readonly caseSensitive: boolean;
  /** Names that are no UTF-8. */
  readonly byteNames: boolean;
  /** Named pipes. */
  readonly fifos: boolean;
  /** How exact times are kept. */
  readonly timesMs: number;
  /** Times before 1970. */
  readonly oldTimes: boolean;
  /** Directories have a count of links, of which a file has 1. */
  readonly linkCounts: boolean;
  /** What is not written takes no space. */
  readonly holes: boolean;
  /** Says how full it is. */
  readonly usage: boolean;
  /** Files can share their bytes on the disk. */
  readonly reflinks: boolean;
  /** A name that is too long is told from one that is not there. */
  readonly longNames: boolean;
  /** What it says of a rename onto a directory that is not empty. */
  readonly notEmpty: "ENOTEMPTY" | "EEXIST";
}

/** What a test may need. */
type Ability = Exclude<keyof Capabilities, "timesMs" | "notEmpty">;

export const EVERYTHING: Capabilities = {
  symlinks: true,
  hardLinks: true,
  modes: true,
  owners: true,
  caseSensitive: true,
  byteNames: true,
  fifos: true,
  timesMs: 0,
  oldTimes: true,
  linkCounts: true,
  holes: true,
  usage: true,
  reflinks: false,
  longNames: true,
  notEmpty: "ENOTEMPTY",
};

export interface FsSubject {
  readonly fs: typeof nodeFs;
  /** A directory, empty, of root's, whose umask is 0o022. */
  readonly root: string;
  readonly can: Capabilities;
  /** Makes a named pipe. */
  mkfifo(path: string): void | Promise<void>;
  done(): PromiseLike<void>;
}

type Promises = typeof nodeFs.promises;

/** What an error has to have; `path` is below the test's folder. */
interface Expected {
  readonly code: string;
  readonly syscall?: string;
  readonly path?: string;
  readonly dest?: string;
}

const TEXT = "ünïcödé 名前 😀\n";
const NOT_UTF8 = Buffer.from([0x6e, 0xff, 0x6d]);

/** Run the suite on what `make` makes, once. */
export function fsContract(name: string, make: () => Promise<FsSubject>): void {
  suite(name, () => {
    let subject: FsSubject;
    let folders = 0;
    before(async () => {
      subject = await make();
    });
    after(() => subject.done());

    /** A test in a folder of its own, unless the file system cannot hold what it needs. */
    const on = (
      what: string,
      body: (fs: Promises, folder: string, subject: FsSubject) => Promise<void>,
      ...needs: Ability[]
    ): void => {
      test(what, async () => {
        const folder = posix.join(subject.root, `t${folders++}`);
        await subject.fs.promises.mkdir(folder);
        if (needs.every((need) => subject.can[need]))
          await body(subject.fs.promises, folder, subject);
        else await refuses(subject, folder, needs);
        await subject.fs.promises.rm(folder, { recursive: true });
      });
    };

    wholeFiles(on);
    errors(on);
    directories(on);
    names(on);
    status(on);
    handles(on);
    callbacks(on);
    streams(on);
    trees(on);
    watching(on);
    interplay(on);
  });
}

type On = (
  what: string,
  body: (fs: Promises, folder: string, subject: FsSubject) => Promise<void>,
  ...needs: Ability[]
) => void;

/** Where something cannot be, making it fails with an error of the kernel's, and nothing is left. */
async function refuses(
  { fs, can, mkfifo }: FsSubject,
  folder: string,
  needs: readonly Ability[],
): Promise<void> {
  const { promises } = fs;
  const lacks = (need: Ability) => needs.includes(need) && !can[need];
  const at = (name: string) => posix.join(folder, name);
  const refused = { code: /^(EPERM|ENOTSUP|EINVAL|EILSEQ|EOPNOTSUPP)$/ };
  if (lacks("symlinks")) await assert.rejects(promises.symlink("a", at("link")), refused);
  else if (lacks("hardLinks")) {
    await promises.writeFile(at("a"), "");
    await assert.rejects(promises.link(at("a"), at("b")), refused);
    await promises.unlink(at("a"));
  } else if (lacks("fifos")) await assert.rejects(async () => mkfifo(at("fifo")), refused);
  else if (lacks("byteNames")) {
    // It is refused, or becomes another name, of text.
    const made = promises.writeFile(Buffer.concat([Buffer.from(`${folder}/`), NOT_UTF8]), "");
    const error: unknown = await made.catch((failure: unknown) => failure);
    if (error) await assert.rejects(made, refused);
    for (const name of await promises.readdir(folder, "buffer")) {
      assert.deepEqual(Buffer.from(name.toString()), name);
      await promises.unlink(at(name.toString()));
    }
  } else if (lacks("owners")) {
    await promises.writeFile(at("a"), "");
    await assert.rejects(promises.chown(at("a"), 1, 2), refused);
    assert.equal((await promises.stat(at("a"))).uid, 0);
    await promises.unlink(at("a"));
  } else if (lacks("modes")) {
    // It may keep the bit for writing alone, of all.
    await promises.writeFile(at("a"), "");
    await promises
      .chmod(at("a"), 0o444)
      .catch((error: unknown) => assert.match(String(error), /EPERM/));
    assert.notEqual((await promises.stat(at("a"))).mode & 0o777, 0o640);
    await promises.unlink(at("a"));
  }
  assert.deepEqual(await promises.readdir(folder), []);
}

const errorOf = async (
  promise: Promise<unknown>,
): Promise<NodeJS.ErrnoException & { dest?: string }> => {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof Error, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "the promise was fulfilled" });
};

async function failsWith(promise: Promise<unknown>, expected: Expected): Promise<void> {
  const error = await errorOf(promise);
  const { code, syscall, path, dest } = error;
  const actual = { code, syscall, path, dest };
  const wanted = { syscall: undefined, path: undefined, dest: undefined, ...expected };
  assert.deepEqual(actual, wanted, error.stack ?? error.message);
  assert.equal(error.name, "Error");
  if (error.errno !== undefined) assert.ok(error.errno < 0);
  assert.ok(error.message.startsWith(`${code}: `), error.message);
  const names = [path, dest].filter((name) => name !== undefined).map((name) => `'${name}'`);
  assert.ok(
    error.message.endsWith([`, ${syscall}`, names.join(" -> ")].join(names.length ? " " : "")),
  );
}

async function isInvalid(
  promise: () => Promise<unknown>,
  code: string,
  message: RegExp,
): Promise<void> {
  await assert.rejects(promise, { code, message });
}

function wholeFiles(on: On): void {
  on("writes and reads text and bytes", async (fs, folder) => {
    const path = `${folder}/file`;
    await fs.writeFile(path, TEXT);
    assert.equal(await fs.readFile(path, "utf8"), TEXT);
    assert.equal(await fs.readFile(path, { encoding: "utf-8" }), TEXT);
    const bytes = await fs.readFile(path);
    assert.ok(Buffer.isBuffer(bytes));
    assert.deepEqual(bytes, Buffer.from(TEXT));
    assert.equal((await fs.stat(path)).size, Buffer.byteLength(TEXT));
    await fs.writeFile(path, "");
    assert.equal((await fs.readFile(path)).length, 0);
  });

  on("knows Node's encodings", async (fs, folder) => {
    const path = `${folder}/file`;
    for (const encoding of [
      "latin1",
      "hex",
      "base64",
      "base64url",
      "utf16le",
      "ucs2",
      "ascii",
    ] as const) {
      const text = Buffer.from("any text!", "latin1").toString(
        encoding === "ascii" ? "latin1" : encoding,
      );
      await fs.writeFile(path, text, encoding);
      assert.deepEqual(await fs.readFile(path), Buffer.from(text, encoding), encoding);
      assert.equal(await fs.readFile(path, encoding), text, encoding);
    }
    await fs.writeFile(path, Buffer.from([0xef, 0xbb, 0xbf, 0x61, 0xff]));
    assert.equal(await fs.readFile(path, "utf8"), "\ufeffa\ufffd");
  });

  on("writes views, iterables and streams", async (fs, folder) => {
    const path = `${folder}/file`;
    const numbers = Uint16Array.of(1, 2, 3);
    await fs.writeFile(path, numbers);
    assert.deepEqual(new Uint8Array(await fs.readFile(path)), new Uint8Array(numbers.buffer));
    await fs.writeFile(path, new DataView(numbers.buffer, 2, 2));
    assert.deepEqual([...(await fs.readFile(path))], [2, 0]);
    await fs.writeFile(path, ["one ", "two"]);
    assert.equal(await fs.readFile(path, "utf8"), "one two");
    await fs.writeFile(
      path,
      (async function* parts() {
        yield "a";
        yield Buffer.from("b");
      })(),
    );
    assert.equal(await fs.readFile(path, "utf8"), "ab");
  });

  on("keeps large files", async (fs, folder) => {
    const bytes = Buffer.alloc(3_000_001);
    for (let i = 0; i < bytes.length; i += 4) bytes[i] = Math.imul(i, 2654435761) >>> 24;
    await fs.writeFile(`${folder}/big`, bytes);
    assert.equal(Buffer.compare(await fs.readFile(`${folder}/big`), bytes), 0);
  });

  on("reads into what is given", async (fs, folder) => {
    const path = `${folder}/file`;
    await fs.writeFile(path, "text");
    const buffer = Buffer.alloc(10, ".");
    assert.equal(String(await fs.readFile(path, { buffer })), "text");
    assert.equal(String(buffer), "text......");
    const sizes: number[] = [];
    const make = (size: number) => {
      sizes.push(size);
      return new Uint8Array(size);
    };
    const asText = { buffer: make, encoding: "latin1" } as const;
    assert.equal(await fs.readFile(path, asText), "text");
    assert.deepEqual(sizes, [4]);
    await using handle = await fs.open(path);
    assert.equal(String(await handle.readFile({ buffer })), "text");
    await isInvalid(
      () => fs.readFile(path, { buffer: Buffer.alloc(3) }),
      "ERR_INVALID_ARG_VALUE",
      /^The property 'options\.buffer\.byteLength' is smaller than the file size of 4 bytes\. Received 3$/,
    );
    await isInvalid(
      () => fs.readFile(path, { buffer: 3 as unknown as Uint8Array }),
      "ERR_INVALID_ARG_TYPE",
      /^The "options\.buffer" property must be of type function or an instance of Buffer, TypedArray, or DataView\. Received type number \(3\)$/,
    );
  });

  on("gives blobs", async (_fs, folder, { fs }) => {
    await fs.promises.writeFile(`${folder}/file`, "a blob");
    const blob = await fs.openAsBlob(`${folder}/file`, { type: "text/plain" });
    assert.equal(blob.type, "text/plain");
    assert.equal(blob.size, 6);
    assert.equal(await blob.slice(2).text(), "blob");
  });

  on("appends, truncates, and obeys flags", async (fs, folder) => {
    const path = `${folder}/file`;
    await fs.appendFile(path, "one");
    await fs.appendFile(path, Buffer.from("two"));
    assert.equal(await fs.readFile(path, "utf8"), "onetwo");
    await fs.truncate(path, 4);
    assert.equal(await fs.readFile(path, "utf8"), "onet");
    await fs.truncate(path, 6);
    assert.equal(await fs.readFile(path, "utf8"), "onet\0\0");
    await fs.truncate(path);
    assert.equal((await fs.stat(path)).size, 0);
    await fs.writeFile(path, "abc", { flag: "r+" });
    await fs.writeFile(path, "X", { flag: "r+" });
    assert.equal(await fs.readFile(path, "utf8"), "Xbc");
    await fs.writeFile(path, "d", { flag: "a", flush: true });
    assert.equal(await fs.readFile(path, "utf8"), "Xbcd");
    await failsWith(fs.writeFile(path, "", { flag: "wx" }), {
      code: "EEXIST",
      syscall: "open",
      path,
    });
    await failsWith(fs.appendFile(path, "", { flag: "ax" }), {
      code: "EEXIST",
      syscall: "open",
      path,
    });
    const missing = `${folder}/missing`;
    await failsWith(fs.writeFile(missing, "", { flag: "r+" }), {
      code: "ENOENT",
      syscall: "open",
      path: missing,
    });
    assert.equal(await fs.readFile(missing, { flag: "a+", encoding: "utf8" }), "");
  });

  on("is ended by a signal", async (fs, folder) => {
    const path = `${folder}/file`;
    const aborted = { name: "AbortError", code: "ABORT_ERR" };
    const signal = AbortSignal.abort();
    await fs.writeFile(path, "text");
    await assert.rejects(fs.readFile(path, { signal }), aborted);
    await assert.rejects(fs.writeFile(path, "new", { signal }), aborted);
    assert.equal(await fs.readFile(path, "utf8"), "text");
    const controller = new AbortController();
    const endless = (async function* parts() {
      yield "part";
      controller.abort();
      yield "part";
    })();
    await assert.rejects(fs.writeFile(path, endless, { signal: controller.signal }), aborted);
    await isInvalid(
      () => fs.readFile(path, { signal: 5 as unknown as AbortSignal }),
      "ERR_INVALID_ARG_TYPE",
      /"options\.signal" property must be an instance of AbortSignal/,
    );
  });

  on("copies files", async (fs, folder, { fs: { constants }, can }) => {
    const [from, to] = [`${folder}/from`, `${folder}/to`];
    const bytes = Buffer.alloc(300_000, "copy me ");
    await fs.writeFile(from, bytes);
    await fs.copyFile(from, to);
    assert.equal(Buffer.compare(await fs.readFile(to), bytes), 0);
    await fs.writeFile(from, "short");
    await fs.copyFile(from, to, constants.COPYFILE_FICLONE);
    assert.equal(await fs.readFile(to, "utf8"), "short");
    await fs.copyFile(from, from);
    assert.equal(await fs.readFile(from, "utf8"), "short");
    const clone = fs.copyFile(from, `${folder}/clone`, constants.COPYFILE_FICLONE_FORCE);
    if (can.reflinks) {
      await clone;
      assert.equal(await fs.readFile(`${folder}/clone`, "utf8"), "short");
    } else {
      await assert.rejects(clone, { code: /^(ENOTSUP|ENOTTY|EXDEV|EINVAL)$/, syscall: "copyfile" });
      // Nothing half-made stays.
      assert.deepEqual(await fs.readdir(folder), ["from", "to"]);
    }
    await failsWith(fs.copyFile(from, to, constants.COPYFILE_EXCL), {
      code: "EEXIST",
      syscall: "copyfile",
      path: from,
      dest: to,
    });
    await failsWith(fs.copyFile(`${from}x`, to), {
      code: "ENOENT",
      syscall: "copyfile",
      path: `${from}x`,
      dest: to,
    });
    await failsWith(fs.copyFile(from, folder), {
      code: "EISDIR",
      syscall: "copyfile",
      path: from,
      dest: folder,
    });
    await isInvalid(
      () => fs.copyFile(from, to, 99),
      "ERR_OUT_OF_RANGE",
      /^mode is out of range: >= 0 && <= 7$/,
    );
  });
}

function errors(on: On): void {
  on("names what failed, and where", async (fs, folder, { can }) => {
    const missing = `${folder}/missing`;
    const ways: [syscall: string, act: (path: string) => Promise<unknown>][] = [
      ["open", (path) => fs.readFile(path)],
      ["open", (path) => fs.open(path)],
      ["open", (path) => fs.truncate(path)],
      ["stat", (path) => fs.stat(path)],
      ["lstat", (path) => fs.lstat(path)],
      ["statfs", (path) => fs.statfs(path)],
      ["access", (path) => fs.access(path)],
      ["scandir", (path) => fs.readdir(path)],
      ["opendir", (path) => fs.opendir(path)],
      ["unlink", (path) => fs.unlink(path)],
      ["rmdir", (path) => fs.rmdir(path)],
      ["lstat", (path) => fs.rm(path)],
      ["lstat", (path) => fs.cp(path, `${folder}/copy`)],
      ["chmod", (path) => fs.chmod(path, 0o600)],
      ["chown", (path) => fs.chown(path, 0, 0)],
      ["lchown", (path) => fs.lchown(path, 0, 0)],
      ["utime", (path) => fs.utimes(path, 1, 1)],
      ["lutime", (path) => fs.lutimes(path, 1, 1)],
      ["readlink", (path) => fs.readlink(path)],
      ["realpath", (path) => fs.realpath(path)],
    ];
    for (const [syscall, act] of ways)
      await failsWith(act(missing), { code: "ENOENT", syscall, path: missing });
    for (const [syscall, act] of ways)
      if (can.longNames && syscall !== "opendir")
        await failsWith(act(`${folder}/${"n".repeat(256)}`), {
          code: "ENAMETOOLONG",
          syscall,
          path: `${folder}/${"n".repeat(256)}`,
        });
    for (const name of ["rename", "link"] as const)
      await failsWith(fs[name](missing, `${folder}/x`), {
        code: "ENOENT",
        syscall: name,
        path: missing,
        dest: `${folder}/x`,
      });
    const inside = `${missing}/x`;
    await failsWith(fs.mkdir(inside), { code: "ENOENT", syscall: "mkdir", path: inside });
    const temporary = await errorOf(fs.mkdtemp(inside));
    assert.equal(temporary.syscall, "mkdtemp");
    assert.match(temporary.path ?? "", /\/missing\/x\w{6}$/);
    assert.match(
      temporary.message,
      /^ENOENT: no such file or directory, mkdtemp '.*\/missing\/x\w{6}'$/,
    );
    await failsWith(fs.stat(""), { code: "ENOENT", syscall: "stat", path: "" });
    await failsWith(fs.readFile(`/${"x/".repeat(3000)}`), {
      code: "ENAMETOOLONG",
      syscall: "open",
      path: `/${"x/".repeat(3000)}`,
    });
  });

  on("tells files from directories", async (fs, folder) => {
    const file = `${folder}/file`;
    await fs.writeFile(file, "");
    const inside = `${file}/x`;
    await failsWith(fs.open(inside), { code: "ENOTDIR", syscall: "open", path: inside });
    await failsWith(fs.mkdir(inside), { code: "ENOTDIR", syscall: "mkdir", path: inside });
    await failsWith(fs.mkdir(`${inside}/y`, { recursive: true }), {
      code: "ENOTDIR",
      syscall: "mkdir",
      path: `${inside}/y`,
    });
    await failsWith(fs.mkdir(file), { code: "EEXIST", syscall: "mkdir", path: file });
    await failsWith(fs.mkdir(file, { recursive: true }), {
      code: "EEXIST",
      syscall: "mkdir",
      path: file,
    });
    await failsWith(fs.readdir(file), { code: "ENOTDIR", syscall: "scandir", path: file });
    await failsWith(fs.opendir(file), { code: "ENOTDIR", syscall: "opendir", path: file });
    await failsWith(fs.rmdir(file), { code: "ENOTDIR", syscall: "rmdir", path: file });
    await failsWith(fs.readlink(file), { code: "EINVAL", syscall: "readlink", path: file });
    await failsWith(fs.realpath(`${file}/`), {
      code: "ENOTDIR",
      syscall: "realpath",
      path: `${file}/`,
    });
    await failsWith(fs.unlink(folder), { code: "EISDIR", syscall: "unlink", path: folder });
    await failsWith(fs.open(folder, "w"), { code: "EISDIR", syscall: "open", path: folder });
    await failsWith(fs.rmdir(folder), { code: "ENOTEMPTY", syscall: "rmdir", path: folder });
    await failsWith(fs.rm(inside, { force: true }), {
      code: "ENOTDIR",
      syscall: "lstat",
      path: inside,
    });
    await failsWith(fs.readFile(folder), { code: "EISDIR", syscall: "read", path: folder });
    await fs.mkdir(`${folder}/d/e`, { recursive: true });
    await failsWith(fs.rename(file, `${folder}/d`), {
      code: "EISDIR",
      syscall: "rename",
      path: file,
      dest: `${folder}/d`,
    });
    await failsWith(fs.rename(`${folder}/d`, file), {
      code: "ENOTDIR",
      syscall: "rename",
      path: `${folder}/d`,
      dest: file,
    });
    await failsWith(fs.rename(`${folder}/d`, `${folder}/d/e/f`), {
      code: "EINVAL",
      syscall: "rename",
      path: `${folder}/d`,
      dest: `${folder}/d/e/f`,
    });
  });

  on("refuses arguments as Node does", async (fs, folder) => {
    const path = `${folder}/file`;
    await fs.writeFile(path, "text");
    const wrong = <T>(value: unknown) => value as T;
    const TYPE = "ERR_INVALID_ARG_TYPE";
    const VALUE = "ERR_INVALID_ARG_VALUE";
    const RANGE = "ERR_OUT_OF_RANGE";
    const cases: [() => Promise<unknown>, string, RegExp][] = [
      [
        () => fs.open(wrong(5)),
        TYPE,
        /^The "path" argument must be of type string or an instance of Buffer or URL\. Received type number \(5\)$/,
      ],
      [() => fs.stat(wrong({})), TYPE, /Received an instance of Object$/],
      [() => fs.stat(wrong(null)), TYPE, /Received null$/],
      [
        () => fs.stat("a\0b"),
        VALUE,
        /^The argument 'path' must be a string, Uint8Array, or URL without null bytes\. Received 'a\\x00b'$/,
      ],
      [() => fs.stat(Buffer.from("a\0b")), VALUE, /without null bytes/],
      [
        () => fs.stat(new URL("http://x/y")),
        "ERR_INVALID_URL_SCHEME",
        /^The URL must be of scheme file$/,
      ],
      [
        () => fs.stat(new URL("file://host/y")),
        "ERR_INVALID_FILE_URL_HOST",
        /must be "localhost" or empty on linux$/,
      ],
      [
        () => fs.stat(new URL("file:///a%2Fb")),
        "ERR_INVALID_FILE_URL_PATH",
        /must not include encoded \/ characters$/,
      ],
      [() => fs.rename(wrong(1), "a"), TYPE, /^The "oldPath" argument/],
      [() => fs.rename("a", wrong(1)), TYPE, /^The "newPath" argument/],
      [() => fs.link(wrong(1), "a"), TYPE, /^The "existingPath" argument/],
      [() => fs.symlink(wrong(1), "a"), TYPE, /^The "target" argument/],
      [
        () => fs.symlink("a", "b", "zz"),
        VALUE,
        /^The argument 'type' must be one of: 'dir', 'file', 'junction', null, undefined\. Received 'zz'$/,
      ],
      [() => fs.copyFile(wrong(1), "a"), TYPE, /^The "src" argument/],
      [() => fs.copyFile("a", wrong(1)), TYPE, /^The "dest" argument/],
      [() => fs.open(path, "zz"), VALUE, /^The argument 'flags' is invalid\. Received 'zz'$/],
      [
        () => fs.open(path, 1.5),
        RANGE,
        /^The value of "flags" is out of range\. It must be an integer\. Received 1\.5$/,
      ],
      [
        () => fs.readFile(path, "nope" as "utf8"),
        VALUE,
        /^The argument 'encoding' is invalid encoding\. Received 'nope'$/,
      ],
      [
        () => fs.readFile(path, wrong<null>(5)),
        TYPE,
        /^The "options" argument must be one of type string or object\. Received type number \(5\)$/,
      ],
      [
        () => fs.writeFile(path, wrong(5)),
        TYPE,
        /^The "data" argument must be of type string or an instance of Buffer, TypedArray, or DataView\. Received type number \(5\)$/,
      ],
      [
        () => fs.writeFile(path, wrong({})),
        TYPE,
        /^The "data" argument.*Received an instance of Object$/,
      ],
      [
        () => fs.chmod(path, "9"),
        VALUE,
        /^The argument 'mode' must be a 32-bit unsigned integer or an octal string\. Received '9'$/,
      ],
      [
        () => fs.chmod(path, -1),
        RANGE,
        /^The value of "mode" is out of range\. It must be >= 0 && <= 4294967295\. Received -1$/,
      ],
      [
        () => fs.chmod(path, wrong(undefined)),
        TYPE,
        /^The "mode" argument must be of type number\. Received undefined$/,
      ],
      [
        () => fs.chown(path, wrong("a"), 1),
        TYPE,
        /^The "uid" argument must be of type number\. Received type string \('a'\)$/,
      ],
      [
        () => fs.chown(path, -2, 1),
        RANGE,
        /^The value of "uid" is out of range\. It must be >= -1 && <= 4294967295\. Received -2$/,
      ],
      [() => fs.truncate(path, wrong("x")), TYPE, /^The "len" argument must be of type number/],
      [
        () => fs.truncate(path, 1.5),
        RANGE,
        /^The value of "len" is out of range\. It must be an integer\. Received 1\.5$/,
      ],
      [
        () => fs.utimes(path, "x", 1),
        TYPE,
        /^The "time" argument must be an instance of Date or an Time in seconds\. Received type string \('x'\)$/,
      ],
      [() => fs.access(path, 9), RANGE, /^mode is out of range: >= 0 && <= 7$/],
      [() => fs.access(path, wrong("x")), TYPE, /^mode must be int32 or null\/undefined$/],
      [
        () => fs.mkdir(path, wrong({ recursive: "x" })),
        TYPE,
        /^The "options\.recursive" property must be of type boolean\. Received type string \('x'\)$/,
      ],
      [
        () => fs.rm(path, wrong({ recursive: "x" })),
        TYPE,
        /^The "options\.recursive" property must be of type boolean/,
      ],
      [
        () => fs.rm(path, { retryDelay: -1 }),
        RANGE,
        /^The value of "options\.retryDelay" is out of range\. It must be >= 0 && <= 2147483647\. Received -1$/,
      ],
    ];
    for (const [act, code, message] of cases) await isInvalid(act, code, message);
    assert.equal(await fs.readFile(path, "utf8"), "text");
  });
}

function directories(on: On): void {
  on("makes directories, with those above", async (fs, folder) => {
    assert.equal(await fs.mkdir(`${folder}/a`), undefined);
    assert.equal(await fs.mkdir(`${folder}/a/b/c`, { recursive: true }), `${folder}/a/b`);
    assert.equal(await fs.mkdir(`${folder}/a/b/c`, { recursive: true }), undefined);
    assert.equal(await fs.mkdir(`${folder}/x/../y/z`, { recursive: true }), `${folder}/x`);
    assert.deepEqual((await fs.readdir(folder)).toSorted(), ["a", "x", "y"]);
    await failsWith(fs.mkdir(`${folder}/a`), {
      code: "EEXIST",
      syscall: "mkdir",
      path: `${folder}/a`,
    });
    const made = await fs.mkdtemp(`${folder}/tmp-`);
    assert.match(made, /\/tmp-\w{6}$/);
    assert.ok((await fs.stat(made)).isDirectory());
    const bytes = await fs.mkdtemp(`${folder}/tmp-`, "buffer");
    assert.ok(Buffer.isBuffer(bytes));
    {
      await using disposable = await fs.mkdtempDisposable(`${folder}/tmp-`);
      await fs.writeFile(`${disposable.path}/file`, "");
    }
    assert.equal((await fs.readdir(folder)).filter((name) => name.startsWith("tmp-")).length, 2);
  });

  on("reads directories, sorted", async (fs, folder) => {
    const names = ["b", "a", "c.txt", "ä", "名前", "Z", "_", "0"];
    for (const name of names) await fs.writeFile(`${folder}/${name}`, "");
    await fs.mkdir(`${folder}/dir`);
    names.push("dir");
    const sorted = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    assert.deepEqual(await fs.readdir(folder), sorted);
    assert.deepEqual((await fs.readdir(folder, "buffer")).map(String), sorted);
    assert.ok(
      (await fs.readdir(folder, { encoding: "buffer" })).every((name) => Buffer.isBuffer(name)),
    );
    assert.deepEqual(
      await fs.readdir(folder, "hex"),
      sorted.map((name) => Buffer.from(name).toString("hex")),
    );
    const entries = await fs.readdir(folder, { withFileTypes: true });
    assert.deepEqual(
      entries.map(({ name }) => name),
      sorted,
    );
    for (const entry of entries) {
      assert.equal(entry.parentPath, folder);
      assert.equal(entry.isDirectory(), entry.name === "dir");
      assert.equal(entry.isFile(), entry.name !== "dir");
      assert.equal(
        entry.isSymbolicLink() ||
          entry.isFIFO() ||
          entry.isSocket() ||
          entry.isBlockDevice() ||
          entry.isCharacterDevice(),
        false,
      );
    }
  });

  on("reads what is below, level by level", async (fs, folder) => {
    await fs.mkdir(`${folder}/a/b/c`, { recursive: true });
    await fs.mkdir(`${folder}/d`);
    for (const name of ["a/1", "a/b/2", "a/b/c/3", "d/4", "5"])
      await fs.writeFile(`${folder}/${name}`, "");
    assert.deepEqual(await fs.readdir(folder, { recursive: true }), [
      "5",
      "a",
      "d",
      "a/1",
      "a/b",
      "d/4",
      "a/b/2",
      "a/b/c",
      "a/b/c/3",
    ]);
    const entries = await fs.readdir(folder, { recursive: true, withFileTypes: true });
    const paths = entries.map((entry) =>
      posix.relative(folder, posix.join(entry.parentPath, entry.name)),
    );
    assert.deepEqual(paths.toSorted(), [
      "5",
      "a",
      "a/1",
      "a/b",
      "a/b/2",
      "a/b/c",
      "a/b/c/3",
      "d",
      "d/4",
    ]);
  });

  on("opens directories", async (fs, folder) => {
    for (let i = 0; i < 100; i++) await fs.writeFile(`${folder}/${i}`, "");
    const seen: string[] = [];
    const dir = await fs.opendir(folder, { bufferSize: 7 });
    assert.equal(dir.path, folder);
    for await (const entry of dir) seen.push(entry.name);
    assert.deepEqual(
      seen.map(Number).toSorted((a, b) => a - b),
      Array.from({ length: 100 }, (_, i) => i),
    );
    await assert.rejects(async () => dir.read(), { code: "ERR_DIR_CLOSED" });
    const other = await fs.opendir(folder);
    const two = await Promise.all([other.read(), other.read()]);
    assert.notEqual(two[0]?.name, two[1]?.name);
    await other.close();
    await assert.rejects(async () => other.close(), { code: "ERR_DIR_CLOSED" });
    const deep = await fs.opendir(posix.dirname(folder), { recursive: true });
    let found = 0;
    for await (const entry of deep) if (entry.parentPath === folder) found++;
    assert.equal(found, 100);
  });
}

function names(on: On): void {
  on("takes names as text, bytes and URLs", async (fs, folder) => {
    const path = `${folder}/a b%20ü`;
    await fs.writeFile(Buffer.from(path), "text");
    assert.equal(await fs.readFile(path, "utf8"), "text");
    const url = new URL(`file://${path.split("/").map(encodeURIComponent).join("/")}`);
    assert.equal(await fs.readFile(url, "utf8"), "text");
    const error = await errorOf(fs.stat(Buffer.from(`${path}x`)));
    assert.equal(error.path, `${path}x`);
  });

  on(
    "takes names that are no UTF-8",
    async (fs, folder) => {
      const path = Buffer.concat([Buffer.from(`${folder}/`), NOT_UTF8]);
      await fs.writeFile(path, "text");
      assert.deepEqual(await fs.readdir(folder, "buffer"), [NOT_UTF8]);
      assert.deepEqual(await fs.readdir(folder), ["n\ufffdm"]);
      assert.equal(await fs.readFile(path, "utf8"), "text");
      const [entry] = await fs.readdir(folder, { withFileTypes: true, encoding: "buffer" });
      assert.deepEqual(entry.name, NOT_UTF8);
      await fs.unlink(path);
    },
    "byteNames",
  );

  on("renames and replaces", async (fs, folder, { can }) => {
    await fs.writeFile(`${folder}/a`, "a");
    await fs.writeFile(`${folder}/b`, "b");
    await fs.rename(`${folder}/a`, `${folder}/b`);
    assert.deepEqual(await fs.readdir(folder), ["b"]);
    assert.equal(await fs.readFile(`${folder}/b`, "utf8"), "a");
    await fs.mkdir(`${folder}/d`);
    await fs.rename(`${folder}/b`, `${folder}/d/b`);
    await fs.mkdir(`${folder}/e`);
    await fs.rename(`${folder}/d`, `${folder}/e`);
    assert.deepEqual(await fs.readdir(`${folder}/e`), ["b"]);
    await fs.mkdir(`${folder}/f`);
    await failsWith(fs.rename(`${folder}/f`, `${folder}/e`), {
      code: can.notEmpty,
      syscall: "rename",
      path: `${folder}/f`,
      dest: `${folder}/e`,
    });
  });

  on("tells upper case from lower case, or does not", async (fs, folder, { can }) => {
    await fs.writeFile(`${folder}/name`, "lower");
    await fs.writeFile(`${folder}/NAME`, "upper");
    assert.equal(
      await fs.readFile(`${folder}/name`, "utf8"),
      can.caseSensitive ? "lower" : "upper",
    );
    assert.deepEqual(await fs.readdir(folder), can.caseSensitive ? ["NAME", "name"] : ["name"]);
  });

  on(
    "makes hard links",
    async (fs, folder) => {
      const [a, b] = [`${folder}/a`, `${folder}/b`];
      await fs.writeFile(a, "text");
      await fs.link(a, b);
      const [one, two] = [await fs.stat(a), await fs.stat(b)];
      assert.equal(one.ino, two.ino);
      assert.equal(one.nlink, 2);
      await failsWith(fs.link(a, b), { code: "EEXIST", syscall: "link", path: a, dest: b });
      await fs.unlink(a);
      assert.equal(await fs.readFile(b, "utf8"), "text");
      assert.equal((await fs.stat(b)).nlink, 1);
      await failsWith(fs.link(folder, `${folder}/d`), {
        code: "EPERM",
        syscall: "link",
        path: folder,
        dest: `${folder}/d`,
      });
    },
    "hardLinks",
  );

  on(
    "makes symbolic links, and follows them",
    async (fs, folder) => {
      await fs.writeFile(`${folder}/file`, "text");
      await fs.symlink("file", `${folder}/link`);
      await fs.symlink("link", `${folder}/link2`);
      await fs.symlink("nowhere", `${folder}/dangling`);
      await fs.symlink("loop", `${folder}/loop`);
      await fs.symlink(".", `${folder}/self`);
      assert.equal(await fs.readFile(`${folder}/self/self/link2`, "utf8"), "text");
      assert.equal(await fs.readlink(`${folder}/link2`), "link");
      assert.deepEqual(await fs.readlink(`${folder}/link2`, "buffer"), Buffer.from("link"));
      assert.ok((await fs.lstat(`${folder}/link`)).isSymbolicLink());
      assert.ok((await fs.stat(`${folder}/link`)).isFile());
      assert.equal((await fs.lstat(`${folder}/link`)).size, 4);
      const top = await fs.realpath(folder);
      assert.equal(await fs.realpath(`${folder}/self/link2`), `${top}/file`);
      assert.equal(
        await fs.realpath(`${folder}/self/../${posix.basename(folder)}/.//link`),
        `${top}/file`,
      );
      assert.deepEqual(await fs.realpath(`${folder}/link`, "buffer"), Buffer.from(`${top}/file`));
      const loop = `${folder}/loop`;
      await failsWith(fs.realpath(loop), { code: "ELOOP", syscall: "realpath", path: loop });
      await failsWith(fs.stat(loop), { code: "ELOOP", syscall: "stat", path: loop });
      const dangling = `${folder}/dangling`;
      await failsWith(fs.realpath(dangling), {
        code: "ENOENT",
        syscall: "realpath",
        path: dangling,
      });
      await failsWith(fs.readFile(dangling), { code: "ENOENT", syscall: "open", path: dangling });
      await failsWith(fs.symlink("a", dangling), {
        code: "EEXIST",
        syscall: "symlink",
        path: "a",
        dest: dangling,
      });
      await fs.unlink(`${folder}/link`);
      assert.equal(await fs.readFile(`${folder}/file`, "utf8"), "text");
      const entries = await fs.readdir(folder, { withFileTypes: true });
      assert.equal(entries.filter((entry) => entry.isSymbolicLink()).length, 4);
    },
    "symlinks",
  );
}

const within = (actual: number, expected: number, ms: number, what: string) =>
  assert.ok(Math.abs(actual - expected) <= ms, `${what}: ${actual} instead of ${expected}`);

function status(on: On): void {
  on("tells what a file is", async (fs, folder, { can }) => {
    const before = Date.now();
    await fs.writeFile(`${folder}/file`, "12345");
    const stats = await fs.stat(`${folder}/file`);
    assert.deepEqual(Object.keys(stats), [
      "dev",
      "mode",
      "nlink",
      "uid",
      "gid",
      "rdev",
      "blksize",
      "ino",
      "size",
      "blocks",
      "atimeMs",
      "mtimeMs",
      "ctimeMs",
      "birthtimeMs",
    ]);
    assert.ok(stats.isFile() && !stats.isDirectory() && !stats.isSymbolicLink());
    assert.equal(stats.size, 5);
    assert.equal(stats.mode & 0o170000, 0o100000);
    if (can.linkCounts) assert.equal(stats.nlink, 1);
    if (can.modes) assert.equal(stats.mode & 0o7777, 0o644);
    assert.equal(stats.uid, 0);
    assert.ok(stats.mtime instanceof Date);
    assert.equal(stats.mtime.getTime(), Math.round(stats.mtimeMs));
    within(stats.mtimeMs, before, 10_000, "mtime");
    const { dev, ino, mode, nlink, size, blksize, mtimeMs, ctimeMs } = stats;
    const big = await fs.stat(`${folder}/file`, { bigint: true });
    for (const [name, value] of Object.entries({ dev, ino, mode, nlink, size, blksize }))
      assert.equal(Number(big[name as "dev"]), value, name);
    assert.equal(big.mtimeNs / 1_000_000n, big.mtimeMs);
    within(Number(big.mtimeNs) / 1e6, mtimeMs, 0.01, "mtimeNs");
    within(Number(big.ctimeNs) / 1e6, ctimeMs, 0.01, "ctimeNs");
    assert.ok((await fs.stat(folder)).isDirectory());
    assert.equal(await fs.stat(`${folder}/no`, { throwIfNoEntry: false } as object), undefined);
  });

  on("tells times to the nanosecond, by Temporal", async (fs, folder) => {
    const path = `${folder}/file`;
    await fs.writeFile(path, "");
    const [stats, big] = [await fs.stat(path), await fs.stat(path, { bigint: true })];
    for (const name of ["atime", "mtime", "ctime", "birthtime"] as const) {
      const found = [stats[`${name}Instant`], big[`${name}Instant`]] as {
        epochNanoseconds: bigint;
      }[];
      for (const { epochNanoseconds } of found)
        assert.equal(epochNanoseconds, big[`${name}Ns`], name);
    }
  });

  on("looks at files unless it is told not to", async (fs, folder) => {
    const path = `${folder}/file`;
    await fs.writeFile(path, "12");
    // Node takes a signal that its types do not have yet.
    const { signal } = new AbortController();
    const [numbers, bigints] = [
      { signal, bigint: false } as const,
      { signal, bigint: true } as const,
    ];
    assert.equal((await fs.stat(path, numbers)).size, 2);
    assert.equal((await fs.lstat(path, bigints)).size, 2n);
    assert.equal(await fs.stat(`${path}x`, { throwIfNoEntry: false }), undefined);
    await using handle = await fs.open(path);
    assert.equal((await handle.stat(numbers)).size, 2);
    const aborted = { signal: AbortSignal.abort(), bigint: false } as const;
    const end = { name: "AbortError", code: "ABORT_ERR" };
    await assert.rejects(fs.stat(path, aborted), end);
    await assert.rejects(fs.lstat(path, aborted), end);
    await assert.rejects(handle.stat(aborted), end);
    const wrong = { signal: 1, bigint: false } as const;
    await isInvalid(
      () => fs.stat(path, wrong),
      "ERR_INVALID_ARG_TYPE",
      /"options\.signal" property must be an instance of AbortSignal/,
    );
  });

  on("keeps times", async (fs, folder, { can }) => {
    const path = `${folder}/file`;
    await fs.writeFile(path, "");
    const set = async (
      atime: number | Date | string,
      mtime: number | Date | string,
    ): Promise<Stats> => {
      await fs.utimes(path, atime, mtime);
      return fs.stat(path);
    };
    const ms = Math.max(can.timesMs, 0.001);
    let stats = await set(1_000_000_000, 1_100_000_000.5);
    within(stats.mtimeMs, 1_100_000_000_500, ms, "mtime");
    stats = await set(new Date(1_200_000_000_123), "1300000000");
    within(stats.mtimeMs, 1_300_000_000_000, ms, "mtime");
    if (can.timesMs === 0) {
      assert.equal(stats.atimeMs, 1_200_000_000_123);
      stats = await set(1_000_000_000.123456, 1_000_000_000.654321);
      const big = await fs.stat(path, { bigint: true });
      assert.equal(big.atimeNs, 1_000_000_000_123_456_001n);
      assert.equal(big.mtimeNs, 1_000_000_000_654_320_955n);
    }
    if (can.oldTimes) {
      stats = await set(new Date(-1500), new Date(-86_400_000));
      assert.equal(stats.mtimeMs, -86_400_000);
      within(stats.atimeMs, -1500, ms, "atime");
    }
    const handle = await fs.open(path, "r+");
    await handle.utimes(1_000_000_000, 1_500_000_000);
    within((await handle.stat()).mtimeMs, 1_500_000_000_000, ms, "futimes");
    await handle.close();
  });

  on(
    "keeps times of links",
    async (fs, folder) => {
      await fs.writeFile(`${folder}/file`, "");
      await fs.symlink("file", `${folder}/link`);
      await fs.utimes(`${folder}/file`, 1e9, 1e9);
      await fs.lutimes(`${folder}/link`, 1.1e9, 1.2e9);
      assert.equal((await fs.lstat(`${folder}/link`)).mtimeMs, 1.2e12);
      assert.equal((await fs.stat(`${folder}/link`)).mtimeMs, 1e12);
    },
    "symlinks",
  );

  on(
    "keeps permissions, less the umask",
    async (fs, folder) => {
      const path = `${folder}/file`;
      const mode = async (name = path) => (await fs.stat(name)).mode & 0o7777;
      await fs.writeFile(path, "", { mode: 0o777 });
      assert.equal(await mode(), 0o755);
      await fs.chmod(path, 0o640);
      assert.equal(await mode(), 0o640);
      await fs.chmod(path, "4711");
      assert.equal(await mode(), 0o4711);
      await fs.mkdir(`${folder}/dir`, 0o750);
      assert.equal(await mode(`${folder}/dir`), 0o750);
      await fs.mkdir(`${folder}/deep/er`, { recursive: true, mode: "0700" });
      assert.equal(await mode(`${folder}/deep`), 0o700);
      assert.equal((await mode(await fs.mkdtemp(`${folder}/t`))) & 0o777, 0o700);
      await fs.copyFile(path, `${folder}/copy`);
      assert.equal((await mode(`${folder}/copy`)) & 0o777, 0o711);
      const handle = await fs.open(`${folder}/new`, "w", 0o600);
      await handle.chmod(0o444);
      assert.equal((await handle.stat()).mode & 0o777, 0o444);
      await handle.close();
    },
    "modes",
  );

  on(
    "keeps owners",
    async (fs, folder) => {
      const path = `${folder}/file`;
      await fs.writeFile(path, "");
      await fs.chown(path, 1000, 2000);
      const { uid, gid } = await fs.stat(path);
      assert.deepEqual([uid, gid], [1000, 2000]);
      await fs.chown(path, -1, 3000);
      assert.equal((await fs.stat(path)).uid, 1000);
      assert.equal((await fs.stat(path)).gid, 3000);
      await using handle = await fs.open(path);
      await handle.chown(5, 6);
      assert.equal((await handle.stat()).uid, 5);
    },
    "owners",
  );

  on("tells who may do what", async (fs, folder, { fs: { constants }, can }) => {
    await fs.writeFile(`${folder}/file`, "");
    assert.equal(await fs.access(`${folder}/file`), undefined);
    await fs.access(`${folder}/file`, constants.R_OK | constants.W_OK);
    if (can.modes)
      await failsWith(fs.access(`${folder}/file`, constants.X_OK), {
        code: "EACCES",
        syscall: "access",
        path: `${folder}/file`,
      });
  });

  on("tells how full it is", async (fs, folder, { can }) => {
    const usage = await fs.statfs(folder);
    assert.ok(usage.bsize > 0);
    if (can.usage) assert.ok(usage.blocks > usage.bfree && usage.bfree > 0);
    const big = await fs.statfs(folder, { bigint: true });
    assert.equal(big.blocks, BigInt(usage.blocks));
    assert.equal(big.type, BigInt(usage.type));
    assert.deepEqual(Object.keys(usage).toSorted(), [
      "bavail",
      "bfree",
      "blocks",
      "bsize",
      "ffree",
      "files",
      "frsize",
      "type",
    ]);
  });

  on(
    "keeps holes",
    async (fs, folder) => {
      await using handle = await fs.open(`${folder}/sparse`, "w+");
      await handle.write("end", 5_000_000);
      const { size, blocks } = await handle.stat();
      assert.equal(size, 5_000_003);
      assert.ok(blocks < 2000, `${blocks} blocks`);
      const { buffer } = await handle.read({ position: 4_999_990, buffer: Buffer.alloc(13) });
      assert.equal(buffer.toString("latin1"), "\0".repeat(10) + "end");
    },
    "holes",
  );
}

function handles(on: On): void {
  on("reads and writes at places", async (fs, folder) => {
    const handle = await fs.open(`${folder}/file`, "w+");
    assert.equal(typeof handle.fd, "number");
    assert.deepEqual({ ...(await handle.write("hello ")) }, { bytesWritten: 6, buffer: "hello " });
    await handle.write(Buffer.from("_world_"), 1, 5);
    await handle.write(Buffer.from("J"), 0, 1, 0);
    await handle.write("W", 6, "latin1");
    const buffer = Buffer.alloc(20);
    assert.equal((await handle.read(buffer, 0, 20, 0)).bytesRead, 11);
    assert.equal(buffer.toString("latin1", 0, 11), "Jello World");
    assert.equal((await handle.read(buffer, 0, 20, null)).bytesRead, 0);
    assert.equal((await handle.read({ buffer, offset: 3, length: 4, position: 6n })).bytesRead, 4);
    assert.equal(buffer.toString("latin1", 3, 7), "Worl");
    const own = await handle.read({ position: 0 });
    assert.equal(own.buffer.length, 16384);
    assert.equal(own.bytesRead, 11);
    assert.equal((await handle.read(Buffer.alloc(0))).bytesRead, 0);
    await handle.close();
    assert.equal(handle.fd, -1);
    const error = await errorOf(handle.read(buffer));
    assert.equal(error.code, "EBADF");
    assert.equal(error.message, "file closed");
    await handle.close();
  });

  on("reads and writes several buffers", async (fs, folder) => {
    await using handle = await fs.open(`${folder}/file`, "w+");
    const parts = [Buffer.from("ab"), new Uint8Array(0), Buffer.from("cde")];
    const written = await handle.writev(parts);
    assert.equal(written.bytesWritten, 5);
    assert.equal(written.buffers, parts);
    await handle.writev([Buffer.from("X")], 1);
    const into = [Buffer.alloc(1), Buffer.alloc(3), Buffer.alloc(9)];
    assert.equal((await handle.readv(into, 0)).bytesRead, 5);
    assert.equal(Buffer.concat(into).toString("latin1", 0, 5), "aXcde");
    const many = Array.from({ length: 3000 }, (_, i) => Buffer.from([i & 255]));
    assert.equal((await handle.writev(many, 0)).bytesWritten, 3000);
    assert.equal((await handle.stat()).size, 3000);
  });

  on("reads and writes whole files from where they are", async (fs, folder) => {
    await using handle = await fs.open(`${folder}/file`, "w+");
    await handle.writeFile("one ");
    await handle.appendFile("two");
    assert.equal(await handle.readFile("utf8"), "");
    const other = await fs.open(`${folder}/file`);
    await other.read(Buffer.alloc(4), 0, 4, null);
    assert.equal(await other.readFile({ encoding: "utf8" }), "two");
    await other.close();
    await handle.truncate(3);
    await handle.sync();
    await handle.datasync();
    assert.equal((await handle.stat()).size, 3);
    assert.equal(await fs.readFile(`${folder}/file`, "utf8"), "one");
    const viaHandle = await fs.open(`${folder}/file`, "a+");
    await fs.appendFile(viaHandle, "!");
    await viaHandle.close();
    assert.equal(await fs.readFile(`${folder}/file`, "utf8"), "one!");
  });

  on("checks the bounds of buffers", async (fs, folder) => {
    await using handle = await fs.open(`${folder}/file`, "w+");
    const four = new Uint8Array(4);
    const RANGE = "ERR_OUT_OF_RANGE";
    await isInvalid(
      () => handle.read(four, 0, 9),
      RANGE,
      /"length" is out of range\. It must be <= 4\. Received 9$/,
    );
    await isInvalid(
      () => handle.read(four, 5, 1),
      RANGE,
      /"length" is out of range\. It must be <= -1\. Received 1$/,
    );
    await isInvalid(() => handle.read(four, 0, 4, -5), RANGE, /"position" is out of range/);
    await isInvalid(
      () => handle.write(four, 5),
      RANGE,
      /"offset" is out of range\. It must be <= 4\. Received 5$/,
    );
    await isInvalid(
      () => handle.write(5 as unknown as string),
      "ERR_INVALID_ARG_TYPE",
      /^The "buffer" argument must be of type string or an instance of Buffer, TypedArray, or DataView/,
    );
    await isInvalid(
      () => handle.readv(5 as unknown as []),
      "ERR_INVALID_ARG_TYPE",
      /^The "buffers" argument must be an ArrayBufferView\[\]/,
    );
    const closed = await fs.open(`${folder}/file`);
    const readOnly = await errorOf(closed.write("x"));
    assert.equal(readOnly.code, "EBADF");
    assert.equal(readOnly.syscall, "write");
    await closed.close();
  });

  on("gives lines", async (fs, folder) => {
    const lines = async (handle: FileHandle) => {
      const found: string[] = [];
      for await (const line of handle.readLines()) found.push(line);
      return found;
    };
    await fs.writeFile(`${folder}/file`, "one\ntwo\r\n\nfour ü\nlast");
    assert.deepEqual(await lines(await fs.open(`${folder}/file`)), [
      "one",
      "two",
      "",
      "four ü",
      "last",
    ]);
    const long = "x".repeat(100_000);
    await fs.writeFile(`${folder}/file`, `${long}\n${long}\n`);
    const handle = await fs.open(`${folder}/file`);
    assert.deepEqual(await lines(handle), [long, long]);
    assert.equal(handle.fd, -1);
  });

  on("gives streams of the web", async (fs, folder) => {
    const bytes = Buffer.alloc(200_000, "stream");
    await fs.writeFile(`${folder}/file`, bytes);
    await using handle = await fs.open(`${folder}/file`);
    const parts: Uint8Array[] = [];
    for await (const part of handle.readableWebStream()) parts.push(part as Uint8Array);
    assert.equal(Buffer.compare(Buffer.concat(parts), bytes), 0);
  });
}

function callbacks(on: On): void {
  on("calls back", async (_fs, folder, { fs, can }) => {
    const path = `${folder}/file`;
    await new Promise<void>((resolve, reject) => {
      fs.writeFile(path, "text", (error) => (error ? reject(error) : resolve()));
    });
    const read = promisify(fs.readFile);
    assert.equal(await read(path, "utf8"), "text");
    assert.equal((await promisify(fs.stat)(path)).size, 4);
    assert.deepEqual(await promisify(fs.readdir)(folder), ["file"]);
    assert.equal(await promisify(fs.exists)(path), true);
    assert.equal(await promisify(fs.exists)(`${path}x`), false);
    const fd = await promisify(fs.open)(path, "r+");
    assert.equal(typeof fd, "number");
    const buffer = Buffer.alloc(4);
    assert.deepEqual(
      { ...(await promisify(fs.read)(fd, buffer, 0, 4, 0)) },
      { bytesRead: 4, buffer },
    );
    assert.equal(buffer.toString(), "text");
    const written = await promisify(fs.write)(fd, Buffer.from("T"), 0, 1, 0);
    assert.equal(written.bytesWritten, 1);
    assert.equal((await promisify(fs.writev)(fd, [Buffer.from("ab")], 1)).bytesWritten, 2);
    assert.equal((await promisify(fs.readv)(fd, [buffer], 0)).bytesRead, 4);
    assert.equal(buffer.toString(), "Tabt");
    await promisify(fs.ftruncate)(fd, 2);
    assert.equal((await promisify(fs.fstat)(fd)).size, 2);
    await promisify(fs.fsync)(fd);
    await promisify(fs.fdatasync)(fd);
    await promisify(fs.futimes)(fd, 1e9, 1e9);
    if (can.modes) {
      await promisify(fs.fchmod)(fd, 0o600);
      assert.equal((await promisify(fs.fstat)(fd)).mode & 0o777, 0o600);
    }
    if (can.owners) {
      await promisify(fs.fchown)(fd, 1, 2);
      const { uid, gid } = await promisify(fs.fstat)(fd);
      assert.deepEqual([uid, gid], [1, 2]);
    }
    assert.equal(await read(fd, "utf8"), "Ta");
    await promisify(fs.close)(fd);
    const error = await errorOf(promisify(fs.fstat)(fd));
    assert.equal(error.message, "EBADF: bad file descriptor, fstat");
    const real = await promisify(fs.realpath)(path);
    assert.equal(real, await promisify(fs.realpath.native)(path));
    await failsWith(promisify(fs.realpath)(`${real}x`), {
      code: "ENOENT",
      syscall: "lstat",
      path: `${real}x`,
    });
    const first = await new Promise((resolve, reject) => {
      fs.mkdir(`${folder}/a/b`, { recursive: true }, (problem, made) =>
        problem ? reject(problem) : resolve(made),
      );
    });
    assert.equal(first, `${folder}/a`);
  });

  on("throws what is wrong with arguments at once", async (_fs, folder, { fs }) => {
    const wrong = <T>(value: unknown) => value as T;
    const noCallback = {
      code: "ERR_INVALID_ARG_TYPE",
      message: 'The "cb" argument must be of type function. Received undefined',
    };
    assert.throws(() => wrong<(path: string) => void>(fs.readFile)(folder), noCallback);
    assert.throws(() => wrong<(path: string) => void>(fs.exists)(folder), noCallback);
    assert.throws(() => fs.readFile(wrong({}), () => {}), { code: "ERR_INVALID_ARG_TYPE" });
    assert.throws(() => fs.close(wrong("x"), () => {}), {
      message: /^The "fd" argument must be of type number\. Received type string \('x'\)$/,
    });
    assert.throws(() => fs.close(-1, () => {}), {
      message:
        /^The value of "fd" is out of range\. It must be >= 0 && <= 2147483647\. Received -1$/,
    });
    assert.throws(() => fs.fstat(1.5, () => {}), { code: "ERR_OUT_OF_RANGE" });
    assert.throws(() => fs.stat("a\0b", () => {}), { code: "ERR_INVALID_ARG_VALUE" });
  });

  on("opens directories for callbacks", async (_fs, folder, { fs }) => {
    fs.writeFile(`${folder}/file`, "", () => {});
    await sleep(10);
    const dir = await promisify(fs.opendir)(folder);
    const entry = await new Promise<string | undefined>((resolve, reject) => {
      dir.read((error, found) => (error ? reject(error) : resolve(found?.name)));
    });
    assert.equal(entry, "file");
    await new Promise<void>((resolve, reject) => {
      dir.close((error) => (error ? reject(error) : resolve()));
    });
  });

  on("has Node's names", async (_fs, _folder, { fs }) => {
    assert.ok(fs.constants.O_CREAT > 0);
    assert.equal(fs.constants.S_IFMT, 0o170000);
    for (const name of ["Dir", "Dirent", "ReadStream", "Stats", "WriteStream"] as const)
      assert.equal(typeof fs[name], "function", name);
    assert.equal(fs.promises.constants, fs.constants);
  });
}

function streams(on: On): void {
  on("streams in and out", async (fs, folder, { fs: { createReadStream, createWriteStream } }) => {
    const path = `${folder}/file`;
    const bytes = Buffer.alloc(500_000, "stream me ");
    await new Promise<void>((resolve, reject) => {
      const stream = createWriteStream(path, { highWaterMark: 1000 });
      stream
        .on("error", reject)
        .on("finish", () => assert.equal(stream.bytesWritten, bytes.length));
      stream.on("close", resolve);
      for (let at = 0; at < bytes.length; at += 7777) stream.write(bytes.subarray(at, at + 7777));
      stream.end();
    });
    assert.equal(Buffer.compare(await fs.readFile(path), bytes), 0);
    const parts: Buffer[] = [];
    const stream = createReadStream(path);
    assert.equal(stream.path, path);
    for await (const part of stream) parts.push(part as Buffer);
    assert.equal(Buffer.compare(Buffer.concat(parts), bytes), 0);
    assert.equal(stream.bytesRead, bytes.length);
    assert.ok(parts.length > 1);
  });

  on(
    "streams a part, as text, or to where it is",
    async (fs, folder, { fs: { createReadStream, createWriteStream } }) => {
      const path = `${folder}/file`;
      await fs.writeFile(path, "0123456789");
      const text = async (options: object) => {
        let whole = "";
        for await (const part of createReadStream(path, { encoding: "utf8", ...options }))
          whole += part;
        return whole;
      };
      assert.equal(await text({}), "0123456789");
      assert.equal(await text({ start: 3, end: 5 }), "345");
      assert.equal(await text({ end: 2, highWaterMark: 2 }), "012");
      assert.equal(await text({ start: 20 }), "");
      const finish = (stream: NodeJS.WritableStream, data: string) =>
        new Promise<void>((resolve, reject) => {
          stream.on("error", reject).on("close", () => resolve());
          stream.end(data);
        });
      await finish(createWriteStream(path, { flags: "r+", start: 4 }), "XY");
      assert.equal(await fs.readFile(path, "utf8"), "0123XY6789");
      await finish(createWriteStream(path, { flags: "a", flush: true }), "!");
      assert.equal(await fs.readFile(path, "utf8"), "0123XY6789!");
      assert.throws(() => createReadStream(path, { start: 5, end: 2 }), {
        code: "ERR_OUT_OF_RANGE",
      });
    },
  );

  on("streams by handles and descriptors, and tells of errors", async (fs, folder, subject) => {
    const { createReadStream } = subject.fs;
    const path = `${folder}/file`;
    await fs.writeFile(path, "0123456789");
    const handle = await fs.open(path);
    let whole = "";
    for await (const part of handle.createReadStream({ encoding: "latin1", start: 2 }))
      whole += String(part);
    assert.equal(whole, "23456789");
    assert.equal(handle.fd, -1);
    const fd = await promisify(subject.fs.open)(path, "r");
    const stream = createReadStream("", { fd, autoClose: false });
    for await (const part of stream) whole += part;
    assert.equal(whole, "234567890123456789");
    await promisify(subject.fs.close)(fd);
    const missing = createReadStream(`${path}x`);
    const error = await new Promise<NodeJS.ErrnoException>((resolve) =>
      missing.once("error", resolve),
    );
    assert.equal(error.message, `ENOENT: no such file or directory, open '${path}x'`);
    const signal = AbortSignal.abort();
    const aborted = createReadStream(path, { signal });
    const why = await new Promise<Error>((resolve) => aborted.once("error", resolve));
    assert.equal(why.name, "AbortError");
    const opened = createReadStream(path);
    const events: string[] = [];
    for (const event of ["open", "ready", "end", "close"])
      opened.on(event, () => events.push(event));
    opened.resume();
    await new Promise((resolve) => opened.once("close", resolve));
    assert.deepEqual(events, ["open", "ready", "end", "close"]);
    assert.ok(opened.destroyed);
  });
}

function trees(on: On): void {
  const build = async (fs: Promises, folder: string) => {
    await fs.mkdir(`${folder}/src/a/b`, { recursive: true });
    await fs.writeFile(`${folder}/src/one`, "1");
    await fs.writeFile(`${folder}/src/a/two`, "2");
    await fs.writeFile(`${folder}/src/a/b/.three`, "3");
    return `${folder}/src`;
  };
  const all = async (fs: Promises, folder: string) =>
    (await fs.readdir(folder, { recursive: true })).toSorted();
  const TREE = ["a", "a/b", "a/b/.three", "a/two", "one"];

  on("removes trees", async (fs, folder) => {
    const source = await build(fs, folder);
    const error = await errorOf(fs.rm(source));
    assert.equal(error.code, "ERR_FS_EISDIR");
    assert.equal(
      error.message,
      `Path is a directory: rm returned EISDIR (is a directory) ${source}`,
    );
    await fs.rm(source, { recursive: true });
    assert.deepEqual(await fs.readdir(folder), []);
    await fs.rm(source, { recursive: true, force: true });
    await failsWith(fs.rm(source, { recursive: true }), {
      code: "ENOENT",
      syscall: "lstat",
      path: source,
    });
    await fs.writeFile(source, "");
    await fs.rm(source);
    assert.deepEqual(await fs.readdir(folder), []);
    await fs.mkdir(`${folder}/wide`);
    for (let i = 0; i < 300; i++)
      await fs.writeFile(`${folder}/wide/a rather long name of a file ${i}`, "");
    await fs.rm(`${folder}/wide`, { recursive: true });
    await fs.mkdir(`${folder}/deep${"/d".repeat(100)}`, { recursive: true });
    await fs.rm(`${folder}/deep`, { recursive: true });
    assert.deepEqual(await fs.readdir(folder), []);
  });

  on("copies trees", async (fs, folder, { can }) => {
    const source = await build(fs, folder);
    const target = `${folder}/dst`;
    await fs.cp(source, target, { recursive: true });
    assert.deepEqual(await all(fs, target), TREE);
    assert.equal(await fs.readFile(`${target}/a/b/.three`, "utf8"), "3");
    await fs.writeFile(`${source}/one`, "new");
    await fs.cp(source, target, { recursive: true, force: false });
    assert.equal(await fs.readFile(`${target}/one`, "utf8"), "1");
    await fs.cp(source, target, { recursive: true, preserveTimestamps: true });
    assert.equal(await fs.readFile(`${target}/one`, "utf8"), "new");
    within(
      (await fs.stat(`${target}/one`)).mtimeMs,
      (await fs.stat(`${source}/one`)).mtimeMs,
      Math.max(1, can.timesMs),
      "mtime",
    );
    await fs.cp(source, `${folder}/some`, {
      recursive: true,
      filter: (from) => !from.endsWith("/b"),
    });
    assert.deepEqual(await all(fs, `${folder}/some`), ["a", "a/two", "one"]);
    await fs.cp(`${source}/one`, `${folder}/new/place`);
    assert.equal(await fs.readFile(`${folder}/new/place`, "utf8"), "new");
  });

  on("refuses copies as Node does", async (fs, folder) => {
    const source = await build(fs, folder);
    const file = `${source}/one`;
    const cases: [string, string, object, string, string][] = [
      [
        source,
        `${folder}/x`,
        {},
        "ERR_FS_EISDIR",
        `Path is a directory: cp returned EISDIR (${source} is a directory (not copied)) ${source}`,
      ],
      [
        source,
        file,
        { recursive: true },
        "ERR_FS_CP_DIR_TO_NON_DIR",
        `Cannot overwrite non-directory with directory: cp returned EISDIR (cannot overwrite non-directory ${file} with directory ${source}) ${file}`,
      ],
      [
        file,
        source,
        {},
        "ERR_FS_CP_NON_DIR_TO_DIR",
        `Cannot overwrite directory with non-directory: cp returned ENOTDIR (cannot overwrite directory ${source} with non-directory ${file}) ${source}`,
      ],
      [
        file,
        file,
        {},
        "ERR_FS_CP_EINVAL",
        `Invalid src or dest: cp returned EINVAL (src and dest cannot be the same) ${file}`,
      ],
      [
        source,
        `${source}/a/z`,
        { recursive: true },
        "ERR_FS_CP_EINVAL",
        `Invalid src or dest: cp returned EINVAL (cannot copy ${source} to a subdirectory of self ${source}/a/z) ${source}/a/z`,
      ],
      [
        file,
        `${source}/a/two`,
        { force: false, errorOnExist: true },
        "ERR_FS_CP_EEXIST",
        `Target already exists: cp returned EEXIST (${source}/a/two already exists) ${source}/a/two`,
      ],
    ];
    for (const [from, to, options, code, message] of cases)
      await assert.rejects(fs.cp(from, to, options), { name: "SystemError", code, message });
    assert.deepEqual(await all(fs, source), TREE);
  });

  on(
    "copies links and removes them",
    async (fs, folder) => {
      const source = await build(fs, folder);
      await fs.symlink("../one", `${source}/a/link`);
      await fs.symlink("nowhere", `${source}/dangling`);
      const top = await fs.realpath(source);
      await fs.cp(source, `${folder}/dst`, { recursive: true });
      assert.equal(posix.normalize(await fs.readlink(`${folder}/dst/a/link`)), `${top}/one`);
      await fs.cp(source, `${folder}/verbatim`, { recursive: true, verbatimSymlinks: true });
      assert.equal(await fs.readlink(`${folder}/verbatim/a/link`), "../one");
      await fs.cp(`${source}/a`, `${folder}/followed`, { recursive: true, dereference: true });
      assert.ok((await fs.lstat(`${folder}/followed/link`)).isFile());
      await fs.rm(source, { recursive: true });
      assert.deepEqual(await fs.readdir(folder), ["dst", "followed", "verbatim"]);
      await fs.mkdir(`${folder}/into`);
      await fs.symlink("into", `${folder}/to`);
      await fs.rm(`${folder}/to`, { recursive: true });
      assert.ok((await fs.stat(`${folder}/into`)).isDirectory());
      await fs.symlink("followed", `${folder}/seen`);
      assert.ok((await fs.readdir(folder, { recursive: true })).includes("seen/two"));
    },
    "symlinks",
  );

  on("finds what patterns match", async (fs, folder) => {
    for (const name of ["a/b", ".hid", "a/.h"])
      await fs.mkdir(`${folder}/${name}`, { recursive: true });
    for (const name of ["a/x.js", "a/b/y.js", ".hid/z.js", "a/.h/w.js", ".dot", "top.ts"])
      await fs.writeFile(`${folder}/${name}`, "");
    const find = async (pattern: string | string[], options = {}) => {
      const found: string[] = [];
      for await (const path of fs.glob(pattern, { cwd: folder, ...options })) found.push(path);
      return found.toSorted();
    };
    const cases: [string | string[], string[]][] = [
      ["*", ["a", "top.ts"]],
      ["**", [".", "a", "a/b", "a/b/y.js", "a/x.js", "top.ts"]],
      ["**/*.js", ["a/b/y.js", "a/x.js"]],
      ["*/", ["a"]],
      ["a/**", ["a", "a/b", "a/b/y.js", "a/x.js"]],
      ["**/b", ["a/b"]],
      [".*", [".dot", ".hid"]],
      ["**/.h/*", ["a/.h/w.js"]],
      ["{a,top}*", ["a", "top.ts"]],
      ["[at]*", ["a", "top.ts"]],
      ["[!t]*", ["a"]],
      ["!(a)", ["top.ts"]],
      ["+(a|top.ts)", ["a", "top.ts"]],
      ["a/?.js", ["a/x.js"]],
      ["nothing*", []],
      [
        ["*.ts", "a/*.js"],
        ["a/x.js", "top.ts"],
      ],
      [`${folder}/*`, [`${folder}/a`, `${folder}/top.ts`]],
    ];
    for (const [pattern, expected] of cases)
      assert.deepEqual(await find(pattern), expected, String(pattern));
    assert.deepEqual(await find("**/*.js", { exclude: ["**/b/**"] }), ["a/x.js"]);
    assert.deepEqual(await find("**/*.js", { exclude: (name: string) => name === "b" }), [
      "a/x.js",
    ]);
    for await (const entry of fs.glob("**/y.js", { cwd: folder, withFileTypes: true })) {
      assert.equal(entry.name, "y.js");
      assert.ok(entry.isFile());
    }
  });
}

function watching(on: On): void {
  on("tells of changes, one by one", async (fs, folder) => {
    const controller = new AbortController();
    const { signal } = controller;
    const seen: string[] = [];
    const watched = (async () => {
      for await (const { eventType, filename } of fs.watch(folder, { signal })) {
        seen.push(`${eventType} ${filename}`);
        if (filename === "end") controller.abort();
      }
    })();
    const ended = assert.rejects(watched, { name: "AbortError" });
    // It is set up some turns of the event loop later, and nothing tells when.
    const touch = setInterval(() => void fs.writeFile(`${folder}/file`, "x").catch(() => {}), 5);
    while (!seen.includes("change file")) await sleep(5);
    clearInterval(touch);
    await fs.rename(`${folder}/file`, `${folder}/moved`);
    await fs.unlink(`${folder}/moved`);
    await fs.mkdir(`${folder}/end`);
    await ended;
    for (const expected of ["change file", "rename moved", "rename end"])
      assert.ok(seen.includes(expected), `${expected} is not among ${seen.join(", ")}`);
  });

  on("tells of changes by events, also below", async (_fs, folder, { fs }) => {
    const { promises } = fs;
    await promises.mkdir(`${folder}/sub`);
    await promises.writeFile(`${folder}/sub/file`, "");
    const seen = new Set<string>();
    const watcher = fs.watch(
      folder,
      { recursive: true },
      (event, filename) => void seen.add(`${event} ${filename}`),
    );
    const touch = setInterval(
      () => void promises.appendFile(`${folder}/sub/file`, "x").catch(() => {}),
      5,
    );
    while (!seen.has("change sub/file")) await sleep(5);
    clearInterval(touch);
    const closed = new Promise((resolve) => void watcher.once("close", resolve));
    watcher.close();
    await closed;
    const missing = fs.promises.watch(`${folder}/missing`);
    const error = await errorOf(missing[Symbol.asyncIterator]().next());
    assert.equal(error.message, `ENOENT: no such file or directory, watch '${folder}/missing'`);
  });

  on("leaves out of what it tells what it is told to", async (_fs, folder, { fs }) => {
    const { promises } = fs;
    const seen = new Set<string>();
    const ignore = ["*.log", /^tmp/, (name: string) => name.endsWith("~")];
    const watcher = fs.watch(
      folder,
      { ignore },
      (_event, filename) => void seen.add(filename ?? ""),
    );
    const names = ["a.log", "tmp1", "b~", "told"];
    const touch = setInterval(() => {
      for (const name of names) void promises.writeFile(`${folder}/${name}`, "x").catch(() => {});
    }, 5);
    while (!seen.has("told")) await sleep(5);
    clearInterval(touch);
    watcher.close();
    assert.deepEqual([...seen], ["told"]);
    const wrong = { ignore: 5 as unknown as string };
    assert.throws(() => fs.watch(folder, wrong), {
      code: "ERR_INVALID_ARG_TYPE",
      message:
        'The "options.ignore" property must be one of type string or function or an instance of RegExp. Received type number (5)',
    });
    assert.throws(() => fs.watch(folder, { ignore: [""] }), { code: "ERR_INVALID_ARG_VALUE" });
  });

  on("tells of changes by looking again and again", async (_fs, folder, { fs }) => {
    const { promises } = fs;
    const path = `${folder}/file`;
    const changed = Promise.withResolvers<[Stats, Stats]>();
    const listener = (current: Stats, previous: Stats) => changed.resolve([current, previous]);
    await promises.writeFile(path, "");
    // It looks first some turns of the event loop later: whatever that sees, it changes again.
    let seconds = 1_000_000_000;
    const touch = () => promises.utimes(path, seconds, (seconds += 10)).catch(() => {});
    await touch();
    fs.watchFile(path, { interval: 20 }, listener);
    const touching = setInterval(() => void touch(), 30);
    const [current, previous] = await changed.promise;
    clearInterval(touching);
    fs.unwatchFile(path, listener);
    assert.ok(current.mtimeMs > previous.mtimeMs, `${previous.mtimeMs} to ${current.mtimeMs}`);
    // What is not there is all zeroes.
    const missing = await new Promise<BigIntStats>((resolve) => {
      fs.watchFile(`${path}x`, { interval: 20, bigint: true }, resolve);
    });
    fs.unwatchFile(`${path}x`);
    assert.equal(missing.mtimeNs, 0n);
    assert.equal(missing.mode, 0n);
  });
}

function interplay(on: On): void {
  on("does many things at once", async (fs, folder) => {
    const names = Array.from({ length: 200 }, (_, i) => `${folder}/${i}`);
    await Promise.all(names.map((path, i) => fs.writeFile(path, `${i}`.repeat(i))));
    const found = await Promise.all(names.map((path) => fs.readFile(path, "utf8")));
    assert.deepEqual(
      found,
      names.map((_, i) => `${i}`.repeat(i)),
    );
    const stats = await Promise.all(names.map((path) => fs.stat(path)));
    assert.deepEqual(
      stats.map(({ size }) => size),
      found.map(({ length }) => length),
    );
    await Promise.all(names.map((path) => fs.unlink(path)));
    assert.deepEqual(await fs.readdir(folder), []);
  });

  on("does not close under writers", async (fs, folder) => {
    const handle = await fs.open(`${folder}/file`, "w");
    const bytes = Buffer.alloc(1_000_000, 1);
    const [written] = await Promise.all([handle.write(bytes), handle.close()]);
    assert.equal(written.bytesWritten, bytes.length);
    assert.equal((await fs.stat(`${folder}/file`)).size, bytes.length);
  });

  on(
    "waits for pipes without holding up the rest",
    async (fs, folder, { mkfifo }) => {
      await mkfifo(`${folder}/fifo`);
      assert.ok((await fs.stat(`${folder}/fifo`)).isFIFO());
      const reading = fs.readFile(`${folder}/fifo`, "utf8");
      await fs.writeFile(`${folder}/file`, "x");
      await fs.writeFile(`${folder}/fifo`, "through the pipe");
      assert.equal(await reading, "through the pipe");
    },
    "fifos",
  );
}
