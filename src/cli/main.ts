#!/usr/bin/env node
// The command line. Verbs are loaded when they are asked for, so that starting costs little.

import module from "node:module";

import { assertJspi } from "../machine/jspi.ts";
import { describeError, FailedError, UsageError } from "./errors.ts";
import { interrupt, InterruptedError } from "./interrupt.ts";
import { printable } from "./output.ts";
import { findVerb, helpText, packageVersion } from "./verbs.ts";

/** Exit codes: done; failed; the command line makes no sense; ended by an interrupt. */
const OK = 0;
const FAILED = 1;
const USAGE = 2;
const INTERRUPTED = 130;

/** A reader that has enough, as in `liblinux cat … | head`, is no failure. */
function quietOnBrokenPipe(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? OK : FAILED);
  });
}

function complain(verb: string | undefined, problem: string): void {
  const line = problem.replaceAll(/\s*\n\s*/g, " ");
  // Labels and names of an image may be in it.
  process.stderr.write(
    printable(`liblinux: ${verb === undefined ? "" : `${verb} `}${line}`) + "\n",
  );
}

/** Behind `--` are no options. */
function asksIn(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? args.length : end).includes("--help");
}

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...args] = argv;
  if (name === "--version" || name === "-V") {
    process.stdout.write(`${packageVersion()}\n`);
    return OK;
  }
  const asksForHelp = name === "help" || name === "--help" || name === "-h";
  const topic = asksForHelp ? args[0] : asksIn(args) ? name : undefined;
  if (asksForHelp || topic !== undefined) {
    process.stdout.write(helpText(topic));
    return OK;
  }
  if (name === undefined) {
    process.stderr.write(helpText(undefined));
    return USAGE;
  }
  const verb = findVerb(name);
  // Before loading anything: an engine without it may not even know the syntax.
  assertJspi();
  const run = await verb.load();
  return await run(args);
}

// What was compiled, and stripped of its types, is kept for the next start.
module.enableCompileCache?.();
quietOnBrokenPipe();
process.on("SIGINT", () => {
  if (!interrupt()) process.exit(INTERRUPTED);
});
const argv = process.argv.slice(2);
try {
  process.exitCode = await main(argv);
} catch (error) {
  const usage = error instanceof UsageError;
  const verb = usage ? error.verb && `${error.verb}:` : argv[0];
  complain(verb, describeError(error));
  const interrupted = error instanceof InterruptedError ? INTERRUPTED : undefined;
  const own = error instanceof FailedError ? error.exitCode : undefined;
  process.exitCode = usage ? USAGE : (interrupted ?? own ?? findVerb(argv[0]).failed ?? FAILED);
}
