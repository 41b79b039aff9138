// What is on a block device: recognised by its superblock, as udev and blkid do.

import type { Process } from "../syscall/process.ts";
import { Fields } from "./bytes.ts";
import { withReader } from "./files.ts";
import type { ReadAt } from "./files.ts";
import type { Content, Probe, ProbeContext } from "./probes/content.ts";
import { fatProbes } from "./probes/fat.ts";
import { linuxProbes } from "./probes/linux.ts";
import { memberProbes } from "./probes/members.ts";
import { opticalProbes } from "./probes/optical.ts";
import { otherProbes } from "./probes/others.ts";

/** In this order: the first that recognises something is right, the weakest signatures are last. */
const PROBES: readonly Probe[] = [
  ...memberProbes,
  ...linuxProbes,
  ...opticalProbes,
  ...fatProbes,
  ...otherProbes,
];

/** All superblocks that are at a fixed place near the start are within this. */
const HEAD_BYTES = 68 << 10;

/** Recognise what is on a device, or in anything else that can be read. */
export async function probe(read: ReadAt, sizeBytes: number): Promise<Content | null> {
  const head = new Fields(await read(0, Math.min(sizeBytes, HEAD_BYTES)), HEAD_BYTES);
  const context: ProbeContext = {
    sizeBytes,
    async fields(offset, length) {
      if (offset + length <= HEAD_BYTES)
        return new Fields(head.bytes.subarray(offset, offset + length));
      return new Fields(await read(offset, length), length);
    },
  };
  for (const one of PROBES) {
    const content = await one(context);
    if (content) return content;
  }
  return null;
}

/** Recognise what is on a block device of a kernel, such as `/dev/vda1`. */
export async function probeDevice(process: Process, path: string): Promise<Content | null> {
  return withReader(process, path, async (read) => probe(read, await deviceSize(process, path)));
}

/** Known from the device's directory in sysfs, which holds for partitions as well. */
async function deviceSize(process: Process, path: string): Promise<number> {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return withReader(process, `/sys/class/block/${name}/size`, async (read) => {
    const text = new TextDecoder().decode(await read(0, 32));
    return Number(text) * 512;
  });
}

const SHOWN_BYTES = 16;

/** The first bytes of something that was not recognised, for a message. */
export async function describeStart(read: ReadAt): Promise<string> {
  const bytes = await read(0, 65536);
  if (!bytes.length) return "it is empty";
  if (bytes.every((byte) => byte === 0))
    return `the first ${bytes.length >> 10} KiB are all zeroes`;
  const start = bytes.subarray(0, SHOWN_BYTES);
  const hex = Array.from(start, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const text = Array.from(start, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".",
  ).join("");
  return `the first bytes are ${hex} "${text}"`;
}
