// What docs/sockets.md shows in full is run as it stands.

import { test } from "node:test";

import { runExamples } from "./docs-examples.ts";

test("the examples of docs/sockets.md that boot a kernel", () =>
  runExamples("docs/sockets.md", [/^hello from Linux\n\n$/, /^127\.0\.0\.5 \d{19}n\n$/], (code) =>
    code.includes("Kernel.boot("),
  ));
