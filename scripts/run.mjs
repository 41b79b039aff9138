// SPDX-License-Identifier: MIT
// Every npm script comes through here: node scripts/run.mjs TASK [ARGUMENT...]
// It brings the machine to where the task can run (npm packages, Debian packages, kernels), which is
// quick when there is nothing to do, then runs the task's steps on the project's own Node.
// This file and what it imports are plain JavaScript, since they start on any Node from 20 on.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, dirname } from "node:path";
import { fileURLToPath } from "node:url";

import { installDependencies } from "./dependencies.mjs";
import { headers, installPackages, references, rivals, samples, toolchain } from "./packages.mjs";
import { runtimePath } from "./runtimes.mjs";

/**
 * @typedef {object} Task
 * @property {string} about what it does, for the list of tasks
 * @property {import("./packages.mjs").Packages} [packages] Debian packages it needs
 * @property {readonly string[]} [kernels] profiles it needs built
 * @property {(args: string[]) => readonly (readonly string[])[]} steps command lines for Node, in order
 */

const tsc = "node_modules/typescript/bin/tsc";
const oxfmt = "node_modules/oxfmt/bin/oxfmt";
const build = [
  ["--eval", 'fs.rmSync("dist", { recursive: true, force: true })'],
  [tsc, "-p", "tsconfig.build.json"],
];
const typecheck = [
  [tsc, "-p", "tsconfig.json"],
  [tsc, "-p", "tsconfig.core.json"],
];
const lint = ["node_modules/oxlint/bin/oxlint", "--type-aware", "--deny-warnings"];
const testFlags = ["--test", "--expose-gc", "--test-concurrency=2", "--test-timeout=900000"];

/** @type {Record<string, Task>} */
const tasks = {
  start: {
    about: "builds the kernel, boots it and shows a file of an ext4 image",
    packages: { ...toolchain, ...samples },
    kernels: ["fs"],
    steps: (args) => [["src/cli/main.ts", "demo", ...args]],
  },
  test: {
    about: "runs the tests (all, or the files named)",
    packages: { ...headers, ...references },
    kernels: ["fs", "full"],
    steps: (args) => [[...testFlags, ...withDefault(args, "test/**/*.test.ts")]],
  },
  soak: {
    about: "runs the endurance tests at full count",
    packages: { ...toolchain, ...references },
    kernels: ["fs", "full"],
    steps: (args) => [[...testFlags, ...withDefault(args, "test/{soak/**/*,matrix-*}.test.ts")]],
  },
  bench: {
    about: "measures, and prints a table",
    packages: { ...toolchain, ...references, ...rivals },
    kernels: ["fs", "full"],
    steps: (args) => [["bench/main.ts", ...args]],
  },
  kunit: {
    about: "runs the kernel's own unit tests",
    packages: toolchain,
    kernels: ["kunit"],
    steps: (args) => [["--expose-gc", "test/kunit/main.ts", ...args]],
  },
  "kernel:build": {
    about: "builds the kernels (--profile full, fs or kunit)",
    packages: toolchain,
    steps: (args) => [["kernel/build.ts", ...args]],
  },
  "kernel:check": {
    about: "builds a kernel twice in different folders, compares the bytes, and checks the style",
    packages: toolchain,
    steps: (args) => [["kernel/build.ts", "--check", ...args]],
  },
  abi: {
    about: "generates src/abi from the kernel's headers (--check compares)",
    packages: headers,
    steps: (args) => [["abi/generate.ts", ...args]],
  },
  build: {
    about: "writes the published JavaScript to dist/",
    steps: () => build,
  },
  prepack: {
    about: "makes what `npm pack` puts into the package",
    packages: toolchain,
    kernels: ["fs", "full"],
    steps: () => build,
  },
  typecheck: {
    about: "checks the types: of everything, then of the core without any runtime's",
    steps: () => typecheck,
  },
  lint: {
    about: "looks for mistakes (--fix mends some)",
    steps: (args) => [[...lint, ...args]],
  },
  format: {
    about: "lays the sources out (--check only looks)",
    steps: (args) => [[oxfmt, ...args]],
  },
  check: {
    about: "format, lint, typecheck and abi, changing nothing",
    packages: headers,
    steps: () => [[oxfmt, "--check"], lint, ...typecheck, ["abi/generate.ts", "--check"]],
  },
};

/**
 * @param {string[]} args options, and perhaps files
 * @param {string} files the pattern to use when no file is named
 */
function withDefault(args, files) {
  return args.some((arg) => !arg.startsWith("-")) ? args : [...args, files];
}

/** Progress goes to standard error: standard output is the task's. @param {string} message */
function say(message) {
  process.stderr.write(`liblinux: ${message}\n`);
}

/**
 * Runs Node to its end, with this process's terminal.
 * @param {string} node
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>} the exit code, 128 + the signal's number if one ended it
 */
function runNode(node, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(node, args, { stdio: "inherit", env });
    const forward = (/** @type {NodeJS.Signals} */ signal) => child.kill(signal);
    process.on("SIGTERM", forward);
    process.on("SIGINT", () => {}); // the terminal sends it to the child too, which decides
    child.on("error", reject);
    child.on("close", (code, signal) => {
      process.off("SIGTERM", forward);
      resolve(code ?? 128 + constants.signals[signal ?? "SIGTERM"]);
    });
  });
}

/** @param {readonly string[]} argv */
async function main([name = "", ...args]) {
  const task = Object.hasOwn(tasks, name) ? tasks[name] : undefined;
  if (task === undefined) {
    const rows = Object.entries(tasks).map(([key, { about }]) => `  ${key.padEnd(14)}${about}`);
    process.stderr.write(`usage: node scripts/run.mjs TASK [ARGUMENT...]\n${rows.join("\n")}\n`);
    return 2;
  }
  process.chdir(fileURLToPath(new URL("..", import.meta.url)));
  installDependencies(say);
  installPackages(task.packages ?? {}, say);

  const node = runtimePath("node26") ?? process.execPath;
  if (node === process.execPath && Number(process.versions.node.split(".")[0]) < 26) {
    throw new Error(
      `npm has no Node 26 for ${process.platform}-${process.arch}; run with your own`,
    );
  }
  const path = [dirname(node), process.env.PATH ?? ""].join(delimiter);
  const env = { ...process.env, PATH: path, ...(name === "soak" && { LIBLINUX_SOAK: "1" }) };

  const profiles = (task.kernels ?? []).flatMap((profile) => ["--profile", profile]);
  const kernels = profiles.length > 0 ? [["kernel/build.ts", ...profiles]] : [];
  for (const step of [...kernels, ...task.steps(args)]) {
    const code = await runNode(node, step, env);
    if (code !== 0) return code;
  }
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
