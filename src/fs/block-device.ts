// Block devices of a kernel: disks that the application attached, and the partitions on them.

import type { Disk } from "../disk/disk.ts";
import { SECTOR_BYTES } from "../disk/disk.ts";
import type { KernelLog } from "../machine/log.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { VirtioBlock } from "../virtio/block.ts";
import type { VirtioDevice } from "../virtio/device.ts";
import { listNames } from "./directory.ts";
import { readText, withReader } from "./files.ts";
import { addFromBackup } from "./partition-devices.ts";
import { readPartitionTable } from "./partitions.ts";
import type { PartitionTable, TableEntry } from "./partitions.ts";

/** What attaching and mounting need of a kernel. A Kernel is one. */
export interface DeviceHost {
  /** A process with all rights. */
  readonly init: Process;
  readonly log: KernelLog;
  plug(device: VirtioDevice): Promise<void>;
  unplug(device: VirtioDevice): Promise<void>;
}

export interface AttachOptions {
  /** Whether the kernel must not write. Default: as the disk has it. */
  readOnly?: boolean;
  /** How long an asynchronous disk may take for a request, in milliseconds. Default: any time. */
  timeoutMs?: number;
  /** Called with what made a request fail; the kernel only sees an I/O error. */
  onError?: (error: unknown) => void;
}

/** A part of a disk that the kernel has made a device of. */
export interface Partition {
  /** From 1, as the kernel counts. */
  readonly number: number;
  /** E.g. `/dev/vda1`. */
  readonly path: string;
  readonly startBytes: number;
  readonly sizeBytes: number;
  /** What the disk's table says of it; null if that could not be read. */
  readonly entry: TableEntry | null;
}

/** The device that has this serial number is not there. */
export class DeviceNotFoundError extends Error {
  override readonly name = "DeviceNotFoundError";
  readonly code = "ERR_DEVICE_NOT_FOUND";
}

const serials = new WeakMap<DeviceHost, number>();

/** No two disks of one kernel have the same. */
function nextSerial(host: DeviceHost): string {
  const number = (serials.get(host) ?? 0) + 1;
  serials.set(host, number);
  return `liblinux-${number}`;
}

/**
 * Make a block device of a disk. Settles when the kernel has looked for partitions on it.
 * The disk stays the caller's, who closes it after the device was detached.
 *
 * @throws {DeviceError} @throws {KernelStoppedError}
 */
export async function attachDisk(
  host: DeviceHost,
  disk: Disk,
  options: AttachOptions = {},
): Promise<BlockDevice> {
  const serial = nextSerial(host);
  const device = new VirtioBlock(disk, { ...options, serial });
  await host.plug(device);
  try {
    const name = await findBySerial(host.init, serial);
    const attached = new BlockDevice(host, device, name);
    await attached.completePartitions();
    return attached;
  } catch (error) {
    await host.unplug(device).catch(() => {});
    throw error;
  }
}

async function findBySerial(process: Process, serial: string): Promise<string> {
  for (const name of await listNames(process, "/sys/block")) {
    if ((await readAttribute(process, `/sys/block/${name}/serial`)) === serial) return name;
  }
  throw new DeviceNotFoundError(
    `no block device has the serial number ${serial}: has this kernel a driver for virtio-blk?`,
  );
}

/** A file of sysfs without the line's end; null if it is not there. */
async function readAttribute(process: Process, path: string): Promise<string | null> {
  try {
    return (await readText(process, path)).trimEnd();
  } catch (error) {
    if (error instanceof SystemError) return null;
    throw error;
  }
}

/** A disk in a kernel. Disposing it takes it away, used or not. */
export class BlockDevice {
  readonly #host: DeviceHost;
  readonly #device: VirtioBlock;
  /** E.g. `vda`. */
  readonly name: string;
  #table: Promise<PartitionTable | null> | null = null;

  /** @internal Use {@link attachDisk}. */
  constructor(host: DeviceHost, device: VirtioBlock, name: string) {
    this.#host = host;
    this.#device = device;
    this.name = name;
  }

  /** E.g. `/dev/vda`. */
  get path(): string {
    return `/dev/${this.name}`;
  }

  get disk(): Disk {
    return this.#device.disk;
  }

  get sizeBytes(): number {
    return this.disk.sizeBytes;
  }

  /** Whether the kernel cannot write to it. */
  get readOnly(): boolean {
    return this.#device.readOnly;
  }

  /** The partition table, read once; null if there is none. */
  table(): Promise<PartitionTable | null> {
    return (this.#table ??= withReader(this.#host.init, this.path, (read) =>
      readPartitionTable(read, this.sizeBytes, this.disk.blockSizeBytes),
    ));
  }

  /** @internal Make devices of the partitions that only the table's copy has. */
  async completePartitions(): Promise<void> {
    const table = await this.table();
    if (table) await addFromBackup(this.#host.init, this.path, table);
  }

  /** The partitions, by number. */
  async partitions(): Promise<Partition[]> {
    const { init } = this.#host;
    const folder = `/sys/block/${this.name}`;
    const table = await this.table();
    const found: Partition[] = [];
    for (const name of await listNames(init, folder)) {
      const number = await readAttribute(init, `${folder}/${name}/partition`);
      if (number === null) continue;
      const start = Number(await readAttribute(init, `${folder}/${name}/start`)) * SECTOR_BYTES;
      const size = Number(await readAttribute(init, `${folder}/${name}/size`)) * SECTOR_BYTES;
      found.push({
        number: Number(number),
        path: `/dev/${name}`,
        startBytes: start,
        sizeBytes: size,
        entry: table?.entries.find((entry) => entry.startBytes === start) ?? null,
      });
    }
    return found.toSorted((a, b) => a.number - b.number);
  }

  /** Take the disk away: what is mounted from it fails with EIO from then on. */
  detach(): Promise<void> {
    return this.#host.unplug(this.#device);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Where the kernel has stopped, it is gone already.
    if (this.#device.plugged) await this.detach();
  }
}
