// Which runtime this is.

/** Whether this is Node, or Deno or Bun, which have Node's modules too. */
export function hasNode(): boolean {
  const { process } = globalThis as { process?: { versions?: { node?: string } } };
  return typeof process?.versions?.node === "string";
}
