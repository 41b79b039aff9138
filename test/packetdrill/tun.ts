// The network device of a script, as packetdrill has it: a TUN device inside the kernel, which carries
// IP packets, and which takes segments as long as a real card that segments them would.

import { AT_FDCWD, O_RDWR } from "../../src/abi/constants/fcntl.ts";
import {
  IFF_NO_PI,
  IFF_TUN,
  IFF_VNET_HDR,
  TUNSETIFF,
  TUNSETOFFLOAD,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_TSO_ECN,
} from "../../src/abi/constants/if_tunnel.ts";
import {
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from "../../src/abi/constants/virtio.ts";
import { errno } from "../../src/abi/errno.ts";
import { Ifreq } from "../../src/abi/structs/socket.ts";
import { VirtioNetHdrV1 } from "../../src/abi/structs/virtio.ts";
import type { VirtualClock } from "../../src/index.ts";
import { formatIp, ipOf } from "../../src/net/address.ts";
import type { Network } from "../../src/net/index.ts";
import type { KernelBuffer } from "../../src/syscall/buffer.ts";
import { SystemError } from "../../src/syscall/errors.ts";
import type { Process } from "../../src/syscall/process.ts";
import type { Config } from "./config.ts";
import { MAX_PACKET_BYTES } from "./packet.ts";

export const DEVICE = "tun0";
/** struct virtio_net_hdr: what a TUN device has before each packet, without num_buffers. */
const HEADER_BYTES = VirtioNetHdrV1.offsets.num_buffers;

/** "192.0.2.0/24" of "192.0.2.1/24"; an address alone stays as it is. */
function networkOf(text: string): string {
  const [address, length] = text.split("/");
  const bytes = ipOf(address)?.bytes.slice();
  if (length === undefined || !bytes) return text;
  for (const index of bytes.keys()) {
    const bits = Math.min(8, Math.max(0, Number(length) - index * 8));
    bytes[index] &= 0xff00 >> bits;
  }
  return `${formatIp(bytes)}/${length}`;
}

/** A packet that the kernel has sent. */
export interface Sniffed {
  /** On the clock. */
  readonly timeNs: number;
  readonly bytes: Uint8Array;
}

/** An open TUN device. It is there until the kernel ends. */
export class Tun {
  readonly #process: Process;
  readonly #clock: VirtualClock;
  readonly #fd: number;
  readonly #room: KernelBuffer;
  /** What was sent and not looked at yet, in its order. */
  readonly sniffed: Sniffed[] = [];

  private constructor(process: Process, clock: VirtualClock, fd: number, room: KernelBuffer) {
    this.#process = process;
    this.#clock = clock;
    this.#fd = fd;
    this.#room = room;
    // That the kernel has ended is told by every call.
    this.#read().catch(() => {});
  }

  /** Make it, with the addresses and the routes of a script. */
  static async open(
    process: Process,
    network: Network,
    clock: VirtualClock,
    config: Config,
  ): Promise<Tun> {
    const fd = await process.openat(AT_FDCWD, "/dev/net/tun", O_RDWR, 0);
    const request = Ifreq.alloc();
    request.bytes.set(new TextEncoder().encode(DEVICE));
    request.ifr_ifru.ifru_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
    await process.ioctl(fd, TUNSETIFF, request.bytes);
    // The argument is no address but the number itself.
    const offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    await process.ioctl(fd, TUNSETOFFLOAD, { address: offload, length: 0 });
    await network.link.set(DEVICE, { mtu: config.mtu });
    await network.up(DEVICE, `${config.localIp}/${config.prefixLength}`);
    await network.route.add({
      destination: networkOf(config.remoteIp),
      gateway: config.gatewayIp,
      device: DEVICE,
    });
    const room = await process.buffer(HEADER_BYTES + MAX_PACKET_BYTES);
    return new Tun(process, clock, fd, room);
  }

  async #read(): Promise<never> {
    for (;;) {
      const length = await this.#process.read(this.#fd, this.#room, this.#room.length);
      const bytes = this.#room.bytes.slice(HEADER_BYTES, length);
      this.sniffed.push({ timeNs: this.#clock.nowNs(), bytes });
    }
  }

  /** Give the kernel a packet. @param mss if not 0: it is several segments of this size */
  async inject(packet: Uint8Array, mss = 0): Promise<void> {
    const bytes = new Uint8Array(HEADER_BYTES + packet.length);
    if (mss) {
      const header = new VirtioNetHdrV1(new DataView(bytes.buffer));
      const v4 = packet[0] >> 4 === 4;
      header.gso_type = v4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
      header.gso_size = mss;
    }
    bytes.set(packet, HEADER_BYTES);
    try {
      await this.#process.write(this.#fd, bytes, bytes.length);
    } catch (error) {
      // The kernel has dropped it as malformed, as it would have dropped it from a wire.
      if (!(error instanceof SystemError && error.errno === -errno.EINVAL)) throw error;
    }
  }
}
