// Names of numbers that routes, rules and addresses have.

import {
  RTN_ANYCAST,
  RTN_BLACKHOLE,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_NAT,
  RTN_PROHIBIT,
  RTN_THROW,
  RTN_UNICAST,
  RTN_UNREACHABLE,
  RTPROT_BABEL,
  RTPROT_BGP,
  RTPROT_BIRD,
  RTPROT_BOOT,
  RTPROT_DHCP,
  RTPROT_ISIS,
  RTPROT_KERNEL,
  RTPROT_OSPF,
  RTPROT_RA,
  RTPROT_REDIRECT,
  RTPROT_RIP,
  RTPROT_STATIC,
  RTPROT_UNSPEC,
  RTPROT_ZEBRA,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_SITE,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_DEFAULT,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
} from "../abi/constants/rtnetlink.ts";
import { InvalidOptionError } from "../machine/errors.ts";

/** Numbers with names, of which there are others without. */
export class Names {
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #names: ReadonlyMap<number, string>;
  readonly most: number;

  constructor(numbers: Readonly<Record<string, number>>, most = 0xff) {
    const entries = Object.entries(numbers);
    this.#numbers = new Map(entries);
    this.#names = new Map(entries.map(([name, number]) => [number, name]));
    this.most = most;
  }

  get all(): string[] {
    return [...this.#numbers.keys()];
  }

  nameOf(number: number): string | number {
    return this.#names.get(number) ?? number;
  }

  numberOf(name: string): number | undefined {
    return this.#numbers.get(name);
  }
}

/** The number that a name has, or a number as it is. @throws {InvalidOptionError} */
export function numberOf(names: Names, given: string | number, option: string): number {
  const number = typeof given === "number" ? given : names.numberOf(given);
  if (number === undefined || !(Number.isInteger(number) && number >= 0 && number <= names.most))
    throw new InvalidOptionError(
      option,
      `${String(given)}: it is one of ${names.all.join(", ")}, or a number up to ${names.most}`,
    );
  return number;
}

/** As in iproute2's rt_scopes. */
export const SCOPES = new Names({
  global: RT_SCOPE_UNIVERSE,
  site: RT_SCOPE_SITE,
  link: RT_SCOPE_LINK,
  host: RT_SCOPE_HOST,
  nowhere: RT_SCOPE_NOWHERE,
});

export const TABLES = new Names(
  { main: RT_TABLE_MAIN, local: RT_TABLE_LOCAL, default: RT_TABLE_DEFAULT },
  0xffffffff,
);

export const PROTOCOLS = new Names({
  unspecified: RTPROT_UNSPEC,
  redirect: RTPROT_REDIRECT,
  kernel: RTPROT_KERNEL,
  boot: RTPROT_BOOT,
  static: RTPROT_STATIC,
  ra: RTPROT_RA,
  zebra: RTPROT_ZEBRA,
  bird: RTPROT_BIRD,
  dhcp: RTPROT_DHCP,
  babel: RTPROT_BABEL,
  bgp: RTPROT_BGP,
  isis: RTPROT_ISIS,
  ospf: RTPROT_OSPF,
  rip: RTPROT_RIP,
});

export const ROUTE_TYPES = new Names({
  unicast: RTN_UNICAST,
  local: RTN_LOCAL,
  broadcast: RTN_BROADCAST,
  anycast: RTN_ANYCAST,
  multicast: RTN_MULTICAST,
  blackhole: RTN_BLACKHOLE,
  unreachable: RTN_UNREACHABLE,
  prohibit: RTN_PROHIBIT,
  throw: RTN_THROW,
  nat: RTN_NAT,
});
