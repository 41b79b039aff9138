// liblinux ls: directories of an image.

import { compareBytes, openDirectory, readEntries } from "../fs/directory.ts";
import type { DirectoryEntry } from "../fs/directory.ts";
import { readLink } from "../fs/files.ts";
import { stat } from "../fs/stat.ts";
import type { FileStatus, FileType } from "../fs/stat.ts";
import type { Process } from "../syscall/process.ts";
import { formatAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { at, withoutCall } from "./errors.ts";
import { kernelChoice, READ_OPTIONS, parse } from "./options.ts";
import { formatTime, printable, table, write, writeJson } from "./output.ts";
import { expand, images, parseTops } from "./places.ts";
import type { Scope } from "./places.ts";

/** Deeper directories are reported, not listed: a damaged one may contain itself. */
const MAX_DEPTH = 500;

interface Options {
  readonly long: boolean;
  readonly recursive: boolean;
  readonly json: boolean;
}

interface Listed {
  readonly entry: Pick<DirectoryEntry, "name" | "rawName" | "type">;
  /** From the volume's root on. */
  readonly path: string;
  readonly status: FileStatus | null;
  readonly target: string | null;
}

export async function ls(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("ls", args, {
    ...READ_OPTIONS,
    long: { type: "boolean", short: "l", default: false },
    recursive: { type: "boolean", short: "R", default: false },
    json: { type: "boolean", default: false },
  });
  const places = parseTops(scope, "ls", positionals);
  const several = places.length > 1;
  const all: object[] = [];
  let failures = 0;
  for (const place of places)
    await scope.withVolume(place, kernelChoice("ls", values), async (volume) => {
      const paths = await expand(volume, place);
      const lister = new Lister(volume.process, place, values);
      await lister.list(paths, several || paths.length > 1);
      all.push(...lister.all);
      failures += lister.failures;
    });
  if (values.json) await writeJson(all);
  return failures ? 1 : 0;
}

class Lister {
  readonly #process: Process;
  readonly #address: Address;
  readonly #options: Options;
  failures = 0;
  /** What --json prints. */
  readonly all: object[] = [];

  constructor(process: Process, address: Address, options: Options) {
    this.#process = process;
    this.#address = address;
    this.#options = options;
  }

  /** @param several whether directories have their names above */
  async list(paths: readonly string[], several: boolean): Promise<void> {
    for (const path of paths) {
      try {
        const status = await stat(this.#process, path, { follow: !several });
        if (status.type === "directory") await this.#named(path, several);
        else await this.#file(path);
      } catch (error) {
        throw at(formatAddress(this.#address, path), error);
      }
    }
  }

  /** One of several directories has its name above. */
  async #named(path: string, several: boolean): Promise<void> {
    const { json, recursive } = this.#options;
    if (several && !json && !recursive) await write(`\n${this.#name(path)}:\n`);
    await this.#directory(path, 0);
  }

  async #file(path: string): Promise<void> {
    const status = await stat(this.#process, path, { follow: false });
    const rawName = new TextEncoder().encode(path);
    const entry = { name: path, rawName, type: status.type };
    const target = status.type === "symlink" ? await this.#target(path) : null;
    await this.#show([{ entry, path, status, target }]);
  }

  async #target(path: string | Uint8Array, at?: number): Promise<string> {
    return new TextDecoder().decode(await readLink(this.#process, path, at));
  }

  /** The first one follows a symbolic link, as the user named it; those found are none. */
  async #directory(path: string, depth: number, from?: { fd: number; name: Uint8Array }) {
    const fd = await openDirectory(
      this.#process,
      from?.name ?? path,
      from ? { at: from.fd, follow: false } : {},
    );
    try {
      const entries = await readEntries(this.#process, fd);
      entries.sort((a, b) => compareBytes(a.rawName, b.rawName));
      const listed: Listed[] = [];
      for (const entry of entries) listed.push(await this.#look(fd, path, entry));
      if (this.#options.recursive && !this.#options.json)
        await write(`${depth ? "\n" : ""}${this.#name(path)}:\n`);
      await this.#show(listed);
      if (!this.#options.recursive) return;
      for (const { entry, path: child } of listed) {
        if (entry.type !== "directory") continue;
        if (depth >= MAX_DEPTH) this.#failed(child, new Error("too many directories deep"));
        else
          await this.#directory(child, depth + 1, { fd, name: entry.rawName }).catch(
            (error: unknown) => this.#failed(child, error),
          );
      }
    } finally {
      await this.#process.close(fd);
    }
  }

  async #look(fd: number, folder: string, entry: DirectoryEntry): Promise<Listed> {
    const path = `${folder.replace(/\/$/, "")}/${entry.name}`;
    const needed = this.#options.long || this.#options.json || entry.type === "unknown";
    if (!needed) return { entry, path, status: null, target: null };
    try {
      const status = await stat(this.#process, entry.rawName, { at: fd, follow: false });
      const target = status.type === "symlink" ? await this.#target(entry.rawName, fd) : null;
      return { entry: { ...entry, type: status.type }, path, status, target };
    } catch (error) {
      this.#failed(path, error);
      return { entry, path, status: null, target: null };
    }
  }

  #failed(path: string, error: unknown): void {
    this.failures++;
    const place = formatAddress(this.#address, path);
    process.stderr.write(`liblinux: ls ${printable(place)}: ${withoutCall(error)}\n`);
  }

  #name(name: string): string {
    return process.stdout.isTTY ? printable(name) : name;
  }

  async #show(listed: readonly Listed[]): Promise<void> {
    if (this.#options.json) {
      for (const one of listed) this.all.push(jsonOf(one));
      return;
    }
    if (this.#options.long) {
      const rows = listed.map((one) => longRow(one, (name) => this.#name(name)));
      return write(table(rows, [1, 2, 3, 4]));
    }
    if (process.stdout.isTTY)
      return write(listed.map(({ entry }) => `${printable(entry.name)}\n`).join(""));
    // The bytes as they are, so that a script gets names that are not UTF-8.
    const newline = Buffer.from("\n");
    return write(Buffer.concat(listed.flatMap(({ entry }) => [entry.rawName, newline])));
  }
}

const LETTERS: Readonly<Record<FileType, string>> = {
  file: "-",
  directory: "d",
  symlink: "l",
  "character device": "c",
  "block device": "b",
  fifo: "p",
  socket: "s",
  unknown: "?",
};

/** E.g. `drwxr-xr-x`. */
export function formatMode(type: FileType, mode: number): string {
  const triple = (shift: number, special: number, letter: string) => {
    const bits = (mode >> shift) & 7;
    const executes = bits & 1;
    const last = mode & special ? (executes ? letter : letter.toUpperCase()) : executes ? "x" : "-";
    return `${bits & 4 ? "r" : "-"}${bits & 2 ? "w" : "-"}${last}`;
  };
  return `${LETTERS[type]}${triple(6, 0o4000, "s")}${triple(3, 0o2000, "s")}${triple(0, 0o1000, "t")}`;
}

function longRow({ entry, status, target }: Listed, show: (name: string) => string): string[] {
  const name = show(entry.name) + (target === null ? "" : ` -> ${show(target)}`);
  if (!status) return [`${LETTERS[entry.type]}?????????`, "?", "?", "?", "?", "?", name];
  const { major, minor } = status.device;
  const isDevice = status.type === "character device" || status.type === "block device";
  return [
    formatMode(status.type, status.mode),
    String(status.links),
    String(status.uid),
    String(status.gid),
    isDevice ? `${major},${minor}` : String(status.sizeBytes),
    formatTime(status.modifiedNs).slice(0, 16).replace("T", " "),
    name,
  ];
}

/** Names that are not UTF-8 are given as bytes, too. */
function jsonOf({ entry, path, status, target }: Listed): object {
  const exact = Buffer.from(entry.name).equals(entry.rawName);
  return {
    name: entry.name,
    ...(!exact && { nameBase64: Buffer.from(entry.rawName).toString("base64") }),
    path,
    type: entry.type,
    ...(status && {
      mode: (status.mode & 0o7777).toString(8).padStart(4, "0"),
      links: status.links,
      uid: status.uid,
      gid: status.gid,
      size: status.sizeBytes,
      allocated: status.allocatedBytes,
      inode: Number(status.inode),
      modified: formatTime(status.modifiedNs),
      accessed: formatTime(status.accessedNs),
      changed: formatTime(status.changedNs),
      ...(status.createdNs !== undefined && { created: formatTime(status.createdNs) }),
      ...(status.type.endsWith("device") && { device: status.device }),
    }),
    ...(target !== null && { target }),
  };
}
