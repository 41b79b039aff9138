// node test/packetdrill/main.ts [--ip_version=ipv6] [--verbose] [OPTION]… FILE.pkt…

import { applyOption, IP_VERSIONS } from "./config.ts";
import { ScriptError } from "./errors.ts";
import { runScript } from "./run.ts";
import { configOf } from "./source.ts";

const place = { file: "packetdrill", line: 0 };
const flags = process.argv.slice(2).filter((arg) => arg.startsWith("-"));
const files = process.argv.slice(2).filter((arg) => !arg.startsWith("-"));
const verbose = flags.some((flag) => flag === "--verbose" || flag === "-v");
const options = flags
  .filter((flag) => flag !== "--verbose" && flag !== "-v")
  .map((flag) => {
    const [, name = flag, value] = /^--(\w+)(?:=(.*))?$/s.exec(flag) ?? [];
    return { name, value, line: 0 };
  });

let failures = 0;
for (const file of files) {
  try {
    const version = options.find(({ name }) => name === "ip_version")?.value ?? "ipv4";
    const config = configOf(file, IP_VERSIONS.find((known) => known === version) ?? "ipv4");
    for (const option of options) applyOption(config, option, place);
    const { packets, events, deviationNs, notes } = await runScript(file, {
      config,
      ...(verbose && { trace: (line: string) => console.log(line) }),
    });
    for (const note of notes) console.log(note);
    const deviation = (deviationNs / 1e6).toFixed(3);
    console.log(
      `${file}: passed: ${events} events, ${packets} packets, off by ${deviation} ms at most`,
    );
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    console.log(error.message);
    failures++;
  }
}
if (files.length === 0) console.log("usage: node test/packetdrill/main.ts [OPTION]... FILE.pkt...");
process.exitCode = failures || files.length === 0 ? 1 : 0;
