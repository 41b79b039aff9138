// A block device (virtio 1.2, section 5.2) over a disk.
//
// Invariants: a request that waits for its disk is in #requests, and its buffers count in
// #stagedBytes, until it is answered once: by the disk, the timeout, or whoever refuses all
// requests. A synchronous disk gets views of kernel memory; any other gets private buffers, which
// are copied from when the request is answered, if its queue is still there.

import {
  VIRTIO_BLK_F_BLK_SIZE,
  VIRTIO_BLK_F_CONFIG_WCE,
  VIRTIO_BLK_F_DISCARD,
  VIRTIO_BLK_F_FLUSH,
  VIRTIO_BLK_F_RO,
  VIRTIO_BLK_F_SEG_MAX,
  VIRTIO_BLK_F_SIZE_MAX,
  VIRTIO_BLK_F_TOPOLOGY,
  VIRTIO_BLK_F_WRITE_ZEROES,
  VIRTIO_BLK_ID_BYTES,
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK,
  VIRTIO_BLK_S_UNSUPP,
  VIRTIO_BLK_T_DISCARD,
  VIRTIO_BLK_T_FLUSH,
  VIRTIO_BLK_T_GET_ID,
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_OUT,
  VIRTIO_BLK_T_WRITE_ZEROES,
  VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
  VIRTIO_ID_BLOCK,
} from "../abi/constants/virtio.ts";
import {
  VirtioBlkConfig,
  VirtioBlkDiscardWriteZeroes,
  VirtioBlkOuthdr,
} from "../abi/structs/virtio.ts";
import { checkBlockSize, SECTOR_BYTES } from "../disk/disk.ts";
import type { Disk } from "../disk/disk.ts";
import { DiskError } from "../disk/errors.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { VirtioDevice } from "./device.ts";
import { DeviceError } from "./errors.ts";
import type { VirtQueue } from "./queue.ts";

export interface VirtioBlockOptions {
  /** What the kernel shows in /sys/block/vdX/serial: at most 20 ASCII characters. */
  serial?: string;
  /** Whether the kernel must not write; by default as the disk has it. */
  readOnly?: boolean;
  /** How long an asynchronous disk may take for a request, in milliseconds, before it fails. */
  timeoutMs?: number;
  /** Called, outside the kernel, with what made a request fail. */
  onError?: (error: unknown) => void;
}

/** Requests that can be in the queue at once. */
const QUEUE_SIZE = 256;
/** Buffers of a request, beside header and status. */
const MAX_SEGMENTS = QUEUE_SIZE - 2;
/** A buffer's greatest length. */
const MAX_SEGMENT_BYTES = 4 << 20;
/** What asynchronous requests may hold in private buffers; further ones stay in the queue. */
const MAX_STAGED_BYTES = 32 << 20;
/**
 * Largest disk. The page cache numbers pages with a word of 32 bits: two that are 16 TiB apart would
 * be one, and writing to one would overwrite the other (MAX_LFS_FILESIZE in include/linux/fs.h).
 */
const MAX_DISK_BYTES = (2 ** 32 - 1) * 4096;
/** Ranges of a request to discard or to write zeroes. */
const MAX_RANGES = 64;
const MAX_DISCARD_SECTORS = 1 << 22;
/** Less: some disks write them out, at once. */
const MAX_ZEROES_SECTORS = 1 << 17;

const CONFIG = VirtioBlkConfig.offsets;
const HEADER = VirtioBlkOuthdr.offsets;
const RANGE = VirtioBlkDiscardWriteZeroes.offsets;

/** A part of the disk, in bytes. */
interface Range {
  readonly offset: number;
  readonly length: number;
  readonly mayUnmap: boolean;
}

/** A request that waits for its disk. */
interface Request {
  readonly queue: VirtQueue;
  readonly head: number;
  readonly statusAt: number;
  /** What is read is copied to these buffers: addresses and lengths in turn. */
  readonly into: readonly number[];
  readonly staged: Uint8Array;
  timer: ReturnType<typeof setTimeout> | undefined;
}

function featuresOf(disk: Disk, readOnly: boolean): number[] {
  const features = [
    VIRTIO_BLK_F_SIZE_MAX,
    VIRTIO_BLK_F_SEG_MAX,
    VIRTIO_BLK_F_BLK_SIZE,
    VIRTIO_BLK_F_TOPOLOGY,
  ];
  if (readOnly) return [...features, VIRTIO_BLK_F_RO];
  features.push(VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_CONFIG_WCE);
  if (disk.discard) features.push(VIRTIO_BLK_F_DISCARD);
  if (disk.writeZeroes) features.push(VIRTIO_BLK_F_WRITE_ZEROES);
  return features;
}

