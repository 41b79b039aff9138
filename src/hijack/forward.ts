// Ports of the host that lead to the program, as text: "8080:80", "127.0.0.1:8080:80", "5353:53/udp".

import { isIPv4 } from "node:net";

import { InvalidOptionError } from "../machine/errors.ts";

export interface PortForward {
  readonly protocol: "tcp" | "udp";
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guestPort: number;
}

const MAX_PORT = 65535;
const LOOPBACK = "127.0.0.1";

/** @throws {InvalidOptionError} */
export function parseForward(text: string, option: string): PortForward {
  const match = /^(?:(\d+(?:\.\d+){3}):)?(\d+)(?::(\d+))?(?:\/(tcp|udp))?$/.exec(text.trim());
  if (!match)
    throw new InvalidOptionError(
      option,
      `"${text}": it is [hostAddress:]hostPort:port, with /udp behind for datagrams`,
    );
  const [, address = LOOPBACK, host = "", guest = host, protocol = "tcp"] = match;
  if (!isIPv4(address)) throw new InvalidOptionError(option, `"${text}": ${address} is no address`);
  const [hostPort, guestPort] = [Number(host), Number(guest)];
  if (hostPort > MAX_PORT || guestPort > MAX_PORT || hostPort < 1 || guestPort < 1)
    throw new InvalidOptionError(option, `"${text}": a port is 1 to ${MAX_PORT}`);
  return {
    protocol: protocol === "udp" ? "udp" : "tcp",
    hostAddress: address,
    hostPort,
    guestPort,
  };
}
