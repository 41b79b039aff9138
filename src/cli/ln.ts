// liblinux ln: another name, or a symbolic link, in an image.

import { UsageError } from "./errors.ts";
import { kernelChoice, KERNEL_OPTIONS, parse } from "./options.ts";
import { atPlace, images, parsePlace } from "./places.ts";
import type { Scope } from "./places.ts";

export async function ln(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("ln", args, {
    ...KERNEL_OPTIONS,
    symbolic: { type: "boolean", short: "s", default: false },
    force: { type: "boolean", short: "f", default: false },
  });
  const [target, text, ...more] = positionals;
  if (target === undefined || text === undefined || more.length)
    throw new UsageError("ln", "what is linked, and where? it is /TARGET IMAGE[:VOLUME]:/PATH");
  const place = parsePlace(scope, "ln", text);
  const access = { ...kernelChoice("ln", values), write: true };
  await scope.withVolume(place, access, ({ fs }) =>
    atPlace(place, async () => {
      if (values.force) await fs.promises.rm(place.path, { force: true });
      if (values.symbolic) await fs.promises.symlink(target, place.path);
      else await fs.promises.link(scope.path(target), place.path);
    }),
  );
  return 0;
}
