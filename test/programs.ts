// Small WebAssembly programs, compiled from test/programs for the test that runs them.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Kernel } from "../src/index.ts";

const FLAGS = ["--target=wasm32", "-O1", "-nostdlib", "-Wl,--no-entry", "-Wall", "-Werror"];

/** Compile test/programs/NAME.c. */
export async function compileProgram(name: string): Promise<WebAssembly.Module> {
  const source = join(import.meta.dirname, "programs", `${name}.c`);
  const folder = mkdtempSync(join(tmpdir(), "liblinux-program-"));
  try {
    const output = join(folder, `${name}.wasm`);
    execFileSync("clang-22", [...FLAGS, "-o", output, source]);
    return await WebAssembly.compile(readFileSync(output));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The functions of a program that makes its system calls in this kernel. */
export async function loadProgram(
  module: WebAssembly.Module,
  kernel: Kernel,
): Promise<Record<string, WebAssembly.ExportValue>> {
  const instance = await WebAssembly.instantiate(module, { kernel: { syscall: kernel.syscall } });
  return { ...instance.exports };
}
