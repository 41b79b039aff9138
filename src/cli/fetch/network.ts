// The network of `liblinux fetch`: a kernel, a link that may be bad, a NAT, and maybe a capture of it all.

import { writeFile } from "node:fs/promises";
import { isIPv4 } from "node:net";

import { Kernel } from "../../kernel.ts";
import { Capture, EmulatedLink, patch } from "../../link/index.ts";
import type { HostNat, Impairments, Jack } from "../../link/index.ts";
import { ipEndpoint } from "../../net/facade/index.ts";
import { net } from "../../net/index.ts";
import type { Network } from "../../net/index.ts";
import { createSockets, CaptureFile, hostNat } from "../../platform/node/index.ts";
import type { NodeSockets } from "../../platform/node/index.ts";
import { VirtioNet } from "../../virtio/index.ts";
import { at, PlaceError, withoutCall } from "../errors.ts";
import { Hosts } from "./hosts.ts";

/** RFC 2544's: no network outside has it. */
const NETWORK = "198.18.0.0";
const ADDRESS = "198.18.0.15/24";
/** Behind the NAT's prefix. */
const ADDRESS6 = "::15/64";
const DEVICE = "eth0";
const MTU = 1500;

export interface NetworkPlan {
  readonly memoryMiB: number;
  /** Of the link, each way; null for one that is perfect. */
  readonly conditions: Impairments | null;
  readonly mtu: number | undefined;
  /** Where the capture is written. */
  readonly pcap: string | undefined;
  /** Default: this machine's. */
  readonly nameservers: readonly string[];
  /** By host and port. */
  readonly resolve: ReadonlyMap<string, readonly string[]>;
}

export class FetchNetwork implements AsyncDisposable {
  readonly sockets: NodeSockets;
  readonly hosts: Hosts;
  readonly #capture: Capture | null;
  readonly #pcap: string;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    sockets: NodeSockets,
    hosts: Hosts,
    capture: Capture | null,
    pcap: string,
    stack: AsyncDisposableStack,
  ) {
    this.#pcap = pcap;
    this.sockets = sockets;
    this.hosts = hosts;
    this.#capture = capture;
    this.#stack = stack;
  }

  static async open(plan: NetworkPlan): Promise<FetchNetwork> {
    await using stack = new AsyncDisposableStack();
    const { nameservers, mtu = MTU, pcap } = plan;
    const nat = hostNat({ network: NETWORK, mtu, ...(nameservers.length && { nameservers }) });
    stack.defer(() => nat.close());
    const port = portTo(nat, plan.conditions);
    const capture = pcap === undefined ? null : await openCapture(pcap, nat);
    capture?.add(port, { name: DEVICE });
    const device = new VirtioNet({ port, mtu });
    const kernel = await Kernel.boot({
      image: "full",
      memoryMiB: plan.memoryMiB,
      devices: [device],
    });
    stack.defer(() => kernel.dispose());
    await using network = net(kernel);
    await configure(network, nat);
    const sockets = createSockets(await kernel.process(), { ownsProcess: true });
    stack.use(sockets);
    // What they share is made with the first of them: it is not the first connection's time.
    await (await sockets.sockets.datagrams({ local: ipEndpoint("127.0.0.1", 0) })).close();
    const lookup = async (host: string) =>
      (await sockets.sockets.lookup(host)).map(({ address }) => address);
    const hosts = new Hosts(plan.resolve, { 4: nat.gateway, 6: nat.gateway6 }, lookup);
    return new FetchNetwork(sockets, hosts, capture, pcap ?? "", stack.move());
  }

  /** A host has these addresses: the capture shows its name. */
  named(host: string, addresses: readonly string[]): void {
    const names = addresses.filter((one) => isIPv4(one)).map((one) => [one, host] as const);
    this.#capture?.addNames(Object.fromEntries(names));
  }

  /** All that passed is in the capture. @throws {PlaceError} if it is not */
  async closeCapture(): Promise<void> {
    try {
      await this.#capture?.close();
    } catch (error) {
      const why = withoutCall((error as Error).cause);
      throw new PlaceError(this.#pcap, `${why}: the rest of the capture is missing`, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
    // Whoever wants to know asked already.
    await this.#capture?.close().catch(() => {});
  }
}

/** All addresses are known, and nobody else has them: nothing has to be asked for, or waited for. */
async function configure(network: Network, { gateway, gateway6, dns }: HostNat): Promise<void> {
  if (gateway6 !== null)
    for (const name of ["accept_dad", "accept_ra"])
      await network.sysctl.set(`net.ipv6.conf.${DEVICE}.${name}`, 0);
  await network.up("lo");
  const own6 = gateway6 === null ? [] : [gateway6.replace(/::.*/, ADDRESS6)];
  await network.up(DEVICE, ADDRESS, ...own6);
  for (const one of [gateway, gateway6])
    if (one !== null) await network.route.add({ destination: "default", gateway: one });
  await network.resolver.set({ nameservers: [dns] });
}

/** What the kernel's device is plugged into. */
function portTo(nat: HostNat, conditions: Impairments | null): Jack {
  if (!conditions) return nat.port;
  const link = new EmulatedLink(conditions);
  patch(nat.port, link.a);
  return link.b;
}

async function openCapture(path: string, nat: HostNat): Promise<Capture> {
  try {
    // What cannot be written is known before anything is sent.
    await writeFile(path, "");
  } catch (error) {
    throw at(path, error);
  }
  const names = { [nat.gateway]: "this-machine", [nat.dns]: "dns" };
  return new Capture(new CaptureFile(path), { comment: "liblinux fetch", names });
}
