// The package's kernels as files.

import { readFile } from "node:fs/promises";

import { KernelImage } from "../../machine/image.ts";

const folder = new URL("../../../kernels/", import.meta.url);

/** No kernel of this profile is there. */
export class KernelNotFoundError extends Error {
  override readonly name = "KernelNotFoundError";
  readonly code = "ERR_KERNEL_NOT_FOUND";
}

async function readOptional(name: string): Promise<Uint8Array<ArrayBuffer> | null> {
  try {
    return await readFile(new URL(name, folder));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

async function decompress(packed: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  // Loaded only here: a process that starts with a plain module has no use for it.
  const { brotliDecompress } = await import("node:zlib");
  return new Promise((resolve, reject) =>
    brotliDecompress(packed, (error, bytes) => (error ? reject(error) : resolve(bytes))),
  );
}

/** A build's own output if there is one, else what the package carries. */
export async function readImage(profile: string): Promise<KernelImage> {
  const plain = await readOptional(`${profile}.wasm`);
  if (plain) return new KernelImage(plain);
  const packed = await readOptional(`${profile}.wasm.br`);
  if (packed) return new KernelImage(await decompress(packed));
  throw new KernelNotFoundError(
    `there is no "${profile}" kernel: in a clone, run \`npm run kernel:build\`; ` +
      "the published package has full and fs",
  );
}
