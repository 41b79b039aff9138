// Compiles the C beside the benchmarks: for the machine's own kernel, and to WebAssembly.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

const folder = mkdtempSync(join(tmpdir(), "liblinux-bench-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));

/** An executable from bench/native. */
function compileNative(name: string): string {
  const program = join(folder, name);
  execFileSync("clang-22", ["-O2", "-o", program, join(import.meta.dirname, `native/${name}.c`)]);
  return program;
}

/** A module from bench/programs. */
export function compileModule(name: string): WebAssembly.Module {
  const file = join(folder, `${name}.wasm`);
  const source = join(import.meta.dirname, `programs/${name}.c`);
  const options = ["--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry"];
  execFileSync("clang-22", [...options, "-o", file, source]);
  return new WebAssembly.Module(readFileSync(file));
}

/** What bench/native/net.c measures on the loopback of the machine's kernel: MB/s, and microseconds. */
export function measureNativeLoopback(): { bulk: number; trip: number } {
  const text = execFileSync(compileNative("net"), { encoding: "utf8" });
  const of = (name: string) => Number(new RegExp(`${name} (.*)`).exec(text)?.[1]);
  return { bulk: of("bulk"), trip: of("trip") };
}

/** What bench/native/kernel.c measures, in nanoseconds. */
export function measureNative(): Map<string, number> {
  const text = execFileSync(compileNative("kernel"), { encoding: "utf8" });
  return new Map(
    text
      .trim()
      .split("\n")
      .map((line) => line.split(" ") as [string, string])
      .map(([name, ns]) => [name, Number(ns)]),
  );
}
