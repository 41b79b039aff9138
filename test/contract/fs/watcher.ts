// Watches a file in one way, and tells whether that keeps the program from ending. Run by
// test/facade-watch.test.ts.

import nodeFs from "node:fs";
import process from "node:process";
import { runInNewContext } from "node:vm";

import { createFs } from "../../../src/fs/index.ts";
import { Kernel } from "../../../src/index.ts";

/** Longer than a program needs to end that nothing holds. */
const WAIT_MS = 300;

const [, , subject, watch] = process.argv;

async function kernelFs() {
  const kernel = await Kernel.boot({ image: "fs" });
  return createFs(await kernel.process({ cwd: "/" }));
}

const fs = subject === "node" ? nodeFs : await kernelFs();
runInNewContext(watch, { fs, path: "/" });
setTimeout(() => {
  process.stdout.write("held\n");
  process.exit();
}, WAIT_MS).unref();
