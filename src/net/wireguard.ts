// WireGuard: keys and peers of its interfaces (wg(8)).

import type { CallOptions } from "../abi/calls.ts";
import { AF_INET } from "../abi/constants/socket.ts";
import {
  WGALLOWEDIP_A_CIDR_MASK,
  WGALLOWEDIP_A_FAMILY,
  WGALLOWEDIP_A_IPADDR,
  WGDEVICE_A_FLAGS,
  WGDEVICE_A_FWMARK,
  WGDEVICE_A_IFINDEX,
  WGDEVICE_A_IFNAME,
  WGDEVICE_A_LISTEN_PORT,
  WGDEVICE_A_PEERS,
  WGDEVICE_A_PRIVATE_KEY,
  WGDEVICE_A_PUBLIC_KEY,
  WGDEVICE_F_REPLACE_PEERS,
  WGPEER_A_ALLOWEDIPS,
  WGPEER_A_ENDPOINT,
  WGPEER_A_FLAGS,
  WGPEER_A_LAST_HANDSHAKE_TIME,
  WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL,
  WGPEER_A_PRESHARED_KEY,
  WGPEER_A_PUBLIC_KEY,
  WGPEER_A_RX_BYTES,
  WGPEER_A_TX_BYTES,
  WGPEER_F_REMOVE_ME,
  WGPEER_F_REPLACE_ALLOWEDIPS,
  WGPEER_F_UPDATE_ONLY,
  WG_CMD_GET_DEVICE,
  WG_CMD_SET_DEVICE,
  WG_GENL_NAME,
  WG_KEY_LEN,
} from "../abi/constants/wireguard.ts";
import { SockaddrIn, SockaddrIn6 } from "../abi/structs/socket.ts";
import { KernelTimespec } from "../abi/structs/time.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { formatIp, ip, parseIp, parsePrefix } from "./address.ts";
import { IFNAMSIZ } from "./link-kinds.ts";
import { AttributeSet, list } from "./netlink/attributes.ts";
import {
  atLeast,
  bits,
  fixed,
  mapped,
  raw,
  readOnly,
  text,
  u16,
  u32,
  u64,
  u8,
  whole,
} from "./netlink/codec.ts";
import type { Codec, Value } from "./netlink/codec.ts";
import { MalformedMessageError } from "./netlink/errors.ts";
import { readGeneric } from "./netlink/generic.ts";
import type { Device, Session } from "./session.ts";

const base64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));

/** 32 bytes in base64, as wg(8) writes them. */
const key: Codec<string> = mapped(fixed(WG_KEY_LEN), base64, (value: string, option) => {
  if (typeof value !== "string" || !/^[A-Za-z\d+/]{43}=$/.test(value))
    throw new InvalidOptionError(option, "a key is 32 bytes in base64: 44 characters");
  return Uint8Array.from(atob(value), (character) => character.charCodeAt(0));
});

/** "10.0.0.1:51820", "[fd00::1]:51820" */
const endpoint: Codec<string> = mapped(raw, readEndpoint, (value: string, option) => {
  const match = typeof value === "string" && /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(value);
  if (!match)
    throw new InvalidOptionError(
      option,
      `"${value}": it is like 10.0.0.1:51820 or [fd00::1]:51820`,
    );
  const { family, bytes } = parseIp(match[1] ?? match[2], option);
  const port = whole(Number(match[3]), 0, 0xffff, option);
  if (family === AF_INET) {
    const address = SockaddrIn.alloc();
    address.sin_family = family;
    address.sin_port = port;
    address.bytes.set(bytes, SockaddrIn.offsets.sin_addr);
    return address.bytes;
  }
  const address = SockaddrIn6.alloc();
  address.sin6_family = family;
  address.sin6_port = port;
  address.bytes.set(bytes, SockaddrIn6.offsets.sin6_addr);
  return address.bytes;
});

function readEndpoint(bytes: Uint8Array): string {
  atLeast(bytes, SockaddrIn.size);
  const v4 = SockaddrIn.from(bytes);
  if (v4.sin_family === AF_INET) {
    const at = SockaddrIn.offsets.sin_addr;
    return `${formatIp(bytes.subarray(at, at + 4))}:${v4.sin_port}`;
  }
  atLeast(bytes, SockaddrIn6.size);
  const at = SockaddrIn6.offsets.sin6_addr;
  return `[${formatIp(bytes.subarray(at, at + 16))}]:${SockaddrIn6.from(bytes).sin6_port}`;
}

