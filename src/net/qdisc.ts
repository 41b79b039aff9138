// Traffic control: queueing disciplines and their classes (tc(8)).

import type { CallOptions } from "../abi/calls.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../abi/constants/netlink.ts";
import {
  TCA_STATS_BASIC,
  TCA_STATS_PKT64,
  TCA_STATS_QUEUE,
  TC_H_CLSACT,
  TC_H_INGRESS,
  TC_H_ROOT,
} from "../abi/constants/pkt_sched.ts";
import {
  RTM_DELQDISC,
  RTM_DELTCLASS,
  RTM_GETQDISC,
  RTM_GETTCLASS,
  RTM_NEWQDISC,
  RTM_NEWTCLASS,
  TCA_KIND,
  TCA_OPTIONS,
  TCA_STATS2,
} from "../abi/constants/rtnetlink.ts";
import { GnetStatsQueue, Tcmsg } from "../abi/structs/netlink.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { AttributeSet, transparent } from "./netlink/attributes.ts";
import { atLeast, readOnly, text, u64 } from "./netlink/codec.ts";
import type { Codec, Value } from "./netlink/codec.ts";
import { NetlinkError } from "./netlink/errors.ts";
import { compose } from "./netlink/message.ts";
import { classKinds, qdiscKinds } from "./qdisc-kinds.ts";
import type { QdiscKind } from "./qdisc-kinds.ts";
import type { Device, Session } from "./session.ts";

/** What went through, and what waits. */
export interface QueueStatistics {
  readonly bytes: number;
  readonly packets: number;
  readonly dropped: number;
  readonly overlimits: number;
  readonly requeues: number;
  readonly backlogBytes: number;
  readonly backlogPackets: number;
}

const basic = readOnly({
  read(payload: Uint8Array) {
    const view = atLeast(payload, 12);
    return { bytes: Number(view.getBigUint64(0, true)), packets: view.getUint32(8, true) };
  },
});

const queue = readOnly({
  read(payload: Uint8Array) {
    atLeast(payload, GnetStatsQueue.size);
    const { qlen, backlog, drops, requeues, overlimits } = GnetStatsQueue.from(payload);
    return { backlogPackets: qlen, backlogBytes: backlog, dropped: drops, requeues, overlimits };
  },
});

const statistics = new AttributeSet({
  basic: [TCA_STATS_BASIC, basic],
  packets: [TCA_STATS_PKT64, u64],
  queue: [TCA_STATS_QUEUE, queue],
});

const common = {
  kind: [TCA_KIND, text()],
  statistics: [TCA_STATS2, transparent(statistics)],
} as const;

const qdiscAttributes = new AttributeSet(common, {
  selector: "kind",
  type: TCA_OPTIONS,
  cases: qdiscKinds,
});

const classAttributes = new AttributeSet(common, {
  selector: "kind",
  type: TCA_OPTIONS,
  cases: classKinds,
});

type QdiscOptions = Omit<Value<typeof qdiscAttributes>, "kind" | "statistics">;
type ClassOptions = Omit<Value<typeof classAttributes>, "kind" | "statistics">;

/** A discipline, with an object named like its kind for its options: `fqCodel` for "fq_codel". */
export interface Qdisc extends QdiscOptions {
  readonly device: Device;
  readonly kind: string;
  /** "1:" */
  readonly handle: string;
  /** "root", "ingress", "clsact", or the class that it is in: "1:10". */
  readonly parent: string;
  /** By how many places of the kernel it is held. */
  readonly references: number;
  readonly statistics?: QueueStatistics;
}

/** A discipline to be added. */
export interface QdiscSpec extends QdiscOptions {
  kind: QdiscKind | (string & {});
  /** Default: the kernel's choice. */
  handle?: string;
  /** Default "root", or what the kind says. */
  parent?: string;
}

/** A class of a discipline. */
export interface TrafficClass extends ClassOptions {
  readonly device: Device;
  readonly kind: string;
  /** "1:10" */
  readonly handle: string;
  readonly parent: string;
  /** The discipline inside of it. */
  readonly leaf?: string;
  readonly statistics?: QueueStatistics;
}

/** A class to be added. */
export interface ClassSpec extends ClassOptions {
  kind: "htb" | "drr" | "ets" | "hfsc" | (string & {});
  /** "1:10" */
  handle: string;
  /** The class or the discipline that it is in: "1:". */
  parent: string;
}

