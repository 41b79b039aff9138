// ext2, ext3 and ext4, as mke2fs makes them.
//
// The order: features, geometry, places of the groups' structures, files that are there from the
// start, and last the bitmaps, descriptors and superblocks that tell of all that.

import { crc32c } from "./checksum.ts";
import { invalid, tooLarge, tooSmall } from "./errors.ts";
import { addDirectories } from "./ext/directories.ts";
import { Features } from "./ext/features.ts";
import type { ExtFeature, ExtType } from "./ext/features.ts";
import { planGeometry } from "./ext/geometry.ts";
import type { Geometry } from "./ext/geometry.ts";
import { finishGroups } from "./ext/groups.ts";
import {
  addJournal,
  defaultJournalBlocks,
  LEAST_JOURNAL_BLOCKS,
  MOST_JOURNAL_BLOCKS,
} from "./ext/journal.ts";
import { addOrphanFile } from "./ext/orphan-file.ts";
import { addQuotaFiles } from "./ext/quota.ts";
import { addResizeInode } from "./ext/resize-inode.ts";
import { writeSuperblocks } from "./ext/superblock.ts";
import { ExtVolume, NoRoomError } from "./ext/volume.ts";
import type { CommonOptions, Formatted, Target } from "./formatter.ts";
import { checkUuid, labelBytes, newUuid, randomBytes, randomU32, uuidBytes } from "./identity.ts";
import { ImageWriter } from "./image-writer.ts";
import { leastFitting } from "./least.ts";

/** Options of ext2, ext3 and ext4. A label has at most 16 bytes. */
export interface ExtOptions extends CommonOptions {
  type: ExtType;
  /** 1024, 2048 or 4096. Default: 4096, and 1024 below 512 MiB. */
  blockSizeBytes?: number;
  /** A power of two from 128 to the block's size. Default: 256. */
  inodeSizeBytes?: number;
  /** One inode for so much of the disk. Default: 16384; 4096 below 512 MiB, 8192 below 3 MiB. */
  bytesPerInode?: number;
  /** So many inodes, rounded to what groups can have, instead of {@link bytesPerInode}. */
  inodes?: number;
  /** What only root may fill, in percent, 0 to 50. Default: 5. */
  reservedPercent?: number;
  /** Size of the journal. Default: 4 MiB to 1 GiB; none on an ext4 of less than 2048 blocks. */
  journalSizeBytes?: number;
  /** Owner of the root directory. Default: 0. */
  rootUid?: number;
  rootGid?: number;
  /** A power of two: groups that have their metadata in one place (flex_bg). Default: 16. */
  groupsPerFlex?: number;
  /** Features to turn on or off, by mke2fs's names. */
  features?: { readonly [name in ExtFeature]?: boolean };
}

const FLOPPY_BYTES = 3 << 20;
const SMALL_BYTES = 512 << 20;
const LABEL_BYTES = 16;
const MAX_BLOCKS_64 = 2 ** 48;
const MAX_U32 = 2 ** 32 - 1;
/** With less, nothing could be written to it. */
const LEAST_FREE_BLOCKS = 4;
/** Bounds the search for the least size; no choice of options needs so much. */
const MOST_LEAST_BLOCKS = 2 ** 26;

/** What options and the disk's size say. */
interface Plan {
  readonly options: ExtOptions;
  readonly blockBytes: number;
  readonly inodeBytes: number;
  /** undefined: as {@link bytesPerInode} says. */
  readonly inodes: number | undefined;
  readonly bytesPerInode: number;
  readonly groupsPerFlex: number;
  readonly reservedPercent: number;
  readonly label: Uint8Array;
  readonly timeSeconds: number;
  readonly identity: Identity;
}

/** What chance gives. */
interface Identity {
  readonly uuid: string;
  readonly hashSeed: Uint8Array;
  readonly encryptionSalt: Uint8Array;
  readonly journalSequence: number;
}

/** Make an ext2, ext3 or ext4. */
export function formatExt(target: Target, options: ExtOptions): Formatted {
  const { type, label = "" } = options;
  const { sizeBytes } = target;
  const plan = planOf(target, options);
  const blocks = Math.floor(sizeBytes / plan.blockBytes);
  const most = new Features(type, options.features).has("64bit") ? MAX_BLOCKS_64 : MAX_U32;
  if (blocks > most) throw tooLarge(type, sizeBytes, most * plan.blockBytes);
  const geometry = build(plan, blocks, target.image);
  if (!geometry) {
    const { blockBytes } = plan;
    const fits = (count: number) =>
      build(plan, count, new ImageWriter(count * blockBytes)) !== undefined;
    throw tooSmall(type, sizeBytes, leastFitting(blocks, MOST_LEAST_BLOCKS, fits) * blockBytes);
  }
  return {
    type,
    label,
    uuid: plan.identity.uuid,
    sizeBytes: geometry.blocks * plan.blockBytes,
    blockSizeBytes: plan.blockBytes,
  };
}

