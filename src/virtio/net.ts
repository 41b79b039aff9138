// A network device (virtio 1.2, section 5.1) at a port of a link.
//
// Invariants: a frame that the port does not take stays its driver's (#held is its head), and nothing
// after it is sent before it. #refused says that the link was told to wait for buffers, which it is
// told of by ready(), once: when there are some, or when the driver had its time to give some
// (#stalled), from when on frames are dropped until it does. Frames are copied once: from the sender's
// memory to the driver's buffers.

import { DUPLEX_FULL, SPEED_UNKNOWN } from "../abi/constants/ethtool.ts";
import { ETH_ALEN, ETH_DATA_LEN, ETH_MAX_MTU, ETH_MIN_MTU } from "../abi/constants/packet.ts";
import {
  VIRTIO_ID_NET,
  VIRTIO_NET_CTRL_ANNOUNCE,
  VIRTIO_NET_CTRL_GUEST_OFFLOADS,
  VIRTIO_NET_CTRL_MAC,
  VIRTIO_NET_CTRL_MAC_ADDR_SET,
  VIRTIO_NET_CTRL_MAC_TABLE_SET,
  VIRTIO_NET_CTRL_RX,
  VIRTIO_NET_CTRL_RX_ALLMULTI,
  VIRTIO_NET_CTRL_RX_PROMISC,
  VIRTIO_NET_CTRL_STATS,
  VIRTIO_NET_CTRL_STATS_GET,
  VIRTIO_NET_CTRL_STATS_QUERY,
  VIRTIO_NET_CTRL_VLAN,
  VIRTIO_NET_CTRL_VLAN_ADD,
  VIRTIO_NET_CTRL_VLAN_DEL,
  VIRTIO_NET_ERR,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
  VIRTIO_NET_F_CTRL_MAC_ADDR,
  VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_CTRL_VLAN,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_DEVICE_STATS,
  VIRTIO_NET_F_GUEST_ANNOUNCE,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_GUEST_USO4,
  VIRTIO_NET_F_GUEST_USO6,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_HOST_USO,
  VIRTIO_NET_F_MAC,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_MTU,
  VIRTIO_NET_F_SPEED_DUPLEX,
  VIRTIO_NET_F_STATUS,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP_L4,
  VIRTIO_NET_OK,
  VIRTIO_NET_S_ANNOUNCE,
  VIRTIO_NET_S_LINK_UP,
} from "../abi/constants/virtio.ts";
import { VirtioNetConfig, VirtioNetCtrlHdr, VirtioNetHdrV1 } from "../abi/structs/virtio.ts";
import { Frame, MAX_FRAME_BYTES, MIN_FRAME_BYTES } from "../link/frame.ts";
import type { Port, Station } from "../link/link.ts";
import { formatMac, macAt, parseMac, randomMac } from "../link/mac.ts";
import { complete } from "../link/offload.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { turn } from "../machine/turn.ts";
import { VirtioDevice } from "./device.ts";
import { DeviceError } from "./errors.ts";
import { NetCounters, countersOffered, readCounters } from "./net-counters.ts";
import { FILTERED_BYTES, ReceiveFilter } from "./net-filter.ts";
import { MAX_CHAIN } from "./queue.ts";
import type { VirtQueue } from "./queue.ts";

export interface VirtioNetOptions {
  /** Where it is plugged in. It can be plugged in later and elsewhere: see {@link VirtioNet.connect}. */
  port?: Port;
  /** Its address, such as "02:00:00:00:00:01". Default: a random one. */
  mac?: string;
  /** Its MTU in bytes, 68 to 65535, which is then the largest that the kernel can set. Default: the kernel's 1500. */
  mtu?: number;
  /** What `ethtool` says of its speed, in Mbit/s. Nothing is faster or slower for it. Default: unknown. */
  speedMbps?: number;
  /**
   * Whether kernel and device hand each other segments of up to 64 KiB, with checksums to be made.
   * Without that, every frame is as it would be on a wire, and all is much slower. Default true.
   */
  offload?: boolean;
}

