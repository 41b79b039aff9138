// What is expected of node:fs, below a prefix.

import fs from "node:fs";

import { hijack } from "../../src/hijack/index.ts";
import { EVERYTHING, fsContract } from "../contract/fs/contract.ts";

fsContract("node:fs, hijacked", async () => ({
  fs,
  root: "/disk",
  can: EVERYTHING,
  mkfifo: (path) => hijack!.fs!.linux.mkfifo(path),
  done: async () => {},
}));