function planOf(target: Target, options: ExtOptions): Plan {
  const { type } = options;
  const { random, sizeBytes, timeSeconds } = target;
  const blockBytes = options.blockSizeBytes ?? defaultBlockBytes(target);
  if (![1024, 2048, 4096].includes(blockBytes) || blockBytes < target.blockSizeBytes)
    throw invalid(
      "blockSizeBytes",
      `${blockBytes}: a block of ${type} has 1024, 2048 or 4096 bytes, and no less than the disk's ${target.blockSizeBytes}`,
    );
  const inodeBytes = powerOfTwo("inodeSizeBytes", options.inodeSizeBytes ?? 256, 128, blockBytes);
  if (inodeBytes === 128 && timeSeconds >= 2 ** 31)
    throw invalid("timeSeconds", "an inode of 128 bytes counts to the year 2038: use 256");
  const usual = sizeBytes < FLOPPY_BYTES ? 8192 : sizeBytes < SMALL_BYTES ? 4096 : 16384;
  return {
    options,
    blockBytes,
    inodeBytes,
    inodes: options.inodes === undefined ? undefined : within("inodes", options.inodes, 1, MAX_U32),
    bytesPerInode: within("bytesPerInode", options.bytesPerInode ?? usual, 1024, 2 ** 26),
    groupsPerFlex: powerOfTwo("groupsPerFlex", options.groupsPerFlex ?? 16, 1, 2 ** 16),
    reservedPercent: within("reservedPercent", options.reservedPercent ?? 5, 0, 50),
    label: labelBytes(type, options.label ?? "", LABEL_BYTES),
    timeSeconds,
    identity: {
      uuid: options.uuid === undefined ? newUuid(random) : checkUuid(options.uuid),
      hashSeed: uuidBytes(newUuid(random)),
      encryptionSalt: randomBytes(random, 16),
      // Not 0, and far from where the numbers begin again.
      journalSequence: (randomU32(random) >>> 2) + 1,
    },
  };
}

function defaultBlockBytes({ sizeBytes, blockSizeBytes }: Target): number {
  return Math.max(blockSizeBytes, sizeBytes < SMALL_BYTES ? 1024 : 4096);
}

function within(option: string, value: number, least: number, most: number): number {
  if (!(value >= least && value <= most))
    throw invalid(option, `${value} is not in ${least} to ${most}`);
  return value;
}

function powerOfTwo(option: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(Math.log2(within(option, value, least, most))))
    throw invalid(option, `${value} is no power of two`);
  return value;
}

/** A user or a group; the greatest number means none to the kernel. */
function owner(option: string, id: number): number {
  if (!Number.isInteger(within(option, id, 0, MAX_U32 - 1)))
    throw invalid(option, `${id} is no whole number`);
  return id;
}

/** Hand a file system of at most so many blocks to an image; undefined if they are too few. */
function build(plan: Plan, blocks: number, image: ImageWriter): Geometry | undefined {
  const { options, blockBytes, inodeBytes, identity } = plan;
  const features = new Features(options.type, options.features);
  const journalBlocks = journalBlocksOf(plan, features, blocks);
  const inodes = plan.inodes ?? (blocks * blockBytes) / plan.bytesPerInode;
  const geometryOptions = { blockBytes, inodeBytes, inodes, groupsPerFlex: plan.groupsPerFlex };
  const geometry = planGeometry(blocks, features, geometryOptions);
  if (!geometry || journalBlocks === undefined) return undefined;
  try {
    const volume = new ExtVolume({
      geometry,
      features,
      image,
      uuid: identity.uuid,
      timeSeconds: plan.timeSeconds,
      checksumSeed: crc32c(0xffffffff, uuidBytes(identity.uuid)),
    });
    fill(volume, plan, journalBlocks);
    return geometry;
  } catch (error) {
    if (error instanceof NoRoomError) return undefined;
    throw error;
  }
}

/** undefined: there must be a journal, but there is no room for it. */
function journalBlocksOf(plan: Plan, features: Features, blocks: number): number | undefined {
  const { type, journalSizeBytes, features: wanted } = plan.options;
  if (!features.has("has_journal")) {
    if (journalSizeBytes === undefined) return 0;
    throw invalid("journalSizeBytes", "there is no journal without the feature has_journal");
  }
  if (journalSizeBytes !== undefined) {
    const { blockBytes } = plan;
    const least = LEAST_JOURNAL_BLOCKS * blockBytes;
    const most = MOST_JOURNAL_BLOCKS * blockBytes;
    return Math.floor(within("journalSizeBytes", journalSizeBytes, least, most) / blockBytes);
  }
  const usual = defaultJournalBlocks(blocks);
  if (usual) return usual;
  if (type === "ext3" || wanted?.has_journal || wanted?.orphan_file || wanted?.fast_commit)
    return undefined;
  features.turnOff("has_journal");
  return 0;
}

/** @throws {NoRoomError} */
function fill(volume: ExtVolume, plan: Plan, journalBlocks: number): void {
  const { options, identity } = plan;
  const { features, geometry } = volume;
  if (geometry.reservedDescriptorBlocks) addResizeInode(volume);
  else features.turnOff("resize_inode");
  const uid = owner("rootUid", options.rootUid ?? 0);
  const gid = owner("rootGid", options.rootGid ?? 0);
  const owned = addDirectories(volume, uid, gid);
  const journal = journalBlocks
    ? addJournal(volume, journalBlocks, identity.journalSequence)
    : undefined;
  const orphanFile = features.has("orphan_file") ? addOrphanFile(volume) : undefined;
  const quota = features.has("quota") ? addQuotaFiles(volume, owned) : undefined;
  const totals = finishGroups(volume, options.zeroed ?? false);
  if (totals.freeBlocks < LEAST_FREE_BLOCKS) throw new NoRoomError();
  writeSuperblocks(volume, {
    label: plan.label,
    reservedBlocks: Math.floor((geometry.blocks * plan.reservedPercent) / 100),
    hashSeed: identity.hashSeed,
    encryptionSalt: identity.encryptionSalt,
    journal,
    orphanFile,
    quota,
    totals,
  });
}