const RECEIVE = 0;
const TRANSMIT = 1;
const CONTROL = 2;
const QUEUE_SIZE = 256;
const CONTROL_QUEUE_SIZE = 64;
/** Longest command of the driver. */
const MAX_COMMAND_BYTES = 16384;
const HEADER_BYTES = VirtioNetHdrV1.size;
/** How often the event loop may turn before a driver that gives no buffers is taken for one that is down. */
const STALL_TURNS = 1000;

const CONFIG = VirtioNetConfig.offsets;
const HEADER = VirtioNetHdrV1.offsets;
/** csum_start and csum_offset, which the structure has in a union. */
const CHECKSUM_START = HEADER.gso_size + 2;
/** The answer to a command that was carried out and asks for nothing. */
const DONE = new Uint8Array(0);

const GUEST_OFFLOADS = [
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_GUEST_USO4,
  VIRTIO_NET_F_GUEST_USO6,
];

/** Not UFO, which Linux itself has no more; and one pair of queues, as there is one CPU. */
const OFFLOADS = [
  ...GUEST_OFFLOADS,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_HOST_USO,
];

function featuresOf({ offload = true, mtu, speedMbps }: VirtioNetOptions): number[] {
  const features = [
    VIRTIO_NET_F_MAC,
    VIRTIO_NET_F_MRG_RXBUF,
    VIRTIO_NET_F_STATUS,
    VIRTIO_NET_F_CTRL_VQ,
    VIRTIO_NET_F_CTRL_RX,
    VIRTIO_NET_F_CTRL_VLAN,
    VIRTIO_NET_F_CTRL_MAC_ADDR,
    VIRTIO_NET_F_GUEST_ANNOUNCE,
    VIRTIO_NET_F_DEVICE_STATS,
  ];
  if (offload) features.push(...OFFLOADS);
  if (mtu !== undefined) features.push(VIRTIO_NET_F_MTU);
  if (speedMbps !== undefined) features.push(VIRTIO_NET_F_SPEED_DUPLEX);
  return features;
}

export class VirtioNet extends VirtioDevice {
  readonly counters: NetCounters = new NetCounters();
  readonly #initialMac: Uint8Array;
  readonly #filter = new ReceiveFilter();
  readonly #station: Station;
  #port: Port | null;
  /** The frame that is being sent; used again for the next one. */
  readonly #frame = new Frame();
  #sending = false;
  #held = -1;
  #refused = false;
  #stalled = false;
  #turnsLeft = 0;
  #watching = false;

