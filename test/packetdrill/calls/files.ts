// Files and pipes.

import { AT_FDCWD } from "../../../src/abi/constants/fcntl.ts";
import { Mismatch } from "../errors.ts";
import type { Piece } from "../room.ts";
import type { CallEvent } from "../script.ts";
import { itemsOf, numberOf, show } from "../values.ts";
import { nameDescriptor } from "./call.ts";
import type { Arguments, CallHost, Done } from "./call.ts";
import { isNull } from "./data.ts";

export async function open(args: Arguments, host: CallHost, event: CallEvent): Promise<Done> {
  args.expect(2, 3);
  const path = args.at(0);
  if (path.kind !== "string") throw new Mismatch(`a path is expected, not ${show(path)}`);
  const mode = args.count > 2 ? args.number(2) : 0;
  nameDescriptor(
    host,
    event,
    await host.process.openat(AT_FDCWD, path.value, args.number(1), mode),
  );
  return { result: "descriptor" };
}

/** The offset is 64 bits: `[0]`, or none. */
export async function sendfile(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(4);
  const [offset] = itemsOf(args.at(2));
  let piece: Piece | null = null;
  if (offset && !isNull(args.at(2)) && offset.kind !== "ellipsis") {
    piece = await host.room.take(8);
    piece.view.setBigInt64(0, BigInt(numberOf(offset)), true);
  }
  const { process } = host;
  return { result: await process.sendfile64(args.fd(), args.fd(1), piece, args.number(3)) };
}

export async function pipe(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(1);
  const piece = await host.room.take(8);
  const result = await host.process.pipe2(piece, 0);
  for (const [index, script] of itemsOf(args.at(0)).entries())
    host.descriptors.set(numberOf(script), piece.view.getInt32(index * 4, true));
  return { result };
}

export async function splice(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(6);
  const { process } = host;
  const result = await process.splice(
    args.fd(),
    null,
    args.fd(2),
    null,
    args.number(4),
    args.number(5),
  );
  return { result };
}
