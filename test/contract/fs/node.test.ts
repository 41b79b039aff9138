// The oracle: node:fs itself, in a temporary folder.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import process from "node:process";

import { temporaryFolder } from "../../images/native.ts";
import { EVERYTHING, fsContract } from "./contract.ts";

fsContract("node:fs", async () => {
  const folder = temporaryFolder();
  const umask = process.umask(0o022);
  return {
    fs,
    root: fs.realpathSync(folder.path),
    can: EVERYTHING,
    mkfifo: (path) => void execFileSync("mkfifo", [path]),
    done: async () => {
      process.umask(umask);
      folder[Symbol.dispose]();
    },
  };
});
