// `fs.constants`, as Node has them on Linux.

import * as fcntl from "../../abi/constants/fcntl.ts";
import * as stat from "../../abi/constants/stat.ts";
import { COPYFILE_EXCL, COPYFILE_FICLONE, COPYFILE_FICLONE_FORCE } from "./copy.ts";

/** access(2) (include/linux/fs.h: MAY_READ and its like). */
const F_OK = 0;
const R_OK = 4;
const W_OK = 2;
const X_OK = 1;

export const constants = Object.freeze({
  UV_FS_SYMLINK_DIR: 1,
  UV_FS_SYMLINK_JUNCTION: 2,
  O_RDONLY: fcntl.O_RDONLY,
  O_WRONLY: fcntl.O_WRONLY,
  O_RDWR: fcntl.O_RDWR,
  UV_DIRENT_UNKNOWN: 0,
  UV_DIRENT_FILE: 1,
  UV_DIRENT_DIR: 2,
  UV_DIRENT_LINK: 3,
  UV_DIRENT_FIFO: 4,
  UV_DIRENT_SOCKET: 5,
  UV_DIRENT_CHAR: 6,
  UV_DIRENT_BLOCK: 7,
  S_IFMT: stat.S_IFMT,
  S_IFREG: stat.S_IFREG,
  S_IFDIR: stat.S_IFDIR,
  S_IFCHR: stat.S_IFCHR,
  S_IFBLK: stat.S_IFBLK,
  S_IFIFO: stat.S_IFIFO,
  S_IFLNK: stat.S_IFLNK,
  S_IFSOCK: stat.S_IFSOCK,
  O_CREAT: fcntl.O_CREAT,
  O_EXCL: fcntl.O_EXCL,
  // Of Windows; elsewhere Node has them as 0.
  UV_FS_O_FILEMAP: 0,
  UV_FS_O_TEMPORARY: 0,
  UV_FS_O_SHORT_LIVED: 0,
  UV_FS_O_SEQUENTIAL: 0,
  UV_FS_O_RANDOM: 0,
  O_NOCTTY: fcntl.O_NOCTTY,
  O_TRUNC: fcntl.O_TRUNC,
  O_APPEND: fcntl.O_APPEND,
  O_DIRECTORY: fcntl.O_DIRECTORY,
  O_NOATIME: fcntl.O_NOATIME,
  O_NOFOLLOW: fcntl.O_NOFOLLOW,
  O_SYNC: fcntl.O_SYNC,
  O_DSYNC: fcntl.O_DSYNC,
  O_DIRECT: fcntl.O_DIRECT,
  O_NONBLOCK: fcntl.O_NONBLOCK,
  S_IRWXU: stat.S_IRWXU,
  S_IRUSR: stat.S_IRUSR,
  S_IWUSR: stat.S_IWUSR,
  S_IXUSR: stat.S_IXUSR,
  S_IRWXG: stat.S_IRWXG,
  S_IRGRP: stat.S_IRGRP,
  S_IWGRP: stat.S_IWGRP,
  S_IXGRP: stat.S_IXGRP,
  S_IRWXO: stat.S_IRWXO,
  S_IROTH: stat.S_IROTH,
  S_IWOTH: stat.S_IWOTH,
  S_IXOTH: stat.S_IXOTH,
  F_OK,
  R_OK,
  W_OK,
  X_OK,
  UV_FS_COPYFILE_EXCL: COPYFILE_EXCL,
  COPYFILE_EXCL,
  UV_FS_COPYFILE_FICLONE: COPYFILE_FICLONE,
  COPYFILE_FICLONE,
  UV_FS_COPYFILE_FICLONE_FORCE: COPYFILE_FICLONE_FORCE,
  COPYFILE_FICLONE_FORCE,
});

export type FsConstants = typeof constants;
