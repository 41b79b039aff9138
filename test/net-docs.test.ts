// What docs/net.md shows is run as it stands.

import { test } from "node:test";

import { runExamples } from "./docs-examples.ts";

test("the examples of docs/net.md", () =>
  runExamples("docs/net.md", [
    /^10\.0\.2\.15\/24 \{ nameservers: \[ '10\.0\.2\.3' \] \}\n$/,
    /^default 10\.0\.0\.254 eth0\n10\.0\.0\.0\/24 - eth0\nfd00::\/64 - eth0\n/,
    /gateway: '10\.0\.0\.1'[^]*device: 'eth0'/,
    /^\d+ - -\n\d+ administration 0\n\d+ - -\n$/,
    /^netem 20 0\n$/,
    /^set lo true\n$/,
    /^[A-Za-z\d+/]{43}=\n$/,
  ]));
