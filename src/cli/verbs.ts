// The verbs of the command line, and their help.

import { readFileSync } from "node:fs";

import { UsageError } from "./errors.ts";
import { CHANGE_VERBS } from "./verbs/change.ts";
import { COPY_VERBS } from "./verbs/copy.ts";
import { FETCH_VERBS } from "./verbs/fetch.ts";
import { LOOK_VERBS } from "./verbs/look.ts";
import { MAKE_VERBS } from "./verbs/make.ts";
import { MORE_VERBS } from "./verbs/more.ts";
import { NET_VERBS } from "./verbs/net.ts";
import { ADDRESS } from "./verbs/verb.ts";
import type { Options, Verb } from "./verbs/verb.ts";

type Verbs = Readonly<Record<string, Verb>>;

const GROUPS: readonly (readonly [title: string, verbs: Verbs])[] = [
  ["Looking at images", LOOK_VERBS],
  ["Copying", COPY_VERBS],
  ["Changing files of images", CHANGE_VERBS],
  ["Making images", MAKE_VERBS],
  ["The network", { ...NET_VERBS, ...FETCH_VERBS }],
  ["More", MORE_VERBS],
];

const VERBS: Verbs = Object.assign({}, ...GROUPS.map(([, verbs]) => verbs));

export const SHELLS: readonly string[] = ["bash", "zsh", "fish"];

const HELP = "this, or a verb's options: liblinux help ls";

const shown = (verbs: Verbs) => Object.entries(verbs).filter(([, { hidden }]) => !hidden);

export const verbNames = (): string[] => shown(VERBS).map(([name]) => name);

export function verbsWithAbout(): { value: string; about: string }[] {
  const rows = shown(VERBS).map(([value, { about }]) => ({ value, about }));
  return [...rows, { value: "help", about: "the verbs, or a verb's options" }];
}

export function findVerb(name: string): Verb {
  const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (verb) return verb;
  const what = name.startsWith("-") ? "option" : "verb";
  throw new UsageError(undefined, `${name}: there is no such ${what}`);
}

/** An option, as the help has it. */
export interface OptionHelp {
  /** E.g. `-l` and `--long`. */
  readonly names: readonly string[];
  /** What has to follow; empty for a flag. */
  readonly argument: string;
  readonly about: string;
}

export function optionsOf(name: string): OptionHelp[] {
  return Object.entries(findVerb(name).options).map(([text, about]) => {
    const [names, argument = ""] = text.split(/ (?=[A-Z])/);
    return { names: names.split(", "), argument, about };
  });
}

const WIDTH = 80;
/** Where the descriptions of options begin, unless the option itself is longer. */
const INDENT = 22;

/** Lines of words, none longer than fits; what an empty line parts stays apart. */
function wrapped(text: string, indent = 0): string {
  const paragraphs = text.split("\n\n").map((paragraph) => {
    let line = "";
    let all = "";
    for (const word of paragraph.split(/\s+/)) {
      if (line && line.length + word.length + 1 > WIDTH - indent) {
        all += `${line}\n${" ".repeat(indent)}`;
        line = word;
      } else line += (line && " ") + word;
    }
    return all + line;
  });
  return paragraphs.join("\n\n");
}

function optionLines(options: Options): string {
  return Object.entries(options)
    .map(([names, about]) => {
      const head = `  ${names}`.padEnd(INDENT - 2);
      const own = head.length > INDENT - 2 ? `\n${" ".repeat(INDENT)}` : "  ";
      return `${head}${own}${wrapped(about, INDENT)}\n`;
    })
    .join("");
}

function verbHelp(name: string): string {
  const { usage, about, text, options, examples = [], exits } = findVerb(name);
  const parts = [
    `liblinux ${usage}\n`,
    `${wrapped(`${about[0].toUpperCase()}${about.slice(1)}.`)}\n`,
    text && `${wrapped(text)}\n`,
    Object.keys(options).length ? `Options:\n${optionLines(options)}` : "",
    examples.length
      ? `${examples.length > 1 ? "Examples" : "Example"}:\n${examples.map((line) => `  ${line}\n`).join("")}`
      : "",
    `${wrapped(`Exit codes: ${exits ?? "0 done, 1 failed, 2 the command line makes no sense."}`)}\n`,
  ];
  return parts.filter(Boolean).join("\n");
}

export function helpText(topic: string | undefined): string {
  if (topic !== undefined && topic !== "help") return verbHelp(topic);
  const groups = GROUPS.map(([title, verbs]) => {
    const rows = shown(verbs).map(([name, { about }]) => `  ${name.padEnd(10)} ${about}\n`);
    return `${title}:\n${rows.join("")}`;
  });
  return `liblinux: the Linux kernel as a library, and disk images without mounting them

usage: liblinux VERB [ARGUMENT...]

${groups.join("\n")}  help       ${HELP}

${wrapped(ADDRESS)}

Examples:
  liblinux ls -l disk.img:/etc
  liblinux cat disk.img:2:/etc/fstab
  liblinux cp -r disk.img:/var/log ./logs

Exit codes: 0 done, 1 failed, 2 the command line makes no sense.
`;
}

export function packageVersion(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
