// Where a name leads to, without symbolic links, "." and "..": realpath(3).

import { S_IFDIR, S_IFMT } from "../../abi/constants/stat.ts";
import { errno } from "../../abi/errno.ts";
import { Statx } from "../../abi/structs/fs.ts";
import type { Name } from "./arguments.ts";
import { decode, encode } from "./encoding.ts";
import { failedWith } from "./errors.ts";
import { MAX_LINKS } from "./files.ts";
import type { Files } from "./files.ts";

// Names are handled as Latin-1: one character a byte, whatever they are.
const toCharacters = (name: Name) =>
  decode(typeof name === "string" ? encode(name) : name, "latin1");
const toBytes = (characters: string) => encode(characters, "latin1");

/** @param syscall what errors tell @returns bytes */
export async function realPath(files: Files, path: Name, syscall: string): Promise<Uint8Array> {
  const given = toCharacters(path);
  if (given === "") throw files.error("ENOENT", syscall, path);
  let done = given.startsWith("/") ? "" : toCharacters(await files.cwd()).replace(/\/$/, "");
  const left = given.split("/").toReversed();
  let links = 0;
  for (let part = left.pop(); part !== undefined; part = left.pop()) {
    if (part === "" || part === ".") {
      // A slash at the end asks for a directory.
      if (!left.length) await expectDirectory(files, done || "/", syscall, path);
      continue;
    }
    if (part === "..") {
      await expectDirectory(files, done || "/", syscall, path);
      done = done.slice(0, Math.max(0, done.lastIndexOf("/")));
      continue;
    }
    const next = `${done}/${part}`;
    try {
      const target = toCharacters(await files.readlink(toBytes(next), syscall, path));
      if (++links > MAX_LINKS) throw files.error("ELOOP", syscall, path);
      if (target.startsWith("/")) done = "";
      left.push(...target.split("/").toReversed());
    } catch (error) {
      if (!failedWith(error, errno.EINVAL)) throw error;
      done = next;
    }
  }
  return toBytes(done || "/");
}

async function expectDirectory(
  files: Files,
  path: string,
  syscall: string,
  given: Name,
): Promise<void> {
  const mode = await files.statx(syscall, toBytes(path), 0, (view) =>
    view.getUint16(Statx.offsets.stx_mode, true),
  );
  if ((mode & S_IFMT) !== S_IFDIR) throw files.error("ENOTDIR", syscall, given);
}
