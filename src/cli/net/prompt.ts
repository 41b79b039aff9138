// liblinux net on a terminal: commands are asked for, and what they print is shown.

import { InterruptedError, Interruptible } from "../interrupt.ts";
import { printable, write } from "../output.ts";
import { Terminal } from "../shell/terminal.ts";
import { wordsOf } from "../shell/words.ts";
import type { Context } from "./command.ts";
import { helpText, parseLine } from "./commands.ts";
import { expectedAfter } from "./complete.ts";
import { explained } from "./errors.ts";
import { linesOf } from "./lines.ts";
import { WordError } from "./words.ts";
import type { World } from "./world.ts";

/** Until the end of the input, or "exit". What fails is told, and the next command is asked for. */
export async function converse(
  world: World,
  context: (signal: AbortSignal) => Context,
): Promise<number> {
  const terminal = new Terminal({
    history: "net-history",
    prompt: () => "net> ",
    complete: (line) => complete(world, line),
  });
  try {
    for (;;) {
      const line = await terminal.ask();
      if (line === null) {
        await write("\n");
        return 0;
      }
      if (/^\s*(exit|quit)\s*$/.test(line)) return 0;
      await execute(line, context);
      if (!world.kernel.running) return 1;
    }
  } finally {
    terminal.close();
  }
}

async function execute(text: string, context: (signal: AbortSignal) => Context): Promise<void> {
  using work = new Interruptible();
  try {
    for (const line of linesOf(text, ""))
      if (line.words[0] === "help") await write(helpText());
      else await parseLine({ ...line, place: "" })(context(work.signal));
  } catch (error) {
    if (work.signal.aborted || error instanceof InterruptedError) return;
    const problem = error instanceof WordError ? error.problem : explained(error, text);
    process.stderr.write(`${printable(problem.replaceAll("\n", " "))}\n`);
  }
}

/** For readline: candidates for the last word. */
async function complete(world: World, line: string): Promise<[string[], string]> {
  const command = line.slice(line.lastIndexOf(";") + 1);
  const words = wordsOf(command);
  const last = words.at(-1);
  const begins = !last || (/\s$/.test(command) && !last.open);
  const typed = begins ? "" : last.text;
  const before = (begins ? words : words.slice(0, -1)).map(({ text }) => text);
  const expected = expectedAfter(before);
  const names = expected.includes("")
    ? (await world.home.network.link.list()).map(({ name }) => name)
    : expected;
  const found = names.filter((one) => one.startsWith(typed)).map((one) => `${one} `);
  return [[...new Set(found)], typed];
}
