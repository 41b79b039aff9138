// File systems: disks in a kernel, what is on them, mounts and files.
export { AclError, decodeAcl, encodeAcl, getAcl, setAcl } from "./acl.ts";
export type { AclEntry, AclKind } from "./acl.ts";
export {
  AttributesIgnoredError,
  changeAttributes,
  changeFsxattr,
  getAttributes,
  getFsxattr,
} from "./attributes.ts";
export type { AttributeName, FsxattrChanges, FsxattrFlag, FsxattrStatus } from "./attributes.ts";
export { bindMount, mapOwners, unbind } from "./bind.ts";
export type { BindOptions, OwnerMaps, OwnerRange } from "./bind.ts";
export { attachDisk, BlockDevice, DeviceNotFoundError } from "./block-device.ts";
export type { AttachOptions, DeviceHost, Partition } from "./block-device.ts";
export { NotBtrfsError } from "./btrfs-tree.ts";
export { openDirectory, readDirectory, readEntries, TooDeepError, walk } from "./directory.ts";
export type { DirectoryEntry, Visitor, WalkEntry } from "./directory.ts";
export { dataRanges, fileExtents, nextData, nextHole } from "./extents.ts";
export type { Extent, ExtentFlag, ExtentOptions } from "./extents.ts";
export { createFs, FsError } from "./facade/index.ts";
export type {
  BigIntStats,
  Bytes,
  Dir,
  Dirent,
  FileHandle,
  FileTarget,
  FsCallbacks,
  FsOptions,
  FsPromises,
  LinuxFiles,
  LinuxFs,
  PathLike,
  Stats,
} from "./facade/index.ts";
export { fallocate } from "./fallocate.ts";
export type { FallocateMode, FallocateOptions } from "./fallocate.ts";
export { readChunks, readFile, readLink, readText } from "./files.ts";
export type { ChunkOptions, ReadAt } from "./files.ts";
export { freeze, Frozen, thaw } from "./freeze.ts";
export { getLabel, setLabel } from "./label.ts";
export { knownTypes, mount, Mount, MountError, NotMountableError } from "./mount.ts";
export type { MountHost, MountOptions } from "./mount.ts";
export { formatMountOptions } from "./mount-options.ts";
export type { FilesystemOptions, OptionsOf, OptionsType } from "./mount-options.ts";
export { readMounts } from "./mounts.ts";
export type { MountEntry } from "./mounts.ts";
export { mountOverlay } from "./overlay.ts";
export type { OverlayOptions } from "./overlay.ts";
export type { PartitionTable, TableEntry } from "./partitions.ts";
export { probe, probeDevice } from "./probe.ts";
export type { Content } from "./probes/content.ts";
export { disableQgroups, enableQgroups, limitSubvolume, listQgroups } from "./qgroup.ts";
export type { Qgroup, QgroupLimits } from "./qgroup.ts";
export {
  disableQuota,
  enableQuota,
  getQuota,
  getQuotaGrace,
  listQuotas,
  QuotaError,
  quotaState,
  setQuota,
  setQuotaGrace,
} from "./quota.ts";
export type { Quota, QuotaGrace, QuotaKind, QuotaLimits, QuotaState, QuotaUse } from "./quota.ts";
export type { ByteRange } from "./range.ts";
export { dedupe, reflink, reflinkRange } from "./reflink.ts";
export type { Deduped } from "./reflink.ts";
export { deviceResized, resize, ResizeError, resizePartition } from "./resize.ts";
export { makeSpecial } from "./special.ts";
export type { SpecialOptions, SpecialType } from "./special.ts";
export { stat, usage } from "./stat.ts";
export type { FileStatus, FileType, StatOptions, Usage } from "./stat.ts";
export {
  createSubvolume,
  deleteSubvolume,
  getDefaultSubvolume,
  listSubvolumes,
  setDefaultSubvolume,
  setSubvolumeReadOnly,
  snapshot,
  subvolumeId,
  TOP_SUBVOLUME,
} from "./subvolume.ts";
export type { SnapshotOptions, Subvolume } from "./subvolume.ts";
export { syncFilesystem } from "./sync.ts";
export type { Target } from "./target.ts";
export { trim } from "./trim.ts";
export type { TrimOptions } from "./trim.ts";
export { listVolumes } from "./volumes.ts";
export type { VolumeFacts } from "./volumes.ts";
export { getXattr, listRawXattrs, listXattrs, readXattrs, removeXattr, setXattr } from "./xattr.ts";
export type { SetXattrOptions, XattrOptions } from "./xattr.ts";
