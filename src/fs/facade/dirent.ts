// An entry of a directory.

import {
  DT_BLK,
  DT_CHR,
  DT_DIR,
  DT_FIFO,
  DT_LNK,
  DT_REG,
  DT_SOCK,
} from "../../abi/constants/stat.ts";

/** A name in a directory, and what it is. */
export class Dirent<N extends string | Uint8Array = string> {
  readonly name: N;
  /** The path of the directory, as it was given. */
  readonly parentPath: N extends string ? string : string | Uint8Array;
  readonly #type: number;

  /** @param type DT_… */
  constructor(name: N, parentPath: string | Uint8Array, type: number) {
    this.name = name;
    this.parentPath = parentPath as Dirent<N>["parentPath"];
    this.#type = type;
  }

  isDirectory(): boolean {
    return this.#type === DT_DIR;
  }
  isFile(): boolean {
    return this.#type === DT_REG;
  }
  isBlockDevice(): boolean {
    return this.#type === DT_BLK;
  }
  isCharacterDevice(): boolean {
    return this.#type === DT_CHR;
  }
  isSymbolicLink(): boolean {
    return this.#type === DT_LNK;
  }
  isFIFO(): boolean {
    return this.#type === DT_FIFO;
  }
  isSocket(): boolean {
    return this.#type === DT_SOCK;
  }
}
