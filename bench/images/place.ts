// A place: the files of an image, by one of the ways to reach them.

import { createFs } from "../../src/fs/facade/index.ts";
import { openImage } from "../../src/image/index.ts";
import type { ImageSource } from "../../src/platform/source.ts";

export interface OpenFile {
  read(
    into: Buffer,
    offset: number,
    length: number,
    position: number | null,
  ): Promise<{ bytesRead: number }>;
  write(
    from: Buffer,
    offset: number,
    length: number,
    position: number | null,
  ): Promise<{ bytesWritten: number }>;
  sync(): Promise<unknown>;
  close(): Promise<unknown>;
}

interface Status {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

/** What is measured of node:fs/promises: all places have it. */
export interface PlaceFs {
  open(path: string, flags: string | number): Promise<OpenFile>;
  readFile(path: string): Promise<Uint8Array>;
  writeFile(path: string, data: string): Promise<unknown>;
  mkdir(path: string): Promise<unknown>;
  rmdir(path: string): Promise<unknown>;
  readdir(path: string): Promise<string[]>;
  stat(path: string): Promise<Status>;
  lstat(path: string): Promise<Status>;
  readlink(path: string): Promise<string>;
  unlink(path: string): Promise<unknown>;
}

export interface Place extends AsyncDisposable {
  /** As the table calls it. */
  readonly name: string;
  readonly fs: PlaceFs;
  /** What the names of its files begin with. */
  readonly root: string;
  /** Write back everything, and forget what was read: the next read asks the image. */
  forget(): Promise<void>;
}

/** Enough for the page cache of all that is measured. */
const MEMORY_MIB = 1024;

/** An image as this library opens it: `volume.fs`. */
export async function openOurs(source: ImageSource, name = "volume.fs"): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const opened = stack.use(await openImage(source, { profile: "fs", memoryMiB: MEMORY_MIB }));
  const volume = stack.use(await opened.volume().mount());
  const init = stack.use(createFs(opened.kernel.init));
  const whole = stack.move();
  return {
    name,
    fs: volume.fs.promises,
    root: "",
    forget: async () => {
      await volume.sync();
      // Documentation/admin-guide/sysctl/vm.rst
      await init.promises.writeFile("/proc/sys/vm/drop_caches", "3");
    },
    [Symbol.asyncDispose]: () => whole.disposeAsync(),
  };
}
