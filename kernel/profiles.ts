// SPDX-License-Identifier: GPL-2.0
// The kernels that are built, and how their configuration fragments combine.

import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Profile {
  readonly name: string;
  /** Names in kernel/config; where two fragments disagree the later one wins. */
  readonly fragments: readonly string[];
  /** Objects that a cold build compiles, about; only the progress line needs it. */
  readonly objects: number;
  /** Part of the published package. */
  readonly shipped: boolean;
}

export const PROFILES: readonly Profile[] = [
  { name: "fs", fragments: ["base", "fs-small"], objects: 576, shipped: true },
  { name: "full", fragments: ["base", "fs-small", "fs", "net"], objects: 1900, shipped: true },
  {
    name: "kunit",
    fragments: ["base", "fs-small", "fs", "net", "kunit"],
    objects: 2010,
    shipped: false,
  },
];

/** Option name (with CONFIG_) to value as .config writes it; "n" where it is not set. */
export type Options = Map<string, string>;

/** The merged fragments of a profile. */
export function requestedOptions(profile: Profile, kernelDir: string): Options {
  const options: Options = new Map();
  for (const fragment of profile.fragments) {
    const path = join(kernelDir, "config", `${fragment}.config`);
    for (const [name, value] of parseOptions(readFileSync(path, "utf8"))) options.set(name, value);
  }
  return options;
}

/** Reads a fragment or a .config. */
export function parseOptions(text: string): Options {
  const options: Options = new Map();
  for (const line of text.split("\n")) {
    const unset = /^# (CONFIG_\w+) is not set$/.exec(line);
    const set = /^(CONFIG_\w+)=(.*)$/.exec(line);
    if (unset?.[1] !== undefined) options.set(unset[1], "n");
    else if (set?.[1] !== undefined && set[2] !== undefined) options.set(set[1], set[2]);
  }
  return options;
}

export function formatOptions(options: Options): string {
  const lines: string[] = [];
  for (const [name, value] of options) {
    lines.push(value === "n" ? `# ${name} is not set` : `${name}=${value}`);
  }
  return lines.join("\n") + "\n";
}

/** One line for each option that configuring did not leave as it was asked for. */
export function refusedOptions(requested: Options, actual: Options): string[] {
  const refused: string[] = [];
  for (const [name, value] of requested) {
    const got = actual.get(name) ?? "n";
    if (got !== value) refused.push(`${name}=${value} became ${got}`);
  }
  return refused;
}
