// The tables of docs/matrix.md, made of the lists that the tests go through. A test compares them
// with the document; this file, run as a program, writes them into it.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { BASES, PANICKING } from "../soak/support/hostile-bases.ts";
import { JOURNALLED } from "../soak/support/journalled.ts";
import { both, EVERYTHING } from "./facts.ts";
import type { Keeps } from "./facts.ts";
import { BTRFS_FORMATS } from "./formats/btrfs.ts";
import { CRYPTO_FORMATS, ENCRYPTION_MODES, VERITY_ALGORITHMS } from "./formats/crypto.ts";
import { DEBIAN_FORMATS } from "./formats/debian.ts";
import { DOS_FORMATS } from "./formats/dos.ts";
import { EXT_FORMATS } from "./formats/ext.ts";
import { F2FS_FORMATS } from "./formats/f2fs.ts";
import { OTHER_FORMATS } from "./formats/others.ts";
import { READ_ONLY_FORMATS } from "./formats/read-only.ts";
import { XFS_FORMATS } from "./formats/xfs.ts";
import type { Format } from "./matrix.ts";

export const DOCUMENT = join(import.meta.dirname, "../../docs/matrix.md");

const FORMATS: readonly Format[] = [
  ...EXT_FORMATS,
  ...XFS_FORMATS,
  ...BTRFS_FORMATS,
  ...F2FS_FORMATS,
  ...DOS_FORMATS,
  ...READ_ONLY_FORMATS,
  ...OTHER_FORMATS,
];

type Row = readonly string[];

function table(head: Row, rows: readonly Row[]): string {
  const line = (cells: Row) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const namesOf = (some: readonly { readonly name: string }[] = []) =>
  some.map(({ name }) => name).join(", ") || "–";

/** Who reads what was written here. */
const readersOf = ({ make, native, readers = [] }: Format): string => {
  if (!make) return "–";
  const tools = readers.map(({ name }) => name);
  return [...tools, ...(native === false ? [] : ["the native kernel"])].join(", ") || "–";
};

/** The features that a format's name tells. */
const featuresOf = ({ name, type }: Format): string =>
  name.startsWith(`${type}: `) ? name.slice(type.length + 2) : "as it is made by default";

/** What a file system has no room for, of what is compared. */
function lacks(some: Partial<Keeps> = {}): string {
  const keeps = both(EVERYTHING, some);
  const missing = [
    !keeps.owners && "owners",
    !keeps.modes && "modes",
    !keeps.hardLinks && "hard links",
    !keeps.symlinks && "symbolic links",
    !keeps.devices && "devices and pipes",
    !keeps.sockets && "sockets",
    !keeps.rawNames && "names that are not Unicode",
    !keeps.xattrs.length && "extended attributes",
    !keeps.holes && "holes",
    !keeps.timeGrainNs && "times",
  ].filter((one) => one !== false);
  return missing.length ? `It does not keep ${missing.join(", ")}.` : "It keeps everything.";
}

function matrix(): string {
  const types = [...new Set(FORMATS.map(({ type }) => type))];
  const parts = types.map((type) => {
    const formats = FORMATS.filter((format) => format.type === type);
    const head = ["Features", "Written by, read here", "Written here, checked by", "and read by"];
    const rows = formats.map((format) => [
      featuresOf(format),
      namesOf(format.writers),
      format.make ? namesOf(format.checker && [format.checker]) : "–",
      readersOf(format),
    ]);
    return `### ${type}\n\n${lacks(formats[0].keeps)}\n\n${table(head, rows)}`;
  });
  return `${FORMATS.length} kinds of images of ${types.length} file systems.\n\n${parts.join("\n\n")}`;
}

const crypto = (): string =>
  table(
    ["File system", "Encrypted by", "Verified by", "Checked by"],
    CRYPTO_FORMATS.map(({ type, checker }) => [
      type,
      ENCRYPTION_MODES.map(([name]) => name).join("; "),
      VERITY_ALGORITHMS.map(([name]) => name).join(", "),
      namesOf(checker && [checker]),
    ]),
  );

const debian = (): string =>
  table(
    ["File system", "Packed by, read here", "Written here, checked by", "and read by"],
    DEBIAN_FORMATS.map((format) => [
      format.type,
      namesOf(format.writers),
      format.make ? namesOf(format.checker && [format.checker]) : "–",
      readersOf(format),
    ]),
  );

const crashes = (): string =>
  table(
    ["File system", "Checked by"],
    JOURNALLED.map(({ name, checker }) => [name, `\`${checker.join(" ")}\``]),
  );

const damage = (): string =>
  table(
    ["Image", "File system", "Mounted"],
    [...BASES, PANICKING].map(({ name, type, writable, options }) => [
      name,
      type,
      `${writable ? "to be read, and to be written" : "to be read"}${options ? `, with \`${options}\`` : ""}`,
    ]),
  );

const TABLES: Readonly<Record<string, () => string>> = { matrix, crypto, debian, crashes, damage };

/** A document with the tables as they have to be: each stands between two marks with its name. */
export function withTables(document: string): string {
  let text = document;
  for (const [name, make] of Object.entries(TABLES)) {
    const [start, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
    const [from, to] = [text.indexOf(start), text.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`the document has no place for "${name}"`);
    text = `${text.slice(0, from + start.length)}\n\n${make()}\n\n${text.slice(to)}`;
  }
  return text;
}

if (import.meta.main) writeFileSync(DOCUMENT, withTables(readFileSync(DOCUMENT, "utf8")));
