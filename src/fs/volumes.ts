// The volumes of a disk: its partitions, or the whole of it.

import type { BlockDevice, DeviceHost, Partition } from "./block-device.ts";
import { probeDevice } from "./probe.ts";
import type { Content } from "./probes/content.ts";

/** A part of a disk that may hold a file system. */
export interface VolumeFacts {
  /** The partition's number, or 0: the whole disk. */
  readonly number: number;
  /** E.g. `/dev/vda1`. */
  readonly path: string;
  readonly startBytes: number;
  readonly sizeBytes: number;
  readonly partition: Partition | null;
  /** What was recognised on it. */
  readonly content: Content | null;
}

/**
 * All volumes of a disk, by number. The whole disk is one if it is not partitioned, or has a
 * superblock in spite of that, as a hybrid disc image does.
 */
export async function listVolumes(host: DeviceHost, device: BlockDevice): Promise<VolumeFacts[]> {
  const { init } = host;
  const partitions = await device.partitions();
  const whole = await probeDevice(init, device.path);
  const volumes: VolumeFacts[] = [];
  if (whole || !partitions.length)
    volumes.push({
      number: 0,
      path: device.path,
      startBytes: 0,
      sizeBytes: device.sizeBytes,
      partition: null,
      content: whole,
    });
  for (const partition of partitions) {
    const { number, path, startBytes, sizeBytes } = partition;
    const content = await probeDevice(init, path);
    volumes.push({ number, path, startBytes, sizeBytes, partition, content });
  }
  return volumes;
}
