// What all sockets of one façade share.

import type { Process } from "../../syscall/process.ts";
import { Lane } from "./lane.ts";
import { Reactor } from "./reactor.ts";

export interface Host {
  readonly process: Process;
  readonly lane: Lane;
  readonly reactor: Reactor;
}

/** Memory, an epoll descriptor and its thread, in this process. */
export async function openHost(process: Process): Promise<Host> {
  const lane = await Lane.open(process);
  try {
    return { process, lane, reactor: await Reactor.open(process) };
  } catch (error) {
    await lane.dispose();
    throw error;
  }
}