const PARENTS = new Map([
  ["root", TC_H_ROOT],
  ["ingress", TC_H_INGRESS],
  ["clsact", TC_H_CLSACT],
]);

/** "1:10" in hexadecimal, as tc(8) has them. @throws {InvalidOptionError} */
export function parseHandle(value: string, option: string): number {
  const named = PARENTS.get(value);
  if (named !== undefined) return named;
  const match = typeof value === "string" && /^([\da-f]{1,4}):([\da-f]{0,4})$/i.exec(value);
  if (!match)
    throw new InvalidOptionError(
      option,
      `"${value}": it is like 1: or 1:10 in hexadecimal, root, ingress or clsact`,
    );
  return ((parseInt(match[1], 16) << 16) | parseInt(match[2] || "0", 16)) >>> 0;
}

/** As tc(8) writes them. */
export function formatHandle(value: number): string {
  if (value === TC_H_ROOT) return "root";
  // The same number as TC_H_CLSACT.
  if (value === TC_H_INGRESS) return "ingress";
  const minor = value & 0xffff;
  return `${(value >>> 16).toString(16)}:${minor ? minor.toString(16) : ""}`;
}

/** Where a discipline is whose kind leaves no choice. */
function parentOf({ kind, parent }: { kind?: string; parent?: string }): string {
  return parent ?? (kind === "ingress" || kind === "clsact" ? "ingress" : "root");
}

function statisticsOf(told: Value<typeof statistics>): QueueStatistics | undefined {
  const { basic: sent, queue: waiting, packets } = told;
  if (!sent || !waiting) return undefined;
  return { ...sent, ...(packets !== undefined && { packets }), ...waiting };
}

function headerOf(index: number, handle: number, parent: number): Uint8Array {
  const header = Tcmsg.alloc();
  header.tcm_ifindex = index;
  header.tcm_handle = handle;
  header.tcm_parent = parent;
  return header.bytes;
}

/** What a discipline and a class have both, and what else there is. */
function readPlace<T extends { kind?: string; statistics?: Value<typeof statistics> }>(
  payload: Uint8Array,
  codec: Codec<T>,
) {
  atLeast(payload, Tcmsg.size);
  const header = Tcmsg.from(payload);
  const { kind = "", statistics: told, ...options } = codec.read(payload.subarray(Tcmsg.size));
  const counted = told && statisticsOf(told);
  return {
    header,
    place: {
      device: header.tcm_ifindex,
      kind,
      handle: formatHandle(header.tcm_handle),
      parent: formatHandle(header.tcm_parent),
      ...options,
      ...(counted && { statistics: counted }),
    },
  };
}

/** With a number for the device. @internal */
export function readQdisc(payload: Uint8Array): Omit<Qdisc, "device"> & { device: number } {
  const { header, place } = readPlace(payload, qdiscAttributes);
  return { ...place, references: header.tcm_info };
}

/** With a number for the device. @internal */
export function readClass(payload: Uint8Array): Omit<TrafficClass, "device"> & { device: number } {
  const { header, place } = readPlace(payload, classAttributes);
  return { ...place, ...(header.tcm_info && { leaf: formatHandle(header.tcm_info) }) };
}

/** What the kernel means when it says only ENOENT to a kind. */
function explained(error: unknown, kind: string): unknown {
  if (!(error instanceof NetlinkError && error.code === "ENOENT" && error.reason === undefined))
    return error;
  return new NetlinkError(error.errno, error.request, {
    reason: `there is no "${kind}" in this kernel, or nothing at that place`,
  });
}

/** Disciplines of the namespace that the process is in. */
export class Qdiscs {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** All disciplines, or those of one interface. @throws {UnknownDeviceError} */
  async list(device?: Device, options?: CallOptions): Promise<Qdisc[]> {
    const index = device === undefined ? 0 : await this.#session.indexOf(device, "device", options);
    const all = compose({ type: RTM_GETQDISC, header: headerOf(index, 0, 0) });
    const messages = await this.#session.route.dump(all, "list queueing disciplines", options);
    const nameOf = this.#session.naming(options);
    const found: Qdisc[] = [];
    for (const { payload } of messages) {
      const qdisc = readQdisc(payload);
      if (index && qdisc.device !== index) continue;
      found.push({ ...qdisc, device: await nameOf(qdisc.device) });
    }
    return found;
  }