  /** What the driver takes: bit 1 << VIRTIO_NET_HDR_GSO_…, and bit 0 for checksums to be made. */
  #takes = 0;
  #takesEcn = false;
  #mergeable = false;
  // The buffers for a frame that is being received: where they are, and the chains they belong to.
  readonly #address = new Uint32Array(QUEUE_SIZE + MAX_CHAIN);
  readonly #length = new Uint32Array(QUEUE_SIZE + MAX_CHAIN);
  readonly #heads = new Uint16Array(QUEUE_SIZE);
  readonly #room = new Uint32Array(QUEUE_SIZE);
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);

  /** @throws {InvalidOptionError} */
  constructor(options: VirtioNetOptions = {}) {
    super({
      id: VIRTIO_ID_NET,
      name: "virtio-net",
      features: featuresOf(options),
      configBytes: VirtioNetConfig.size,
      queueSizes: [QUEUE_SIZE, QUEUE_SIZE, CONTROL_QUEUE_SIZE],
    });
    const { mac, mtu = ETH_DATA_LEN, speedMbps = SPEED_UNKNOWN } = options;
    if (!Number.isInteger(mtu) || mtu < ETH_MIN_MTU || mtu > ETH_MAX_MTU)
      throw new InvalidOptionError("mtu", `${mtu}: it is ${ETH_MIN_MTU} to ${ETH_MAX_MTU}`);
    if (!Number.isInteger(speedMbps) || speedMbps < SPEED_UNKNOWN || speedMbps > 0x7fffffff)
      throw new InvalidOptionError("speedMbps", `${speedMbps} is not a whole number`);
    this.#initialMac = mac === undefined ? randomMac() : parseMac(mac);
    this.configView.setUint16(CONFIG.mtu, mtu, true);
    this.configView.setUint16(CONFIG.max_virtqueue_pairs, 1, true);
    this.configView.setInt32(CONFIG.speed, speedMbps, true);
    this.configView.setUint8(CONFIG.duplex, DUPLEX_FULL);
    this.#setMac(this.#initialMac);
    this.#port = options.port ?? null;
    this.#station = {
      receive: (frame) => this.#receive(frame),
      carrierChanged: () => this.#carrierChanged(false),
      resume: () => this.#resume(),
    };
  }

  // --- For the application -------------------------------------------------------------------

  /** Its address: what it was given, or what its kernel has set. */
  get mac(): string {
    return formatMac(this.#filter.address);
  }

  /** Where it is plugged in. */
  get port(): Port | null {
    return this.#port;
  }

  /** Whether its kernel sees a carrier. */
  get up(): boolean {
    return this.plugged && (this.#port?.up ?? false);
  }

  /**
   * Plug it in elsewhere, or nowhere. Its kernel notices by the carrier; if there was one and is one,
   * it announces its addresses, so that switches and neighbours learn where it is now.
   *
   * @throws {LinkError} EBUSY if there is a station already: then it stays where it is
   */
  connect(port: Port | null): void {
    if (port === this.#port) return;
    if (this.plugged) port?.attach(this.#station);
    const before = this.#port;
    this.#port = port;
    if (!this.plugged) return;
    const moved = (before?.up ?? false) && (port?.up ?? false);
    before?.detach(this.#station);
    this.#carrierChanged(moved);
    this.#resume();
  }

  // --- The device ----------------------------------------------------------------------------

  protected override started(): void {
    this.#setMac(this.#initialMac);
    this.#port?.attach(this.#station);
    this.#setStatus(0);
  }

  protected override stopped(): void {
    this.#port?.detach(this.#station);
  }

  protected override driverReady(): void {
    this.#filter.reset();
    this.#filter.filtersVlans = this.accepted(VIRTIO_NET_F_CTRL_VLAN);
    this.#mergeable = this.accepted(VIRTIO_NET_F_MRG_RXBUF);
    this.#setOffloads((bit) => this.accepted(bit));
  }

  protected override holdsRequests(queue: VirtQueue): boolean {
    return queue.index !== RECEIVE;
  }

  protected override dropRequests(): void {
    this.#held = -1;
    this.#stalled = false;
    // Who waits for this one may as well send to the others.
    if (this.#refused) this.#letGo();
  }

  protected override refuse(queue: VirtQueue): number {
    if (queue.index !== CONTROL || queue.readable === queue.count) return 0;
    if (queue.length[queue.readable] === 0) return 0;
    this.memory.u8[queue.address[queue.readable]] = VIRTIO_NET_ERR;
    return 1;
  }

  protected override serve(queue: VirtQueue): void {
    if (queue.index === TRANSMIT) {
      this.counters.notifications[TRANSMIT]++;
      this.#transmit(queue);
    } else if (queue.index === RECEIVE) {
      this.counters.notifications[RECEIVE]++;
      this.#stalled = false;
      if (this.#refused) this.#letGo();
    } else this.#control(queue);
  }

  #setMac(mac: Uint8Array): void {
    this.config.set(mac, CONFIG.mac);
    this.#filter.address = macAt(mac, 0);
  }

  #setStatus(bits: number): void {
    const status = bits | (this.#port?.up ? VIRTIO_NET_S_LINK_UP : 0);
    this.configView.setUint16(CONFIG.status, status, true);
  }

  #carrierChanged(moved: boolean): void {
    const announces = moved && this.accepted(VIRTIO_NET_F_GUEST_ANNOUNCE);
    this.#setStatus(announces ? VIRTIO_NET_S_ANNOUNCE : 0);
    this.announceConfig();
  }

  // --- From the kernel to the link -----------------------------------------------------------

  /** The port takes frames again. */
  #resume(): void {
    this.run(() => {
      const queue = this.queue(TRANSMIT);
      if (queue && this.serving) this.#transmit(queue);
    });
  }

  #transmit(queue: VirtQueue): void {
    // Sending a frame can make room for others.
    if (this.#sending) return;
    this.#sending = true;
    try {
      if (this.#held >= 0) queue.reload(this.#held);
      while (this.#held >= 0 || (this.#held = queue.pop()) >= 0) {
        if (!this.#send(queue)) break;
        const head = this.#held;
        this.#held = -1;
        queue.push(head, 0);
      }
    } finally {
      this.#sending = false;
    }
    if (this.announce(queue)) this.counters.interrupts[TRANSMIT]++;
  }

  /** Send the frame that the queue describes. False if the port does not take it now. */
  #send(queue: VirtQueue): boolean {
    const frame = this.#frame;
    const { counters } = this;
    frame.clear();
    this.#describe(queue, frame);
    const { lengthBytes } = frame;
    if (lengthBytes < MIN_FRAME_BYTES || lengthBytes > MAX_FRAME_BYTES) {
      counters.malformedFrames++;
      return true;
    }
    if (this.#port && !this.#port.send(frame)) return false;
    counters.sentFrames++;
    counters.sentBytes += lengthBytes;
    if (frame.needsChecksum) counters.sentUnsummed++;
    return true;
  }

  /** Make a frame of a chain: a header, in however many buffers, and what follows it. */
  #describe(queue: VirtQueue, frame: Frame): void {
    const { address, length, readable } = queue;
    const { u8 } = this.memory;
    let done = 0;
    for (let i = 0; i < readable; i++) {
      const end = address[i] + length[i];
      let at = address[i];
      while (done < HEADER_BYTES && at < end) this.#header[done++] = u8[at++];
      if (at < end) frame.add(u8.subarray(at, end));
    }
    const header = this.#headerView;
    frame.needsChecksum = (this.#header[HEADER.flags] & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0;
    frame.gsoType = this.#header[HEADER.gso_type];
    frame.headerBytes = header.getUint16(HEADER.hdr_len, true);
    frame.gsoSize = header.getUint16(HEADER.gso_size, true);
    frame.checksumStart = header.getUint16(CHECKSUM_START, true);
    frame.checksumOffset = header.getUint16(CHECKSUM_START + 2, true);
  }

  // --- From the link to the kernel -----------------------------------------------------------

  #receive(frame: Frame): boolean {
    if (!this.serving) {
      this.counters.droppedFrames++;
      return true;
    }
    try {
      return this.#accept(frame);
    } catch (error) {
      this.fail(error);
      return true;
    }
  }

  #accept(frame: Frame): boolean {
    const { counters } = this;
    if (frame.lengthBytes < MIN_FRAME_BYTES || frame.lengthBytes > MAX_FRAME_BYTES) {
      counters.droppedFrames++;
      return true;
    }
    if (!this.#filter.passes(frame.head(FILTERED_BYTES))) {
      counters.filteredFrames++;
      return true;
    }
    if (this.#takesAsIs(frame)) return this.#put(frame) || this.#refuse();
    const parts = complete(frame);
    if (parts.length === 0) counters.droppedFrames++;
    for (const [i, part] of parts.entries()) {
      if (this.#put(Frame.of(part))) continue;
      if (i === 0) return this.#refuse();
      // Its sender cannot send a part of it again.
      counters.overrunFrames += parts.length - i;
      break;
    }
    return true;
  }

  /** Whether the driver does itself what is left to be done with a frame. */
  #takesAsIs({ needsChecksum, gsoType }: Frame): boolean {
    if (gsoType === VIRTIO_NET_HDR_GSO_NONE) return !needsChecksum || (this.#takes & 1) !== 0;
    if (gsoType & VIRTIO_NET_HDR_GSO_ECN && !this.#takesEcn) return false;
    return (this.#takes & (1 << (gsoType & ~VIRTIO_NET_HDR_GSO_ECN))) !== 0;
  }

  /** Copy a frame to the driver's buffers. False if there are too few. */
  #put(frame: Frame): boolean {
    const queue = this.queue(RECEIVE);
    if (!queue) return true;
    const bytes = HEADER_BYTES + frame.lengthBytes;
    const chains = this.#reserve(queue, bytes);
    if (chains === 0) return false;
    this.#fillHeader(frame, chains);
    this.#copy(frame);
    let left = bytes;
    for (let i = 0; i < chains; i++) {
      const written = Math.min(left, this.#room[i]);
      queue.push(this.#heads[i], written);
      left -= written;
    }
    if (this.announce(queue)) this.counters.interrupts[RECEIVE]++;
    this.counters.receivedFrames++;
    this.counters.receivedBytes += frame.lengthBytes;
    if (frame.needsChecksum) this.counters.receivedUnsummed++;
    return true;
  }

  /** Take chains with room for so many bytes. @returns how many chains; 0 if there are too few */
  #reserve(queue: VirtQueue, bytes: number): number {
    let chains = 0;
    let pieces = 0;
    let room = 0;
    while (room < bytes) {
      const head = queue.pop();
      if (head < 0) {
        while (chains > 0) queue.unpop(this.#heads[--chains]);
        return 0;
      }
      let more = 0;
      for (let i = queue.readable; i < queue.count; i++) {
        this.#address[pieces] = queue.address[i];
        this.#length[pieces++] = queue.length[i];
        more += queue.length[i];
      }
      this.#heads[chains] = head;
      this.#room[chains++] = more;
      room += more;
      if (room >= bytes) break;
      if (!this.#mergeable || chains === QUEUE_SIZE || pieces > this.#address.length - MAX_CHAIN)
        throw new DeviceError(this.name, `its driver gave ${room} bytes for a frame of ${bytes}`);
    }
    return chains;
  }

  #fillHeader(frame: Frame, chains: number): void {
    const header = this.#headerView;
    this.#header[HEADER.flags] = frame.needsChecksum ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0;
    this.#header[HEADER.gso_type] = frame.gsoType;
    header.setUint16(HEADER.hdr_len, frame.headerBytes, true);
    header.setUint16(HEADER.gso_size, frame.gsoSize, true);
    header.setUint16(CHECKSUM_START, frame.checksumStart, true);
    header.setUint16(CHECKSUM_START + 2, frame.checksumOffset, true);
    header.setUint16(HEADER.num_buffers, this.#mergeable ? chains : 1, true);
  }

  /** Copy header and frame to the buffers that were taken. */
  #copy(frame: Frame): void {
    const { u8 } = this.memory;
    let piece = -1;
    let at = 0;
    let room = 0;
    for (let i = -1; i < frame.segments.length; i++) {
      const from = i < 0 ? this.#header : frame.segments[i];
      for (let done = 0; done < from.length;) {
        while (room === 0) {
          at = this.#address[++piece];
          room = this.#length[piece];
        }
        const count = Math.min(room, from.length - done);
        u8.set(count === from.length ? from : from.subarray(done, done + count), at);
        done += count;
        at += count;
        room -= count;
      }
    }
  }

  /** There are no buffers: let the link wait, as long as the driver may be busy. */
  #refuse(): boolean {
    if (this.#stalled) {
      this.counters.overrunFrames++;
      return true;
    }
    this.#refused = true;
    this.#turnsLeft = STALL_TURNS;
    if (!this.#watching) {
      this.#watching = true;
      turn(this.#watch);
    }
    return false;
  }

  readonly #watch = (): void => {
    this.#watching = false;
    if (!this.#refused) return;
    if (--this.#turnsLeft > 0) {
      this.#watching = true;
      turn(this.#watch);
      return;
    }
    this.#stalled = true;
    this.#letGo();
  };

  /** Who waits for buffers may try again. */
  #letGo(): void {
    this.#refused = false;
    this.#port?.ready();
  }

  // --- Commands ------------------------------------------------------------------------------

  #control(queue: VirtQueue): void {
    for (let head; (head = queue.pop()) >= 0;) {
      this.counters.commands++;
      const command = this.#gather(queue);
      const answer = command && this.#obey(command);
      if (answer) this.counters.commandsDone++;
      queue.push(head, this.#answer(queue, answer));
    }
    this.announce(queue);
  }

  /** What a command says; null if it is too long. */
  #gather(queue: VirtQueue): Uint8Array | null {
    let bytes = 0;
    for (let i = 0; i < queue.readable; i++) bytes += queue.length[i];
    if (bytes < VirtioNetCtrlHdr.size || bytes > MAX_COMMAND_BYTES) return null;
    const command = new Uint8Array(bytes);
    for (let i = 0, at = 0; i < queue.readable; at += queue.length[i++])
      command.set(this.memory.subarray(queue.address[i], queue.length[i]), at);
    return command;
  }

  /** Write the status, and what was asked for behind it. @returns the bytes written */
  #answer(queue: VirtQueue, answer: Uint8Array | null): number {
    const { u8 } = this.memory;
    let done = -1;
    for (let i = queue.readable; i < queue.count; i++)
      for (let at = queue.address[i]; at < queue.address[i] + queue.length[i]; at++) {
        if (done < 0) u8[at] = answer ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
        else if (answer && done < answer.length) u8[at] = answer[done];
        else return done + 1;
        done++;
      }
    return done + 1;
  }

  /** Do what a command says. @returns what it asks for, maybe nothing; null if it cannot be done */
  #obey(command: Uint8Array): Uint8Array | null {
    const [kind, what] = command;
    const data = command.subarray(VirtioNetCtrlHdr.size);
    switch (kind) {
      case VIRTIO_NET_CTRL_RX:
        if (data.length !== 1) return null;
        if (what === VIRTIO_NET_CTRL_RX_PROMISC) this.#filter.promiscuous = data[0] !== 0;
        else if (what === VIRTIO_NET_CTRL_RX_ALLMULTI) this.#filter.allMulticast = data[0] !== 0;
        else return null;
        return DONE;
      case VIRTIO_NET_CTRL_MAC:
        if (what === VIRTIO_NET_CTRL_MAC_TABLE_SET)
          return this.#filter.setAddresses(data) ? DONE : null;
        if (what !== VIRTIO_NET_CTRL_MAC_ADDR_SET || data.length !== ETH_ALEN) return null;
        this.#setMac(data);
        return DONE;
      case VIRTIO_NET_CTRL_VLAN:
        if (data.length !== 2) return null;
        if (what !== VIRTIO_NET_CTRL_VLAN_ADD && what !== VIRTIO_NET_CTRL_VLAN_DEL) return null;
        this.#filter.setVlan(data[0] | (data[1] << 8), what === VIRTIO_NET_CTRL_VLAN_ADD);
        return DONE;
      case VIRTIO_NET_CTRL_ANNOUNCE:
        this.#setStatus(0);
        return DONE;
      case VIRTIO_NET_CTRL_GUEST_OFFLOADS: {
        if (data.length !== 8) return null;
        this.#setOffloads((bit) => this.accepted(bit) && (data[bit >> 3] & (1 << (bit & 7))) !== 0);
        return DONE;
      }
      case VIRTIO_NET_CTRL_STATS:
        if (what === VIRTIO_NET_CTRL_STATS_QUERY) return countersOffered();
        return what === VIRTIO_NET_CTRL_STATS_GET ? readCounters(this.counters, data) : null;
      default:
        return null;
    }
  }

  /** @param takes whether the driver does the work of a feature VIRTIO_NET_F_GUEST_… itself */
  #setOffloads(takes: (bit: number) => boolean): void {
    this.#takes = 0;
    this.#takesEcn = takes(VIRTIO_NET_F_GUEST_ECN);
    if (!takes(VIRTIO_NET_F_GUEST_CSUM)) return;
    this.#takes = 1;
    if (takes(VIRTIO_NET_F_GUEST_TSO4)) this.#takes |= 1 << VIRTIO_NET_HDR_GSO_TCPV4;
    if (takes(VIRTIO_NET_F_GUEST_TSO6)) this.#takes |= 1 << VIRTIO_NET_HDR_GSO_TCPV6;
    // One kind of segment stands for both versions of IP.
    if (takes(VIRTIO_NET_F_GUEST_USO4) && takes(VIRTIO_NET_F_GUEST_USO6))
      this.#takes |= 1 << VIRTIO_NET_HDR_GSO_UDP_L4;
  }
}
