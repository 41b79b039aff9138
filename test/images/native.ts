// Disk images, made by the native tools.

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const env = { ...process.env, PATH: [process.env.PATH, "/usr/sbin", "/sbin"].join(delimiter) };

/** Run a native tool to its end. */
export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Run a native tool that reads its standard input. */
export function runWith(input: string, command: string, ...args: string[]): string {
  return execFileSync(command, args, { env, encoding: "utf8", input, stdio: "pipe" });
}

/** A folder that is gone when it is disposed. */
export function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "liblinux-test-"));
  return {
    path,
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Bytes that look random and are always the same. */
export function noise(length: number, seed = 1): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** 2001-02-03 04:05:06 UTC. */
export const SAMPLE_SECONDS = 981173106;
export const NOT_UTF8 = Buffer.from([0x6e, 0x6f, 0x74, 0xff, 0x38]);

/** Files, directories and links of many kinds. */
export function sampleTree(folder: string): string {
  const root = join(folder, "tree");
  mkdirSync(join(root, "sub/deeper"), { recursive: true });
  writeFileSync(join(root, "hello.txt"), "hello\n");
  writeFileSync(join(root, "empty"), "");
  writeFileSync(join(root, "big"), noise(3_000_001));
  writeFileSync(join(root, "sub/ünïcödé 名前"), "unicode\n");
  // mkfs.erofs 1.5 takes no longer ones.
  writeFileSync(join(root, `sub/${"x".repeat(200)}`), "long\n");
  writeFileSync(join(root, "sub/deeper/secret"), "s");
  chmodSync(join(root, "sub/deeper/secret"), 0o400);
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), NOT_UTF8]), "bytes\n");
  symlinkSync("hello.txt", join(root, "link"));
  symlinkSync("/sub/deeper", join(root, "absolute"));
  symlinkSync("nowhere", join(root, "dangling"));
  linkSync(join(root, "hello.txt"), join(root, "sub/hard"));
  const fd = openSync(join(root, "sparse"), "w");
  writeSync(fd, "end", 5_000_000);
  closeSync(fd);
  chmodSync(join(root, "sub/deeper"), 0o750);
  utimesSync(join(root, "hello.txt"), SAMPLE_SECONDS, SAMPLE_SECONDS);
  utimesSync(join(root, "sub/deeper"), SAMPLE_SECONDS, SAMPLE_SECONDS);
  return root;
}

export function emptyImage(path: string, mib: number): string {
  writeFileSync(path, "");
  truncateSync(path, mib * 2 ** 20);
  return path;
}

/** An ext4 image of 32 MiB with what is in a folder. */
export function ext4Image(path: string, root: string, ...options: string[]): string {
  emptyImage(path, 32);
  run("mke2fs", "-q", "-F", "-t", "ext4", "-d", root, ...options, path);
  return path;
}

/** Run commands of debugfs that write to an image. */
export function debugfs(image: string, ...commands: string[]): void {
  runWith(commands.map((command) => `${command}\n`).join(""), "debugfs", "-w", "-f", "-", image);
}

/** Copy one image into another, at an offset. */
export function placeImage(disk: string, offsetBytes: number, part: string): void {
  const fd = openSync(disk, "r+");
  writeSync(fd, readFileSync(part), 0, undefined, offsetBytes);
  closeSync(fd);
}
