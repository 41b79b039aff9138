// File systems whose files can be encrypted, and verified.

import {
  FSCRYPT_MODE_ADIANTUM,
  FSCRYPT_MODE_AES_256_CTS,
  FSCRYPT_MODE_AES_256_HCTR2,
  FSCRYPT_MODE_AES_256_XTS,
} from "../../../src/abi/constants/ioctl.ts";
import type { Format } from "../matrix.ts";
import { run } from "../native.ts";

export interface CryptoFormat extends Format {
  readonly make: (images: readonly string[]) => void;
}

export const CRYPTO_FORMATS: readonly CryptoFormat[] = [
  {
    name: "ext4",
    type: "ext4",
    mib: 32,
    make: ([image = ""]) =>
      run("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", "encrypt,verity", image),
    checker: { name: "e2fsck", check: ([image = ""]) => run("e2fsck", "-fn", image) },
  },
  {
    name: "f2fs",
    type: "f2fs",
    mib: 64,
    make: ([image = ""]) => run("mkfs.f2fs", "-q", "-O", "encrypt,verity", image),
    checker: {
      name: "fsck.f2fs",
      check: ([image = ""]) => run("fsck.f2fs", "-f", "--dry-run", image),
    },
  },
];

/** How contents and names are encrypted (include/uapi/linux/fscrypt.h). */
export const ENCRYPTION_MODES = [
  ["AES-256-XTS and AES-256-CTS", FSCRYPT_MODE_AES_256_XTS, FSCRYPT_MODE_AES_256_CTS],
  ["AES-256-XTS and AES-256-HCTR2", FSCRYPT_MODE_AES_256_XTS, FSCRYPT_MODE_AES_256_HCTR2],
  ["Adiantum", FSCRYPT_MODE_ADIANTUM, FSCRYPT_MODE_ADIANTUM],
] as const;
/** What a file is verified by, its number and its bytes (include/uapi/linux/fsverity.h). */
export const VERITY_ALGORITHMS = [
  ["SHA-256", 1, 32],
  ["SHA-512", 2, 64],
] as const;
