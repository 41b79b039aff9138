// Waiting until an interface's IPv6 addresses are there, and may be used (RFC 4862).

import type { Addresses, InterfaceAddress } from "./interface-address.ts";
import type { MonitorEvent } from "./monitor.ts";
import type { Subscription, SubscriptionOptions } from "./netlink/subscription.ts";
import type { Device, Session } from "./session.ts";
import { within } from "./timeout.ts";

const DEFAULT_TIMEOUT_MS = 10000;

export interface WaitOptions {
  /** Default 10 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Whether another host may have it, or this one found that out. */
const unsettled = ({ flags }: InterfaceAddress): boolean =>
  flags.includes("tentative") && !flags.includes("optimistic");

/** An address that a router's advertisement gave. */
const automatic = ({ address, scope, flags }: InterfaceAddress): boolean =>
  address.includes(":") && scope === "global" && !flags.includes("permanent");

/** Another host has it. */
export class DuplicateAddressError extends Error {
  override readonly name = "DuplicateAddressError";
  readonly code = "EADDRINUSE";
  readonly address: string;

  constructor(address: string) {
    super(`${address}: another host on this link has it`);
    this.address = address;
  }
}

/** Look at an interface's addresses, now and whenever they change, until they are as wanted. */
async function waitFor(
  session: Session,
  addresses: Addresses,
  watch: (options: SubscriptionOptions) => Promise<Subscription<MonitorEvent>>,
  device: Device,
  what: string,
  done: (all: readonly InterfaceAddress[]) => readonly InterfaceAddress[] | undefined,
  { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: WaitOptions,
): Promise<readonly InterfaceAddress[]> {
  const index = await session.indexOf(device, "device", signal && { signal });
  return within(
    session.process,
    timeoutMs,
    what,
    async (over) => {
      // From before the first look on, so that nothing happens between that and the events.
      await using events = await watch({ signal: over });
      for (;;) {
        const all = await addresses.list(index, { signal: over });
        const failed = all.find(({ flags }) => flags.includes("dad-failed"));
        if (failed) throw new DuplicateAddressError(failed.address);
        const found = done(all);
        if (found) return found;
        await events.next();
      }
    },
    signal,
  );
}

/** What watches addresses. */
export type Watch = (options: SubscriptionOptions) => Promise<Subscription<MonitorEvent>>;

/**
 * Wait until no address of an interface is tentative any more: duplicate address detection is done.
 *
 * @throws {DuplicateAddressError} @throws {NetworkTimeoutError} @throws {UnknownDeviceError}
 */
export function settled(
  session: Session,
  addresses: Addresses,
  watch: Watch,
  device: Device,
  options: WaitOptions = {},
): Promise<readonly InterfaceAddress[]> {
  const what = `wait for the addresses of '${device}'`;
  const done = (all: readonly InterfaceAddress[]) => (all.some(unsettled) ? undefined : all);
  return waitFor(session, addresses, watch, device, what, done, options);
}

/**
 * Wait for an address that a router gives (SLAAC), and that may be used.
 *
 * @throws {NetworkTimeoutError} if there is no router @throws {DuplicateAddressError}
 * @throws {UnknownDeviceError}
 */
export function slaac(
  session: Session,
  addresses: Addresses,
  watch: Watch,
  device: Device,
  options: WaitOptions = {},
): Promise<readonly InterfaceAddress[]> {
  const what = `wait for an address by IPv6 autoconfiguration of '${device}'`;
  const done = (all: readonly InterfaceAddress[]) => {
    const given = all.filter((address) => automatic(address) && !unsettled(address));
    return given.length ? given : undefined;
  };
  return waitFor(session, addresses, watch, device, what, done, options);
}
