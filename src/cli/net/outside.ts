// The kernel of `liblinux net`, and what its interface is plugged into: host NAT, a TAP device, another
// machine by UDP or a WebSocket, or nothing.

import { closeSync, openSync, readFileSync } from "node:fs";

import { Kernel } from "../../kernel.ts";
import { Capture, WebSocketLink } from "../../link/index.ts";
import type { Jack } from "../../link/index.ts";
import { parseLklConfig } from "../../net/index.ts";
import type { LklConfig } from "../../net/index.ts";
import { CaptureFile, hostNat, TapLink, UdpLink } from "../../platform/node/index.ts";
import { VirtioNet } from "../../virtio/index.ts";
import { describeError, PlaceError, UsageError, withoutCall } from "../errors.ts";
import { World } from "./world.ts";

export const PLUG_OPTIONS = {
  "no-nat": { type: "boolean", default: false },
  nat: { type: "boolean", default: false },
  tap: { type: "string" },
  udp: { type: "string" },
  ws: { type: "string" },
  pcap: { type: "string" },
  config: { type: "string" },
  dhcp: { type: "boolean", short: "d", default: false },
} as const;

interface PlugChoice {
  readonly nat: boolean;
  readonly "no-nat": boolean;
  readonly tap?: string | undefined;
  readonly udp?: string | undefined;
  readonly ws?: string | undefined;
  readonly pcap?: string | undefined;
  readonly config?: string | undefined;
  readonly dhcp: boolean;
}

/** One interface's other end. */
interface End {
  readonly port: Jack;
  close(): Promise<void>;
}

/** A running kernel with its network, and what has to be ended with it. */
export class Outside implements AsyncDisposable {
  readonly world: World;
  /** Commands to begin with. */
  readonly beginning: readonly string[];
  readonly #stack: AsyncDisposableStack;

  constructor(world: World, beginning: readonly string[], stack: AsyncDisposableStack) {
    this.world = world;
    this.beginning = beginning;
    this.#stack = stack;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** `[HOST:]PORT` */
function hostAndPort(text: string, option: string): { host?: string; port: number } {
  const [, host, port] = /^(?:(.+):)?(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65535)
    throw new UsageError("net", `--${option} ${text}: it is like 5001 or 192.0.2.1:5001`);
  return { port: Number(port), ...(host !== undefined && { host: host.replace(/^\[|\]$/g, "") }) };
}

/** `LOCAL=REMOTE`, or the remote end alone. */
function udpPlaces(text: string) {
  const [first = "", second] = text.split("=");
  const remote = hostAndPort(second ?? first, "udp");
  return second === undefined ? { remote } : { remote, local: hostAndPort(first, "udp") };
}

/** Opens the ends that are asked for, in the order of their interfaces: eth0, eth1… */
async function openEnds(
  choice: PlugChoice,
  config: LklConfig | null,
  stack: AsyncDisposableStack,
): Promise<End[]> {
  const ends: End[] = [];
  const add = (end: End) => {
    stack.defer(() => end.close());
    ends.push(end);
  };
  if (choice.tap !== undefined) add(await TapLink.open({ device: choice.tap }));
  if (choice.udp !== undefined) add(await UdpLink.open(udpPlaces(choice.udp)));
  if (choice.ws !== undefined) {
    if (!/^wss?:\/\//.test(choice.ws))
      throw new UsageError("net", `--ws ${choice.ws}: it is a URL such as ws://localhost:8086/`);
    add(await WebSocketLink.open(choice.ws));
  }
  // What the file says of its interfaces' other ends is for who says nothing else.
  const interfaces = ends.length || choice["no-nat"] ? [] : (config?.interfaces ?? []);
  for (const { type, param } of interfaces)
    add(type === "tap" && param !== undefined ? await TapLink.open({ device: param }) : hostNat());
  // Asked for, or nothing else is.
  if (choice.nat || (!ends.length && !choice["no-nat"])) add(hostNat());
  return ends;
}

/** A capture that cannot be written is told before anything is done. @throws {PlaceError} */
function checkWritable(path: string): void {
  try {
    closeSync(openSync(path, "w"));
  } catch (error) {
    throw new PlaceError(path, withoutCall(error), error);
  }
}

/** @throws {UsageError} that names the file, and what is wrong in it */
function readConfig(path: string): LklConfig {
  try {
    return parseLklConfig(readFileSync(path, "utf8"));
  } catch (error) {
    throw new UsageError("net", `--config ${path}: ${describeError(error)}`);
  }
}

async function configure(world: World, path: string, devices: readonly string[]): Promise<void> {
  try {
    await world.home.network.configure(readFileSync(path, "utf8"), devices);
  } catch (error) {
    throw new PlaceError(path, describeError(error), error);
  }
}

/** Boot a kernel with what the options say plugged in. */
export async function plugged(choice: PlugChoice, memoryMiB: number): Promise<Outside> {
  if (choice.nat && choice["no-nat"])
    throw new UsageError("net", "--nat and --no-nat: one of them");
  await using stack = new AsyncDisposableStack();
  const config = choice.config === undefined ? null : readConfig(choice.config);
  const ends = await openEnds(choice, config, stack);
  if (choice.dhcp && !ends.length)
    throw new UsageError("net", "--dhcp: there is no interface to ask by");
  if (choice.pcap !== undefined) {
    if (!ends.length) throw new UsageError("net", "--pcap: there is no interface to capture at");
    checkWritable(choice.pcap);
    const capture = new Capture(new CaptureFile(choice.pcap), { comment: "liblinux net" });
    stack.defer(() => capture.close());
    for (const [number, { port }] of ends.entries()) capture.add(port, { name: `eth${number}` });
  }
  const devices = ends.map(({ port }) => new VirtioNet({ port }));
  const kernel = stack.use(await Kernel.boot({ image: "full", memoryMiB, devices }));
  const names = ends.map((_, number) => `eth${number}`);
  const world = stack.use(await World.open(kernel, names));
  if (choice.config !== undefined) await configure(world, choice.config, names);
  const beginning = choice.dhcp ? ["dhcp eth0"] : [];
  return new Outside(world, beginning, stack.move());
}
