// SPDX-License-Identifier: MIT
// Keeps node_modules as package-lock.json says.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

import { runtimePath } from "./runtimes.mjs";

const top = fileURLToPath(new URL("..", import.meta.url));

/**
 * @param {string} path
 * @returns {Record<string, { version?: string, integrity?: string, optional?: boolean }>}
 */
function lockedPackages(path) {
  return JSON.parse(readFileSync(top + path, "utf8")).packages;
}

/** Whether node_modules holds what package-lock.json lists, by npm's own record of it. */
function dependenciesCurrent() {
  if (!existsSync(`${top}node_modules/.package-lock.json`)) return false;
  const installed = lockedPackages("node_modules/.package-lock.json");
  return Object.entries(lockedPackages("package-lock.json")).every(([path, wanted]) => {
    const found = installed[path];
    if (found === undefined) return path === "" || wanted.optional === true;
    return found.version === wanted.version && found.integrity === wanted.integrity;
  });
}

/** Several packages hold a `node`: the one that npm's scripts find is the newest. */
function linkNode() {
  const node = runtimePath("node26");
  if (node === undefined) return;
  const link = `${top}node_modules/.bin/node`;
  const target = relative(`${top}node_modules/.bin`, node);
  if (existsSync(link) && readlinkSync(link) === target) return;
  rmSync(link, { force: true });
  symlinkSync(target, link);
}

/** @param {(message: string) => void} say */
export function installDependencies(say) {
  if (!dependenciesCurrent()) {
    say("installing npm packages");
    const run = spawnSync("npm", ["ci", "--ignore-scripts", "--no-progress", "--loglevel=error"], {
      cwd: top,
      stdio: ["ignore", "pipe", "pipe"],
      encoding: "utf8",
      shell: process.platform === "win32",
    });
    if (run.status !== 0) {
      throw new Error(`npm ci failed (${run.error?.message ?? run.status}):\n${run.stderr}`);
    }
  }
  linkNode();
}
