// Kernel memory for receiving many datagrams by one call: recvmmsg(2).

import { Iovec } from "../../abi/structs/io.ts";
import { KernelSockaddrStorage, Mmsghdr } from "../../abi/structs/socket.ts";
import type { KernelBuffer } from "../../syscall/buffer.ts";
import type { Process } from "../../syscall/process.ts";
import { asBytes, copyOf } from "./bytes.ts";
import type { Bytes } from "./bytes.ts";
import { decodeEndpoint } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";

/** How many datagrams one call takes. */
export const BATCH = 8;
/** No datagram of IP is longer; of other families, the rest of a longer one is lost. */
export const MAX_DATAGRAM_BYTES = 65536;
const NAME_BYTES = KernelSockaddrStorage.size;
/** Behind the headers come the vectors, then the names, then the data. */
const VECTORS_AT = BATCH * Mmsghdr.size;
const NAMES_AT = VECTORS_AT + BATCH * Iovec.size;
const DATA_AT = NAMES_AT + BATCH * NAME_BYTES;

/** One datagram as it came. */
export interface Datagram {
  /** The caller's own. */
  readonly bytes: Bytes;
  readonly from: Endpoint | undefined;
  /** MSG_… e.g. MSG_TRUNC if there was more of it. */
  readonly flags: number;
}

/** The memory; one job of the lane's uses it at a time. */
export class DatagramRoom {
  readonly memory: KernelBuffer;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  static async open(process: Process): Promise<DatagramRoom> {
    return new DatagramRoom(await process.buffer(DATA_AT + BATCH * MAX_DATAGRAM_BYTES));
  }

  private constructor(memory: KernelBuffer) {
    this.memory = memory;
    this.#view = memory.view;
    this.#bytes = memory.bytes;
    for (let index = 0; index < BATCH; index++) {
      const vector = new Iovec(this.#view, VECTORS_AT + index * Iovec.size);
      vector.iov_base = memory.address + DATA_AT + index * MAX_DATAGRAM_BYTES;
      vector.iov_len = MAX_DATAGRAM_BYTES;
    }
  }

  #header(index: number): Mmsghdr {
    return new Mmsghdr(this.#view, index * Mmsghdr.size);
  }

  /** Let the kernel write. */
  expect(): void {
    for (let index = 0; index < BATCH; index++) {
      const { msg_hdr } = this.#header(index);
      msg_hdr.msg_name = this.memory.address + NAMES_AT + index * NAME_BYTES;
      msg_hdr.msg_namelen = NAME_BYTES;
      msg_hdr.msg_iov = this.memory.address + VECTORS_AT + index * Iovec.size;
      msg_hdr.msg_iovlen = 1;
      msg_hdr.msg_control = 0;
      msg_hdr.msg_controllen = 0;
    }
  }

  /** What it wrote. */
  take(count: number): Datagram[] {
    return Array.from({ length: count }, (_, index) => {
      const { msg_hdr, msg_len } = this.#header(index);
      const data = DATA_AT + index * MAX_DATAGRAM_BYTES;
      const name = NAMES_AT + index * NAME_BYTES;
      return {
        bytes: copyOf(asBytes(this.#bytes.subarray(data, data + msg_len)), msg_len),
        from: decodeEndpoint(this.#bytes.subarray(name, name + msg_hdr.msg_namelen)),
        flags: msg_hdr.msg_flags,
      };
    });
  }
}
