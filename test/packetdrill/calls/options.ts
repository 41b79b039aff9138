// What sockets and descriptors are told, and asked.

import { FIONREAD } from "../../../src/abi/constants/ioctl.ts";
import { Mismatch } from "../errors.ts";
import { itemsOf, numberOf, optionBytes, show } from "../values.ts";
import { checkSize, expectEqual } from "./call.ts";
import type { Arguments, CallHost, Done } from "./call.ts";

const OPTION_BYTES = 1024;

export async function setsockopt(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(5);
  const value = args.at(3);
  const bytes = value.kind === "ellipsis" ? new Uint8Array(0) : optionBytes(value);
  const length = args.isAny(4) ? bytes.length : args.size(4);
  const piece = await host.room.take(Math.max(length, bytes.length), bytes);
  const { process } = host;
  return {
    result: await process.setsockopt(args.fd(), args.number(1), args.number(2), piece, length),
  };
}

export async function getsockopt(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(5);
  const value = args.at(3);
  const [length] = itemsOf(args.at(4));
  const given = length && length.kind !== "ellipsis" ? checkSize(numberOf(length)) : OPTION_BYTES;
  const piece = await host.room.take(Math.max(given, OPTION_BYTES));
  const size = await host.room.take(4, new Uint8Array(Uint32Array.of(given).buffer));
  const { process } = host;
  const result = await process.getsockopt(args.fd(), args.number(1), args.number(2), piece, size);
  return {
    result,
    verify: () => {
      const told = size.view.getUint32(0, true);
      if (value.kind === "ellipsis" || itemsOf(value)[0]?.kind === "ellipsis") return;
      if (length && length.kind !== "ellipsis") expectEqual("optlen", length, told);
      const bytes = optionBytes(value);
      const actual = piece.bytes.slice(0, Math.max(told, bytes.length));
      if (bytes.some((byte, index) => byte !== actual[index]))
        throw new Mismatch(
          `Bad getsockopt optval: expected: ${show(value)} vs actual: ` +
            (told === 4 ? `[${piece.view.getInt32(0, true)}]` : `bytes ${actual.join(" ")}`),
        );
    },
  };
}

export async function fcntl(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(2, 3);
  const value = args.count > 2 ? args.number(2) : 0;
  // The argument is no address but the number itself.
  const result = await host.process.fcntl64(args.fd(), args.number(1), {
    address: value,
    length: 0,
  });
  return { result };
}

export async function ioctl(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(2, 3);
  const command = args.number(1);
  const value = args.count > 2 ? args.at(2) : undefined;
  const piece = await host.room.take(
    4,
    value && value.kind !== "ellipsis" ? optionBytes(value) : undefined,
  );
  const result = await host.process.ioctl(args.fd(), command, piece);
  return {
    result,
    verify: () => {
      if (value?.kind === "list" || (value && command === FIONREAD))
        expectEqual("ioctl value", itemsOf(value)[0], piece.view.getInt32(0, true));
    },
  };
}
