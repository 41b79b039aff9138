// A btrfs of one device, empty, as mkfs.btrfs makes it: trees of one leaf each, all of one transaction.
//
// The chunk tree is in the system chunk; all others are side by side at the start of the metadata chunk.

import { crc32c } from "../checksum.ts";
import { invalid, tooSmall } from "../errors.ts";
import type { CommonOptions, Formatted, Target } from "../formatter.ts";
import { checkUuid, labelBytes, newUuid, uuidBytes } from "../identity.ts";
import { Record } from "../record.ts";
import { endOfChunks, planChunks } from "./chunks.ts";
import type { Chunk, Chunks } from "./chunks.ts";
import { COMPAT_RO, DEVICE_ID, INCOMPAT, KEY, OBJECT, SECTOR_BYTES } from "./layout.ts";
import { makeLeaf } from "./leaf.ts";
import type { Item } from "./leaf.ts";
import {
  blockGroupItem,
  chunkItem,
  deviceExtent,
  deviceItem,
  directoryInode,
  freeSpaceInfo,
  inodeReference,
  rootItem,
  treeBlockItem,
  treeEntry,
} from "./records.ts";
import type { Device } from "./records.ts";
import { LABEL_BYTES, superblocks } from "./superblock.ts";

export interface BtrfsOptions extends CommonOptions {
  type: "btrfs";
  /** Copies of the metadata: "dup" for two, on the same disk. Default: dup, but single if mixed. */
  metadata?: "dup" | "single";
  /** Data and metadata share their space, which suits small disks. Default: below 109 MiB. */
  mixed?: boolean;
  /** Keep block groups in a tree of their own: large disks mount faster, by Linux 6.1 and newer. */
  blockGroupTree?: boolean;
}

const NODE_BYTES = 16384;
/** mkfs.btrfs makes nothing smaller unless it is mixed: it would be full of reserves. */
const MIXED_BELOW_BYTES = 109 * 2 ** 20;

/** What is decided before anything is computed. */
interface Plan {
  readonly device: Device;
  readonly chunks: Chunks;
  readonly nodeBytes: number;
  readonly chunkTreeUuid: string;
  /** Of the subvolume that is there from the start. */
  readonly subvolumeUuid: string;
  readonly timeSeconds: number;
  readonly blockGroupTree: boolean;
}

/** A tree, and where its only leaf is. */
interface Tree {
  readonly id: number | bigint;
  readonly address: number;
  readonly chunk: Chunk;
}

type Trees = readonly Tree[];

function placeTrees({ chunks, nodeBytes, blockGroupTree }: Plan): Trees {
  const ids: (number | bigint)[] = [
    OBJECT.rootTree,
    OBJECT.extentTree,
    OBJECT.deviceTree,
    OBJECT.fileTree,
    OBJECT.checksumTree,
    OBJECT.uuidTree,
    OBJECT.freeSpaceTree,
    OBJECT.relocationTree,
  ];
  if (blockGroupTree) ids.push(OBJECT.blockGroupTree);
  const { system, metadata } = chunks;
  return [
    { id: OBJECT.chunkTree, address: system.address, chunk: system },
    ...ids.map((id, i) => ({ id, address: metadata.address + i * nodeBytes, chunk: metadata })),
  ];
}

function usedBytes(chunk: Chunk, trees: Trees, nodeBytes: number): number {
  return trees.filter((tree) => tree.chunk === chunk).length * nodeBytes;
}

function chunkItems({ chunks, device }: Plan): Item[] {
  const items = chunks.all.map((chunk) => ({
    object: OBJECT.first,
    type: KEY.chunkItem,
    offset: chunk.address,
    bytes: chunkItem(chunk, device),
  }));
  const own = { object: OBJECT.deviceItems, type: KEY.deviceItem, offset: DEVICE_ID };
  return [{ ...own, bytes: deviceItem(device) }, ...items];
}

function deviceItems({ chunks, chunkTreeUuid }: Plan): Item[] {
  return chunks.all.flatMap((chunk) =>
    chunk.stripes.map((offset) => ({
      object: DEVICE_ID,
      type: KEY.deviceExtent,
      offset,
      bytes: deviceExtent(chunk, chunkTreeUuid),
    })),
  );
}

