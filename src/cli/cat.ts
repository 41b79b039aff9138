// liblinux cat: files of an image to standard output.

import { readChunks } from "../fs/files.ts";
import { stat } from "../fs/stat.ts";
import type { Process } from "../syscall/process.ts";
import { formatAddress } from "./address.ts";
import { PlaceError, UsageError } from "./errors.ts";
import { kernelChoice, parse, READ_OPTIONS } from "./options.ts";
import { write } from "./output.ts";
import { eachPlace, images, parsePlace } from "./places.ts";
import type { Place, Scope } from "./places.ts";

export async function cat(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("cat", args, READ_OPTIONS);
  if (!positionals.length) throw new UsageError("cat", "which file?");
  const places = positionals.map((text) => parsePlace(scope, "cat", text));
  await eachPlace(scope, places, kernelChoice("cat", values), ({ process }, place) =>
    print(process, place),
  );
  return 0;
}

async function print(process: Process, place: Place): Promise<void> {
  const name = formatAddress(place, place.path);
  const { type } = await stat(process, place.path);
  if (type === "directory")
    throw new PlaceError(name, "EISDIR: is a directory; liblinux ls lists it");
  if (type !== "file") throw new PlaceError(name, `is a ${type}, which has no content in an image`);
  for await (const chunk of readChunks(process, place.path)) await write(chunk);
}
