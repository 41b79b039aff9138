// Reads the kernel's own test results: KTAP (Documentation/dev-tools/ktap.rst) in its log.

/** What the suites of a run came to. */
export interface Totals {
  suites: number;
  passed: number;
  failed: number;
  skipped: number;
  /** The results that are no pass, with the suite they belong to. */
  readonly failures: string[];
  readonly skips: string[];
}

const RESULT = /^(\s*)(ok|not ok) \d+ ?-? ?(.*)$/;
const SUBTEST = /^\s*# Subtest: (.*)$/;

/** Counts the test cases; a case with parameters counts as one. */
export function summarize(lines: Iterable<string>): Totals {
  const totals: Totals = { suites: 0, passed: 0, failed: 0, skipped: 0, failures: [], skips: [] };
  const path: string[] = [];
  for (const line of lines) {
    const subtest = SUBTEST.exec(line);
    const depth = (/^ */.exec(line)?.[0].length ?? 0) / 4;
    if (subtest) {
      // "# Subtest" is printed at the depth of its own cases.
      path.length = depth;
      path[depth - 1] = subtest[1]!;
      continue;
    }
    const result = RESULT.exec(line);
    if (!result) continue;
    const [, , verdict, text = ""] = result;
    const [name = "", directive = ""] = text.split(" # ");
    if (depth === 0) {
      totals.suites++;
      if (verdict === "not ok") totals.failures.push(name);
      continue;
    }
    if (depth > 1) continue;
    const full = `${path[0] ?? "?"}: ${name}`;
    if (directive.startsWith("SKIP")) {
      totals.skipped++;
      totals.skips.push(`${full} (${directive.slice(5)})`);
    } else if (verdict === "ok") totals.passed++;
    else {
      totals.failed++;
      totals.failures.push(full);
    }
  }
  return totals;
}