function encodeSerial(serial: string): Uint8Array {
  const bytes = new TextEncoder().encode(serial);
  if (bytes.length > VIRTIO_BLK_ID_BYTES || !/^[\x20-\x7e]*$/.test(serial))
    throw new InvalidOptionError(
      "serial",
      `${JSON.stringify(serial)} is not at most ${VIRTIO_BLK_ID_BYTES} ASCII characters`,
    );
  const id = new Uint8Array(VIRTIO_BLK_ID_BYTES);
  id.set(bytes);
  return id;
}

export class VirtioBlock extends VirtioDevice {
  /** The disk. It is the caller's, who closes it when the device is out of its machine. */
  readonly disk: Disk;
  readonly readOnly: boolean;
  readonly #serial: Uint8Array;
  readonly #timeoutMs: number | undefined;
  readonly #onError: ((error: unknown) => void) | undefined;
  readonly #requests = new Set<Request>();
  #stagedBytes = 0;
  #unlisten: (() => void) | null = null;
  /** Whether a write has to last before it is answered. */
  #writeThrough = false;
  /** Buffers for one call of the disk. */
  readonly #vector: Uint8Array[] = [];

  // The request that is being served: its buffers #first to #end of the queue's chain.
  #first = 0;
  #end = 0;
  #dataBytes = 0;

  /** @throws {InvalidOptionError} */
  constructor(disk: Disk, options: VirtioBlockOptions = {}) {
    const readOnly = disk.readOnly || (options.readOnly ?? false);
    super({
      id: VIRTIO_ID_BLOCK,
      name: "virtio-blk",
      features: featuresOf(disk, readOnly),
      configBytes: VirtioBlkConfig.size,
      queueSizes: [QUEUE_SIZE],
    });
    const { timeoutMs } = options;
    if (timeoutMs !== undefined && !(timeoutMs > 0))
      throw new InvalidOptionError("timeoutMs", `${timeoutMs} is not a positive number`);
    this.disk = disk;
    this.readOnly = readOnly;
    this.#serial = encodeSerial(options.serial ?? "");
    this.#timeoutMs = timeoutMs;
    this.#onError = options.onError;
    this.#fillConfig();
  }

