// liblinux shell: a small shell over a volume of an image.

import { createInterface } from "node:readline";

import type { Image } from "../image/index.ts";
import { parseAddress } from "./address.ts";
import { describeError, UsageError } from "./errors.ts";
import { kernelChoice, parse, READ_OPTIONS } from "./options.ts";
import { printable, write } from "./output.ts";
import { openImage, openVolume } from "./session.ts";
import { execute } from "./shell/commands.ts";
import { completeLine } from "./shell/complete.ts";
import { ShellScope } from "./shell/scope.ts";
import { Terminal } from "./shell/terminal.ts";
import { commandOf } from "./shell/words.ts";

export async function shell(args: string[]): Promise<number> {
  const { values, positionals } = parse("shell", args, {
    ...READ_OPTIONS,
    write: { type: "boolean", short: "w", default: false },
    command: { type: "string", short: "c", multiple: true },
  });
  const [text, ...more] = positionals;
  if (text === undefined || more.length) throw new UsageError("shell", "which image?");
  const address = parseAddress(text);
  const access = { ...kernelChoice("shell", values), write: values.write };
  await using image = await openImage(address.image, access);
  await using volume = await openVolume(image, address, access);
  const scope = new ShellScope(image, volume, address, values.write);
  await execute(scope, ["cd", address.path ?? "/"]);
  if (values.command) return await script(scope, values.command);
  if (process.stdin.isTTY && process.stdout.isTTY) return await converse(scope, image);
  return await script(scope, createInterface({ input: process.stdin, crlfDelay: Infinity }));
}

/** What fails ends it: commands that follow may rely on it. */
async function script(
  scope: ShellScope,
  lines: Iterable<string> | AsyncIterable<string>,
): Promise<number> {
  for await (const line of lines) {
    const code = await execute(scope, commandOf(line));
    if (code === null) break;
    if (code !== 0) return code;
  }
  return 0;
}

/** What fails is told, and the next command is asked for. */
async function converse(scope: ShellScope, image: Image): Promise<number> {
  const terminal = new Terminal({
    history: "shell-history",
    prompt: () => `${scope.directory}> `,
    complete: (line) => completeLine(scope, line),
  });
  try {
    for (;;) {
      const line = await terminal.ask();
      if (line === null) {
        await write("\n");
        return 0;
      }
      try {
        if ((await execute(scope, commandOf(line))) === null) return 0;
      } catch (error) {
        process.stderr.write(`${printable(describeError(error).replaceAll("\n", " "))}\n`);
        if (!image.kernel.running) return 1;
      }
    }
  } finally {
    terminal.close();
  }
}
