// Parameters of the kernel below /proc/sys (sysctl(8)).

import { InvalidOptionError } from "../machine/errors.ts";
import type { Process } from "../syscall/process.ts";
import { readText, writeText } from "./text-file.ts";

/** "net.ipv4.ip_forward"; where a part has a dot in it, with slashes: "net/ipv4/conf/eth0.5/…". */
function pathOf(name: string): string {
  const parts = name.includes("/") ? name.split("/") : name.split(".");
  if (parts.some((part) => part === "" || part === "." || part === ".."))
    throw new InvalidOptionError(
      "name",
      `"${name}": it is like net.ipv4.ip_forward or net/ipv4/ip_forward`,
    );
  return `/proc/sys/${parts.join("/")}`;
}

/** Parameters as the process sees them: those of the network are its namespace's. */
export class Sysctl {
  readonly #process: Process;

  /** @internal */
  constructor(process: Process) {
    this.#process = process;
  }

  /** @throws {SystemError} ENOENT with the path, if there is no such parameter */
  async get(name: string): Promise<string> {
    return (await readText(this.#process, pathOf(name))).trimEnd();
  }

  /** @throws {SystemError} ENOENT, EINVAL for a value that it cannot have, EACCES */
  async set(name: string, value: string | number): Promise<void> {
    const path = pathOf(name);
    // Reading it first: a name that is not there is ENOENT, and no file is made in its place.
    await readText(this.#process, path);
    await writeText(this.#process, path, `${value}\n`);
  }
}
