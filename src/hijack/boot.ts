// The kernel of a hijacked program: booted, its network configured, its images mounted.

import { readFile } from "node:fs/promises";
import process from "node:process";

import { ensureDirectory } from "../fs/files.ts";
import { readMounts } from "../fs/mounts.ts";
import { Kernel } from "../kernel.ts";
import { Capture } from "../link/index.ts";
import { KernelImage } from "../machine/image.ts";
import { formatRecord } from "../machine/log.ts";
import type { LogRecord } from "../machine/log.ts";
import { net } from "../net/index.ts";
import type { Network } from "../net/index.ts";
import { applyLklConfig } from "../net/lkl-config.ts";
import { CaptureFile } from "../platform/node/index.ts";
import type { Process } from "../syscall/process.ts";
import { PACKAGED } from "./config.ts";
import type { HijackConfig, LogLevel } from "./config.ts";
import { openInterfaces } from "./interfaces.ts";
import type { Interface } from "./interfaces.ts";

/** Severities of the kernel's log that are shown: up to this one. */
const SEVERITY: Readonly<Record<LogLevel, number>> = {
  silent: -1,
  error: 3,
  warning: 4,
  info: 6,
  debug: 7,
};

/** A message to whoever started the program. */
export function tell(text: string): void {
  process.stderr.write(`liblinux/hijack: ${text}\n`);
}

/** The kernel, and what it is connected to. */
export class Machine {
  readonly kernel: Kernel;
  readonly network: Network;
  readonly #interfaces: readonly Interface[];
  readonly #capture: Capture | null;
  readonly #leases: AsyncDisposable[] = [];

  /**
   * Boot it and configure its network.
   *
   * @throws {LinkError} @throws {KernelPanicError} @throws {NetlinkError} @throws {InvalidOptionError}
   */
  static async boot(config: HijackConfig): Promise<Machine> {
    await using stack = new AsyncDisposableStack();
    const interfaces = await openInterfaces(config, (error) => tell(error.message));
    for (const { link } of interfaces) if (link) stack.use(link);
    const capture = captureOf(config, interfaces);
    if (capture) stack.use(capture);
    const severity = SEVERITY[config.log];
    const kernel = stack.use(
      await Kernel.boot({
        image: await imageOf(config.kernel),
        memoryMiB: config.memoryMiB,
        devices: interfaces.map(({ device }) => device),
        commandLine: config.lkl.bootCommandLine ?? "",
        ...(severity >= 0 && { console: (record) => show(record, severity) }),
      }),
    );
    const network = stack.use(net(kernel));
    const machine = new Machine(kernel, network, interfaces, capture);
    await machine.#configure(config);
    stack.move();
    return machine;
  }

  private constructor(
    kernel: Kernel,
    network: Network,
    interfaces: readonly Interface[],
    capture: Capture | null,
  ) {
    this.kernel = kernel;
    this.network = network;
    this.#interfaces = interfaces;
    this.#capture = capture;
  }

  async #configure(config: HijackConfig): Promise<void> {
    const { network, kernel } = this;
    const { lkl } = config;
    for (const type of lkl.mount) await mountByType(kernel.init, type);
    await network.up("lo");
    const interfaces = this.#interfaces.map(({ settings }) => settings);
    await applyLklConfig(network, { ...lkl, interfaces });
    const known = this.#interfaces.map(({ nameserver }) => nameserver);
    const nameservers = config.nameservers ?? known.filter((address) => address !== undefined);
    if (nameservers.length) await network.resolver.set({ nameservers, search: config.search });
    for (const [index, { dhcp }] of this.#interfaces.entries())
      if (dhcp) await this.#lease(`eth${index}`, config.nameservers === undefined);
  }

  /** Renewed by a timer of the host's: one of the kernel's would hold the program. */
  async #lease(device: string, resolver: boolean): Promise<void> {
    const lease = await this.network.dhcp(device, { resolver });
    this.#leases.push(lease);
    const renew = () => {
      const ms = Math.min(lease.renewSeconds * 1000, 0x7fffffff);
      setTimeout(() => {
        if (!this.kernel.running) return;
        lease.renew().then(renew, (error: unknown) => tell(`${device}: ${String(error)}`));
      }, ms).unref();
    };
    renew();
  }

  /** Settles when no connection has anything left to send, or after so many milliseconds. */
  async drained(mostMs: number): Promise<void> {
    const end = performance.now() + mostMs;
    for (;;) {
      const sockets = await this.network.socket.list({ protocol: "tcp" });
      const busy = sockets.some(({ state, sendQueue }) => state !== "listen" && sendQueue > 0);
      if (!busy || performance.now() > end) return;
      await new Promise((resolve) => setTimeout(resolve, DRAIN_STEP_MS));
    }
  }

  /** Halt it in good order, write what was captured, and let go of links. */
  async end(): Promise<void> {
    const { kernel, network } = this;
    if (kernel.running) {
      await network[Symbol.asyncDispose]();
      await kernel.halt();
    }
    await this.#capture?.close();
    for (const { link } of this.#interfaces) await link?.close();
  }
}

const DRAIN_STEP_MS = 5;

function captureOf(config: HijackConfig, interfaces: readonly Interface[]): Capture | null {
  if (config.capture === undefined) return null;
  const capture = new Capture(new CaptureFile(config.capture), {
    comment: "liblinux/hijack",
    onError: (error) => tell(`the capture ended: ${error.message}`),
  });
  for (const [index, { link }] of interfaces.entries())
    if (link) capture.add(link.port, { name: `eth${index}` });
  return capture;
}

async function imageOf(kernel: string): Promise<typeof PACKAGED | KernelImage> {
  return kernel === PACKAGED ? kernel : new KernelImage(await readFile(kernel));
}

function show(record: LogRecord, severity: number): void {
  if (record.level <= severity) process.stderr.write(`${formatRecord(record)}\n`);
}

/** As LKL does: a file system without a device, on a directory of its type's name. */
async function mountByType(init: Process, type: string): Promise<void> {
  const target = `/${type}`;
  if ((await readMounts(init)).some((mount) => mount.target === target)) return;
  await ensureDirectory(init, target);
  await init.mount(type, target, type, 0, null);
}
