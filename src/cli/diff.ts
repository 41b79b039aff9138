// liblinux diff: what two images, or an image and a directory of this machine, have different.

import fs from "node:fs";
import { resolve } from "node:path";

import type { Image, MountedVolume, Volume } from "../image/index.ts";
import { formatAddress, parseAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { Exclusion } from "./compare.ts";
import { hostSource, volumeSource } from "./copy-source.ts";
import { ASPECTS, Differ } from "./differ.ts";
import type { Aspect, DiffOptions, Tree } from "./differ.ts";
import { UsageError } from "./errors.ts";
import { kernelChoice, parse, READ_OPTIONS } from "./options.ts";
import type { KernelChoice } from "./options.ts";
import { writeJson } from "./output.ts";
import { mountVolume, openImage, openVolume } from "./session.ts";

const SAME = 0;
const DIFFERENT = 1;
const TROUBLE = 2;

export async function diff(args: string[]): Promise<number> {
  const { values, positionals } = parse("diff", args, {
    ...READ_OPTIONS,
    ignore: { type: "string", short: "i", multiple: true, default: [] },
    exclude: { type: "string", multiple: true, default: [] },
    json: { type: "boolean", default: false },
  });
  const [a, b, ...more] = positionals;
  if (a === undefined || b === undefined || more.length)
    throw new UsageError("diff", "which two? images, places in them, or directories");
  const choice = kernelChoice("diff", values);
  await using sideA = await openSide(a, choice);
  await using sideB = await openSide(b, choice);
  // What fsck keeps for itself is no difference to a directory of this machine.
  const own = sideA.image && sideB.image ? [] : ["/lost+found"];
  const options: DiffOptions = {
    ignore: new Set(values.ignore.flatMap((text) => text.split(",").map(parseAspect))),
    exclude: new Exclusion([...values.exclude, ...own]),
    json: values.json,
  };
  const differ = new Differ(options);
  for (const { prefix, inA, inB } of pairs(sideA, sideB)) {
    await using treeA = inA && (await inA());
    await using treeB = inB && (await inB());
    if (treeA && treeB) await differ.run(treeA, treeB, prefix);
    else await differ.only(prefix, treeA !== null);
  }
  if (values.json) await writeJson(differ.found);
  if (differ.failures) return TROUBLE;
  return differ.count ? DIFFERENT : SAME;
}

function parseAspect(text: string): Aspect {
  const found = ASPECTS.find((aspect) => aspect === text);
  if (!found) throw new UsageError("diff", `--ignore ${text}: it is one of ${ASPECTS.join(", ")}`);
  return found;
}

/** One of the two that are compared: a tree, or all the volumes of an image. */
interface Compared extends AsyncDisposable {
  readonly image: Image | null;
  readonly address: Address | null;
  /** The tree that is meant; null if all volumes are. */
  readonly tree: (() => Promise<Tree>) | null;
  readonly volume: (volume: Volume) => Promise<Tree>;
}

async function openSide(text: string, choice: KernelChoice): Promise<Compared> {
  if (fs.statSync(text, { throwIfNoEntry: false })?.isDirectory()) {
    const path = Buffer.from(fs.realpathSync(resolve(text)));
    const tree = async () => ({ source: hostSource, path, name: text, ...NOTHING });
    return { image: null, address: null, tree, volume: tree, ...NOTHING };
  }
  const address = parseAddress(text);
  await using stack = new AsyncDisposableStack();
  const image = stack.use(await openImage(address.image, choice));
  const treeOf = (mounted: MountedVolume): Tree => ({
    source: volumeSource(mounted),
    path: Buffer.from(address.path ?? "/"),
    name: formatAddress({ ...address, volume: mounted.volume.number || null }, address.path ?? "/"),
    [Symbol.asyncDispose]: () => mounted[Symbol.asyncDispose](),
  });
  const one = async () => treeOf(await openVolume(image, address, choice));
  const named = address.volume !== null || address.path !== null || filesystems(image).length === 1;
  const whole = stack.move();
  return {
    image,
    address,
    tree: named ? one : null,
    volume: async (volume) => treeOf(await mountVolume(volume, address.image, choice)),
    [Symbol.asyncDispose]: () => whole.disposeAsync(),
  };
}

const NOTHING: AsyncDisposable = { [Symbol.asyncDispose]: async () => {} };

const filesystems = (image: Image) =>
  image.volumes.filter(({ content }) => content?.kind === "filesystem");

interface Pair {
  /** Before the paths of this pair: a volume's number. */
  readonly prefix: string;
  readonly inA: (() => Promise<Tree>) | null;
  readonly inB: (() => Promise<Tree>) | null;
}

/** Images without a path are compared volume by volume. */
function pairs(a: Compared, b: Compared): Pair[] {
  if (a.tree && b.tree) return [{ prefix: "", inA: a.tree, inB: b.tree }];
  const { image: imageA } = a;
  const { image: imageB } = b;
  const other = a.tree ? b : a;
  if (!imageA || !imageB || a.tree || b.tree)
    throw new UsageError(
      "diff",
      `${other.address?.image}: has several volumes: name one, as ${other.address?.image}:${filesystems(other.image!).at(0)?.number ?? 1}:/`,
    );
  const [inA, inB] = [imageA, imageB].map(
    (image) => new Map(filesystems(image).map((volume) => [volume.number, volume])),
  );
  return [...new Set([...inA.keys(), ...inB.keys()])]
    .toSorted((x, y) => x - y)
    .map((number) => {
      const [volumeA, volumeB] = [inA.get(number), inB.get(number)];
      return {
        prefix: `${number}:`,
        inA: volumeA ? () => a.volume(volumeA) : null,
        inB: volumeB ? () => b.volume(volumeB) : null,
      };
    });
}
