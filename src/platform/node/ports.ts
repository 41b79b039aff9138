// Ports of TCP and UDP, as applications give them.

import { InvalidOptionError } from "../../machine/errors.ts";

const MAX_PORT = 65535;

/**
 * @param least 0 where any free port will do, 1 where one is meant
 * @throws {InvalidOptionError}
 */
export function checkPort(option: string, port: number, least: 0 | 1): void {
  if (!Number.isInteger(port) || port < least || port > MAX_PORT)
    throw new InvalidOptionError(option, `${port}: a port is ${least} to ${MAX_PORT}`);
}
