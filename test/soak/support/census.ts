// What of the network a kernel holds: sockets, buffers, memory, stacks. It is the same before and after,
// whatever went on in between.

import assert from "node:assert/strict";

import { readFile } from "../../../src/fs/files.ts";
import type { Kernel } from "../../../src/index.ts";
import { text } from "../../kernel.ts";

export interface Census {
  /** /proc/net/sockstat: "TCP.inuse", "TCP.orphan", "TCP.tw", "TCP.alloc", "TCP.mem" (pages), "UDP.inuse"… */
  readonly sockets: Readonly<Record<string, number>>;
  /** Files that are open in the whole kernel. */
  readonly files: number;
  /** Tasks, each of which has a stack of the engine. */
  readonly tasks: number;
  readonly freeBytes: number;
  readonly slabBytes: number;
}

const read = async (kernel: Kernel, path: string): Promise<string> =>
  text.decode(await readFile(kernel.init, path));

/** What a kernel holds now, in pid 1's namespace. */
export async function census(kernel: Kernel): Promise<Census> {
  const sockets: Record<string, number> = {};
  for (const line of (await read(kernel, "/proc/net/sockstat")).trimEnd().split("\n")) {
    const [kind, rest] = line.split(": ");
    const words = rest.split(" ");
    for (let i = 0; i < words.length; i += 2) sockets[`${kind}.${words[i]}`] = Number(words[i + 1]);
  }
  const memory = await read(kernel, "/proc/meminfo");
  const kib = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, "m").exec(memory)?.[1]);
  const [files] = (await read(kernel, "/proc/sys/fs/file-nr")).split("\t");
  return {
    sockets,
    files: Number(files),
    tasks: kernel.stats.tasks,
    freeBytes: kib("MemFree") * 1024,
    slabBytes: kib("Slab") * 1024,
  };
}

/** What the allocators keep for the next, which does not grow with how often something was done. */
const SLACK_BYTES = 3 << 20;
/** Pages that a CPU has accounted to a protocol in advance (SK_MEMORY_PCPU_RESERVE in net/sock.h). */
const RESERVE_PAGES = 256;
/** A process keeps the threads that its calls have needed at once. */
const SPARE_TASKS = 4;
/** How often it is looked whether what is freed later (RCU, work queues) is free by now. */
const LOOKS = 200;

/** That a kernel holds what it held before, perhaps after a while. @param wait lets its time pass */
export async function assertNothingLeft(
  kernel: Kernel,
  before: Census,
  what: string,
  wait: () => Promise<unknown>,
): Promise<void> {
  const stable = ({ sockets, files }: Census) => ({
    sockets: { ...sockets, "TCP.mem": 0, "UDP.mem": 0 },
    files,
  });
  let after = await census(kernel);
  for (let looks = 0; looks < LOOKS; looks++) {
    try {
      assert.deepEqual(stable(after), stable(before));
      break;
    } catch {
      await wait();
      after = await census(kernel);
    }
  }
  assert.deepEqual(stable(after), stable(before), what);
  for (const kind of ["TCP.mem", "UDP.mem"]) {
    const pages = after.sockets[kind] - before.sockets[kind];
    assert.ok(Math.abs(pages) <= RESERVE_PAGES, `${kind}: ${pages} more after ${what}`);
  }
  const tasks = after.tasks - before.tasks;
  assert.ok(tasks <= SPARE_TASKS, `${tasks} more tasks after ${what}`);
  const lost = before.freeBytes - after.freeBytes;
  assert.ok(lost <= SLACK_BYTES, `${lost} bytes less are free after ${what}`);
  const grown = after.slabBytes - before.slabBytes;
  assert.ok(grown <= SLACK_BYTES, `${grown} bytes more are in slabs after ${what}`);
}
