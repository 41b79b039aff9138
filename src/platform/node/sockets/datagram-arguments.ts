// What dgram.Socket.send() is called with: it has four forms.

import { argumentTypeError, outOfRangeError } from "./errors.ts";

export type Sent = (error: Error | null, bytes?: number) => void;

export interface SendArguments {
  readonly chunks: readonly Uint8Array[];
  readonly port: unknown;
  readonly address: unknown;
  readonly callback: Sent | undefined;
}

function toBytes(value: unknown): Uint8Array | undefined {
  if (typeof value === "string") return Buffer.from(value);
  if (!ArrayBuffer.isView(value)) return undefined;
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

function slice(message: unknown, offset: unknown, length: unknown): Uint8Array {
  const bytes = toBytes(message);
  if (!bytes)
    throw argumentTypeError(
      "buffer",
      "of type string or an instance of Buffer, TypedArray, or DataView",
      message,
    );
  const from = Number(offset) >>> 0;
  const count = Number(length) >>> 0;
  if (from > bytes.length) throw outOfRangeError("offset", `<= ${bytes.length}`, from);
  if (from + count > bytes.length)
    throw outOfRangeError("length", `<= ${bytes.length - from}`, count);
  return bytes.subarray(from, from + count);
}

function toChunks(message: unknown): readonly Uint8Array[] {
  if (Array.isArray(message)) {
    const chunks = message.map(toBytes);
    if (chunks.every((chunk) => chunk !== undefined)) return chunks;
    throw argumentTypeError(
      "buffer list arguments",
      "of type string or an instance of Buffer, TypedArray, or DataView",
      message,
    );
  }
  const bytes = toBytes(message);
  if (bytes) return [bytes];
  throw argumentTypeError(
    "buffer",
    "of type string or an instance of Buffer, TypedArray, or DataView",
    message,
  );
}

const isFunction = (value: unknown): value is Sent => typeof value === "function";

/** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
export function sendArguments(connected: boolean, args: readonly unknown[]): SendArguments {
  const [message, second, third, fourth, fifth] = args;
  const last = args.at(-1);
  const callback = args.length > 1 && isFunction(last) ? last : undefined;
  const sliced = connected
    ? typeof third === "number"
    : Boolean(fifth && !isFunction(fifth)) || Boolean(fourth && !isFunction(fourth));
  if (sliced)
    return {
      chunks: [slice(message, second, third)],
      port: isFunction(fourth) ? undefined : fourth,
      address: isFunction(fifth) ? undefined : fifth,
      callback,
    };
  // As Node's, one that is connected does not look at what else it is given.
  const [port, address] = connected ? [] : [second, third];
  return {
    chunks: toChunks(message),
    port: isFunction(port) ? undefined : port,
    address: isFunction(address) ? undefined : address,
    callback,
  };
}
