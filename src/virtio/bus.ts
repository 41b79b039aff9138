// All virtio devices of one machine: the host's side of the transport in the host contract.
//
// Invariants: a device keeps its index from plugging until the kernel has let go of it. The kernel
// looks at the devices one after the other, so when it asks for another index than before, it is
// done with the one before. An index is in #events exactly once if something is pending for it.

import { VIRTIO_CONFIG_S_FAILED } from "../abi/constants/virtio.ts";
import {
  LKL_VIRTIO_CONFIG,
  LKL_VIRTIO_DEVICES,
  LKL_VIRTIO_PLUG,
  LKL_VIRTIO_USED,
} from "../abi/host.ts";
import { IRQ } from "../machine/board.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import type { DeviceHost, DeviceImports } from "../machine/machine.ts";
import type { VirtioDevice } from "./device.ts";
import { DeviceError } from "./errors.ts";

/** The last index is never used, so that the kernel always asks for another one after it. */
export const MAX_DEVICES: number = LKL_VIRTIO_DEVICES - 1;

interface Place {
  readonly device: VirtioDevice;
  /** Settles when the driver has probed the device; null for devices of the start. */
  plugged: PromiseWithResolvers<void> | null;
  /** Settles when the kernel has let go; null unless the device is being unplugged. */
  gone: PromiseWithResolvers<void> | null;
}

export class VirtioBus {
  readonly #places: (Place | null)[] = [];
  #host: DeviceHost | null = null;
  #stopped: Error | null = null;
  /** The index that the kernel asked for last, or -1; and what it was told. */
  #asked = -1;
  #answered = 0;
  /** By index, bit 1 << LKL_VIRTIO_… */
  readonly #pending = new Uint8Array(LKL_VIRTIO_DEVICES);
  readonly #events: number[] = [];
  /** Called, outside the kernel, when a device breaks. Exceptions are the application's own. */
  onDeviceError: ((error: DeviceError, device: VirtioDevice) => void) | null = null;

  /** @param devices are there when the kernel starts @throws {InvalidOptionError} */
  constructor(devices: Iterable<VirtioDevice> = []) {
    for (const device of devices) this.#place(device);
  }

  /** The devices, those being unplugged left out. */
  get devices(): VirtioDevice[] {
    return this.#places.flatMap((place) => (place && !place.gone ? [place.device] : []));
  }

