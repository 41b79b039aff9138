// Features of ext2, ext3 and ext4, by the names that mke2fs has for them.
//
// Numbers: fs/ext4/ext4.h of the kernel (EXT4_FEATURE_*).

import { invalid } from "../errors.ts";

type Word = "compat" | "incompat" | "readOnlyCompat";

const FEATURES = {
  has_journal: ["compat", 0x4],
  ext_attr: ["compat", 0x8],
  resize_inode: ["compat", 0x10],
  dir_index: ["compat", 0x20],
  fast_commit: ["compat", 0x400],
  stable_inodes: ["compat", 0x800],
  orphan_file: ["compat", 0x1000],
  filetype: ["incompat", 0x2],
  meta_bg: ["incompat", 0x10],
  extent: ["incompat", 0x40],
  "64bit": ["incompat", 0x80],
  flex_bg: ["incompat", 0x200],
  ea_inode: ["incompat", 0x400],
  metadata_csum_seed: ["incompat", 0x2000],
  large_dir: ["incompat", 0x4000],
  inline_data: ["incompat", 0x8000],
  encrypt: ["incompat", 0x10000],
  casefold: ["incompat", 0x20000],
  sparse_super: ["readOnlyCompat", 0x1],
  large_file: ["readOnlyCompat", 0x2],
  huge_file: ["readOnlyCompat", 0x8],
  uninit_bg: ["readOnlyCompat", 0x10],
  dir_nlink: ["readOnlyCompat", 0x20],
  extra_isize: ["readOnlyCompat", 0x40],
  quota: ["readOnlyCompat", 0x100],
  metadata_csum: ["readOnlyCompat", 0x400],
  project: ["readOnlyCompat", 0x2000],
  verity: ["readOnlyCompat", 0x8000],
} as const satisfies { readonly [name: string]: readonly [Word, number] };

/** Those that can be on or off in a new file system. */
export type ExtFeature = keyof typeof FEATURES;

const NAMES = Object.keys(FEATURES) as ExtFeature[];

const BASE: readonly ExtFeature[] = [
  "sparse_super",
  "large_file",
  "filetype",
  "resize_inode",
  "dir_index",
  "ext_attr",
];

/** What mke2fs 1.47 of Debian turns on. */
const DEFAULTS = {
  ext2: BASE,
  ext3: [...BASE, "has_journal"],
  ext4: [
    ...BASE,
    "has_journal",
    "extent",
    "huge_file",
    "flex_bg",
    "metadata_csum",
    "64bit",
    "dir_nlink",
    "extra_isize",
  ],
} as const satisfies { readonly [type: string]: readonly ExtFeature[] };

export type ExtType = keyof typeof DEFAULTS;

/** What ext2 and ext3 cannot have: the kernel would not mount them as that type. */
const FORBIDDEN: { readonly [type in ExtType]: readonly ExtFeature[] } = {
  ext2: NAMES.filter((name) => !BASE.includes(name) && name !== "meta_bg"),
  ext3: NAMES.filter(
    (name) => !BASE.includes(name) && name !== "meta_bg" && name !== "has_journal",
  ),
  ext4: [],
};

/** Each needs one of the others: without it, it means nothing or does harm. */
const NEEDS: { readonly [name in ExtFeature]?: ExtFeature } = {
  "64bit": "extent",
  fast_commit: "has_journal",
  metadata_csum_seed: "metadata_csum",
  orphan_file: "has_journal",
  resize_inode: "sparse_super",
  stable_inodes: "encrypt",
};

const CONFLICTS: readonly (readonly [ExtFeature, ExtFeature])[] = [
  ["metadata_csum", "uninit_bg"],
  ["meta_bg", "resize_inode"],
];

/** Which features a file system has. */
export class Features {
  readonly #on: Set<ExtFeature>;

  /**
   * @param wanted those to turn on or off, over the type's defaults
   * @throws {MkfsError} EINVAL
   */
  constructor(type: ExtType, wanted: { readonly [name in ExtFeature]?: boolean } = {}) {
    this.#on = new Set(DEFAULTS[type]);
    const given = Object.entries(wanted) as [ExtFeature, boolean][];
    for (const [name, on] of given) this.#apply(type, name, on);
    for (const [one, other] of CONFLICTS) {
      if (!this.has(one) || !this.has(other)) continue;
      if (wanted[one] && wanted[other])
        throw invalid("features", `${one} and ${other} exclude each other`);
      this.#on.delete(wanted[one] ? other : one);
    }
    for (const name of this.#on) {
      const need = NEEDS[name];
      if (!need || this.has(need)) continue;
      if (wanted[name]) throw invalid("features", `${name} needs ${need}`);
      this.#on.delete(name);
    }
  }

  #apply(type: ExtType, name: ExtFeature, on: boolean): void {
    if (!Object.hasOwn(FEATURES, name))
      throw invalid("features", `there is no ${name}; there are ${NAMES.join(", ")}`);
    if (on && FORBIDDEN[type].includes(name))
      throw invalid("features", `${name} is of ext4, not ${type}: use type "ext4"`);
    if (on) this.#on.add(name);
    else this.#on.delete(name);
  }

  has(name: ExtFeature): boolean {
    return this.#on.has(name);
  }

  turnOff(name: ExtFeature): void {
    this.#on.delete(name);
  }

  /** For what was not asked for, but the size needs. */
  replace(name: ExtFeature, by: ExtFeature): void {
    this.#on.delete(name);
    this.#on.add(by);
  }

  /** Whether group descriptors have checksums, and so flags for what is not initialised. */
  get lazyGroups(): boolean {
    return this.has("metadata_csum") || this.has("uninit_bg");
  }

  /** The word of the superblock. */
  word(word: Word): number {
    return NAMES.filter((name) => this.has(name) && FEATURES[name][0] === word).reduce(
      (bits, name) => bits | FEATURES[name][1],
      0,
    );
  }
}
