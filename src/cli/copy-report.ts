// What a copy did.

import type { FileType } from "../fs/stat.ts";

/** What was copied, and what was not. Paths are the source's. */
export class CopyReport {
  files = 0;
  directories = 0;
  symlinks = 0;
  hardLinks = 0;
  /** Devices, pipes and sockets. */
  specials = 0;
  bytes = 0;
  /** Devices, pipes and sockets where they cannot be. */
  readonly skipped: { readonly path: string; readonly type: FileType }[] = [];
  readonly failed: { readonly path: string; readonly problem: string }[] = [];
  /** Files whose set-user-ID and set-group-ID bits were dropped. */
  readonly dropped: string[] = [];
  /** Extended attributes that the target could not keep. */
  readonly lost: { readonly path: string; readonly attribute: string }[] = [];

  /** It cannot be where the copy is. */
  skip(path: string, type: FileType, tell: (path: string, problem: string) => void): void {
    this.skipped.push({ path, type });
    tell(path, `is a ${type}: left out`);
  }

  /** What was not kept, each in a sentence. */
  losses(): string[] {
    const { lost, dropped } = this;
    const files = new Set(lost.map(({ path }) => path)).size;
    return [
      ...(lost.length
        ? [`${lost.length} extended attributes of ${files} files cannot be kept there`]
        : []),
      ...(dropped.length
        ? [`${dropped.length} files lost their set-user-ID or set-group-ID bits (-p keeps them)`]
        : []),
    ];
  }

  /** For --json. */
  summary(): object {
    const { files, directories, symlinks, hardLinks, specials, bytes } = this;
    const { skipped, failed, dropped, lost } = this;
    const done = { files, directories, symlinks, hardLinks, specials, bytes };
    return { ...done, skipped, failed, dropped, lost };
  }
}