  /**
   * Add a discipline. @throws {NetlinkError} EEXIST if there is one at that place
   * @throws {InvalidOptionError} @throws {UnknownDeviceError}
   */
  async add(device: Device, spec: QdiscSpec, options?: CallOptions): Promise<void> {
    await this.#make(NLM_F_CREATE | NLM_F_EXCL, "add", device, spec, options);
  }

  /** Add a discipline, or put it in the place of another. */
  async replace(device: Device, spec: QdiscSpec, options?: CallOptions): Promise<void> {
    await this.#make(NLM_F_CREATE | NLM_F_REPLACE, "replace", device, spec, options);
  }

  /** Change what one is told; what waits in it stays. @throws {NetlinkError} */
  async change(device: Device, spec: QdiscSpec, options?: CallOptions): Promise<void> {
    await this.#make(0, "change", device, spec, options);
  }

  async #make(
    flags: number,
    verb: string,
    device: Device,
    { handle, parent, ...rest }: QdiscSpec,
    options?: CallOptions,
  ): Promise<void> {
    const index = await this.#session.indexOf(device, "device", options);
    const above = parentOf({ kind: rest.kind, ...(parent !== undefined && { parent }) });
    const number = handle === undefined ? 0 : parseHandle(handle, "handle");
    const header = headerOf(index, number, parseHandle(above, "parent"));
    const message = compose({ type: RTM_NEWQDISC, flags, header }, [qdiscAttributes, rest]);
    try {
      await this.#session.route.request(message, `${verb} ${rest.kind} at '${device}'`, options);
    } catch (error) {
      throw explained(error, rest.kind);
    }
  }

  /** Remove a discipline; default: that of the root. @throws {NetlinkError} ENOENT */
  async delete(
    device: Device,
    { parent = "root", handle }: { parent?: string; handle?: string } = {},
    options?: CallOptions,
  ): Promise<void> {
    const index = await this.#session.indexOf(device, "device", options);
    const number = handle === undefined ? 0 : parseHandle(handle, "handle");
    const header = headerOf(index, number, parseHandle(parent, "parent"));
    const message = compose({ type: RTM_DELQDISC, header });
    const what = `delete the discipline at ${parent} of '${device}'`;
    await this.#session.route.request(message, what, options);
  }
}

/** Classes of disciplines. */
export class TrafficClasses {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** Classes of an interface's disciplines. @throws {UnknownDeviceError} */
  async list(device: Device, options?: CallOptions): Promise<TrafficClass[]> {
    const index = await this.#session.indexOf(device, "device", options);
    const all = compose({ type: RTM_GETTCLASS, header: headerOf(index, 0, 0) });
    const messages = await this.#session.route.dump(all, "list classes", options);
    const name = await this.#session.nameOf(index, options);
    return messages.map(({ payload }) => Object.assign(readClass(payload), { device: name }));
  }

  /** Add a class. @throws {NetlinkError} EEXIST @throws {InvalidOptionError} */
  async add(device: Device, spec: ClassSpec, options?: CallOptions): Promise<void> {
    await this.#make(NLM_F_CREATE | NLM_F_EXCL, "add", device, spec, options);
  }

  /** Change what a class is told, or add it. */
  async replace(device: Device, spec: ClassSpec, options?: CallOptions): Promise<void> {
    await this.#make(NLM_F_CREATE | NLM_F_REPLACE, "replace", device, spec, options);
  }

  async #make(
    flags: number,
    verb: string,
    device: Device,
    { handle, parent, ...rest }: ClassSpec,
    options?: CallOptions,
  ): Promise<void> {
    const index = await this.#session.indexOf(device, "device", options);
    const header = headerOf(index, parseHandle(handle, "handle"), parseHandle(parent, "parent"));
    const message = compose({ type: RTM_NEWTCLASS, flags, header }, [classAttributes, rest]);
    const what = `${verb} the class ${handle} of '${device}'`;
    await this.#session.route.request(message, what, options);
  }

  /** Remove a class that has none inside. @throws {NetlinkError} ENOENT, EBUSY */
  async delete(device: Device, handle: string, options?: CallOptions): Promise<void> {
    const index = await this.#session.indexOf(device, "device", options);
    const message = compose({
      type: RTM_DELTCLASS,
      header: headerOf(index, parseHandle(handle, "handle"), 0),
    });
    const what = `delete the class ${handle} of '${device}'`;
    await this.#session.route.request(message, what, options);
  }
}
