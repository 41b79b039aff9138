// An XFS, empty, as mkfs.xfs makes it: version 5, with checksums.

import { invalid } from "../errors.ts";
import type { CommonOptions, Formatted, Target } from "../formatter.ts";
import { checkUuid, labelBytes, newUuid } from "../identity.ts";
import { BLOCK_BYTES, offsetOf, planGroups } from "./geometry.ts";
import { writeGroup } from "./group.ts";
import { inodeChunk, LAST_SECONDS } from "./inodes.ts";
import { firstRecord } from "./log.ts";
import { LABEL_BYTES, superblock } from "./superblock.ts";

export interface XfsOptions extends CommonOptions {
  type: "xfs";
  /** Keep for each block who has it (rmapbt), for repairs while mounted. Default: true. */
  reverseMapping?: boolean;
  /** Files may have 2⁴⁸ extents (nrext64). Only Linux 5.19 and newer mounts it. Default: false. */
  largeExtentCounts?: boolean;
}

/**
 * An XFS with blocks of 4096 bytes and a log of its own: checksums, free inode tree, sparse inodes,
 * reflinks, big timestamps and inode tree counters are on. A label has at most 12 bytes of UTF-8.
 */
export function formatXfs(target: Target, options: XfsOptions): Formatted {
  const { image, random, timeSeconds } = target;
  const { reverseMapping = true, largeExtentCounts: largeCounts = false } = options;
  if (timeSeconds > LAST_SECONDS)
    throw invalid("timeSeconds", `${timeSeconds} is after 2486-07-02, where times of XFS end`);
  const text = options.label ?? "";
  const label = labelBytes("xfs", text, LABEL_BYTES);
  const uuid = options.uuid === undefined ? newUuid(random) : checkUuid(options.uuid);
  const geometry = planGroups(target, reverseMapping);
  const first = superblock(geometry, { uuid, label, largeCounts });
  for (let group = 0; group < geometry.groups; group++)
    writeGroup(image, geometry, group, { superblock: first, uuid });
  image.write(
    offsetOf(geometry, 0, geometry.inodeBlock),
    inodeChunk(geometry, { uuid, timeSeconds, largeCounts }),
  );
  const log = offsetOf(geometry, geometry.logGroup, geometry.firstFree);
  image.zero(log, geometry.logBlocks * BLOCK_BYTES);
  image.write(log, firstRecord(uuid, geometry.logUnitBytes));
  return {
    type: "xfs",
    label: text,
    uuid,
    sizeBytes: geometry.blocks * BLOCK_BYTES,
    blockSizeBytes: BLOCK_BYTES,
  };
}
