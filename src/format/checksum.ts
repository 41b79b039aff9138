// Checksums of on-disk structures: CRC-32 and CRC-32C, both reflected. No runtime but Node has one of
// them built in, so that the tables are made here, when first needed.

type Table = Uint32Array;

function makeTable(polynomial: number): Table {
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    let value = i;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
    table[i] = value >>> 0;
  }
  return table;
}

const CRC32_POLYNOMIAL = 0xedb88320;
const CRC32C_POLYNOMIAL = 0x82f63b78;
let crc32Table: Table | undefined;
let crc32cTable: Table | undefined;

function update(table: Table, bytes: Uint8Array, state: number): number {
  let crc = state;
  for (let i = 0; i < bytes.length; i++) crc = table[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  return crc >>> 0;
}

/** CRC-32 as in gzip, PNG and GPT; `previous`: the CRC of the bytes before these. */
export function crc32(bytes: Uint8Array, previous = 0): number {
  crc32Table ??= makeTable(CRC32_POLYNOMIAL);
  return (update(crc32Table, bytes, ~previous) ^ -1) >>> 0;
}

/**
 * The kernel's crc32c(): the register as it is, inverted neither before nor after. ext4 and btrfs
 * start with ~0; btrfs and XFS invert the result.
 */
export function crc32c(state: number, bytes: Uint8Array): number {
  crc32cTable ??= makeTable(CRC32C_POLYNOMIAL);
  return update(crc32cTable, bytes, state);
}

/** The kernel's crc32_le(): the register as it is, inverted neither before nor after (f2fs, jbd2). */
export function crc32Raw(state: number, bytes: Uint8Array): number {
  crc32Table ??= makeTable(CRC32_POLYNOMIAL);
  return update(crc32Table, bytes, state);
}

const CRC16_POLYNOMIAL = 0xa001;

/** The kernel's crc16(): ext4's group descriptors before metadata_csum. */
export function crc16(state: number, bytes: Uint8Array): number {
  let crc = state;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ CRC16_POLYNOMIAL : crc >>> 1;
  }
  return crc;
}
