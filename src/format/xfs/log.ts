// The log of XFS, empty: one record, that of an unmount. Structures: the kernel's
// fs/xfs/libxfs/xfs_log_format.h.

import { crc32c } from "../checksum.ts";
import { Record } from "../record.ts";

/** The log's blocks, in which it counts. */
const SECTOR_BYTES = 512;
const MAGIC = 0xfeed_babe;
const VERSION = 2;
const CYCLE = 1;
/** XLOG_FMT_LINUX_LE: what is logged is of a machine that is little-endian. */
const FORMAT = 1;
/** XLOG_BIG_RECORD_BSIZE: records of this size or less have no second header. */
const BUFFER_BYTES = 32768;
/** xlog_in_core_2_t.hic_header but for what fills the sector. */
const HEADER_BYTES = 328;
const CRC_AT = 32;

/** XFS_LOG, XLOG_UNMOUNT_TRANS, XLOG_UNMOUNT_TYPE; the transaction's number is any. */
const CLIENT = 0xaa;
const UNMOUNT_FLAG = 0x20;
const UNMOUNT_TYPE = 0x556e;
const TRANSACTION = 0xb0c0_d0d0;

/** struct xlog_op_header and struct xfs_unmount_log_format */
function unmountOperation(lengthBytes: number): Record {
  return new Record(lengthBytes)
    .u32be(0, TRANSACTION)
    .u32be(4, 8)
    .u8(8, CLIENT)
    .u8(9, UNMOUNT_FLAG)
    .u16(12, UNMOUNT_TYPE);
}

/** Puts the cycle in place of the first word of each sector, and that word into the header. */
function stamp(header: Record, payload: Record): void {
  const words = new DataView(payload.bytes.buffer);
  for (let at = 0; at < payload.bytes.length; at += SECTOR_BYTES) {
    header.u32be(44 + (at / SECTOR_BYTES) * 4, words.getUint32(at, false));
    payload.u32be(at, CYCLE);
  }
}

/**
 * What the log starts with: struct xlog_rec_header and the record. The rest of the log is zeroes.
 *
 * @param unitBytes records of the log have multiples of this, though at least two sectors
 */
export function firstRecord(uuid: string, unitBytes: number): Uint8Array<ArrayBuffer> {
  const totalBytes = Math.max(unitBytes, 2 * SECTOR_BYTES);
  const payload = unmountOperation(totalBytes - SECTOR_BYTES);
  const start = BigInt(CYCLE) << 32n;
  const header = new Record(SECTOR_BYTES)
    .u32be(0, MAGIC)
    .u32be(4, CYCLE)
    .u32be(8, VERSION)
    .u32be(12, payload.bytes.length)
    .u64be(16, start)
    .u64be(24, start)
    .u32be(36, 0xffff_ffff) // there is no record before
    .u32be(40, 1)
    .u32be(300, FORMAT)
    .uuid(304, uuid)
    .u32be(320, BUFFER_BYTES);
  stamp(header, payload);
  const crc = crc32c(crc32c(~0, header.part(0, HEADER_BYTES)), payload.bytes);
  header.u32(CRC_AT, ~crc >>> 0);
  return new Record(totalBytes).set(0, header.bytes).set(SECTOR_BYTES, payload.bytes).bytes;
}
