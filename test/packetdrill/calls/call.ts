// What the system calls of scripts have in common: their arguments, and what they come to.

import type { Process } from "../../../src/syscall/process.ts";
import type { Endpoint } from "../endpoint.ts";
import { Mismatch } from "../errors.ts";
import type { Room } from "../room.ts";
import type { CallEvent, Expression } from "../script.ts";
import { numberOf, show } from "../values.ts";

/** Where a socket is bound or connected to. */
export interface Target {
  readonly address: Uint8Array;
  readonly port: number;
}

/** What calls need to know of the script that is run, and what they tell it. */
export interface CallHost {
  readonly process: Process;
  readonly room: Room;
  /** AF_INET or AF_INET6. */
  readonly domain: number;
  /** Where sockets are bound and connected to if the script does not say. */
  readonly bindTo: Target;
  readonly connectTo: Target;
  /** When the script began, as the kernel's clock shows the time of day; and how exact times are. */
  readonly startNs: number;
  readonly toleranceNs: number;
  /** The kernel's descriptors by the script's. */
  readonly descriptors: Map<number, number>;
  /** Sockets by the script's descriptors. */
  readonly endpoints: Map<number, Endpoint>;
  /** A socket was made. */
  created(endpoint: Endpoint): void;
  /** A socket is to connect, or to send to somewhere. */
  connecting(endpoint: Endpoint, target: Target): void;
  /** A connection was accepted. @param port of the other end */
  accepted(scriptFd: number, port: number): void;
}

/** The largest buffer of a call. */
const MAX_BYTES = 16 << 20;

/** @throws {Mismatch} if there can be no buffer of so many bytes */
export function checkSize(bytes: number): number {
  if (bytes >= 0 && bytes <= MAX_BYTES) return bytes;
  throw new Mismatch(`a buffer of ${bytes} bytes: it has 0 to ${MAX_BYTES}`);
}

/** The arguments of one call. */
export class Arguments {
  readonly #event: CallEvent;
  readonly #host: CallHost;

  constructor(event: CallEvent, host: CallHost) {
    this.#event = event;
    this.#host = host;
  }

  get count(): number {
    return this.#event.args.length;
  }

  /** @throws {Mismatch} unless there are so many */
  expect(least: number, most = least): void {
    if (this.count >= least && this.count <= most) return;
    throw new Mismatch(
      `expected ${least === most ? least : `${least} to ${most}`} args but got ${this.count}`,
    );
  }

  at(index: number): Expression {
    const arg = this.#event.args[index];
    if (!arg) throw new Mismatch(`argument ${index + 1} is missing`);
    return arg;
  }

  number(index: number): number {
    const value = numberOf(this.at(index));
    return value > 0x7fffffff ? Number(BigInt.asIntN(32, BigInt(value))) : value;
  }

  /** How many bytes. @throws {Mismatch} if there can be no such buffer */
  size(index: number): number {
    return checkSize(numberOf(this.at(index)));
  }

  isAny(index: number): boolean {
    return this.at(index).kind === "ellipsis";
  }

  scriptFd(index = 0): number {
    return numberOf(this.at(index));
  }

  /** The kernel's descriptor: one that the script never opened is passed on as it is. */
  fd(index = 0): number {
    const script = this.scriptFd(index);
    return this.#host.descriptors.get(script) ?? (script < 0 ? script : 100_000 + script);
  }

  endpoint(index = 0): Endpoint | undefined {
    return this.#host.endpoints.get(this.scriptFd(index));
  }
}

/** What a call came to: its result, and how to look at what it wrote. */
export interface Done {
  /** "descriptor": the script has a name for it. */
  readonly result: number | "descriptor";
  readonly verify?: () => void;
}

export type Handler = (args: Arguments, host: CallHost, event: CallEvent) => Promise<Done>;

/** @throws {Mismatch} */
export function expectEqual(what: string, expected: Expression, actual: number): void {
  if (expected.kind === "ellipsis") return;
  const value = numberOf(expected);
  if (value === actual || (value | 0) === (actual | 0)) return;
  throw new Mismatch(`Bad ${what}: expected: ${show(expected)} (${value}) vs actual: ${actual}`);
}

/** Give a new descriptor the script's name. @throws {Mismatch} if it did not expect one */
export function nameDescriptor(host: CallHost, event: CallEvent, fd: number): number {
  const script = event.result.kind === "ellipsis" ? fd : numberOf(event.result);
  if (script < 0) return script;
  if (host.descriptors.has(script) && !event.name.startsWith("accept"))
    throw new Mismatch(`duplicate fd ${script} in script`);
  host.descriptors.set(script, fd);
  return script;
}
