// A switch: it learns by which port a station is reached, and sends frames for it only there.
//
// Invariants: #table has at most maxStations entries, the one that was heard of least recently
// first. An entry is valid until its time is over, whether or not it is still in the table.

import { ETH_ALEN } from "../abi/constants/packet.ts";
import { WallClock } from "../machine/clock.ts";
import type { Clock } from "../machine/clock.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { MIN_FRAME_BYTES } from "./frame.ts";
import type { Frame } from "./frame.ts";
import { Hub } from "./hub.ts";
import type { Jack } from "./link.ts";
import { formatMac, isGroup, macAt } from "./mac.ts";

export interface SwitchOptions {
  /** How many stations it remembers, 1 to 2^20; those unheard of longest are forgotten. Default 4096. */
  readonly maxStations?: number;
  /** How long it remembers one that is silent, in milliseconds. Default 300 000 (IEEE 802.1Q, 8.8.3). */
  readonly ageingMs?: number;
  /** What counts that time. Default: the wall clock. */
  readonly clock?: Clock;
}

const DEFAULT_STATIONS = 4096;
const MAX_STATIONS = 1 << 20;
const DEFAULT_AGEING_MS = 300_000;
const MS = 1e6;

interface Entry {
  readonly port: Jack;
  /** When it was heard of, in ns. */
  readonly heardNs: number;
}

export class Switch extends Hub {
  readonly #table = new Map<number, Entry>();
  readonly #maxStations: number;
  readonly #ageingNs: number;
  readonly #clock: Clock;

  /** @throws {InvalidOptionError} */
  constructor(options: SwitchOptions = {}) {
    super();
    const { maxStations = DEFAULT_STATIONS, ageingMs = DEFAULT_AGEING_MS } = options;
    if (!Number.isInteger(maxStations) || maxStations < 1 || maxStations > MAX_STATIONS)
      throw new InvalidOptionError("maxStations", `${maxStations}: it is 1 to ${MAX_STATIONS}`);
    if (!(ageingMs > 0)) throw new InvalidOptionError("ageingMs", `${ageingMs} is not positive`);
    this.#maxStations = maxStations;
    this.#ageingNs = ageingMs * MS;
    this.#clock = options.clock ?? new WallClock();
  }

  /** The stations that it knows, and by which port each is reached. */
  get stations(): { mac: string; port: Jack }[] {
    const now = this.#clock.nowNs();
    return Array.from(this.#table)
      .filter(([, { heardNs }]) => now - heardNs < this.#ageingNs)
      .map(([mac, { port }]) => ({ mac: formatMac(mac), port }));
  }

  override remove(port: Jack): void {
    super.remove(port);
    this.#forget(port);
  }

  /** Who was reached by a port that lost its station is reached elsewhere now, or not. */
  changed(port: Jack): void {
    if (!port.up) this.#forget(port);
  }

  protected override pass(frame: Frame, from: Jack): boolean {
    const head = frame.head(MIN_FRAME_BYTES);
    if (head.length < MIN_FRAME_BYTES) return true;
    const now = this.#clock.nowNs();
    this.#learn(macAt(head, ETH_ALEN), from, now);
    const target = macAt(head, 0);
    const known = isGroup(target) ? undefined : this.#table.get(target);
    if (!known || now - known.heardNs >= this.#ageingNs || !known.port.up)
      return super.pass(frame, from);
    // Only one waits for it, so nothing needs to be lost: its sender waits, too.
    return known.port === from || known.port.deliver(frame, from);
  }

  #learn(mac: number, port: Jack, now: number): void {
    if (isGroup(mac)) return;
    // Deleted first, so that it becomes the last in the map's order.
    if (!this.#table.delete(mac) && this.#table.size === this.#maxStations)
      for (const [oldest] of this.#table) {
        this.#table.delete(oldest);
        break;
      }
    this.#table.set(mac, { port, heardNs: now });
  }

  #forget(port: Jack): void {
    for (const [mac, entry] of this.#table) if (entry.port === port) this.#table.delete(mac);
  }
}