const allowedAttributes = new AttributeSet({
  family: [WGALLOWEDIP_A_FAMILY, u16],
  address: [WGALLOWEDIP_A_IPADDR, ip],
  prefixLength: [WGALLOWEDIP_A_CIDR_MASK, u8],
});

const allowed: Codec<string> = {
  nested: true,
  nameOf: (type) => allowedAttributes.nameOf(type),
  write(to, value) {
    const { family, bytes, prefixLength } = parsePrefix(value, to.path);
    allowedAttributes.write(to, { family, address: formatIp(bytes), prefixLength });
  },
  read(payload) {
    const { address = "", prefixLength = 0 } = allowedAttributes.read(payload);
    return `${address}/${prefixLength}`;
  },
};

/** In milliseconds since 1970; undefined: never. */
const handshake = readOnly({
  read(payload: Uint8Array): number | undefined {
    atLeast(payload, KernelTimespec.size);
    const { tv_sec, tv_nsec } = KernelTimespec.from(payload);
    return tv_sec === 0n ? undefined : Number(tv_sec) * 1000 + Math.floor(Number(tv_nsec) / 1e6);
  },
});

const PEER_FLAGS = {
  remove: WGPEER_F_REMOVE_ME,
  replaceAllowed: WGPEER_F_REPLACE_ALLOWEDIPS,
  updateOnly: WGPEER_F_UPDATE_ONLY,
} as const;

const peer = new AttributeSet({
  publicKey: [WGPEER_A_PUBLIC_KEY, key],
  presharedKey: [WGPEER_A_PRESHARED_KEY, key],
  flags: [WGPEER_A_FLAGS, bits(u32, PEER_FLAGS)],
  endpoint: [WGPEER_A_ENDPOINT, endpoint],
  keepaliveSeconds: [WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, u16],
  lastHandshakeMs: [WGPEER_A_LAST_HANDSHAKE_TIME, handshake],
  rxBytes: [WGPEER_A_RX_BYTES, u64],
  txBytes: [WGPEER_A_TX_BYTES, u64],
  allowedIps: [WGPEER_A_ALLOWEDIPS, list(allowed, { first: 0 })],
});

const device = new AttributeSet({
  index: [WGDEVICE_A_IFINDEX, u32],
  name: [WGDEVICE_A_IFNAME, text(IFNAMSIZ)],
  privateKey: [WGDEVICE_A_PRIVATE_KEY, key],
  publicKey: [WGDEVICE_A_PUBLIC_KEY, key],
  flags: [WGDEVICE_A_FLAGS, bits(u32, { replacePeers: WGDEVICE_F_REPLACE_PEERS })],
  listenPort: [WGDEVICE_A_LISTEN_PORT, u16],
  mark: [WGDEVICE_A_FWMARK, u32],
  peers: [WGDEVICE_A_PEERS, list(peer, { first: 0 })],
});

/** A peer as the kernel has it. */
export interface WireGuardPeer {
  /** 32 bytes in base64. */
  readonly publicKey: string;
  readonly presharedKey?: string;
  /** "10.0.0.1:51820", "[fd00::1]:51820" */
  readonly endpoint?: string;
  /** 0: none. */
  readonly keepaliveSeconds?: number;
  /** In milliseconds since 1970; undefined: there was none. */
  readonly lastHandshakeMs?: number;
  readonly rxBytes?: number;
  readonly txBytes?: number;
  /** Where it may send from, and what is sent to it. */
  readonly allowedIps: readonly string[];
}

/** An interface as the kernel has it. */
export interface WireGuardDevice {
  readonly index: number;
  readonly name: string;
  /** Told to root alone. */
  readonly privateKey?: string;
  readonly publicKey?: string;
  readonly listenPort: number;
  readonly mark: number;
  readonly peers: readonly WireGuardPeer[];
}

/** A peer to be added or changed. */
export interface WireGuardPeerSpec {
  readonly publicKey: string;
  readonly presharedKey?: string;
  readonly endpoint?: string;
  readonly keepaliveSeconds?: number;
  /** In the place of those that it has. */
  readonly allowedIps?: readonly string[];
  /** Take it away. */
  readonly remove?: boolean;
}

