// An f2fs, empty, as mkfs.f2fs makes it: the first checkpoint knows a root directory.

import { invalid } from "../errors.ts";
import type { CommonOptions, Formatted, Target } from "../formatter.ts";
import { checkUuid, labelBytes, newUuid, randomU32 } from "../identity.ts";
import {
  clearRecovery,
  rootPlace,
  writeCheckpoint,
  writeNodes,
  writeSegments,
} from "./checkpoint.ts";
import { BLOCK_BYTES, planAreas } from "./geometry.ts";
import { rootEntries, rootInode } from "./inode.ts";
import { FEATURES, LABEL_UNITS, SUPER_AT, superblock } from "./superblock.ts";

/** As mkfs.f2fs -O names them. */
export type F2fsFeature = keyof typeof FEATURES;

export interface F2fsOptions extends CommonOptions {
  type: "f2fs";
  /** What is off unless it is named here. Default: none, as mkfs.f2fs has it. */
  features?: readonly F2fsFeature[];
}

/** Those that have a field in the part of inodes that extra_attr makes room for. */
const NEED_EXTRA: ReadonlySet<F2fsFeature> = new Set([
  "project_quota",
  "inode_checksum",
  "flexible_inline_xattr",
  "inode_crtime",
  "compression",
] as const);

function checkFeatures(features: readonly F2fsFeature[]): number {
  for (const feature of features) {
    if (!Object.hasOwn(FEATURES, feature))
      throw invalid("features", `"${feature}" is none of ${Object.keys(FEATURES).join(", ")}`);
    if (NEED_EXTRA.has(feature) && !features.includes("extra_attr"))
      throw invalid("features", `"${feature}" needs "extra_attr" as well`);
  }
  return features.reduce((sum, feature) => sum | FEATURES[feature], 0);
}

function checkLabel(label: string): string {
  labelBytes("f2fs", label, Infinity);
  if (label.length > LABEL_UNITS)
    throw invalid(
      "label",
      `it has ${label.length} UTF-16 units; a label of f2fs has at most ${LABEL_UNITS}`,
    );
  return label;
}

/** An f2fs with blocks of 4096 bytes. A label has at most 511 UTF-16 units. */
export function formatF2fs(target: Target, options: F2fsOptions): Formatted {
  const { image, random, timeSeconds } = target;
  const label = checkLabel(options.label ?? "");
  const features = checkFeatures(options.features ?? []);
  const uuid = options.uuid === undefined ? newUuid(random) : checkUuid(options.uuid);
  const geometry = planAreas(target.sizeBytes);
  // Odd, so that it is not 0: that of an earlier file system is another one most likely.
  const version = (randomU32(random) | 1) >>> 0;
  const { inodeAt, entriesAt } = rootPlace(geometry);
  const root = rootInode({
    uuid,
    timeSeconds,
    extra: (features & FEATURES.extra_attr) !== 0,
    checksum: (features & FEATURES.inode_checksum) !== 0,
    creationTime: (features & FEATURES.inode_crtime) !== 0,
    version,
    entriesAt,
    next: inodeAt + 1,
  });
  const first = superblock(geometry, {
    uuid,
    label,
    features,
    sectorBytes: target.blockSizeBytes,
  });
  for (const block of [0, 1]) image.write(block * BLOCK_BYTES + SUPER_AT, first);
  writeCheckpoint(image, geometry, version);
  writeSegments(image, geometry);
  writeNodes(image, geometry);
  clearRecovery(image, geometry);
  image.write(inodeAt * BLOCK_BYTES, root);
  image.write(entriesAt * BLOCK_BYTES, rootEntries());
  return {
    type: "f2fs",
    label,
    uuid,
    sizeBytes: geometry.blocks * BLOCK_BYTES,
    blockSizeBytes: BLOCK_BYTES,
  };
}
