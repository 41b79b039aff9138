// One line of JSON for every test that passed, failed or was left out.

interface Event {
  readonly type: string;
  readonly data: {
    readonly name?: string;
    readonly file?: string;
    readonly skip?: string | boolean;
    readonly details?: { readonly type?: string; readonly error?: { readonly cause?: unknown } };
  };
}

export interface Outcome {
  readonly file: string;
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly why: string;
}

// oxlint-disable-next-line import/no-default-export -- the test runner takes a reporter so.
export default async function* report(events: AsyncIterable<Event>): AsyncGenerator<string> {
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    if (data.details?.type === "suite") continue;
    const outcome = data.skip ? "skipped" : type === "test:pass" ? "passed" : "failed";
    const cause = data.details?.error?.cause;
    const why = cause instanceof Error ? cause.message : "";
    const file = data.file?.replace(/^.*\//, "") ?? "";
    const told: Outcome = { file, name: data.name ?? "", outcome, why };
    yield `${JSON.stringify(told)}\n`;
  }
}
