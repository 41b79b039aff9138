// A file system image and the published JavaScript, made once for the engines that try them.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const top = join(import.meta.dirname, "..");

/** What /hello.txt of the image holds. */
export const HELLO = "hello from ext4\n";

export interface Kit extends AsyncDisposable {
  /** Holds dist/, the published JavaScript, and kernels/. */
  readonly folder: string;
  /** An ext4 file system. */
  readonly image: string;
}

/** Build the JavaScript and an image in a folder that goes with the kit. */
export async function makeKit(): Promise<Kit> {
  const folder = await mkdtemp(join(tmpdir(), "liblinux-kit-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const tsc = join(top, "node_modules", "typescript", "bin", "tsc");
    const config = join(top, "tsconfig.build.json");
    await run(process.execPath, [tsc, "-p", config, "--outDir", join(folder, "dist")]);
    await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    await run("cp", ["-RL", join(top, "kernels"), join(folder, "kernels")]);
    const files = join(folder, "files");
    await mkdir(files);
    await writeFile(join(files, "hello.txt"), HELLO);
    const image = join(folder, "ext4.img");
    await run("/sbin/mkfs.ext4", ["-q", "-d", files, image, "8M"]);
    return { folder, image, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
