// Reading and writing.

import type { KernelMemory } from "../../../src/abi/calls.ts";
import { MSG_FASTOPEN } from "../../../src/abi/constants/socket.ts";
import { Mismatch } from "../errors.ts";
import type { Expression } from "../script.ts";
import { itemsOf, numberOf, show, socketAddress } from "../values.ts";
import { checkSize } from "./call.ts";
import type { Arguments, CallHost, Done } from "./call.ts";
import { addressAt } from "./sockets.ts";

const IOVEC_BYTES = 8;

/** Whether a buffer is none: 0 or NULL. */
export function isNull(what: Expression): boolean {
  return (what.kind === "number" || what.kind === "word") && numberOf(what) === 0;
}

/** Where what is read goes. */
async function destination(args: Arguments, index: number, host: CallHost): Promise<KernelMemory> {
  const length = args.size(index + 1);
  return isNull(args.at(index)) ? { address: 0, length } : host.room.take(length);
}

/** What is to be sent: zeroes, or what the script says. */
async function contents(args: Arguments, index: number, host: CallHost): Promise<KernelMemory> {
  const what = args.at(index);
  const length = args.size(index + 1);
  if (isNull(what)) return { address: 0, length };
  if (what.kind !== "string") return host.room.zeroes(length);
  return host.room.take(length, new TextEncoder().encode(what.value).subarray(0, length));
}

export async function write(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  const bytes = await contents(args, 1, host);
  return { result: await host.process.write(args.fd(), bytes, bytes.length) };
}

export async function send(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(4);
  const bytes = await contents(args, 1, host);
  const { process } = host;
  return { result: await process.sendto(args.fd(), bytes, bytes.length, args.number(3), null, 0) };
}

export async function sendto(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(6);
  const bytes = await contents(args, 1, host);
  const flags = args.number(3);
  const endpoint = args.endpoint();
  const opens = (flags & MSG_FASTOPEN) !== 0 || endpoint?.protocol === "udp";
  // On a connection, "..." is no address at all.
  const addressed = !args.isAny(4) || opens;
  const target = addressAt(args, 4, host.connectTo);
  if (endpoint && opens) host.connecting(endpoint, target);
  const to = addressed ? socketAddress(target) : null;
  const { process } = host;
  return {
    result: await process.sendto(args.fd(), bytes, bytes.length, flags, to, to?.length ?? 0),
  };
}

export async function read(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  const bytes = await destination(args, 1, host);
  return { result: await host.process.read(args.fd(), bytes, bytes.length) };
}

export async function recv(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(4, 6);
  const bytes = await destination(args, 1, host);
  const { process } = host;
  return {
    result: await process.recvfrom(args.fd(), bytes, bytes.length, args.number(3), null, null),
  };
}

/** The lengths of `[{..., 1000}, {..., 500}]`. */
export function lengthsOf(expression: Expression): number[] {
  return itemsOf(expression).map((vector) => {
    const [, length] = itemsOf(vector);
    if (!length) throw new Mismatch(`${show(vector)}: it is like {..., 1000}`);
    return checkSize(numberOf(length));
  });
}

export async function vectors(
  host: CallHost,
  pieces: readonly KernelMemory[],
): Promise<KernelMemory> {
  const table = await host.room.take(pieces.length * IOVEC_BYTES);
  for (const [index, { address, length }] of pieces.entries()) {
    table.view.setUint32(index * IOVEC_BYTES, address, true);
    table.view.setUint32(index * IOVEC_BYTES + 4, length, true);
  }
  return table;
}

export async function rooms(host: CallHost, lengths: readonly number[]): Promise<KernelMemory[]> {
  const pieces: KernelMemory[] = [];
  for (const length of lengths) pieces.push(await host.room.take(length));
  return pieces;
}

export async function writev(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  const table = await vectors(host, await host.room.scattered(lengthsOf(args.at(1))));
  return { result: await host.process.writev(args.fd(), table, args.number(2)) };
}

export async function readv(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  const table = await vectors(host, await rooms(host, lengthsOf(args.at(1))));
  return { result: await host.process.readv(args.fd(), table, args.number(2)) };
}
