// How the space of a new btrfs is divided: into chunks, which map logical addresses to the disk.

import { BLOCK_GROUP, RESERVED_BYTES, STRIPE_BYTES } from "./layout.ts";

const MIB = 1 << 20;
const GIB = 1 << 30;

/** A range of logical addresses, and where its copies are. */
export interface Chunk {
  /** A sum of {@link BLOCK_GROUP}. */
  readonly flags: number;
  /** Its logical address: the place of the first copy, for nothing demands another. */
  readonly address: number;
  readonly lengthBytes: number;
  /** Offsets of the copies on the disk. */
  readonly stripes: readonly number[];
}

/** Which chunks to make. */
export interface ChunkOptions {
  /** Two copies of all that describes the data. */
  readonly duplicate: boolean;
  /** Data and metadata share chunks. */
  readonly mixed: boolean;
}

export interface Chunks {
  readonly system: Chunk;
  readonly metadata: Chunk;
  /** In order of address. */
  readonly all: readonly Chunk[];
}

const SYSTEM_BYTES = 4 * MIB;
const SYSTEM_BYTES_OF_MIXED = MIB;
const DATA_BYTES = 8 * MIB;
/** What the kernel allocates at once: that, or a tenth of the disk. */
const MOST_METADATA_BYTES = 256 * MIB;
const MOST_METADATA_BYTES_OF_LARGE = GIB;
const LARGE_DISK_BYTES = 50 * GIB;

/** With 8 MiB (2 MiB if mixed) the kernel reserves all there is, and cannot make a directory. */
const LEAST_METADATA_BYTES = 32 * MIB;
const LEAST_MIXED_BYTES = 4 * MIB;

function metadataBytes(sizeBytes: number, { mixed }: ChunkOptions): number {
  const most = sizeBytes > LARGE_DISK_BYTES ? MOST_METADATA_BYTES_OF_LARGE : MOST_METADATA_BYTES;
  const tenth = Math.floor(sizeBytes / 10 / STRIPE_BYTES) * STRIPE_BYTES;
  return Math.min(Math.max(tenth, mixed ? LEAST_MIXED_BYTES : LEAST_METADATA_BYTES), most);
}

/** The chunks of a new file system, one after the other; of size 0: those of the smallest disk. */
export function planChunks(sizeBytes: number, options: ChunkOptions): Chunks {
  const copies = options.duplicate ? 2 : 1;
  const profile = options.duplicate ? BLOCK_GROUP.dup : 0;
  let at = RESERVED_BYTES;
  const chunk = (flags: number, lengthBytes: number, count: number): Chunk => {
    const stripes = Array.from({ length: count }, (_, i) => at + i * lengthBytes);
    at += count * lengthBytes;
    return { flags, address: stripes[0], lengthBytes, stripes };
  };
  const systemBytes = options.mixed ? SYSTEM_BYTES_OF_MIXED : SYSTEM_BYTES;
  const system = chunk(BLOCK_GROUP.system | profile, systemBytes, copies);
  const purpose = BLOCK_GROUP.metadata | (options.mixed ? BLOCK_GROUP.data : 0);
  const metadata = chunk(purpose | profile, metadataBytes(sizeBytes, options), copies);
  const all = [system, metadata];
  if (!options.mixed) all.push(chunk(BLOCK_GROUP.data, DATA_BYTES, 1));
  return { system, metadata, all };
}

/** Where the chunks end. */
export function endOfChunks({ all }: Chunks): number {
  return Math.max(
    ...all.flatMap(({ stripes, lengthBytes }) => stripes.map((at) => at + lengthBytes)),
  );
}
