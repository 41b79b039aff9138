// node test/packetdrill/main.ts [--ip_version=ipv6] [--verbose] [OPTION]... FILE.pkt...

import { IP_VERSIONS } from "./config.ts";
import { ScriptError } from "./errors.ts";
import { parseOption } from "./lexer.ts";
import type { ScriptOption } from "./lexer.ts";
import { runScript } from "./run.ts";
import { setupFor, versionsOf } from "./source.ts";

interface CommandLine {
  readonly files: readonly string[];
  readonly options: readonly ScriptOption[];
  readonly verbose: boolean;
}

function readCommandLine(words: readonly string[]): CommandLine {
  const files: string[] = [];
  const options: ScriptOption[] = [];
  let verbose = false;
  for (let at = 0; at < words.length; at++) {
    const option = parseOption(words[at]);
    if (words[at] === "-v" || option?.name === "verbose") verbose = true;
    else if (words[at] === "-D") options.push({ name: "define", value: words[++at], line: 0 });
    else if (option) options.push(option);
    else files.push(words[at]);
  }
  return { files, options, verbose };
}

const { files, options, verbose } = readCommandLine(process.argv.slice(2));
const wanted = options.find(({ name }) => name === "ip_version")?.value;

/** As told, or the first that a script is for. */
const versionFor = (file: string) =>
  IP_VERSIONS.find((known) => known === wanted) ?? versionsOf(file)[0] ?? "ipv4";

let failures = 0;
for (const file of files) {
  try {
    const setup = setupFor(file, versionFor(file));
    const { packets, events, deviationNs, notes } = await runScript(file, {
      ...setup,
      options: [...setup.options, ...options],
      ...(verbose && { trace: (line: string) => console.log(line) }),
    });
    for (const note of notes) console.log(note);
    const deviation = (deviationNs / 1e6).toFixed(3);
    console.log(
      `${file}: passed: ${events} events, ${packets} packets, off by ${deviation} ms at most`,
    );
  } catch (error) {
    const unreadable = error instanceof Error && "syscall" in error && "path" in error;
    if (!(error instanceof ScriptError || unreadable)) throw error;
    console.log(error.message);
    failures++;
  }
}
if (files.length === 0) console.log("usage: node test/packetdrill/main.ts [OPTION]... FILE.pkt...");
process.exitCode = failures || files.length === 0 ? 1 : 0;
