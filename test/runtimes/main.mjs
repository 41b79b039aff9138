// SPDX-License-Identifier: MIT
// Run by each engine: main.mjs PACKAGE IMAGE prints what the image's file holds, twice.
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

import { readHello } from "./boot.mjs";

const [, , top = "", image = ""] = process.argv;
const url = (/** @type {string} */ path) => pathToFileURL(`${top}/${path}`).href;
const [core, disk, virtio] = await Promise.all([
  import(url("index.js")),
  import(url("disk/index.js")),
  import(url("virtio/index.js")),
]);
const blob = new Blob([await readFile(image)]);
for (const shared of [false, true]) console.log(await readHello(core, disk, virtio, blob, shared));
// No exit(): the engine has to end by itself.
