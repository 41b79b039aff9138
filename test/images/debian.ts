// The root file system of a small Debian, unpacked from its packages: a tree as it is met in life.

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

import { HOST } from "./host.ts";
import { run } from "./native.ts";

/** Programs, libraries, set-user-ID bits, and very many links. */
const FEW = ["base-files", "dash", "hostname", "login", "sed", "tar", "tzdata", "zlib1g"];
const MORE = [
  ..."base-passwd bash coreutils debconf debianutils diffutils dpkg findutils gpgv grep gzip".split(
    " ",
  ),
  ..."init-system-helpers libc-bin libc6 mount ncurses-base ncurses-bin passwd perl-base".split(
    " ",
  ),
  ..."sysvinit-utils util-linux".split(" "),
];

/**
 * What packages do when they are installed, where this machine lets us: a capability (struct
 * vfs_cap_data: version 2, effective, CAP_SETGID) and a list; and something of a user's.
 */
function adorn(root: string): void {
  const set = (name: string, value: string, path: string) => {
    if (HOST.xattrs.some((start) => name.startsWith(start)))
      run("setfattr", "-n", name, "-v", value, join(root, path));
  };
  set("security.capability", "0x0100000240000000000000000000000000000000", "bin/login");
  set("user.mime_type", "text/plain", "usr/share/doc/dash/copyright");
  if (HOST.xattrs.includes("system.posix_acl_"))
    run("setfacl", "-m", "g:4:rx,d:g:4:rx", join(root, "var/log"));
}

const cache = () =>
  join(
    process.env.LIBLINUX_CACHE ?? join(tmpdir(), `liblinux-cache-${process.getuid?.()}`),
    "tests",
  );

/**
 * A folder with the packages' files, made when it is asked for first, and kept.
 *
 * @param whole also the packages that make it a system; else a few, quickly compared
 */
export function debianRoot(whole: boolean): string {
  const root = join(cache(), whole ? "debian-with-attributes" : "debian-few-with-attributes");
  if (existsSync(root)) return root;
  const parts = `${root}.${process.pid}`;
  for (const folder of ["root", "packages/partial", "lists/partial"])
    mkdirSync(join(parts, folder), { recursive: true });
  try {
    const names = whole ? [...FEW, ...MORE] : FEW;
    const packages = join(parts, "packages");
    // apt works as a user without rights, unless told that it may use this folder.
    const apt = (...args: string[]) =>
      run("env", "-C", packages, "apt-get", "-qq", "-o", "APT::Sandbox::User=root", ...args);
    try {
      apt("download", ...names);
    } catch {
      // What this machine knows of packages is old, or nothing.
      const lists = ["-o", `Dir::State::Lists=${parts}/lists`, "-o", `Dir::Cache=${packages}`];
      apt(...lists, "update");
      apt(...lists, "download", ...names);
    }
    for (const file of readdirSync(packages).filter((name) => name.endsWith(".deb")))
      run("dpkg-deb", "-x", join(packages, file), join(parts, "root"));
    adorn(join(parts, "root"));
    renameSync(join(parts, "root"), root);
  } finally {
    rmSync(parts, { recursive: true, force: true });
  }
  return root;
}