  /**
   * Plug a device into the running machine. Settles when the kernel's driver has probed it.
   *
   * @throws {DeviceError} if the driver refuses it @throws {KernelStoppedError} {@link KernelPanicError}
   */
  async plug(device: VirtioDevice): Promise<void> {
    if (this.#stopped) throw this.#stopped;
    const index = this.#place(device);
    const plugged = Promise.withResolvers<void>();
    this.#places[index]!.plugged = plugged;
    if (this.#host) {
      this.#attach(device, index, this.#host);
      this.#raise(index, LKL_VIRTIO_PLUG);
    }
    await plugged.promise;
  }

  /**
   * Pull a device out, used or not: every request it has or gets fails from now on. Settles when the
   * kernel has let go of it; then it can be plugged in again, here or elsewhere.
   *
   * @throws {DeviceError} if it is not in this machine @throws {KernelStoppedError}
   */
  async unplug(device: VirtioDevice): Promise<void> {
    if (this.#stopped) throw this.#stopped;
    const index = this.#places.findIndex((place) => place?.device === device);
    const place = this.#places[index];
    if (!place) throw new DeviceError(device.name, "is not in this machine");
    if (!this.#host) this.#places[index] = null;
    else if (!place.gone) {
      place.gone = Promise.withResolvers<void>();
      device.leave();
      this.#raise(index, LKL_VIRTIO_PLUG);
    }
    await place.gone?.promise;
  }

  /** The imports of the machine, of which a bus serves one. @throws {InvalidOptionError} */
  imports(host: DeviceHost): DeviceImports {
    if (this.#host)
      throw new InvalidOptionError("devices", "this bus belongs to a machine already");
    try {
      for (const [index, place] of this.#places.entries())
        if (place) this.#attach(place.device, index, host);
    } catch (error) {
      this.#stop(error as Error);
      throw error;
    }
    this.#host = host;
    void host.stopped.then((why) => this.#stop(why));
    return {
      virtio_next: () => this.#next(),
      virtio_id: (index: number) => this.#identify(index),
      virtio_gone: (index: number) => this.#gone(index),
      virtio_features: (index: number, word: number) =>
        this.#places[index]?.device.features(word) ?? 0,
      virtio_accept: (index: number, low: number, high: number) =>
        this.#places[index]?.device.accept(low, high),
      virtio_config_read: (index: number, offset: number, at: number, length: number) =>
        this.#readConfig(host, index, offset >>> 0, at >>> 0, length >>> 0),
      virtio_config_write: (index: number, offset: number, at: number, length: number) =>
        this.#places[index]?.device.writeConfig(offset >>> 0, host.memory.copy(at, length)),
      virtio_status_get: (index: number) => this.#places[index]?.device.status ?? 0,
      virtio_status_set: (index: number, status: number) =>
        this.#places[index]?.device.setStatus(status),
      virtio_queue_max: (index: number, queue: number) =>
        this.#places[index]?.device.queueSizes[queue] ?? 0,
      virtio_queue: (
        index: number,
        queue: number,
        size: number,
        descriptors: number,
        available: number,
        used: number,
      ) =>
        this.#places[index]?.device.setQueue(
          queue,
          size >>> 0,
          descriptors >>> 0,
          available >>> 0,
          used >>> 0,
        ),
      virtio_notify: (index: number, queue: number) => this.#places[index]?.device.notify(queue),
    };
  }

  /** Find a place for a device. */
  #place(device: VirtioDevice): number {
    if (this.#places.some((place) => place?.device === device))
      throw new InvalidOptionError("devices", `${device.name} is in this machine already`);
    const free = this.#places.indexOf(null);
    const index = free < 0 ? this.#places.length : free;
    if (index >= MAX_DEVICES)
      throw new InvalidOptionError("devices", `a machine has at most ${MAX_DEVICES}`);
    this.#places[index] = { device, plugged: null, gone: null };
    return index;
  }

  #attach(device: VirtioDevice, index: number, host: DeviceHost): void {
    try {
      device.attach({
        memory: host.memory,
        interrupt: () => this.#raise(index, LKL_VIRTIO_USED),
        configChanged: () => this.#raise(index, LKL_VIRTIO_CONFIG),
        report: (error) => queueMicrotask(() => this.onDeviceError?.(error, device)),
      });
    } catch (error) {
      this.#places[index] = null;
      throw error;
    }
  }

  #raise(index: number, event: number): void {
    if (!this.#pending[index]) this.#events.push(index);
    this.#pending[index] |= 1 << event;
    // Also if it was pending: an interrupt before the kernel's handler was there went nowhere.
    this.#host!.raise(IRQ.Virtio);
  }

  #next(): number {
    const index = this.#events[0];
    if (index === undefined) return -1;
    const bits = this.#pending[index];
    const event = 31 - Math.clz32(bits & -bits);
    this.#pending[index] = bits & ~(1 << event);
    if (!this.#pending[index]) this.#events.shift();
    return (index << 2) | event;
  }

  #identify(index: number): number {
    if (this.#asked !== index) this.#done(this.#asked);
    const place = this.#places[index];
    this.#asked = place ? index : -1;
    this.#answered = place && !place.gone ? place.device.id : 0;
    return this.#answered;
  }

  /** The kernel has dealt with what it was told about an index. */
  #done(index: number): void {
    const place = this.#places[index];
    if (!place) return;
    // Told that it is gone, the kernel did not let go of it: it never had it.
    if (this.#answered === 0) return this.#gone(index);
    const { device, plugged } = place;
    place.plugged = null;
    if (device.status & VIRTIO_CONFIG_S_FAILED)
      plugged?.reject(new DeviceError(device.name, "its driver refused it: see the kernel's log"));
    else plugged?.resolve();
  }

  #gone(index: number): void {
    const place = this.#places[index];
    if (!place) return;
    this.#places[index] = null;
    this.#asked = -1;
    const why = new DeviceError(place.device.name, "was unplugged");
    place.device.detach(why);
    place.plugged?.reject(why);
    place.gone?.resolve();
  }

  #readConfig(host: DeviceHost, index: number, offset: number, at: number, length: number): void {
    const { u8, size } = host.memory;
    if (at + length > size) return;
    u8.fill(0, at, at + length);
    const config = this.#places[index]?.device.config;
    if (config) u8.set(config.subarray(offset, offset + length), at);
  }

  #stop(why: Error): void {
    this.#stopped = why;
    for (const [index, place] of this.#places.entries()) {
      if (!place) continue;
      this.#places[index] = null;
      place.device.detach(why);
      place.plugged?.reject(why);
      place.gone?.reject(why);
    }
  }
}
