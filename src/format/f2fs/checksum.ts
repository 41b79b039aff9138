// Checksums of f2fs: the register of CRC-32 as it is, from a seed: by default the magic number.

import { F2FS_SUPER_MAGIC } from "../../abi/constants/magic.ts";
import { crc32Raw } from "../checksum.ts";

export function checksum(bytes: Uint8Array, state: number = F2FS_SUPER_MAGIC): number {
  return crc32Raw(state, bytes);
}