/** What an interface is to be told. What is left out stays. */
export interface WireGuardChanges {
  readonly privateKey?: string;
  /** 0: the kernel chooses. */
  readonly listenPort?: number;
  readonly mark?: number;
  readonly peers?: readonly WireGuardPeerSpec[];
  /** Forget the peers that there are. */
  readonly replacePeers?: boolean;
}

/** As many as fit into a message, whatever they allow. */
const PEERS_PER_MESSAGE = 64;

/** @internal */
export function readWireGuard(parts: readonly Value<typeof device>[]): WireGuardDevice {
  const [first = {}] = parts;
  const peers: (WireGuardPeer & { allowedIps: string[] })[] = [];
  for (const { peers: some = [] } of parts)
    for (const { publicKey = "", allowedIps = [], flags: _flags, ...rest } of some) {
      const last = peers.at(-1);
      // One whose networks did not fit goes on in the next message.
      if (last?.publicKey === publicKey) last.allowedIps.push(...allowedIps);
      else peers.push({ publicKey, ...known(rest), allowedIps: [...allowedIps] });
    }
  const { index = 0, name = "", listenPort = 0, mark = 0, privateKey, publicKey } = first;
  return {
    index,
    name,
    ...(privateKey !== undefined && { privateKey }),
    ...(publicKey !== undefined && { publicKey }),
    listenPort,
    mark,
    peers,
  };
}

/** Keys of zeroes are none. */
const NO_KEY = base64(new Uint8Array(WG_KEY_LEN));

function known<T extends { presharedKey?: string; lastHandshakeMs?: number | undefined }>(peer: T) {
  const { presharedKey, lastHandshakeMs, ...rest } = peer;
  return {
    ...rest,
    ...(presharedKey !== undefined && presharedKey !== NO_KEY && { presharedKey }),
    ...(lastHandshakeMs !== undefined && { lastHandshakeMs }),
  };
}

/** @internal */
export const readWireGuardMessage = (payload: Uint8Array): WireGuardDevice =>
  readWireGuard([device.read(payload)]);

/** Interfaces of the kind "wireguard", of the namespace that the process is in. */
export class WireGuard {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** An interface with its peers. @throws {UnknownDeviceError} @throws {NetlinkError} of another kind */
  async get(name: Device, options?: CallOptions): Promise<WireGuardDevice> {
    const index = await this.#session.indexOf(name, "device", options);
    const family = await this.#session.family(WG_GENL_NAME, options);
    const message = family.compose(WG_CMD_GET_DEVICE, [device, { index }]);
    const what = `get the WireGuard '${name}'`;
    const messages = await this.#session.generic.dump(message, what, options);
    if (!messages.length) throw new MalformedMessageError("no interface in the answer");
    return readWireGuard(messages.map((one) => readGeneric(device, one)));
  }

  /** Change an interface. @throws {InvalidOptionError} @throws {NetlinkError} */
  async set(name: Device, changes: WireGuardChanges, options?: CallOptions): Promise<void> {
    const index = await this.#session.indexOf(name, "device", options);
    const family = await this.#session.family(WG_GENL_NAME, options);
    const { peers = [], replacePeers, ...rest } = changes;
    const raw = peers.map(({ remove, allowedIps, ...one }) => {
      const flags = [
        ...(remove ? (["remove"] as const) : []),
        ...(allowedIps ? (["replaceAllowed"] as const) : []),
      ];
      return Object.assign(one, { flags }, allowedIps && { allowedIps });
    });
    // All are checked before the first is sent.
    const messages = [];
    for (let at = 0; at === 0 || at < raw.length; at += PEERS_PER_MESSAGE)
      messages.push(
        family.compose(WG_CMD_SET_DEVICE, [
          device,
          {
            index,
            ...(at === 0 && rest),
            ...(at === 0 && replacePeers && { flags: ["replacePeers"] }),
            peers: raw.slice(at, at + PEERS_PER_MESSAGE),
          },
        ]),
      );
    for (const message of messages)
      await this.#session.generic.request(message, `set the WireGuard '${name}'`, options);
  }
}
