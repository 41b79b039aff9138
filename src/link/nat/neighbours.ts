// Where guests are: their stations' addresses, learned from what they send and asked for by ARP (RFC 826).
//
// Invariants: at most MAX_STATIONS guests are known; the one that was heard of least recently is
// forgotten. What is for a guest that is not known waits in #waiting, at most MAX_WAITING frames of it for
// at most MAX_ASKED guests; the newest are dropped.

import { ETH_ALEN, ETH_HLEN, ETH_P_ARP } from "../../abi/constants/packet.ts";
import { Frame } from "../frame.ts";
import { put16, put32, u16, u32 } from "./packet.ts";

const MAX_STATIONS = 1024;
const MAX_ASKED = 256;
const MAX_WAITING = 64;
/** A guest that does not answer is asked again after so long, if there is a reason to. */
const ASK_AGAIN_MS = 1000;

const ARP_BYTES = 28;
const REQUEST = 1;
const REPLY = 2;
// Offsets in ARP for Ethernet and IPv4.
const OPERATION = 6;
const SENDER_MAC = 8;
const SENDER = 14;
const TARGET_MAC = 18;
const TARGET = 24;
/** Hardware and protocol, and the lengths of their addresses. */
const KIND = 0x00010800;
const LENGTHS = 0x0604;

interface Waiting {
  askedMs: number;
  readonly frames: Frame[];
}

export class Neighbours {
  readonly #mac: Uint8Array;
  readonly #own: readonly number[];
  readonly #isGuest: (address: number) => boolean;
  readonly #deliver: (frame: Frame) => boolean;
  readonly #stations = new Map<number, Uint8Array>();
  readonly #waiting = new Map<number, Waiting>();

  /** @param mac our address @param own our addresses of IP, the first of which asks */
  constructor(
    mac: Uint8Array,
    own: readonly number[],
    isGuest: (address: number) => boolean,
    deliver: (frame: Frame) => boolean,
  ) {
    this.#mac = mac;
    this.#own = own;
    this.#isGuest = isGuest;
    this.#deliver = deliver;
  }

  /** A guest was heard of, at a station. */
  learn(guest: number, mac: Uint8Array): void {
    this.#stations.delete(guest);
    this.#stations.set(guest, mac);
    for (const [oldest] of this.#stations) {
      if (this.#stations.size <= MAX_STATIONS) break;
      this.#stations.delete(oldest);
    }
    const waiting = this.#waiting.get(guest);
    this.#waiting.delete(guest);
    for (const frame of waiting?.frames ?? []) this.send(guest, frame);
  }

  /** Bring a frame, whose addresses are left out, to a guest. False: better wait with others. */
  send(guest: number, frame: Frame): boolean {
    const mac = this.#stations.get(guest);
    if (mac) return this.sendTo(mac, frame);
    const now = performance.now();
    const waiting = this.#waiting.get(guest) ?? { askedMs: -Infinity, frames: [] };
    if (this.#waiting.size < MAX_ASKED) this.#waiting.set(guest, waiting);
    if (waiting.frames.length < MAX_WAITING) waiting.frames.push(frame);
    if (now - waiting.askedMs >= ASK_AGAIN_MS) {
      waiting.askedMs = now;
      this.#ask(guest);
    }
    return true;
  }

  /** Bring a frame, whose addresses are left out, to a station. */
  sendTo(mac: Uint8Array, frame: Frame): boolean {
    const [header] = frame.segments;
    header.set(mac);
    header.set(this.#mac, ETH_ALEN);
    return this.#deliver(frame);
  }

  /** A frame of ARP. */
  receive(bytes: Uint8Array): void {
    const arp = bytes.subarray(ETH_HLEN);
    if (arp.length < ARP_BYTES || u32(arp, 0) !== KIND || u16(arp, 4) !== LENGTHS) return;
    const [sender, mac] = [u32(arp, SENDER), arp.slice(SENDER_MAC, SENDER_MAC + ETH_ALEN)];
    if (this.#isGuest(sender)) this.learn(sender, mac);
    const wanted = u32(arp, TARGET);
    if (u16(arp, OPERATION) === REQUEST && this.#own.includes(wanted))
      this.sendTo(mac, this.#frame(REPLY, wanted, mac, sender));
  }

  #ask(guest: number): void {
    const frame = this.#frame(REQUEST, this.#own[0], new Uint8Array(ETH_ALEN), guest);
    this.sendTo(new Uint8Array(ETH_ALEN).fill(0xff), frame);
  }

  #frame(operation: number, own: number, mac: Uint8Array, other: number): Frame {
    const bytes = new Uint8Array(ETH_HLEN + ARP_BYTES);
    put16(bytes, 2 * ETH_ALEN, ETH_P_ARP);
    const arp = bytes.subarray(ETH_HLEN);
    put32(arp, 0, KIND);
    put16(arp, 4, LENGTHS);
    put16(arp, OPERATION, operation);
    arp.set(this.#mac, SENDER_MAC);
    put32(arp, SENDER, own);
    arp.set(mac, TARGET_MAC);
    put32(arp, TARGET, other);
    return Frame.of(bytes);
  }
}
