// Scripts that are expected to fail, with the reason; a test fails if one of them passes.

/** Reasons by "NAME.pkt (IP VERSION)", of the scripts of the kernel's own source: there are none. */
export const EXPECTED_FAILURES: ReadonlyMap<string, string> = new Map();
