// A tree that has something of everything, described: what it is written from, by any hand.

import { canHold, hashOf, isSparse } from "./facts.ts";
import type { Fact, Facts, Keeps, Kind } from "./facts.ts";
import { noise, NOT_UTF8, SAMPLE_SECONDS } from "./native.ts";

/** A file to be made. Paths are bytes, in Latin-1. */
export interface Item {
  readonly path: string;
  readonly kind: Kind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly xattrs: Readonly<Record<string, Buffer>>;
  /** Of a file: what is where; the rest are holes. */
  readonly parts: readonly { readonly at: number; readonly bytes: Uint8Array }[];
  readonly size: number;
  readonly target: string;
  readonly major: number;
  readonly minor: number;
  /** Another name of a file that is there already. */
  readonly sameAs?: string;
}

const SECOND = 1_000_000_000n;
const DEFAULT_TIME = BigInt(SAMPLE_SECONDS) * SECOND;

const latin1 = (text: string) => Buffer.from(text).toString("latin1");

function item(path: string, kind: Kind, facts: Partial<Item> = {}): Item {
  return {
    path,
    kind,
    mode: kind === "directory" ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    mtimeNs: DEFAULT_TIME,
    xattrs: {},
    parts: [],
    size: 0,
    target: "",
    major: 0,
    minor: 0,
    ...facts,
  };
}

function file(path: string, bytes: Uint8Array | string, facts: Partial<Item> = {}): Item {
  const content = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
  return item(path, "file", { parts: [{ at: 0, bytes: content }], size: content.length, ...facts });
}

/** An access control list as the kernel has it: entries of tag, permissions and id (acl(5)). */
function acl(...entries: readonly (readonly [tag: number, permissions: number, id?: number])[]) {
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2, 0);
  for (const [index, [tag, permissions, id = 0xffffffff]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * index);
    bytes.writeUInt16LE(permissions, 6 + 8 * index);
    bytes.writeUInt32LE(id, 8 + 8 * index);
  }
  return bytes;
}

/** user::rw- user:1000:rwx group::r-- mask::rwx other::r-- (include/uapi/linux/posix_acl.h). */
const ACCESS = acl([1, 6], [2, 7, 1000], [4, 4], [0x10, 7], [0x20, 4]);
const DEFAULT_ACL = acl([1, 7], [4, 5], [8, 7, 70000], [0x10, 7], [0x20, 0]);

const words = Buffer.from("the quick brown fox jumps over the lazy dog; ".repeat(8000));

