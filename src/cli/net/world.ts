// What commands act on: network namespaces of one kernel, by their names.
//
// Invariants: a namespace is there as long as its process is. The first one has no name: that is where
// commands are run, and it has nothing but lo and what was plugged in.

import type { Kernel } from "../../kernel.ts";
import { Sockets } from "../../net/facade/index.ts";
import { net, networkNamespace } from "../../net/index.ts";
import type { DhcpLease, Network } from "../../net/index.ts";
import type { Process } from "../../syscall/process.ts";
import { CommandError } from "./errors.ts";

/** A network namespace. */
export class Space implements AsyncDisposable {
  readonly name: string | null;
  readonly process: Process;
  readonly network: Network;
  #sockets: Sockets | null = null;
  readonly #leases = new Map<string, { end(): Promise<void> }>();

  private constructor(name: string | null, process: Process) {
    this.name = name;
    this.process = process;
    this.network = net(process);
  }

  static async open(kernel: Kernel, name: string | null): Promise<Space> {
    return new Space(name, await networkNamespace(kernel));
  }

  /** Renew a lease in time for as long as the namespace is there. */
  async keepLease(device: string, lease: DhcpLease): Promise<void> {
    await this.#leases.get(device)?.end();
    const stop = new AbortController();
    // What cannot be renewed runs out by itself: the kernel takes the address away.
    const maintained = lease.maintain(stop.signal).catch(() => {});
    const end = async () => {
      stop.abort();
      await maintained;
      await lease.release();
    };
    this.#leases.set(device, { end });
  }

  /** Give a lease back. @throws {CommandError} ENOENT if there is none */
  async releaseLease(device: string): Promise<void> {
    const lease = this.#leases.get(device);
    if (!lease) throw new CommandError("ENOENT", `${device} has no address by DHCP`);
    this.#leases.delete(device);
    await lease.end();
  }

  get sockets(): Sockets {
    return (this.#sockets ??= new Sockets(this.process));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its interface may be gone, and then there is nothing to be given back.
    for (const lease of this.#leases.values()) await lease.end().catch(() => {});
    await this.#sockets?.[Symbol.asyncDispose]();
    await this.network[Symbol.asyncDispose]();
    await this.process.exit();
  }
}

/** What iproute2 calls where the first process is: the number of that. */
const FIRST = "1";

export class World implements AsyncDisposable {
  readonly kernel: Kernel;
  readonly home: Space;
  readonly #named = new Map<string, Space>();

  private constructor(kernel: Kernel, home: Space) {
    this.kernel = kernel;
    this.home = home;
  }

  /** @param devices the kernel's own, which are brought home */
  static async open(kernel: Kernel, devices: readonly string[]): Promise<World> {
    await using outside = net(kernel);
    // Otherwise each namespace has a tunnel of each kind from the start, as if somebody had made it.
    await outside.sysctl.set("net.core.fb_tunnels_only_for_init_net", 1);
    const world = new World(kernel, await Space.open(kernel, null));
    for (const device of devices)
      await outside.link.set(device, { namespace: { pid: world.home.process.pid } });
    await world.home.network.up("lo");
    return world;
  }

  get names(): string[] {
    return [...this.#named.keys()];
  }

  /** @throws {CommandError} if there is none of this name */
  space(name: string | undefined): Space {
    const named = name === undefined ? undefined : this.#named.get(name);
    const space = named ?? (name === undefined || name === FIRST ? this.home : undefined);
    if (space) return space;
    const all = this.names.length ? `there are ${this.names.join(", ")}` : "there are none yet";
    throw new CommandError(
      "ENOENT",
      `there is no network namespace "${name}": ${all}; ip netns add ${name} makes it`,
    );
  }

  /** @throws {CommandError} EEXIST */
  async add(name: string): Promise<void> {
    if (this.#named.has(name))
      throw new CommandError("EEXIST", `there is a network namespace "${name}" already`);
    this.#named.set(name, await Space.open(this.kernel, name));
  }

  /** With all that is in it. @throws {CommandError} ENOENT */
  async delete(name: string): Promise<void> {
    const space = this.space(name);
    this.#named.delete(name);
    await space[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const space of this.#named.values()) await space[Symbol.asyncDispose]();
    this.#named.clear();
    await this.home[Symbol.asyncDispose]();
  }
}
