// dns.lookup() by the kernel's network: what net.connect() asks for names.

import type { LookupAddress } from "node:dns";
import { ADDRCONFIG, ALL, V4MAPPED } from "node:dns";
import { isIP } from "node:net";

import type { Sockets } from "../../../net/facade/index.ts";
import { argumentTypeError, argumentValueError } from "./errors.ts";

export interface LookupArguments {
  readonly family?: number | "IPv4" | "IPv6";
  readonly all?: boolean;
  /** "ipv4first" or "ipv6first"; default: as they are best tried. */
  readonly order?: "ipv4first" | "ipv6first" | "verbatim";
  /** false is "ipv4first". */
  readonly verbatim?: boolean;
  readonly hints?: number;
}

export type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

/** What of node:dns there is. */
export interface LinuxDns {
  readonly lookup: (name: string, ...rest: readonly unknown[]) => void;
  readonly promises: {
    lookup(
      name: string,
      options?: LookupArguments | number,
    ): Promise<LookupAddress | LookupAddress[]>;
  };
  readonly ADDRCONFIG: number;
  readonly ALL: number;
  readonly V4MAPPED: number;
}

function toFamily(family: unknown): 0 | 4 | 6 {
  if (family === undefined || family === 0) return 0;
  if (family === 4 || family === "IPv4") return 4;
  if (family === 6 || family === "IPv6") return 6;
  throw argumentValueError("family", family, "must be one of: 0, 4, 6");
}

function toOptions(given: unknown): LookupArguments {
  if (typeof given === "number") return { family: given };
  if (given === undefined || given === null) return {};
  if (typeof given !== "object")
    throw argumentTypeError("options", "one of type integer or object", given);
  return given;
}

/** @internal */
export function makeDns(sockets: Sockets): LinuxDns {
  const find = async (
    name: string,
    family: 0 | 4 | 6,
    options: LookupArguments,
  ): Promise<LookupAddress[]> => {
    const found = await sockets.lookup(name, { family });
    const order = options.order ?? (options.verbatim === false ? "ipv4first" : "verbatim");
    if (order === "verbatim") return found;
    const first = order === "ipv4first" ? 4 : 6;
    return found.toSorted((a, b) => Number(b.family === first) - Number(a.family === first));
  };

  const lookup = (name: string, ...rest: readonly unknown[]): void => {
    const callback = rest.at(-1) as LookupCallback;
    const options = toOptions(rest.length > 1 ? rest[0] : undefined);
    if (name && typeof name !== "string")
      throw argumentTypeError("hostname", "of type string", name);
    if (typeof callback !== "function")
      throw argumentTypeError("callback", "of type function", callback);
    const family = toFamily(options.family);
    if (!name) {
      const none = family === 6 ? 6 : 4;
      process.nextTick(callback, null, options.all ? [] : null, none);
      return;
    }
    const literal = isIP(name);
    if (literal) {
      const all = [{ address: name, family: literal }];
      process.nextTick(callback, null, ...(options.all ? [all] : [name, literal]));
      return;
    }
    find(name, family, options).then(
      (all) => {
        if (options.all) callback(null, all);
        else callback(null, all[0].address, all[0].family);
      },
      (error: unknown) => callback(error as NodeJS.ErrnoException, undefined as never),
    );
  };

  return {
    lookup,
    promises: {
      lookup: async (name, given) => {
        const options = toOptions(given);
        const all = await find(name, toFamily(options.family), options);
        return options.all ? all : all[0];
      },
    },
    ADDRCONFIG,
    ALL,
    V4MAPPED,
  };
}
