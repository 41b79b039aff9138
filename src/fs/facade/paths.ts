// Names put together and taken apart, text or bytes alike, as node:path does on Linux.

import type { Name } from "./arguments.ts";
import { encode } from "./encoding.ts";

const SLASH = 47;

const toBytes = (name: Name) => (typeof name === "string" ? encode(name) : name);

/** Without "." and empty parts, and with ".." taken away where it can be. */
export function normalize(path: string): string {
  const absolute = path.startsWith("/");
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.length && parts.at(-1) !== "..") parts.pop();
    else if (!absolute) parts.push(part);
  }
  const joined = parts.join("/");
  return absolute ? `/${joined}` : joined || ".";
}

/** A name below a directory; bytes if either is. */
export function join(directory: Name, name: Name): Name {
  if (typeof directory === "string" && typeof name === "string")
    return normalize(directory === "" ? name : `${directory}/${name}`);
  return append(directory, name);
}

/** As {@link join}, and nothing is taken away. */
export function append(directory: Name, name: Name): Name {
  if (typeof directory === "string" && typeof name === "string")
    return directory === "" || directory.endsWith("/") ? directory + name : `${directory}/${name}`;
  const [front, back] = [toBytes(directory), toBytes(name)];
  const slash = front.length > 0 && front.at(-1) !== SLASH ? 1 : 0;
  const whole = new Uint8Array(front.length + slash + back.length);
  whole.set(front);
  if (slash) whole[front.length] = SLASH;
  whole.set(back, front.length + slash);
  return whole;
}

/** The directory that a name is in. */
export function dirname(path: string): string {
  const trimmed = path.replace(/\/+$/, "");
  if (trimmed === "") return path === "" ? "." : "/";
  const at = trimmed.lastIndexOf("/");
  if (at < 0) return ".";
  return trimmed.slice(0, at).replace(/\/+$/, "") || "/";
}

/** The last part of a name. */
export function basename(path: string): string {
  const trimmed = path.replace(/\/+$/, "");
  return trimmed.slice(trimmed.lastIndexOf("/") + 1);
}
