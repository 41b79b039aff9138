// The package's kernels over HTTP, from where this module came from.

import { KernelImage } from "../../machine/image.ts";

const folder = new URL("../../../kernels/", import.meta.url);

/**
 * Fetches `<profile>.wasm`: a server should send it compressed (Content-Encoding: br); the
 * package has it ready as `<profile>.wasm.br`.
 */
export async function readImage(profile: string): Promise<KernelImage> {
  const url = new URL(`${profile}.wasm`, folder);
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answers ${response.status}: no kernel there`);
  return new KernelImage(new Uint8Array(await response.arrayBuffer()));
}
