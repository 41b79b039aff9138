// What a network device does by itself, and what the kernel does for it (ethtool(8)), by
// ioctl(2): the structures are in the kernel's memory, as they contain an address.

import type { CallOptions } from "../abi/calls.ts";
import {
  DUPLEX_FULL,
  DUPLEX_HALF,
  ETHTOOL_GCHANNELS,
  ETHTOOL_GDRVINFO,
  ETHTOOL_GFEATURES,
  ETHTOOL_GLINK,
  ETHTOOL_GLINKSETTINGS,
  ETHTOOL_GSSET_INFO,
  ETHTOOL_GSTATS,
  ETHTOOL_GSTRINGS,
  ETHTOOL_SCHANNELS,
  ETHTOOL_SFEATURES,
  ETH_GSTRING_LEN,
  ETH_SS_FEATURES,
  ETH_SS_STATS,
  SPEED_UNKNOWN,
} from "../abi/constants/ethtool.ts";
import { SIOCETHTOOL } from "../abi/constants/ioctl.ts";
import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM } from "../abi/constants/socket.ts";
import {
  EthtoolChannels,
  EthtoolDrvinfo,
  EthtoolGetFeaturesBlock,
  EthtoolGfeatures,
  EthtoolGstrings,
  EthtoolLinkSettings,
  EthtoolSetFeaturesBlock,
  EthtoolSfeatures,
  EthtoolSsetInfo,
  EthtoolValue,
} from "../abi/structs/netlink.ts";
import { Ifreq } from "../abi/structs/socket.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { SystemError } from "../syscall/errors.ts";
import { whole } from "./netlink/codec.ts";
import type { Device, Session } from "./session.ts";

/** Room for the largest structure: the names of all features. */
const ROOM_BYTES = 16384;
const WORD_BITS = 32;
const MAX_CHANNELS = 65535;

/** A feature of a device: "tx-checksum-ip-generic", "tx-tcp-segmentation", "rx-gro"… */
export interface DeviceFeature {
  readonly name: string;
  /** Whether it is on. */
  readonly active: boolean;
  /** Whether it was asked for; one may be off since others are. */
  readonly wanted: boolean;
  /** Whether it can be changed. */
  readonly changeable: boolean;
}

/** How many queues there are, and may be. */
export interface DeviceChannels {
  readonly rx: number;
  readonly tx: number;
  /** Such that are for both. */
  readonly combined: number;
  readonly rxMax: number;
  readonly txMax: number;
  readonly combinedMax: number;
}

/** Who drives a device. What is not known is "". */
export interface DeviceDriver {
  readonly driver: string;
  readonly version: string;
  readonly firmware: string;
  /** Where it is: "0000:00:03.0", "virtio0". */
  readonly bus: string;
}

export interface DeviceLink {
  /** Whether there is somebody at the other end. */
  readonly link?: boolean;
  readonly speedMbps?: number;
  readonly duplex?: "full" | "half";
}

/** Makes a request of a device: what is written is what comes back, in a view of the same bytes. */
type Request = (bytes: Uint8Array) => Promise<Uint8Array>;

