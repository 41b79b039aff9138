// A volume of an image: a whole disk, or a partition of it, to be mounted.

import type { BlockDevice, Partition } from "../fs/block-device.ts";
import { mount } from "../fs/mount.ts";
import type { MountOptions } from "../fs/mount.ts";
import type { Content } from "../fs/probes/content.ts";
import type { Usage } from "../fs/stat.ts";
import type { VolumeFacts } from "../fs/volumes.ts";
import type { Kernel, ProcessOptions } from "../kernel.ts";
import { MountedVolume } from "./mounted-volume.ts";

/** How to mount a volume, and as whom to use it. */
export interface VolumeMountOptions
  extends
    Omit<MountOptions, "source" | "sourceName" | "target">,
    Pick<ProcessOptions, "uid" | "gid" | "groups" | "umask" | "maxThreads"> {}

export class Volume implements VolumeFacts {
  readonly #kernel: Kernel;
  readonly #mounted = new Set<MountedVolume>();
  readonly #imageName: string | undefined;
  /** The disk that it is on. */
  readonly device: BlockDevice;
  readonly number: number;
  readonly path: string;
  readonly startBytes: number;
  readonly sizeBytes: number;
  readonly partition: Partition | null;
  readonly content: Content | null;
  /** What this one lies on: the whole disk of a partition; null if it is a disk itself. */
  readonly parent: Volume | null;
  readonly #children: Volume[] = [];

  /** @internal Use {@link openImage}. */
  constructor(
    kernel: Kernel,
    { device, name }: { readonly device: BlockDevice; readonly name: string | undefined },
    facts: VolumeFacts,
    parent: Volume | null = null,
  ) {
    this.device = device;
    this.#imageName = name;
    this.parent = parent;
    if (parent) parent.#children.push(this);
    this.#kernel = kernel;
    this.number = facts.number;
    this.path = facts.path;
    this.startBytes = facts.startBytes;
    this.sizeBytes = facts.sizeBytes;
    this.partition = facts.partition;
    this.content = facts.content;
  }

  /** The volumes that lie on this one, by number: the partitions of a disk. */
  get children(): readonly Volume[] {
    return this.#children;
  }

  /** E.g. `ext4`; undefined if nothing is known of what it holds. */
  get type(): string | undefined {
    return this.content?.type;
  }

  /** The file system's, or else the partition's name. */
  get label(): string | undefined {
    return this.content?.label ?? this.partition?.entry?.name;
  }

  get uuid(): string | undefined {
    return this.content?.uuid;
  }

  /** Whether a selector means this volume. */
  matches(selector: number | string): boolean {
    if (typeof selector === "number") return this.number === selector;
    const { label, uuid, partition } = this;
    return label === selector || uuid === selector || partition?.entry?.uuid === selector;
  }

  /** E.g. `2 (ext4 "root")`. */
  toString(): string {
    const label = this.label === undefined ? "" : ` "${this.label}"`;
    return `${this.number} (${this.type ?? "nothing known"}${label})`;
  }

  /** For errors, e.g. `volume 2 (ext4 "root") of disk.img`. */
  get #fullName(): string {
    return `volume ${this.toString()}${this.#imageName === undefined ? "" : ` of ${this.#imageName}`}`;
  }

  /**
   * Mount it, and start a process in it. Obeys no device nodes or set-user-ID bits of the volume
   * unless it is `trusted`.
   *
   * @throws {NotMountableError} if there is no file system that the kernel knows
   * @throws {MountError} if the kernel refused it, e.g. because it is damaged
   */
  async mount(options: VolumeMountOptions = {}): Promise<MountedVolume> {
    const { uid, gid, groups, umask, maxThreads, ...how } = options;
    const identity = { uid, gid, groups, umask, maxThreads };
    const source = { source: this.path, sourceName: this.#fullName };
    const mounted = await mount(this.#kernel, { ...how, ...source });
    try {
      const process = await this.#kernel.process({
        ...definedOf(identity),
        root: mounted.target,
      });
      const volume = new MountedVolume(this, mounted, this.#kernel.init, process, () =>
        this.#mounted.delete(volume),
      );
      this.#mounted.add(volume);
      return volume;
    } catch (error) {
      await mounted.unmount();
      throw error;
    }
  }

  /** How full its file system is. Mounts it read-only for that if it is not mounted. */
  async usage(): Promise<Usage> {
    for (const mounted of this.#mounted) return mounted.usage();
    await using mounted = await mount(this.#kernel, {
      source: this.path,
      sourceName: this.#fullName,
      readOnly: true,
      skipJournal: true,
    });
    return await mounted.usage();
  }

  /** @internal */
  async unmountAll(): Promise<void> {
    for (const mounted of this.#mounted) await mounted[Symbol.asyncDispose]();
  }
}

/** Only what was given: a property that is undefined would be an option. */
function definedOf<T extends object>(options: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