function extentItems(trees: Trees): Item[] {
  return trees.map(({ id, address }) => ({
    object: address,
    type: KEY.metadataItem,
    offset: 0, // the level
    bytes: treeBlockItem(id),
  }));
}

function blockGroupItems({ chunks, nodeBytes }: Plan, trees: Trees): Item[] {
  return chunks.all.map((chunk) => ({
    object: chunk.address,
    type: KEY.blockGroupItem,
    offset: chunk.lengthBytes,
    bytes: blockGroupItem(chunk, usedBytes(chunk, trees, nodeBytes)),
  }));
}

/** Trees are at the start of their chunks: the rest is one free extent. */
function freeSpaceItems({ chunks, nodeBytes }: Plan, trees: Trees): Item[] {
  return chunks.all.flatMap((chunk) => {
    const { address, lengthBytes } = chunk;
    const used = usedBytes(chunk, trees, nodeBytes);
    return [
      { object: address, type: KEY.freeSpaceInfo, offset: lengthBytes, bytes: freeSpaceInfo(1) },
      {
        object: address + used,
        type: KEY.freeSpaceExtent,
        offset: lengthBytes - used,
        bytes: new Uint8Array(0),
      },
    ];
  });
}

/** A directory without entries, whose parent is itself. */
function directoryItems(object: number, bytes: number, timeSeconds: number): Item[] {
  return [
    { object, type: KEY.inodeItem, offset: 0, bytes: directoryInode(bytes, timeSeconds) },
    { object, type: KEY.inodeReference, offset: object, bytes: inodeReference("..") },
  ];
}

/** From a subvolume's UUID to its tree. */
function uuidItems({ subvolumeUuid }: Plan): Item[] {
  const halves = new DataView(uuidBytes(subvolumeUuid).buffer);
  return [
    {
      object: halves.getBigUint64(0, true),
      type: KEY.subvolumeUuid,
      offset: halves.getBigUint64(8, true),
      bytes: new Record(8).u64(0, OBJECT.fileTree).bytes,
    },
  ];
}

/** The name under which the default subvolume is known. */
const DEFAULT = "default";

function rootItems({ nodeBytes, subvolumeUuid, timeSeconds }: Plan, trees: Trees): Item[] {
  const roots = trees
    .filter(({ id }) => id !== OBJECT.rootTree && id !== OBJECT.chunkTree)
    .map(({ id, address }): Item => {
      const files = id === OBJECT.fileTree || id === OBJECT.relocationTree;
      const common = { address, nodeBytes, directory: files ? OBJECT.first : 0 };
      const root =
        id === OBJECT.fileTree ? { ...common, uuid: subvolumeUuid, timeSeconds } : common;
      return { object: id, type: KEY.rootItem, offset: 0, bytes: rootItem(root) };
    });
  const name = new TextEncoder().encode(DEFAULT);
  return [
    ...roots,
    ...directoryItems(OBJECT.rootDirectory, nodeBytes, timeSeconds),
    {
      object: OBJECT.rootDirectory,
      type: KEY.directoryItem,
      offset: crc32c(~1, name), // btrfs_name_hash()
      bytes: treeEntry(OBJECT.fileTree, DEFAULT),
    },
    {
      object: OBJECT.fileTree,
      type: KEY.inodeReference,
      offset: OBJECT.rootDirectory,
      bytes: inodeReference(DEFAULT),
    },
  ];
}

/** What each tree holds. */
function contents(plan: Plan, trees: Trees): Map<number | bigint, Item[]> {
  const groups = blockGroupItems(plan, trees);
  const { nodeBytes, timeSeconds, blockGroupTree } = plan;
  return new Map<number | bigint, Item[]>([
    [OBJECT.rootTree, rootItems(plan, trees)],
    [OBJECT.extentTree, [...extentItems(trees), ...(blockGroupTree ? [] : groups)]],
    [OBJECT.chunkTree, chunkItems(plan)],
    [OBJECT.deviceTree, deviceItems(plan)],
    [OBJECT.fileTree, directoryItems(OBJECT.first, nodeBytes, timeSeconds)],
    [OBJECT.checksumTree, []],
    [OBJECT.uuidTree, uuidItems(plan)],
    [OBJECT.freeSpaceTree, freeSpaceItems(plan, trees)],
    [OBJECT.relocationTree, directoryItems(OBJECT.first, 0, timeSeconds)],
    [OBJECT.blockGroupTree, groups],
  ]);
}