/** Devices of the namespace that the process is in. */
export class Ethtool {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** Do something with a device. @throws {UnknownDeviceError} @throws {SystemError} with its name */
  async #with<T>(
    device: Device,
    use: (request: Request, name: string) => Promise<T>,
    options?: CallOptions,
  ): Promise<T> {
    const index = await this.#session.indexOf(device, "device", options);
    const name = String(await this.#session.nameOf(index, options));
    const { process } = this.#session;
    await using memory = await process.buffer(Ifreq.size + ROOM_BYTES);
    const fd = await process.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const request: Request = async (bytes) => {
      const { ifr_ifru: data } = Ifreq.offsets;
      memory.bytes.fill(0);
      memory.bytes.set(new TextEncoder().encode(name));
      memory.bytes.set(bytes, Ifreq.size);
      memory.view.setUint32(data, memory.address + Ifreq.size, true);
      await process.ioctl(fd, SIOCETHTOOL, memory.slice(0, Ifreq.size), options);
      return memory.bytes.slice(Ifreq.size);
    };
    try {
      return await use(request, name);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new SystemError(error.errno, error.syscall, name);
    } finally {
      await process.close(fd);
    }
  }

  /** All features of a device, by their names. @throws {UnknownDeviceError} */
  features(device: Device, options?: CallOptions): Promise<DeviceFeature[]> {
    return this.#with(device, readFeatures, options);
  }

  /**
   * Turn features on and off: `setFeatures("eth0", { "tx-tcp-segmentation": false })`.
   *
   * @throws {InvalidOptionError} if a device has no such feature, or does not change it
   */
  setFeatures(
    device: Device,
    changes: Readonly<Record<string, boolean>>,
    options?: CallOptions,
  ): Promise<void> {
    return this.#with(device, (request, name) => writeFeatures(request, name, changes), options);
  }

  /** How many queues a device has. @throws {SystemError} EOPNOTSUPP if it does not say */
  channels(device: Device, options?: CallOptions): Promise<DeviceChannels> {
    return this.#with(
      device,
      async (request) => {
        const raw = await readChannels(request);
        return {
          rx: raw.rx_count,
          tx: raw.tx_count,
          combined: raw.combined_count,
          rxMax: raw.max_rx,
          txMax: raw.max_tx,
          combinedMax: raw.max_combined,
        };
      },
      options,
    );
  }

  /** Change how many queues a device uses. @throws {SystemError} EINVAL if it has not so many */
  setChannels(
    device: Device,
    changes: { readonly rx?: number; readonly tx?: number; readonly combined?: number },
    options?: CallOptions,
  ): Promise<void> {
    return this.#with(
      device,
      async (request) => {
        const raw = await readChannels(request);
        const { rx = raw.rx_count, tx = raw.tx_count, combined = raw.combined_count } = changes;
        raw.cmd = ETHTOOL_SCHANNELS;
        raw.rx_count = whole(rx, 0, MAX_CHANNELS, "rx");
        raw.tx_count = whole(tx, 0, MAX_CHANNELS, "tx");
        raw.combined_count = whole(combined, 0, MAX_CHANNELS, "combined");
        await request(raw.bytes);
      },
      options,
    );
  }

  /** Who drives a device. @throws {SystemError} EOPNOTSUPP if it does not say */
  driver(device: Device, options?: CallOptions): Promise<DeviceDriver> {
    return this.#with(
      device,
      async (request) => {
        const wanted = EthtoolDrvinfo.alloc();
        wanted.cmd = ETHTOOL_GDRVINFO;
        const told = EthtoolDrvinfo.from(await request(wanted.bytes));
        return {
          driver: textOf(told.driver),
          version: textOf(told.version),
          firmware: textOf(told.fw_version),
          bus: textOf(told.bus_info),
        };
      },
      options,
    );
  }

  /** What a device counts by itself, by names of its own; empty if it counts nothing. */
  statistics(device: Device, options?: CallOptions): Promise<ReadonlyMap<string, number>> {
    return this.#with(device, readStatistics, options);
  }

  /** Whether there is a link, and how fast; what a device does not know is left out. */
  link(device: Device, options?: CallOptions): Promise<DeviceLink> {
    return this.#with(
      device,
      async (request) => {
        const value = EthtoolValue.alloc();
        value.cmd = ETHTOOL_GLINK;
        const link = await unlessUnsupported(request(value.bytes));
        const modes = await unlessUnsupported(readLinkSettings(request));
        const known = modes && modes.speed !== SPEED_UNKNOWN >>> 0;
        return {
          ...(link && { link: EthtoolValue.from(link).data !== 0 }),
          ...(known && { speedMbps: modes.speed }),
          ...(modes?.duplex === DUPLEX_FULL && { duplex: "full" as const }),
          ...(modes?.duplex === DUPLEX_HALF && { duplex: "half" as const }),
        };
      },
      options,
    );
  }
}

async function unlessUnsupported<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof SystemError && error.code === "EOPNOTSUPP") return undefined;
    throw error;
  }
}

/** The kernel first says how long its masks are, by a number below 0. */
async function readLinkSettings(request: Request): Promise<EthtoolLinkSettings> {
  const raw = EthtoolLinkSettings.alloc();
  raw.cmd = ETHTOOL_GLINKSETTINGS;
  const first = EthtoolLinkSettings.from(await request(raw.bytes));
  raw.link_mode_masks_nwords = -first.link_mode_masks_nwords;
  return EthtoolLinkSettings.from(await request(raw.bytes));
}

async function readChannels(request: Request): Promise<EthtoolChannels> {
  const raw = EthtoolChannels.alloc();
  raw.cmd = ETHTOOL_GCHANNELS;
  return EthtoolChannels.from(await request(raw.bytes));
}

