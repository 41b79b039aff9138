// Types of keys and values in sets of nf_tables. The kernel knows their lengths alone; the numbers
// are those by which nft(8) knows them again.

import { NFT_DATA_VERDICT } from "../../abi/constants/netfilter.ts";
import { InvalidOptionError } from "../../machine/errors.ts";
import { formatIp, formatMac, parseIp, parseMac } from "../address.ts";
import { whole } from "../netlink/codec.ts";

/** IFNAMSIZ: names of interfaces are compared with all that is behind them. */
const NAME_BYTES = 16;

interface DataType {
  /** As in nft's include/datatype.h. */
  readonly number: number;
  readonly lengthBytes: number;
  write(value: string | number, option: string): Uint8Array;
  read(bytes: Uint8Array): string | number;
}

function address(number: number, lengthBytes: number): DataType {
  return {
    number,
    lengthBytes,
    write(value, option) {
      const { bytes } = parseIp(String(value), option);
      if (bytes.length !== lengthBytes)
        throw new InvalidOptionError(option, `"${value}" is of the other family`);
      return bytes;
    },
    read: formatIp,
  };
}

/** Numbers in network order, or the machine's, which is the other one. */
function integer(number: number, lengthBytes: 1 | 2 | 4, littleEndian = false): DataType {
  return {
    number,
    lengthBytes,
    write(value, option) {
      whole(Number(value), 0, 2 ** (8 * lengthBytes) - 1, option);
      const bytes = new Uint8Array(lengthBytes);
      for (let i = 0, rest = Number(value); i < lengthBytes; i++, rest = Math.floor(rest / 256))
        bytes[littleEndian ? i : lengthBytes - 1 - i] = rest & 0xff;
      return bytes;
    },
    read(bytes) {
      const ordered = littleEndian ? bytes.toReversed() : bytes;
      return ordered.reduce((value, byte) => value * 256 + byte, 0);
    },
  };
}

const interfaceName: DataType = {
  number: 41,
  lengthBytes: NAME_BYTES,
  write(value, option) {
    const bytes = new TextEncoder().encode(String(value));
    if (bytes.length >= NAME_BYTES)
      throw new InvalidOptionError(
        option,
        `"${value}": a name has at most ${NAME_BYTES - 1} bytes`,
      );
    const padded = new Uint8Array(NAME_BYTES);
    padded.set(bytes);
    return padded;
  },
  read(bytes) {
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(bytes.slice(0, end < 0 ? bytes.length : end));
  },
};

const hardwareAddress: DataType = {
  number: 9,
  lengthBytes: 6,
  write(value, option) {
    const bytes = parseMac(String(value), option);
    if (bytes.length !== 6) throw new InvalidOptionError(option, `"${value}": it has 6 bytes`);
    return bytes;
  },
  read: formatMac,
};

export const dataTypes = {
  ipv4_addr: address(7, 4),
  ipv6_addr: address(8, 16),
  ether_addr: hardwareAddress,
  inet_proto: integer(12, 1),
  inet_service: integer(13, 2),
  mark: integer(19, 4, true),
  ifname: interfaceName,
} as const;

export type NftDataType = keyof typeof dataTypes;

/** In a map: what becomes of a packet, in place of a value. */
export const VERDICT_TYPE: number = NFT_DATA_VERDICT;

/** @throws {InvalidOptionError} */
export function typeOf(name: string, option: string): DataType {
  if (!Object.hasOwn(dataTypes, name))
    throw new InvalidOptionError(
      option,
      `${name}: it is one of ${Object.keys(dataTypes).join(", ")}`,
    );
  return dataTypes[name as NftDataType];
}

/** The name of nft's number, or undefined. */
export function typeNamed(number: number): NftDataType | undefined {
  return (Object.keys(dataTypes) as NftDataType[]).find(
    (name) => dataTypes[name].number === number,
  );
}
