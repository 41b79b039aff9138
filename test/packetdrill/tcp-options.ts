// TCP options: bytes, and as they are written in scripts.
// Kinds: RFC 9293, 7323 (wscale, TS), 2018 (sack), 2385 (md5), 7413 (FO), 6994 (experiments), 9768 (AccECN).

import { Mismatch } from "./errors.ts";

export const TCPOPT_EOL = 0;
export const TCPOPT_NOP = 1;
export const TCPOPT_MSS = 2;
export const TCPOPT_WSCALE = 3;
export const TCPOPT_SACK_PERMITTED = 4;
export const TCPOPT_SACK = 5;
export const TCPOPT_TIMESTAMP = 8;
export const TCPOPT_MD5 = 19;
export const TCPOPT_FASTOPEN = 34;
export const TCPOPT_ACCECN0 = 172;
export const TCPOPT_ACCECN1 = 174;
export const TCPOPT_EXPERIMENT = 254;
/** What an experiment's option begins with that is an early one of Fast Open. */
export const FASTOPEN_MAGIC = 0xf989;

/** How long all options may be, in bytes. */
export const MAX_OPTION_BYTES = 40;
const SACK_BLOCK_BYTES = 8;

export interface TcpOption {
  readonly kind: number;
  /** What is behind kind and length, in network order. */
  readonly data: Uint8Array;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** An option with numbers of 8, 16 or 32 bits. */
export function option(
  kind: number,
  ...numbers: readonly (readonly [bits: 8 | 16 | 32, value: number])[]
): TcpOption {
  const data = new Uint8Array(numbers.reduce((sum, [bits]) => sum + bits / 8, 0));
  const view = viewOf(data);
  let at = 0;
  for (const [bits, value] of numbers) {
    if (bits === 8) view.setUint8(at, value);
    else if (bits === 16) view.setUint16(at, value);
    else view.setUint32(at, value);
    at += bits / 8;
  }
  return { kind, data };
}

const isSingle = (kind: number) => kind === TCPOPT_EOL || kind === TCPOPT_NOP;

/** How long an option is in a packet. */
export function optionBytes({ kind, data }: TcpOption): number {
  return isSingle(kind) ? 1 : 2 + data.length;
}

export function encodeOptions(options: readonly TcpOption[]): Uint8Array {
  return Uint8Array.from(
    options.flatMap(({ kind, data }) =>
      isSingle(kind) ? [kind] : [kind, 2 + data.length, ...data],
    ),
  );
}

/** @throws {Mismatch} if they are malformed */
export function decodeOptions(bytes: Uint8Array): TcpOption[] {
  const options: TcpOption[] = [];
  for (let at = 0; at < bytes.length;) {
    const kind = bytes[at];
    const length = isSingle(kind) ? 1 : bytes[at + 1];
    if (!isSingle(kind) && !(length >= 2 && at + length <= bytes.length))
      throw new Mismatch(`TCP option ${kind} has a bad length: ${length}`);
    options.push({ kind, data: bytes.slice(at + Math.min(2, length), at + length) });
    at += length;
  }
  return options;
}

/** Value and echo of a timestamp option. */
export function timestampOf(
  options: readonly TcpOption[],
): { value: number; echo: number } | undefined {
  const found = options.find(({ kind, data }) => kind === TCPOPT_TIMESTAMP && data.length === 8);
  if (!found) return undefined;
  const view = viewOf(found.data);
  return { value: view.getUint32(0), echo: view.getUint32(4) };
}

/** The same options, with another timestamp. */
export function withTimestamp(
  options: readonly TcpOption[],
  value: number,
  echo: number,
): TcpOption[] {
  return options.map((one) =>
    one.kind === TCPOPT_TIMESTAMP ? option(TCPOPT_TIMESTAMP, [32, value], [32, echo]) : one,
  );
}

/** The same options, with so much added to the sequence numbers of SACK blocks. */
export function shiftSack(options: readonly TcpOption[], offset: number): TcpOption[] {
  return options.map((one) => {
    if (one.kind !== TCPOPT_SACK) return one;
    const data = one.data.slice();
    const view = viewOf(data);
    for (let at = 0; at + 4 <= data.length; at += 4)
      view.setUint32(at, view.getUint32(at) + offset);
    return { kind: one.kind, data };
  });
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The counters of RFC 9768, in the order in which the option has them. */
export const ACCECN_FIELDS: ReadonlyMap<number, readonly string[]> = new Map([
  [TCPOPT_ACCECN0, ["e0b", "ceb", "e1b"]],
  [TCPOPT_ACCECN1, ["e1b", "ceb", "e0b"]],
]);

function formatAccEcn({ kind, data }: TcpOption): string {
  const counters = ACCECN_FIELDS.get(kind)!.slice(0, Math.floor(data.length / 3));
  const numbers = counters.map(
    (name, index) =>
      `${name} ${(data[index * 3] << 16) | (data[index * 3 + 1] << 8) | data[index * 3 + 2]}`,
  );
  return ["ECN", ...numbers].join(" ");
}

function formatOption(one: TcpOption): string {
  const { kind, data } = one;
  const view = viewOf(data);
  switch (kind) {
    case TCPOPT_EOL:
      return "eol";
    case TCPOPT_NOP:
      return "nop";
    case TCPOPT_MSS:
      return `mss ${view.getUint16(0)}`;
    case TCPOPT_WSCALE:
      return `wscale ${data[0]}`;
    case TCPOPT_SACK_PERMITTED:
      return "sackOK";
    case TCPOPT_SACK: {
      const blocks = Array.from(
        { length: Math.floor(data.length / SACK_BLOCK_BYTES) },
        (_, index) => {
          const at = index * SACK_BLOCK_BYTES;
          return `${view.getUint32(at)}:${view.getUint32(at + 4)}`;
        },
      );
      return ["sack", ...blocks].join(" ");
    }
    case TCPOPT_TIMESTAMP:
      return `TS val ${view.getUint32(0)} ecr ${view.getUint32(4)}`;
    case TCPOPT_MD5:
      return `md5 ${hex(data)}`;
    case TCPOPT_FASTOPEN:
      return data.length ? `FO ${hex(data)}` : "FO";
    case TCPOPT_ACCECN0:
    case TCPOPT_ACCECN1:
      return formatAccEcn(one);
    case TCPOPT_EXPERIMENT:
      if (data.length >= 2 && view.getUint16(0) === FASTOPEN_MAGIC)
        return data.length > 2 ? `FOEXP ${hex(data.subarray(2))}` : "FOEXP";
      return `exp ${hex(data)}`;
    default:
      return `option ${kind} ${hex(data)}`;
  }
}

/** As a script has them between < and >. */
export function formatOptions(options: readonly TcpOption[]): string {
  return options.map(formatOption).join(",");
}