/** Everything but very many files. */
export function sample(files = 120): Item[] {
  const items = [
    file("hello.txt", "hello\n", { mtimeNs: DEFAULT_TIME + 123_456_789n }),
    file("empty", "", { mode: 0o600 }),
    file("tiny", noise(50, 7)),
    file("page", noise(4096, 8)),
    file("odd", noise(70_001, 9), { mode: 0o640, uid: 70_000, gid: 80_000 }),
    file("big", noise(1_500_001, 10)),
    file("text", words),
    item("hole at both ends", "file", {
      parts: [{ at: 2_097_152, bytes: noise(8192, 11) }],
      size: 5_242_880,
    }),
    item("all hole", "file", { size: 3_000_000 }),
    file("set-user-ID", "#!\n", { mode: 0o4755, uid: 1000, gid: 1000 }),
    file("old", "1935\n", { mtimeNs: -1_100_000_000n * SECOND }),
    file("future", "2100\n", { mtimeNs: 4_102_444_800n * SECOND + 987_654_321n }),
    file("far future", "2400\n", { mtimeNs: 13_569_465_600n * SECOND }),
    file("attributes", "some\n", {
      xattrs: {
        "user.small": Buffer.from("value"),
        "user.binary": Buffer.from([0, 255, 0, 10]),
        "user.empty": Buffer.alloc(0),
        "trusted.t": Buffer.from("root's"),
        "security.foo": Buffer.from("bar"),
      },
    }),
    file("large attribute", "some\n", { xattrs: { "user.large": noise(600, 12) } }),
    file("larger attribute", "some\n", { xattrs: { "user.larger": noise(3000, 13) } }),
    // The mode's group bits are the mask.
    file("list", "acl\n", { mode: 0o674, xattrs: { "system.posix_acl_access": ACCESS } }),
    item("directory", "directory", { mode: 0o2750, uid: 1000, gid: 1001 }),
    item("directory/sticky", "directory", { mode: 0o1777 }),
    item("directory/inherit", "directory", {
      mode: 0o770,
      xattrs: { "system.posix_acl_default": DEFAULT_ACL, "user.d": Buffer.from("on a directory") },
    }),
    item("directory/hard", "file", { sameAs: "hello.txt", mtimeNs: DEFAULT_TIME + 123_456_789n }),
    item("empty directory", "directory"),
    item("link", "symlink", { target: "hello.txt" }),
    item("dangling", "symlink", { target: "/no/where", uid: 5, gid: 6 }),
    item("long link", "symlink", { target: "l".repeat(200) }),
    item("very long link", "symlink", { target: `${"m/".repeat(450)}end` }),
    item("null", "character device", { mode: 0o666, major: 1, minor: 3 }),
    item("disk", "block device", { mode: 0o660, gid: 6, major: 8, minor: 17 }),
    item("large numbers", "character device", { major: 300, minor: 70_000 }),
    item("pipe", "fifo", { mode: 0o622 }),
    item("socket", "socket", { mode: 0o700 }),
    file("n".repeat(255), "longest\n"),
    file(latin1("ü".repeat(127)), "longest of two bytes each\n"),
    file(latin1("ünïcödé 名前 🐧"), "unicode\n"),
    file(NOT_UTF8.toString("latin1"), "bytes\n"),
    file('q"uote\\back\nline', "odd\n"),
    file("sp ace 'q", "less odd\n"),
    item("many", "directory"),
  ];
  for (let i = 0; i < files; i++)
    items.push(file(`many/file number ${i}`, `content of ${i}\n`.repeat(1 + (i % 40))));
  let deep = "deep";
  for (let i = 0; i < 12; i++, deep += "/d") items.push(item(deep, "directory"));
  items.push(file(deep, "deep\n"));
  return items;
}

function copyOf(one: Item, original: Item | undefined): Item {
  return original ? { ...original, path: one.path } : one;
}

/** Those that there can be; where there are no hard links, a file of its own for each name. */
export function heldItems(items: readonly Item[], keeps: Keeps): Item[] {
  const held = items.filter((one) =>
    canHold(keeps, one.path, { kind: one.kind, device: `${one.major}:${one.minor}` }),
  );
  if (keeps.hardLinks) return held;
  const named = new Map(items.map((one) => [one.path, one]));
  return held.map((one) => copyOf(one, named.get(one.sameAs ?? "")));
}

const contentOf = (one: Item): Buffer => {
  const bytes = Buffer.alloc(one.size);
  for (const part of one.parts) bytes.set(part.bytes, part.at);
  return bytes;
};

function factOf(one: Item): Fact {
  const isFile = one.kind === "file";
  const written = one.parts.reduce((total, part) => total + part.bytes.length, 0);
  return {
    kind: one.kind,
    mode: one.mode,
    uid: one.uid,
    gid: one.gid,
    size: one.kind === "symlink" ? one.target.length : one.size,
    mtimeNs: one.mtimeNs,
    xattrs: Object.fromEntries(
      Object.entries(one.xattrs).map(([name, value]) => [name, value.toString("hex")]),
    ),
    ...(one.kind === "symlink" && { target: one.target }),
    ...(one.kind.endsWith("device") && { device: `${one.major}:${one.minor}` }),
    ...(isFile && { hash: hashOf(contentOf(one)), sparse: isSparse(one.size, written) }),
  };
}

/** What is true when all of it was made. */
export function factsOf(items: readonly Item[]): Facts {
  const facts = new Map<string, Fact>();
  const origin = (one: Item) => items.find(({ path }) => path === one.sameAs)!;
  for (const one of items) facts.set(one.path, factOf(one.sameAs ? origin(one) : one));
  return withLinks(facts, items);
}

/** The first of a file's names, in the order of all names, is what the others are the same as. */
function withLinks(facts: Map<string, Fact>, items: readonly Item[]): Facts {
  for (const { path, sameAs } of items) {
    if (sameAs === undefined) continue;
    const [first = "", other = ""] = [path, sameAs].toSorted();
    facts.set(other, { ...facts.get(other)!, sameAs: first });
  }
  return facts;
}
