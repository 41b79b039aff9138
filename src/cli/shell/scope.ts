// The volume that a shell is in, and where in it: what the verbs are given.
//
// Invariants: the working directory is absolute. Paths are taken apart before the kernel sees them, as
// shells do: `a/..` is where it was, also if a is a link.

import { posix, resolve } from "node:path";

import type { Image, MountedVolume } from "../../image/index.ts";
import type { Address } from "../address.ts";
import { PlaceError } from "../errors.ts";
import type { Place, Scope } from "../places.ts";

export class ShellScope implements Scope {
  readonly #image: Image;
  readonly #address: Address;
  readonly #writes: boolean;
  readonly volume: MountedVolume;
  readonly here = ".";
  /** In the volume. */
  directory: string;
  /** On this machine. */
  localDirectory = process.cwd();

  constructor(image: Image, volume: MountedVolume, address: Address, writes: boolean) {
    this.#image = image;
    this.#address = { ...address, volume: volume.volume.number || null };
    this.#writes = writes;
    this.volume = volume;
    this.directory = address.path ?? "/";
  }

  address(text: string): Place {
    return { ...this.#address, path: this.path(text) };
  }

  path(text: string): string {
    return posix.resolve(this.directory, text || ".");
  }

  placeInImage(text: string): Place | null {
    return this.address(text);
  }

  async withVolume<T>(
    { image }: Address,
    access: { readonly write?: boolean },
    work: (volume: MountedVolume, image: Image) => Promise<T>,
  ): Promise<T> {
    if (access.write && !this.#writes)
      throw new PlaceError(
        image,
        "EROFS: was opened to be read: liblinux shell --write changes it",
      );
    return work(this.volume, this.#image);
  }

  /** The same, but names without a mark are of this machine, from its working directory on. */
  mixed(): Scope & { mark(text: string): string } {
    const inVolume = (text: string) => text.startsWith(MARK);
    return {
      here: this.here,
      mark: (text) => MARK + text,
      address: (text) => this.address(inVolume(text) ? text.slice(MARK.length) : text),
      path: (text) => (inVolume(text) ? this.path(text.slice(MARK.length)) : this.local(text)),
      placeInImage: (text) => (inVolume(text) ? this.address(text.slice(MARK.length)) : null),
      withVolume: (address, access, work) => this.withVolume(address, access, work),
    };
  }

  /** A name of this machine. */
  local(text: string): string {
    return resolve(this.localDirectory, text);
  }
}

/** No file of this machine is called so. */
const MARK = "\0";
