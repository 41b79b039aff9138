// Kernel memory for many datagrams by one call: recvmmsg(2), sendmmsg(2).
//
// Invariants: a job uses it from what it writes there until its call has returned.

import { Iovec } from "../../abi/structs/io.ts";
import { KernelSockaddrStorage, Mmsghdr, UserMsghdr } from "../../abi/structs/socket.ts";
import type { KernelBuffer } from "../../syscall/buffer.ts";
import type { Process } from "../../syscall/process.ts";
import { asBytes, copyOf } from "./bytes.ts";
import type { Bytes } from "./bytes.ts";
import { CONTROL_BYTES, putControl, takeControl } from "./control.ts";
import type { ControlMessage } from "./control.ts";
import { putEndpoint, takeEndpoint } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { Gather } from "./gather.ts";
import { DATA_BYTES } from "./lane.ts";
import type { Lane } from "./lane.ts";

/** How many datagrams one call receives. */
export const BATCH = 8;
/** How many one call sends, if they are short. */
export const SEND_BATCH = 32;
/** No datagram of IP is longer; of other families, the rest of a longer one is lost. */
export const MAX_DATAGRAM_BYTES = 65536;
const NAME_BYTES = KernelSockaddrStorage.size;
/** Headers come first, then vectors, names and control messages, one for each; then the data. */
const VECTORS_AT = SEND_BATCH * Mmsghdr.size;
const NAMES_AT = VECTORS_AT + SEND_BATCH * Iovec.size;
const CONTROL_AT = NAMES_AT + SEND_BATCH * NAME_BYTES;
const DATA_AT = CONTROL_AT + SEND_BATCH * CONTROL_BYTES;
const MEMORY_BYTES = DATA_AT + BATCH * MAX_DATAGRAM_BYTES;

/** One datagram as it came. */
export interface Datagram {
  /** The caller's own. */
  readonly bytes: Bytes;
  readonly from: Endpoint | undefined;
  /** MSG_… e.g. MSG_TRUNC if there was more of it. */
  readonly flags: number;
  /** What came beside the bytes, of a socket that was opened for it. */
  readonly control: readonly ControlMessage[];
}

/** One datagram to be sent. */
export interface OutgoingDatagram {
  /** One chunk, or several that make it up. */
  readonly bytes: Uint8Array | readonly Uint8Array[];
  /** Of a socket that is not connected. */
  readonly to?: Endpoint | undefined;
  /** What goes beside the bytes. */
  readonly control?: readonly ControlMessage[];
}

const NONE: readonly ControlMessage[] = [];

/** The memory; one job of the lane's uses it at a time. */
export class DatagramRoom {
  readonly memory: KernelBuffer;
  readonly address: number;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #headers: readonly UserMsghdr[];

  static async open(process: Process): Promise<DatagramRoom> {
    return new DatagramRoom(await process.buffer(MEMORY_BYTES));
  }

  private constructor(memory: KernelBuffer) {
    this.memory = memory;
    this.address = memory.address;
    this.#view = memory.view;
    this.#bytes = memory.bytes;
    this.#headers = Array.from(
      { length: SEND_BATCH },
      (_, index) => new UserMsghdr(this.#view, index * Mmsghdr.size),
    );
    for (const [index, header] of this.#headers.entries()) {
      header.msg_iov = this.address + VECTORS_AT + index * Iovec.size;
      header.msg_iovlen = 1;
    }
  }

  #vector(index: number, address: number, length: number): void {
    const at = VECTORS_AT + index * Iovec.size;
    this.#view.setUint32(at + Iovec.offsets.iov_base, address, true);
    this.#view.setUint32(at + Iovec.offsets.iov_len, length, true);
  }

  // --- Receiving -----------------------------------------------------------------------------

  /** Let the kernel write datagrams, and what comes beside them or not. */
  expect(control: boolean): void {
    for (let index = 0; index < BATCH; index++) {
      const header = this.#headers[index];
      const data = this.address + DATA_AT + index * MAX_DATAGRAM_BYTES;
      this.#vector(index, data, MAX_DATAGRAM_BYTES);
      header.msg_name = this.address + NAMES_AT + index * NAME_BYTES;
      header.msg_namelen = NAME_BYTES;
      header.msg_control = control ? this.address + CONTROL_AT + index * CONTROL_BYTES : 0;
      header.msg_controllen = control ? CONTROL_BYTES : 0;
    }
  }

  /** So many that it wrote. */
  take(count: number): Datagram[] {
    return Array.from({ length: count }, (_, index) => {
      const header = this.#headers[index];
      const length = this.#view.getUint32(index * Mmsghdr.size + Mmsghdr.offsets.msg_len, true);
      const data = DATA_AT + index * MAX_DATAGRAM_BYTES;
      return {
        bytes: copyOf(asBytes(this.#bytes.subarray(data, data + length)), length),
        from: takeEndpoint(this.#view, NAMES_AT + index * NAME_BYTES, header.msg_namelen),
        flags: header.msg_flags,
        control: header.msg_controllen ? takeControl(this.#control(index, header)) : NONE,
      };
    });
  }

  #control(index: number, { msg_controllen }: UserMsghdr): Uint8Array {
    const at = CONTROL_AT + index * CONTROL_BYTES;
    return this.#bytes.subarray(at, at + msg_controllen);
  }

  // --- One message of a stream ---------------------------------------------------------------

  /** Let the kernel write to this memory, and control messages. @returns where it is told */
  expectOne(address: number, length: number): number {
    this.#one(address, length).msg_controllen = CONTROL_BYTES;
    return this.address;
  }

  /** The control messages that it wrote, and MSG_… flags. */
  takeOne(): { control: ControlMessage[]; flags: number } {
    const header = this.#headers[0];
    return { control: takeControl(this.#control(0, header)), flags: header.msg_flags };
  }

  /** Let the kernel send what is in this memory, and control messages. @returns where it is told */
  putOne(address: number, length: number, control: readonly ControlMessage[]): number {
    const target = this.#bytes.subarray(CONTROL_AT, CONTROL_AT + CONTROL_BYTES);
    this.#one(address, length).msg_controllen = putControl(target, control);
    return this.address;
  }

  #one(address: number, length: number): UserMsghdr {
    const header = this.#headers[0];
    this.#vector(0, address, length);
    header.msg_name = header.msg_namelen = 0;
    header.msg_control = this.address + CONTROL_AT;
    return header;
  }

  // --- Sending -------------------------------------------------------------------------------

  /** Write datagrams, their bytes where the lane has its own, as many as there is room for. @returns how many */
  put(lane: Lane, datagrams: readonly OutgoingDatagram[], first: number): number {
    let at = 0;
    let index = 0;
    for (; index < SEND_BATCH && first + index < datagrams.length; index++) {
      const { bytes, to, control } = datagrams[first + index];
      const gather = new Gather(bytes instanceof Uint8Array ? [bytes] : bytes);
      const length = gather.left;
      if (length > DATA_BYTES - at) break;
      gather.copyTo(lane.dataBytes.subarray(at, at + length));
      this.#vector(index, lane.data + at, length);
      at += length;
      const header = this.#headers[index];
      const name = NAMES_AT + index * NAME_BYTES;
      header.msg_name = to ? this.address + name : 0;
      header.msg_namelen = to ? putEndpoint(this.#view, name, to) : 0;
      const beside = CONTROL_AT + index * CONTROL_BYTES;
      header.msg_control = control ? this.address + beside : 0;
      header.msg_controllen = control
        ? putControl(this.#bytes.subarray(beside, beside + CONTROL_BYTES), control)
        : 0;
    }
    return index;
  }
}
