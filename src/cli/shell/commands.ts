// What a shell over a volume understands: the verbs, and what only a shell has.

import fs from "node:fs";

import { UsageError } from "../errors.ts";
import { printable, write } from "../output.ts";
import { atPlace } from "../places.ts";
import { findVerb, helpText } from "../verbs.ts";
import type { ShellScope } from "./scope.ts";

/** Settles with the exit code; null ends the shell. */
type Command = (scope: ShellScope, args: string[]) => Promise<number | null>;

/** Verbs of liblinux that work in a volume. */
const VERBS = [
  "ls",
  "tree",
  "find",
  "du",
  "df",
  "stat",
  "cat",
  "xattr",
  "cp",
  "mv",
  "ln",
  "rm",
  "mkdir",
  "chmod",
  "chown",
] as const;

/** What only the shell has, with its help. */
const OWN: Readonly<Record<string, readonly [usage: string, about: string, Command]>> = {
  cd: ["cd [DIRECTORY]", "go to a directory; without one to the top", cd],
  pwd: ["pwd", "print the directory", pwd],
  get: ["get [-r] [-p] FILE [LOCAL]", "copy out of the image", get],
  put: ["put [-r] [-p] LOCAL [FILE]", "copy into the image", put],
  lcd: ["lcd [DIRECTORY]", "go to a directory of this machine", lcd],
  lpwd: ["lpwd", "print the directory of this machine", lpwd],
  help: ["help [COMMAND]", "this, or a command's options", help],
  exit: ["exit", "leave; so does the end of the input", async () => null],
};

export const COMMANDS: readonly string[] = [...VERBS, ...Object.keys(OWN), "quit"].toSorted();

export async function execute(scope: ShellScope, words: readonly string[]): Promise<number | null> {
  const [given, ...args] = words;
  if (given === undefined) return 0;
  const name = given === "quit" ? "exit" : given;
  const verb = VERBS.find((one) => one === name);
  if (args.includes("--help")) return help(scope, [name]);
  if (verb !== undefined) return (await findVerb(verb).load())(args, scope);
  if (Object.hasOwn(OWN, name)) return OWN[name][2](scope, args);
  throw new UsageError(undefined, `${name}: there is no such command; help lists them`);
}

function most(name: string, args: readonly string[], count: number): void {
  if (args.length > count) throw new UsageError("shell", `it is ${OWN[name][0]}`);
}

async function cd(scope: ShellScope, args: string[]): Promise<number> {
  most("cd", args, 1);
  const place = scope.address(args[0] ?? "/");
  await atPlace(place, async () => {
    const { promises } = scope.volume.fs;
    if (!(await promises.stat(place.path)).isDirectory())
      throw Object.assign(new Error("ENOTDIR: not a directory, chdir"), { syscall: "chdir" });
  });
  scope.directory = place.path;
  return 0;
}

async function pwd(scope: ShellScope, args: string[]): Promise<number> {
  most("pwd", args, 0);
  await write(`${printable(scope.directory)}\n`);
  return 0;
}

async function lcd(scope: ShellScope, args: string[]): Promise<number> {
  most("lcd", args, 1);
  const path = scope.local(args[0] ?? "");
  if (!fs.statSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError("shell", `${path}: is no directory of this machine`);
  scope.localDirectory = path;
  return 0;
}

async function lpwd(scope: ShellScope, args: string[]): Promise<number> {
  most("lpwd", args, 0);
  await write(`${scope.localDirectory}\n`);
  return 0;
}

async function get(scope: ShellScope, args: string[]): Promise<number> {
  const [options, [file, local = ".", ...more]] = apart(args);
  if (file === undefined || more.length) throw new UsageError("shell", `it is ${OWN["get"][0]}`);
  const mixed = scope.mixed();
  return copy(mixed, [...options, "--", mixed.mark(file), scope.local(local)]);
}

async function put(scope: ShellScope, args: string[]): Promise<number> {
  const [options, [local, file = ".", ...more]] = apart(args);
  if (local === undefined || more.length) throw new UsageError("shell", `it is ${OWN["put"][0]}`);
  const mixed = scope.mixed();
  return copy(mixed, [...options, "--", scope.local(local), mixed.mark(file)]);
}

async function copy(scope: ReturnType<ShellScope["mixed"]>, args: string[]): Promise<number> {
  return (await findVerb("cp").load())(args, scope);
}

/** Options, which are flags here, and the others. */
function apart(args: readonly string[]): [options: string[], others: string[]] {
  const isOption = (text: string) => text.startsWith("-") && text !== "-";
  return [args.filter(isOption), args.filter((text) => !isOption(text))];
}

async function help(_: ShellScope, [name]: string[]): Promise<number> {
  if (name === undefined) {
    const rows = [
      ...VERBS.map((verb) => [verb, findVerb(verb).about]),
      ...Object.values(OWN).map(([usage, about]) => [usage, about]),
    ];
    const lines = rows.map(([what, about]) => `  ${what.padEnd(26)} ${about}\n`);
    await write(
      `${lines.join("")}\nFiles are named as in a shell, with *, ? and quotes; options are the verbs' own.\n`,
    );
  } else if (Object.hasOwn(OWN, name)) await write(`${OWN[name][0]}: ${OWN[name][1]}\n`);
  else await write(helpText(name));
  return 0;
}
