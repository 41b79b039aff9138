// SPDX-License-Identifier: MIT
// The Debian packages that tasks need, each with a file or command whose presence shows that it is there.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { delimiter } from "node:path";

/** @typedef {Readonly<Record<string, string>>} Packages package name → command, or absolute path */

/** Builds the kernel. @type {Packages} */
export const toolchain = {
  "linux-source-6.12": "/usr/src/linux-source-6.12.tar.xz",
  "clang-22": "clang-22",
  "lld-22": "wasm-ld-22",
  "llvm-22": "llvm-ar-22",
  make: "make",
  flex: "flex",
  bison: "bison",
  bc: "bc",
  tar: "tar",
  "xz-utils": "xz",
  patch: "patch",
  perl: "perl",
  "libc6-dev": "/usr/include/stdio.h",
};

/** Installs the kernel's headers, which src/abi is generated from. @type {Packages} */
export const headers = { ...toolchain, rsync: "rsync" };

/** Makes the sample image of the demonstration. @type {Packages} */
export const samples = { e2fsprogs: "mke2fs" };

/** Makes and checks what the tests compare with. @type {Packages} */
export const references = {
  ...samples,
  xfsprogs: "mkfs.xfs",
  "btrfs-progs": "mkfs.btrfs",
  "f2fs-tools": "mkfs.f2fs",
  dosfstools: "mkfs.vfat",
  exfatprogs: "mkfs.exfat",
  "squashfs-tools": "mksquashfs",
  "erofs-utils": "mkfs.erofs",
  mtools: "mcopy",
  "ntfs-3g": "mkntfs",
  "p7zip-full": "7z",
  genisoimage: "genisoimage",
  xorriso: "xorriso",
  udftools: "mkudffs",
  attr: "setfattr",
  acl: "setfacl",
  fdisk: "sfdisk",
  gdisk: "sgdisk",
  "util-linux": "losetup",
  "xz-utils": "xz",
  zstd: "zstd",
  chromium: "chromium",
  git: "git",
  curl: "curl",
  lftp: "lftp",
  openssl: "openssl",
  zsh: "zsh",
  fish: "fish",
  tshark: "tshark",
  nginx: "nginx",
  iproute2: "ip",
  nftables: "nft",
  "redis-server": "redis-server",
  postgresql: "pg_createcluster",
  iperf3: "iperf3",
  "iputils-ping": "ping",
};

/** Reads and writes images in other ways, to be measured beside. @type {Packages} */
export const rivals = { e2tools: "e2cp", fuse2fs: "fuse2fs" };

const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];

/**
 * @param {Packages} packages
 * @returns {string[]} the names of those that are not installed
 */
export function missingPackages(packages) {
  const present = (/** @type {string} */ witness) =>
    witness.startsWith("/")
      ? existsSync(witness)
      : folders.some((folder) => existsSync(`${folder}/${witness}`));
  return Object.keys(packages).filter((name) => !present(packages[name] ?? name));
}

/**
 * Installs what is missing where this process may (root on Debian), and throws elsewhere.
 * @param {Packages} packages
 * @param {(message: string) => void} say
 */
export function installPackages(packages, say) {
  const missing = missingPackages(packages);
  if (missing.length === 0) return;
  const names = missing.join(" ");
  if (process.getuid?.() !== 0 || !existsSync("/etc/debian_version")) {
    throw new Error(`missing Debian packages; install them as root: apt-get install ${names}`);
  }
  say(`installing Debian packages: ${names}`);
  apt("update", "-qq");
  withoutServices(() => apt("install", "-qq", "--yes", "--no-install-recommends", ...missing));
  const still = missingPackages(packages);
  if (still.length > 0) throw new Error(`apt-get left missing: ${still.join(" ")}`);
}

/** Whether Debian's packages may start what they install: see invoke-rc.d(8). */
const SERVICE_POLICY = "/usr/sbin/policy-rc.d";

/**
 * Tests run servers of their own: none is to listen on this machine for having been installed.
 * @param {() => void} install
 */
function withoutServices(install) {
  if (existsSync(SERVICE_POLICY)) return install();
  writeFileSync(SERVICE_POLICY, "#!/bin/sh\nexit 101 # forbidden\n", { mode: 0o755 });
  try {
    install();
  } finally {
    rmSync(SERVICE_POLICY);
  }
}

/** @param {string[]} args */
function apt(...args) {
  const run = spawnSync("apt-get", ["-o", "DPkg::Lock::Timeout=300", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    maxBuffer: 64 << 20,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  if (run.status === 0) return;
  const tail = `${run.stdout}${run.stderr}`.trim().split("\n").slice(-15).join("\n");
  throw new Error(`apt-get ${args[0]} failed (${run.error?.message ?? run.status}):\n${tail}`);
}