/** Text with zeroes behind it. */
const textOf = (bytes: Uint8Array): string =>
  new TextDecoder().decode(bytes.slice()).replace(/\0.*$/s, "");

/** The names of what a device has of one kind (ETH_SS_…), by their numbers. */
async function readNames(request: Request, set: number): Promise<string[]> {
  const info = EthtoolSsetInfo.alloc();
  info.cmd = ETHTOOL_GSSET_INFO;
  info.sset_mask = 1n << BigInt(set);
  const told = await request(info.bytes);
  // Bits of those that it has: without this one no number follows.
  if (!EthtoolSsetInfo.from(told).sset_mask) return [];
  const count = new DataView(told.buffer).getUint32(EthtoolSsetInfo.offsets.data, true);
  const most = Math.floor((ROOM_BYTES - EthtoolGstrings.size) / ETH_GSTRING_LEN);
  const strings = EthtoolGstrings.alloc();
  strings.cmd = ETHTOOL_GSTRINGS;
  strings.string_set = set;
  strings.len = Math.min(count, most);
  const bytes = await request(strings.bytes);
  return Array.from({ length: strings.len }, (_, index) => {
    const at = EthtoolGstrings.size + index * ETH_GSTRING_LEN;
    return textOf(bytes.slice(at, at + ETH_GSTRING_LEN));
  });
}

/** struct ethtool_stats of linux/ethtool.h: a command, a number, and so many __u64. */
const STATS_BYTES = 8;

async function readStatistics(request: Request): Promise<ReadonlyMap<string, number>> {
  const names = await unlessUnsupported(readNames(request, ETH_SS_STATS));
  if (!names?.length) return new Map();
  const header = new Uint8Array(STATS_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, ETHTOOL_GSTATS, true);
  view.setUint32(4, names.length, true);
  const bytes = await request(header);
  const values = new DataView(bytes.buffer, bytes.byteOffset + STATS_BYTES);
  return new Map(names.map((name, i) => [name, Number(values.getBigUint64(i * 8, true))]));
}

async function readFeatures(request: Request): Promise<DeviceFeature[]> {
  const names = await readNames(request, ETH_SS_FEATURES);
  const header = EthtoolGfeatures.alloc();
  header.cmd = ETHTOOL_GFEATURES;
  new DataView(header.bytes.buffer).setUint32(
    EthtoolGfeatures.offsets.size,
    Math.ceil(names.length / WORD_BITS),
    true,
  );
  const bytes = await request(header.bytes);
  const view = new DataView(bytes.buffer);
  return names
    .map((name, index) => {
      const at =
        EthtoolGfeatures.size + Math.floor(index / WORD_BITS) * EthtoolGetFeaturesBlock.size;
      const block = new EthtoolGetFeaturesBlock(view, at);
      const has = (word: number) => ((word >>> (index % WORD_BITS)) & 1) !== 0;
      return {
        name,
        active: has(block.active),
        wanted: has(block.requested),
        changeable: has(block.available) && !has(block.never_changed),
      };
    })
    .filter(({ name }) => name !== "");
}

async function writeFeatures(
  request: Request,
  device: string,
  changes: Readonly<Record<string, boolean>>,
): Promise<void> {
  const names = await readNames(request, ETH_SS_FEATURES);
  const blocks = Math.ceil(names.length / WORD_BITS);
  const bytes = new Uint8Array(EthtoolSfeatures.size + blocks * EthtoolSetFeaturesBlock.size);
  const view = new DataView(bytes.buffer);
  view.setUint32(EthtoolSfeatures.offsets.cmd, ETHTOOL_SFEATURES, true);
  view.setUint32(EthtoolSfeatures.offsets.size, blocks, true);
  for (const [name, on] of Object.entries(changes)) {
    const index = names.indexOf(name);
    if (index < 0 || name === "")
      throw new InvalidOptionError(name, "there is no such feature: features() tells them");
    const at = EthtoolSfeatures.size + Math.floor(index / WORD_BITS) * EthtoolSetFeaturesBlock.size;
    const block = new EthtoolSetFeaturesBlock(view, at);
    const bit = 1 << (index % WORD_BITS);
    block.valid |= bit;
    if (on) block.requested |= bit;
  }
  await request(bytes);
  const now = new Map((await readFeatures(request)).map((one) => [one.name, one]));
  for (const [name, on] of Object.entries(changes))
    if (now.get(name)?.active !== on)
      throw new InvalidOptionError(name, `'${device}' does not turn it ${on ? "on" : "off"}`);
}