function writeTrees(target: Target, plan: Plan, trees: Trees): void {
  const { nodeBytes, chunkTreeUuid, device } = plan;
  const all = contents(plan, trees);
  for (const { id, address, chunk } of trees) {
    const place = { fsid: device.fsid, chunkTreeUuid, nodeBytes, address, owner: id };
    const leaf = makeLeaf(place, all.get(id) ?? []);
    for (const stripe of chunk.stripes) target.image.write(stripe + address - chunk.address, leaf);
  }
}

function writeSuperblocks(
  target: Target,
  plan: Plan,
  trees: Trees,
  more: { label: Uint8Array; mixed: boolean },
): void {
  const { device, nodeBytes, chunks, blockGroupTree } = plan;
  const of = (id: number) => trees.find((tree) => tree.id === id)?.address ?? 0;
  const content = {
    device,
    nodeBytes,
    label: more.label,
    system: chunks.system,
    usedBytes: trees.length * nodeBytes,
    incompat:
      INCOMPAT.mixedBackReferences |
      INCOMPAT.extendedReferences |
      INCOMPAT.skinnyMetadata |
      INCOMPAT.noHoles |
      (more.mixed ? INCOMPAT.mixedGroups : 0),
    compatRo:
      COMPAT_RO.freeSpaceTree |
      COMPAT_RO.freeSpaceTreeValid |
      (blockGroupTree ? COMPAT_RO.blockGroupTree : 0),
    addresses: {
      root: of(OBJECT.rootTree),
      chunk: of(OBJECT.chunkTree),
      extent: of(OBJECT.extentTree),
      file: of(OBJECT.fileTree),
      device: of(OBJECT.deviceTree),
      checksum: of(OBJECT.checksumTree),
    },
  };
  for (const [offset, bytes] of superblocks(content)) target.image.write(offset, bytes);
}

/**
 * A btrfs of one device, with what mkfs.btrfs switches on: checksums of CRC-32C, extended references,
 * skinny metadata, no holes, a free space tree. A label has at most 255 bytes of UTF-8.
 */
export function formatBtrfs(target: Target, options: BtrfsOptions): Formatted {
  const { random, timeSeconds } = target;
  const sizeBytes = Math.floor(target.sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;
  const text = options.label ?? "";
  const label = labelBytes("btrfs", text, LABEL_BYTES);
  const fsid = options.uuid === undefined ? newUuid(random) : checkUuid(options.uuid);
  const mixed = options.mixed ?? sizeBytes < MIXED_BELOW_BYTES;
  const duplicate = options.metadata === undefined ? !mixed : options.metadata === "dup";
  if (!["dup", "single", undefined].includes(options.metadata))
    throw invalid("metadata", `there is "dup" and "single", and not "${options.metadata}"`);
  if (mixed && options.blockGroupTree)
    throw invalid("blockGroupTree", "mixed block groups have small nodes, without room for it");
  const leastBytes = endOfChunks(planChunks(0, { duplicate, mixed }));
  if (leastBytes > sizeBytes) throw tooSmall("btrfs", target.sizeBytes, leastBytes);
  const chunks = planChunks(sizeBytes, { duplicate, mixed });
  const allocated = chunks.all.map(({ lengthBytes, stripes }) => lengthBytes * stripes.length);
  const plan: Plan = {
    chunks,
    device: {
      fsid,
      uuid: newUuid(random),
      sizeBytes,
      usedBytes: allocated.reduce((sum, bytes) => sum + bytes),
    },
    // Shared chunks are divided in sectors.
    nodeBytes: mixed ? SECTOR_BYTES : NODE_BYTES,
    chunkTreeUuid: newUuid(random),
    subvolumeUuid: newUuid(random),
    timeSeconds,
    blockGroupTree: options.blockGroupTree ?? false,
  };
  const trees = placeTrees(plan);
  writeTrees(target, plan, trees);
  writeSuperblocks(target, plan, trees, { label, mixed });
  return { type: "btrfs", label: text, uuid: fsid, sizeBytes, blockSizeBytes: SECTOR_BYTES };
}
