// Results that are not the port's fault, each with its reason. One that passes after all is an
// error too: then the line goes.

/** Test cases that fail, as "suite: case". */
export const KNOWN_FAILURES: ReadonlyMap<string, string> = new Map([
  [
    "overflow: DEFINE_FLEX_test",
    "clang 22 knows the size on the stack of a structure with __counted_by, where the test of " +
      "Linux 6.12 expects what older compilers said",
  ],
]);

/** Suites that fail for no other reason than those. */
export const KNOWN_SUITES: ReadonlySet<string> = new Set(
  [...KNOWN_FAILURES.keys()].map((name) => name.split(":")[0]),
);
