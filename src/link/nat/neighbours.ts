// Where guests are: their stations' addresses, learned from what they send, and asked for by ARP and NDP.
//
// Invariants: at most MAX_STATIONS guests are known; the one that is known for longest is forgotten, and
// asked for again when it is needed. What is for a guest that is not known waits in #waiting, at most
// MAX_WAITING frames of it for at most MAX_ASKED guests; the newest frames and the oldest guests are dropped.

import { ETH_ALEN } from "../../abi/constants/packet.ts";
import type { Frame } from "../frame.ts";
import { NONE6, isIpv6 } from "./address.ts";
import type { Address } from "./address.ts";
import { arpFrame, readArp } from "./arp.ts";
import { ALL_NODES, advertisement, groupMac, readNeighbour, solicitation } from "./ndp.ts";
import type { Packet } from "./packet.ts";

const MAX_STATIONS = 1024;
const MAX_ASKED = 256;
const MAX_WAITING = 64;
/** A guest that does not answer is asked again after so long, if there is a reason to. */
const ASK_AGAIN_MS = 1000;

interface Waiting {
  askedMs: number;
  readonly frames: Frame[];
}

/** Who we are on this link. */
export interface Self {
  readonly mac: Uint8Array;
  /** Our addresses. */
  readonly own: readonly Address[];
  /** Those of them that ask. */
  readonly asks: Address;
  readonly asks6: Address;
  readonly isGuest: (address: Address) => boolean;
}

export class Neighbours {
  readonly #self: Self;
  readonly #deliver: (frame: Frame) => boolean;
  readonly #stations = new Map<Address, Uint8Array>();
  readonly #waiting = new Map<Address, Waiting>();

  constructor(self: Self, deliver: (frame: Frame) => boolean) {
    this.#self = self;
    this.#deliver = deliver;
  }

  /** A guest was heard of: its station is at an offset of a frame. */
  learn(guest: Address, frame: Uint8Array, at: number): void {
    const known = this.#stations.get(guest);
    if (known && isAt(known, frame, at)) return;
    this.#stations.delete(guest);
    this.#stations.set(guest, frame.slice(at, at + ETH_ALEN));
    for (const [oldest] of this.#stations) {
      if (this.#stations.size <= MAX_STATIONS) break;
      this.#stations.delete(oldest);
    }
    const waiting = this.#waiting.get(guest);
    this.#waiting.delete(guest);
    for (const frame of waiting?.frames ?? []) this.send(guest, frame);
  }

  /** Bring a frame, whose addresses are left out, to a guest. False: better wait with others. */
  send(guest: Address, frame: Frame): boolean {
    const mac = this.#stations.get(guest);
    if (mac) return this.sendTo(mac, frame);
    const now = performance.now();
    const waiting = this.#waiting.get(guest) ?? { askedMs: -Infinity, frames: [] };
    this.#waiting.set(guest, waiting);
    for (const [oldest] of this.#waiting) {
      if (this.#waiting.size <= MAX_ASKED) break;
      this.#waiting.delete(oldest);
    }
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
    header.set(this.#self.mac, ETH_ALEN);
    return this.#deliver(frame);
  }

  /** Bring a frame to all guests. */
  sendToAll(frame: Frame): void {
    this.sendTo(groupMac(ALL_NODES), frame);
  }

  /** A frame of ARP. */
  receiveArp(frame: Uint8Array<ArrayBuffer>): void {
    const arp = readArp(frame);
    if (!arp) return;
    const { mac, own, isGuest } = this.#self;
    if (isGuest(arp.sender)) this.learn(arp.sender, arp.mac, 0);
    if (arp.isRequest && own.includes(arp.target))
      this.sendTo(arp.mac, arpFrame(arp.target, mac, arp.sender, arp.mac));
  }

  /** A packet of ICMPv6, which may be one of NDP. */
  receiveNdp(packet: Packet, frame: Uint8Array<ArrayBuffer>): void {
    const said = readNeighbour(packet);
    if (!said) return;
    const { mac, own, isGuest } = this.#self;
    const { isSolicitation, target } = said;
    if (!isSolicitation && said.mac && isGuest(target)) this.learn(target, said.mac, 0);
    if (!isSolicitation || !own.includes(target)) return;
    const answer = advertisement(target, mac, packet.source);
    if (packet.source === NONE6) this.sendToAll(answer);
    else this.sendTo(said.mac ?? frame.subarray(ETH_ALEN, 2 * ETH_ALEN), answer);
  }

  #ask(guest: Address): void {
    const { mac, asks, asks6 } = this.#self;
    if (isIpv6(guest)) {
      const question = solicitation(asks6, mac, guest);
      this.sendTo(question.mac, question.frame);
    } else this.sendTo(new Uint8Array(ETH_ALEN).fill(0xff), arpFrame(asks, mac, guest));
  }
}

function isAt(mac: Uint8Array, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < ETH_ALEN; i++) if (mac[i] !== bytes[at + i]) return false;
  return true;
}
