// A message under construction, which remembers where each attribute is, so that an offset in the
// kernel's answer leads back to a name.

import { NLA_ALIGNTO, NLA_F_NESTED, NLA_HDRLEN } from "../../abi/constants/netlink.ts";
import { InvalidOptionError } from "../../machine/errors.ts";

/** An attribute's length is a __u16. */
const MAX_ATTRIBUTE_BYTES = 0xffff;
const FIRST_BYTES = 512;

/** Where an attribute begins. */
export interface Mark {
  readonly offsetBytes: number;
  /** Its name, with those around it. */
  readonly path: string;
  /** What it is made of: the name of an attribute type inside of it. */
  readonly nameOf: ((type: number) => string | undefined) | undefined;
}

/** Rounds a length up to where the next attribute begins. */
export function aligned(lengthBytes: number): number {
  return (lengthBytes + NLA_ALIGNTO - 1) & -NLA_ALIGNTO;
}

export class Writer {
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  readonly #path: string[] = [];
  readonly marks: Mark[] = [];

  get length(): number {
    return this.#length;
  }

  /** Names of the attributes that are being written, from outside in. */
  get path(): string {
    return this.#path.filter((name) => name !== "").join(".");
  }

  /** A view of what was written; reserving more ends it. */
  get view(): DataView {
    return this.#view;
  }

  /** All that was written. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  /** Room for so many bytes, zeroed. @returns where it begins */
  reserve(lengthBytes: number): number {
    const at = this.#length;
    this.#length += lengthBytes;
    if (this.#length > this.#bytes.length) {
      const more = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length));
      more.set(this.#bytes.subarray(0, at));
      this.#bytes = more;
      this.#view = new DataView(more.buffer);
    }
    return at;
  }

  put(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** An attribute whose payload `write` writes. */
  attribute(
    type: number,
    name: string,
    write: () => void,
    inside?: {
      readonly nested?: boolean;
      readonly transparent?: boolean;
      nameOf?(type: number): string | undefined;
    },
  ): void {
    const at = this.reserve(NLA_HDRLEN);
    this.#path.push(inside?.transparent ? "" : name);
    this.marks.push({
      offsetBytes: at,
      path: this.path,
      nameOf: inside?.nameOf?.bind(inside),
    });
    write();
    const lengthBytes = this.#length - at;
    if (lengthBytes > MAX_ATTRIBUTE_BYTES)
      throw this.wrong(`${lengthBytes} bytes, an attribute has at most ${MAX_ATTRIBUTE_BYTES}`);
    this.#path.pop();
    this.#view.setUint16(at, lengthBytes, true);
    this.#view.setUint16(at + 2, type | (inside?.nested ? NLA_F_NESTED : 0), true);
    this.reserve(aligned(this.#length) - this.#length);
  }

  /** An error about what is being written, or a part of it. */
  wrong(problem: string, part?: string): InvalidOptionError {
    const names = [this.path, part].filter((name) => name !== undefined && name !== "");
    return new InvalidOptionError(names.join("."), problem);
  }
}
