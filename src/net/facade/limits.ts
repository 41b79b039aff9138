// How many descriptors a process may have: getrlimit(2).

import { RLIMIT_NOFILE } from "../../abi/constants/resource.ts";
import { errno } from "../../abi/errno.ts";
import { Rlimit64 } from "../../abi/structs/process.ts";
import type { Process } from "../../syscall/process.ts";
import { failedWith } from "./errors.ts";

/** So many sockets a process may have, if its rights allow it to ask for them. */
export const MAX_SOCKETS = 131072;

async function setLimit(process: Process, soft: bigint, hard: bigint): Promise<void> {
  const limit = Rlimit64.alloc();
  limit.rlim_cur = soft;
  limit.rlim_max = hard;
  await process.prlimit64(0, RLIMIT_NOFILE, limit.bytes, null);
}

/** Let a process have as many descriptors as it may: 1024 are too few for the connections of one. */
export async function raiseLimit(process: Process): Promise<void> {
  const old = Rlimit64.alloc();
  await process.prlimit64(0, RLIMIT_NOFILE, null, old.bytes);
  const most = BigInt(MAX_SOCKETS);
  const { rlim_cur: soft, rlim_max: hard } = old;
  if (soft >= most) return;
  try {
    await setLimit(process, most, hard > most ? hard : most);
  } catch (error) {
    // Without CAP_SYS_RESOURCE the hard limit is the end.
    if (!failedWith(error, errno.EPERM)) throw error;
    await setLimit(process, hard, hard);
  }
}
