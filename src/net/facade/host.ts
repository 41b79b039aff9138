// What all sockets of one façade share.
//
// Invariants: the memory for datagrams is there once it was asked for.

import type { Process } from "../../syscall/process.ts";
import { DatagramRoom } from "./datagram-room.ts";
import { Lane } from "./lane.ts";
import { raiseLimit } from "./limits.ts";
import { Reactor } from "./reactor.ts";

export class Host implements AsyncDisposable {
  readonly process: Process;
  readonly lane: Lane;
  readonly reactor: Reactor;
  #datagramRoom: Promise<DatagramRoom> | null = null;

  /** Memory, an epoll descriptor and its thread, in this process. */
  static async open(process: Process): Promise<Host> {
    await raiseLimit(process);
    const lane = await Lane.open(process);
    try {
      return new Host(process, lane, await Reactor.open(lane));
    } catch (error) {
      await lane.dispose();
      throw error;
    }
  }

  private constructor(process: Process, lane: Lane, reactor: Reactor) {
    this.process = process;
    this.lane = lane;
    this.reactor = reactor;
  }

  /** Where datagrams are received. */
  datagramRoom(): Promise<DatagramRoom> {
    return (this.#datagramRoom ??= DatagramRoom.open(this.process));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reactor.dispose();
    await this.lane.dispose();
    const room = await this.#datagramRoom;
    await room?.memory.dispose();
  }
}
