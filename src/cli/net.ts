// liblinux net: a kernel with a network, and commands in it that read like iproute2's.
//
// Invariants: what can be understood is, before a kernel boots: a script that makes no sense has no effect.

import { readFileSync } from "node:fs";

import { UsageError } from "./errors.ts";
import { Interruptible } from "./interrupt.ts";
import type { Command, Context } from "./net/command.ts";
import { COMMAND_NAMES, helpText, parseLine } from "./net/commands.ts";
import { LineError } from "./net/errors.ts";
import { objectNamed } from "./net/ip/index.ts";
import { linesOf } from "./net/lines.ts";
import type { Line } from "./net/lines.ts";
import { PLUG_OPTIONS, plugged } from "./net/outside.ts";
import { converse } from "./net/prompt.ts";
import { WordError } from "./net/words.ts";
import { kernelChoice, KERNEL_OPTIONS, parse } from "./options.ts";
import { write } from "./output.ts";

/** A command, and where it was written. */
interface Understood {
  readonly line: Line;
  readonly command: Command;
}

export async function net(args: string[]): Promise<number> {
  if (args.length === 1 && args[0] === "help") {
    await write(helpText());
    return 0;
  }
  const { own, rest } = apart(args);
  const { values, positionals } = parse("net", own, {
    ...KERNEL_OPTIONS,
    ...PLUG_OPTIONS,
    command: { type: "string", short: "c", multiple: true },
    force: { type: "boolean", default: false },
    json: { type: "boolean", short: "j", default: false },
    "dry-run": { type: "boolean", default: false },
  });
  const [file, ...more] = positionals;
  if (more.length) throw new UsageError("net", `${more[0]}: there is one script at a time`);
  if (file !== undefined && rest.length) throw new UsageError("net", `${file}: which command?`);
  const source = sourceOf(file, values.command, rest);
  const onTerminal = process.stdin.isTTY && process.stdout.isTTY;
  if (source === null && !onTerminal)
    throw new UsageError(
      "net",
      "which commands? a script, one command, -c, or - for standard input",
    );
  const understood = source === null ? [] : understand(source);
  if (values["dry-run"]) return 0;
  const choice = kernelChoice("net", values);
  if (choice.profile === "fs")
    throw new UsageError("net", "--profile fs: only the full kernel has a network");
  await using outside = await plugged(values, choice.memoryMiB);
  const context = (signal: AbortSignal): Context => ({
    world: outside.world,
    space: outside.world.home,
    network: outside.world.home.network,
    json: values.json,
    signal,
    write,
  });
  const code = await start(outside.beginning, context);
  if (code !== 0) return code;
  if (source !== null) return await run(understood, context, values.force);
  return await converse(outside.world, context);
}

/** Options of ours, and the command behind them, if there is one: its options are its own. */
function apart(args: readonly string[]): { own: string[]; rest: string[] } {
  const takesValue = (word: string) =>
    ["-c", "--command", "--profile", "--memory"].includes(word) ||
    Object.entries(PLUG_OPTIONS).some(
      ([name, { type }]) => word === `--${name}` && type === "string",
    );
  let at = 0;
  while (at < args.length && args[at].startsWith("-") && args[at] !== "--" && args[at] !== "-")
    at += takesValue(args[at]) ? 2 : 1;
  const first = args[at] === "--" ? at + 1 : at;
  const word = args[first];
  const isCommand =
    word !== undefined &&
    (args[at] === "--" || COMMAND_NAMES.includes(word) || objectNamed(word) !== undefined);
  return isCommand
    ? { own: args.slice(0, at), rest: args.slice(first) }
    : { own: [...args], rest: [] };
}

type Source = readonly (readonly [name: string, text: string | readonly string[]])[];

/** Where commands come from; null: nobody said. */
function sourceOf(
  file: string | undefined,
  commands: readonly string[] | undefined,
  rest: readonly string[],
): Source | null {
  const given: Source = [
    ...(file === undefined ? [] : [[file, readScript(file)] as const]),
    ...(commands ?? []).map((text) => ["-c", text] as const),
    ...(rest.length ? [["", rest] as const] : []),
  ];
  return given.length ? given : null;
}

function readScript(path: string): string {
  try {
    return readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (error) {
    const { code = "EIO" } = error as NodeJS.ErrnoException;
    throw new UsageError("net", `${path}: ${code}: no script that can be read, and no command`);
  }
}

/** @throws {UsageError} about the first that makes no sense */
function understand(source: Source): Understood[] {
  try {
    return source
      .flatMap(([name, text]) => {
        if (typeof text === "string") return linesOf(text, name);
        return [{ words: text, text: text.join(" "), place: name }];
      })
      .map((line) => ({ line, command: parseLine(line) }));
  } catch (error) {
    if (error instanceof WordError) throw new UsageError("net", error.message);
    throw error;
  }
}

/** What is asked for by options before anything else. */
async function start(
  commands: readonly string[],
  context: (signal: AbortSignal) => Context,
): Promise<number> {
  return run(understand(commands.map((text) => ["", text])), context, false);
}

/** What fails ends it, unless it is forced on: commands that follow may rely on it. */
async function run(
  commands: readonly Understood[],
  context: (signal: AbortSignal) => Context,
  force: boolean,
): Promise<number> {
  using work = new Interruptible();
  let code = 0;
  for (const { line, command } of commands)
    try {
      await command(context(work.signal));
      work.signal.throwIfAborted();
    } catch (error) {
      work.signal.throwIfAborted();
      const failure = new LineError(line, error);
      if (!force) throw failure;
      process.stderr.write(`liblinux: net ${failure.message.replaceAll("\n", " ")}\n`);
      code = 1;
    }
  return code;
}
