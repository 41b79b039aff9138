// SPDX-License-Identifier: MIT
// Where the engines are that scripts/runtimes/package.json installs.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** npm puts a workspace's packages into the first, or into the second if it must. */
const modules = ["../node_modules/", "runtimes/node_modules/"].map((folder) =>
  fileURLToPath(new URL(folder, import.meta.url)),
);
const { platform, arch } = process;

/** Path in node_modules of each engine's executable on this platform. */
const paths = {
  node26: `node26-${platform}-${arch}/bin/node`,
  node24: `node24-${platform}-${arch}/bin/node`,
  deno: `@deno/${platform}-${arch}${platform === "linux" ? "-glibc" : ""}/deno`,
  bun: `@oven/bun-${platform}-${arch === "arm64" ? "aarch64" : arch}/bin/bun`,
};

/** @typedef {keyof typeof paths} RuntimeName */

/** The engines of the runtime matrix, the one that runs the scripts first. */
export const runtimeNames = /** @type {readonly RuntimeName[]} */ (Object.keys(paths));

/**
 * The absolute path of an engine's executable; undefined where npm has none for this platform.
 * @param {RuntimeName} name
 * @returns {string | undefined}
 */
export function runtimePath(name) {
  return modules.map((folder) => folder + paths[name]).find((path) => existsSync(path));
}
