// The package's kernels as files.
import { readFile } from "node:fs/promises";
import { brotliDecompress } from "node:zlib";
import { promisify } from "node:util";
import { KernelImage } from "../../machine/image.ts";

const folder = new URL("../../../kernels/", import.meta.url);
const decompress = promisify(brotliDecompress);

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

/** A build's own output if there is one, else what the package carries. */
export async function readImage(profile: string): Promise<KernelImage> {
  const plain = await readOptional(`${profile}.wasm`);
  if (plain) return new KernelImage(plain);
  const packed = await readOptional(`${profile}.wasm.br`);
  if (packed) {
    const bytes = await decompress(packed);
    return new KernelImage(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) as Uint8Array<ArrayBuffer>);
  }
  throw new KernelNotFoundError(
    `there is no "${profile}" kernel: in a clone, run \`npm run kernel:build\`; ` +
      "the published package has full and fs",
  );
}
