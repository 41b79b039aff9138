// liblinux boot: a kernel's log, and how long it took.

import { readText } from "../fs/files.ts";
import { Kernel } from "../kernel.ts";
import { formatRecord } from "../machine/log.ts";
import type { LogRecord } from "../machine/log.ts";
import { loadImage } from "../platform/image.ts";
import { UsageError } from "./errors.ts";
import { kernelChoice, KERNEL_OPTIONS, parse } from "./options.ts";
import { styled, write } from "./output.ts";

/** Levels of syslog, and none. */
const LEVELS = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
const WARNING = 4;

function levelOf(name: string): number {
  if (name === "none") return -1;
  const level = /^[0-7]$/.test(name) ? Number(name) : LEVELS.indexOf(name);
  if (level < 0)
    throw new UsageError("boot", `--log ${name}: it is none, ${LEVELS.join(", ")}, or 0 to 7`);
  return level;
}

export async function boot(args: string[]): Promise<number> {
  const { values, positionals } = parse("boot", args, {
    ...KERNEL_OPTIONS,
    log: { type: "string", default: "info" },
    append: { type: "string", default: "" },
    json: { type: "boolean", default: false },
  });
  if (positionals.length) throw new UsageError("boot", `${positionals[0]}: boots no image`);
  const choice = kernelChoice("boot", values, ["fs", "full", "kunit"]);
  const most = levelOf(values.log);
  const line = (record: LogRecord) => {
    if (values.json) return JSON.stringify(record);
    const text = formatRecord(record);
    return record.level <= WARNING ? styled("yellow", text) : text;
  };
  let listening = true;
  const show = (record: LogRecord) => {
    if (listening && record.level <= most) process.stdout.write(`${line(record)}\n`);
  };
  const start = performance.now();
  const image = await loadImage(choice.profile ?? "fs");
  await image.module(false);
  const loadMs = performance.now() - start;
  const { memoryMiB } = choice;
  await using kernel = await Kernel.boot({
    image,
    memoryMiB,
    commandLine: values.append,
    console: show,
  });
  listening = false;
  const called = performance.now();
  await kernel.init.getpid();
  const callMs = performance.now() - called;
  const release = (await readText(kernel.init, "/proc/sys/kernel/osrelease")).trim();
  const timings = { loadMs, bootMs: kernel.bootMs, firstCallMs: callMs, startMs: called };
  if (values.json) {
    await write(`${JSON.stringify({ release, memoryMiB, timings })}\n`);
    return 0;
  }
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  await write(
    `${most < 0 ? "" : "\n"}Linux ${release} is up: loaded and compiled in ${ms(loadMs)}, ` +
      `booted in ${ms(kernel.bootMs)}, first call in ${ms(callMs)}, ` +
      `${ms(called)} since this process started\n`,
  );
  return 0;
}