  #fillConfig(): void {
    const { disk, configView: config } = this;
    if (disk.sizeBytes > MAX_DISK_BYTES)
      throw new InvalidOptionError(
        "disk",
        `${disk.sizeBytes} bytes are more than the ${MAX_DISK_BYTES} (16 TiB) that a kernel of 32 bits can tell apart: attach a part of it`,
      );
    const blockBytes = checkBlockSize(disk.blockSizeBytes);
    const physicalBytes = disk.physicalBlockSizeBytes ?? blockBytes;
    const exponent = Math.log2(physicalBytes / blockBytes);
    if (!Number.isInteger(exponent) || exponent < 0 || exponent > 15)
      throw new InvalidOptionError(
        "disk",
        `physical blocks of ${physicalBytes} bytes with logical ones of ${blockBytes}`,
      );
    config.setUint32(CONFIG.size_max, MAX_SEGMENT_BYTES, true);
    config.setUint32(CONFIG.seg_max, MAX_SEGMENTS, true);
    config.setUint32(CONFIG.blk_size, blockBytes, true);
    config.setUint8(CONFIG.physical_block_exp, exponent);
    config.setUint16(CONFIG.min_io_size, physicalBytes / blockBytes, true);
    config.setUint32(CONFIG.opt_io_size, (disk.optimalTransferBytes ?? 0) / blockBytes, true);
    config.setUint8(CONFIG.wce, 1);
    config.setUint32(CONFIG.max_discard_sectors, MAX_DISCARD_SECTORS, true);
    config.setUint32(CONFIG.max_discard_seg, MAX_RANGES, true);
    config.setUint32(CONFIG.discard_sector_alignment, blockBytes / SECTOR_BYTES, true);
    config.setUint32(CONFIG.max_write_zeroes_sectors, MAX_ZEROES_SECTORS, true);
    config.setUint32(CONFIG.max_write_zeroes_seg, MAX_RANGES, true);
    config.setUint8(CONFIG.write_zeroes_may_unmap, 1);
    this.#fillCapacity();
  }

  /** Whole blocks only, and of a disk that has grown too large the part that can be told apart. */
  #fillCapacity(): void {
    const { blockSizeBytes } = this.disk;
    const sizeBytes = Math.min(this.disk.sizeBytes, MAX_DISK_BYTES);
    const sectors = Math.floor(sizeBytes / blockSizeBytes) * (blockSizeBytes / SECTOR_BYTES);
    this.configView.setBigUint64(CONFIG.capacity, BigInt(sectors), true);
  }

  protected override started(): void {
    this.#fillCapacity();
    this.#unlisten =
      this.disk.onResize?.(() => {
        this.#fillCapacity();
        this.announceConfig();
      }) ?? null;
  }

  protected override stopped(): void {
    this.#unlisten?.();
    this.#unlisten = null;
  }

  protected override driverReady(): void {
    this.#setCacheMode();
  }

  protected override configWritten(offset: number, bytes: Uint8Array): void {
    if (offset !== CONFIG.wce || bytes.length !== 1) return;
    this.config[CONFIG.wce] = bytes[0] & 1;
    this.#setCacheMode();
  }

  /** A driver that cannot flush, or that chose so, wants writes to last. */
  #setCacheMode(): void {
    this.#writeThrough =
      !this.readOnly &&
      (!this.accepted(VIRTIO_BLK_F_FLUSH) ||
        (this.accepted(VIRTIO_BLK_F_CONFIG_WCE) && this.config[CONFIG.wce] === 0));
  }

  protected override serve(queue: VirtQueue): void {
    while (this.#stagedBytes < MAX_STAGED_BYTES) {
      const head = queue.pop();
      if (head < 0) break;
      this.#start(queue, head);
    }
    this.announce(queue);
  }

  protected override refuse(queue: VirtQueue): number {
    const last = queue.count - 1;
    if (queue.readable > last || queue.length[last] === 0) return 0;
    this.memory.u8[queue.address[last] + queue.length[last] - 1] = VIRTIO_BLK_S_IOERR;
    return 1;
  }

  protected override dropRequests(): void {
    for (const { timer } of this.#requests) clearTimeout(timer);
    this.#requests.clear();
    this.#stagedBytes = 0;
  }

  /** Serve one request: header, buffers, and a byte for the status at the end. */
  #start(queue: VirtQueue, head: number): void {
    const { count, readable, address, length } = queue;
    const last = count - 1;
    if (readable === 0 || readable > last || length[0] < VirtioBlkOuthdr.size || length[last] === 0)
      throw new DeviceError(this.name, "a request without header or status");
    const { view } = this.memory;
    const header = address[0];
    const statusAt = address[last] + length[last] - 1;
    const type = view.getUint32(header + HEADER.type, true);
    const sector =
      view.getUint32(header + HEADER.sector, true) +
      view.getUint32(header + HEADER.sector + 4, true) * 4294967296;
    // Header and status aside, the rest is data, out or in.
    address[0] += VirtioBlkOuthdr.size;
    length[0] -= VirtioBlkOuthdr.size;
    length[last] -= 1;
    if (type === VIRTIO_BLK_T_IN || type === VIRTIO_BLK_T_GET_ID) {
      this.#first = readable;
      this.#end = count;
    } else {
      this.#first = 0;
      this.#end = readable;
    }
    this.#dataBytes = 0;
    for (let i = this.#first; i < this.#end; i++) this.#dataBytes += length[i];
    if (this.disk.synchronous) {
      const status = this.#now(queue, type, sector * SECTOR_BYTES);
      this.memory.u8[statusAt] = status;
      queue.push(
        head,
        status === VIRTIO_BLK_S_OK && type === VIRTIO_BLK_T_IN ? this.#dataBytes + 1 : 1,
      );
    } else this.#later(queue, head, statusAt, type, sector * SECTOR_BYTES);
  }

  // --- Synchronous disks ---------------------------------------------------------------------

  /** Serve a request at once. @returns its status */
  #now(queue: VirtQueue, type: number, offset: number): number {
    try {
      switch (type) {
        case VIRTIO_BLK_T_IN:
          this.#checkRange(offset, this.#dataBytes);
          this.#readNow(queue, offset);
          break;
        case VIRTIO_BLK_T_OUT:
          this.#checkWritable();
          this.#checkRange(offset, this.#dataBytes);
          this.#writeNow(queue, offset);
          if (this.#writeThrough) this.#mustBeDone(this.disk.flush());
          break;
        case VIRTIO_BLK_T_FLUSH:
          this.#mustBeDone(this.disk.flush());
          break;
        case VIRTIO_BLK_T_GET_ID:
          this.#scatter(queue, this.#serial);
          break;
        case VIRTIO_BLK_T_DISCARD:
        case VIRTIO_BLK_T_WRITE_ZEROES: {
          const ranges = this.#ranges(this.#gather(queue), type);
          if (!ranges) return VIRTIO_BLK_S_UNSUPP;
          for (const range of ranges) this.#mustBeDone(this.#erase(type, range));
          if (this.#writeThrough) this.#mustBeDone(this.disk.flush());
          break;
        }
        default:
          return VIRTIO_BLK_S_UNSUPP;
      }
    } catch (error) {
      if (error instanceof DeviceError) throw error;
      this.#report(error);
      return VIRTIO_BLK_S_IOERR;
    }
    return VIRTIO_BLK_S_OK;
  }

  #mustBeDone(result: void | Promise<void>): void {
    if (result === undefined) return;
    // It is void, however it ends.
    result.catch(() => {});
    throw new DeviceError(
      this.name,
      "its disk says that it is synchronous, but returned a promise",
    );
  }

  #readNow(queue: VirtQueue, offset: number): void {
    const { disk } = this;
    const runs = this.#runs(queue);
    if (runs.length > 1 && disk.readVector) disk.readVector(runs, offset);
    else
      for (const bytes of runs) {
        this.#mustBeDone(disk.read(bytes, offset));
        offset += bytes.length;
      }
    runs.length = 0;
  }

  #writeNow(queue: VirtQueue, offset: number): void {
    const { disk } = this;
    const runs = this.#runs(queue);
    if (runs.length > 1 && disk.writeVector) disk.writeVector(runs, offset);
    else
      for (const bytes of runs) {
        this.#mustBeDone(disk.write(bytes, offset));
        offset += bytes.length;
      }
    runs.length = 0;
  }

  /** Views of the request's data, buffers that touch joined. The array is used again. */
  #runs(queue: VirtQueue): Uint8Array[] {
    const { u8 } = this.memory;
    const { address, length } = queue;
    const runs = this.#vector;
    runs.length = 0;
    for (let i = this.#first; i < this.#end;) {
      const start = address[i];
      let end = start + length[i];
      for (i++; i < this.#end && address[i] === end; i++) end += length[i];
      if (end > start) runs.push(u8.subarray(start, end));
    }
    return runs;
  }

  // --- Asynchronous disks --------------------------------------------------------------------

  /** Start a request that is answered when the disk has answered. */
  #later(queue: VirtQueue, head: number, statusAt: number, type: number, offset: number): void {
    const into: number[] = [];
    const reads = type === VIRTIO_BLK_T_IN || type === VIRTIO_BLK_T_GET_ID;
    if (reads)
      for (let i = this.#first; i < this.#end; i++) into.push(queue.address[i], queue.length[i]);
    const fits = offset + this.#dataBytes <= this.disk.sizeBytes;
    const staged = reads
      ? new Uint8Array(fits || type === VIRTIO_BLK_T_GET_ID ? this.#dataBytes : 0)
      : this.#gather(queue);
    const request: Request = { queue, head, statusAt, into, staged, timer: undefined };
    this.#requests.add(request);
    this.#stagedBytes += staged.length;
    if (this.#timeoutMs !== undefined)
      request.timer = setTimeout(() => {
        const problem = `the disk did not answer within ${this.#timeoutMs} ms`;
        this.#answer(request, VIRTIO_BLK_S_IOERR, new DiskError("EIO", problem));
      }, this.#timeoutMs);
    this.#work(type, staged, offset, this.#dataBytes).then(
      (status) => this.#answer(request, status),
      (error: unknown) => this.#answer(request, VIRTIO_BLK_S_IOERR, error),
    );
  }

  /** What the disk has to do for a request. */
  async #work(type: number, staged: Uint8Array, offset: number, bytes: number): Promise<number> {
    const { disk } = this;
    switch (type) {
      case VIRTIO_BLK_T_IN:
        this.#checkRange(offset, bytes);
        await disk.read(staged, offset);
        return VIRTIO_BLK_S_OK;
      case VIRTIO_BLK_T_OUT:
        this.#checkWritable();
        this.#checkRange(offset, bytes);
        await disk.write(staged, offset);
        break;
      case VIRTIO_BLK_T_FLUSH:
        await disk.flush();
        return VIRTIO_BLK_S_OK;
      case VIRTIO_BLK_T_GET_ID:
        staged.set(this.#serial.subarray(0, staged.length));
        return VIRTIO_BLK_S_OK;
      case VIRTIO_BLK_T_DISCARD:
      case VIRTIO_BLK_T_WRITE_ZEROES: {
        const ranges = this.#ranges(staged, type);
        if (!ranges) return VIRTIO_BLK_S_UNSUPP;
        for (const range of ranges) await this.#erase(type, range);
        break;
      }
      default:
        return VIRTIO_BLK_S_UNSUPP;
    }
    if (this.#writeThrough) await disk.flush();
    return VIRTIO_BLK_S_OK;
  }

  /** Answer a request that was started, unless it was answered or dropped before. */
  #answer(request: Request, status: number, error?: unknown): void {
    if (!this.#requests.delete(request)) return;
    const { queue, head, into, staged } = request;
    clearTimeout(request.timer);
    this.#stagedBytes -= staged.length;
    if (error !== undefined) this.#report(error);
    this.run(() => {
      if (!queue.live) return;
      const { u8 } = this.memory;
      let done = 0;
      if (status === VIRTIO_BLK_S_OK)
        for (let i = 0; i < into.length; i += 2) {
          const length = into[i + 1];
          u8.set(staged.subarray(done, done + length), into[i]);
          done += length;
        }
      u8[request.statusAt] = status;
      queue.push(head, done + 1);
      // There may be more in the queue, which had no room before.
      this.serve(queue);
    });
  }

  // --- Both ----------------------------------------------------------------------------------

  #checkWritable(): void {
    if (this.readOnly) throw new DiskError("EROFS", "a write to a read-only device");
  }

  #checkRange(offset: number, bytes: number): void {
    if (offset + bytes > this.disk.sizeBytes)
      throw new DiskError(
        "EIO",
        `${bytes} bytes at ${offset} are beyond the disk's ${this.disk.sizeBytes}`,
      );
  }

  /** A copy of the data that a request carries. */
  #gather(queue: VirtQueue): Uint8Array {
    const bytes = new Uint8Array(this.#dataBytes);
    let done = 0;
    for (let i = this.#first; i < this.#end; i++) {
      bytes.set(this.memory.subarray(queue.address[i], queue.length[i]), done);
      done += queue.length[i];
    }
    return bytes;
  }

  /** Copy to the buffers of a request, as far as they go. */
  #scatter(queue: VirtQueue, bytes: Uint8Array): void {
    let done = 0;
    for (let i = this.#first; i < this.#end && done < bytes.length; i++) {
      const part = bytes.subarray(done, done + queue.length[i]);
      this.memory.u8.set(part, queue.address[i]);
      done += part.length;
    }
  }

  /** The ranges that a request names, all of them valid; null if it asks for what we do not offer. */
  #ranges(bytes: Uint8Array, type: number): Range[] | null {
    if (type === VIRTIO_BLK_T_DISCARD ? !this.disk.discard : !this.disk.writeZeroes) return null;
    this.#checkWritable();
    const known = type === VIRTIO_BLK_T_DISCARD ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
    const count = bytes.length / VirtioBlkDiscardWriteZeroes.size;
    if (!Number.isInteger(count) || count > MAX_RANGES)
      throw new DiskError("EINVAL", `${bytes.length} bytes of ranges`);
    const view = new DataView(bytes.buffer);
    const ranges: Range[] = [];
    for (let at = 0; at < bytes.length; at += VirtioBlkDiscardWriteZeroes.size) {
      const flags = view.getUint32(at + RANGE.flags, true);
      if (flags & ~known) return null;
      const offset = Number(view.getBigUint64(at + RANGE.sector, true)) * SECTOR_BYTES;
      const length = view.getUint32(at + RANGE.num_sectors, true) * SECTOR_BYTES;
      this.#checkRange(offset, length);
      ranges.push({ offset, length, mayUnmap: flags !== 0 });
    }
    return ranges;
  }

  #erase(type: number, { offset, length, mayUnmap }: Range): void | Promise<void> {
    return type === VIRTIO_BLK_T_DISCARD
      ? this.disk.discard!(offset, length)
      : this.disk.writeZeroes!(offset, length, mayUnmap);
  }

  #report(error: unknown): void {
    const listener = this.#onError;
    if (listener) queueMicrotask(() => listener(error));
  }
}
