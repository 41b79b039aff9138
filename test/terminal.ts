// A terminal of a command's own, and somebody who types there.

import { spawn } from "node:child_process";

/** After so long it is stuck. */
const STUCK_MS = 60_000;

/** When something is shown, keys are typed. */
export type Step = readonly [shown: RegExp, keys: string];

/** What a command shows; by util-linux' script(1). @throws if something was not shown */
export function typed(
  command: string,
  env: NodeJS.ProcessEnv,
  ...steps: readonly Step[]
): Promise<string> {
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    env,
    stdio: "pipe",
    timeout: STUCK_MS,
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let all = "";
  let seen = 0;
  let next = 0;
  child.stdout.on("data", (bytes: Buffer) => {
    // Without what moves the cursor.
    all += bytes.toString().replaceAll(/\r|\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]/g, ""); // eslint-disable-line no-control-regex
    while (next < steps.length) {
      const [shown, keys] = steps[next];
      const found = shown.exec(all.slice(seen));
      if (!found) break;
      seen += found.index + found[0].length;
      next++;
      child.stdin.write(keys);
    }
  });
  child.on("error", reject);
  child.on("close", () => {
    if (next === steps.length) resolve(all);
    else reject(new Error(`${steps[next][0]} was not shown: ${all}`));
  });
  return promise;
}
