// What the tests of network devices and links share: kernels with an address, and sockets in them.

import { IFF_UP } from "../src/abi/constants/if_link.ts";
import {
  SIOCGIFFLAGS,
  SIOCGIFMTU,
  SIOCSIFADDR,
  SIOCSIFFLAGS,
  SIOCSIFMTU,
  SIOCSIFNETMASK,
} from "../src/abi/constants/ioctl.ts";
import { AF_INET, SOCK_DGRAM, SOCK_STREAM } from "../src/abi/constants/socket.ts";
import { Ifreq, SockaddrIn } from "../src/abi/structs/socket.ts";
import { Kernel } from "../src/index.ts";
import type { BootOptions, Process } from "../src/index.ts";
import { Frame } from "../src/link/index.ts";
import type { Port, Station } from "../src/link/index.ts";
import { VirtioNet } from "../src/virtio/index.ts";
import type { VirtioNetOptions } from "../src/virtio/index.ts";

/** A socket address of IPv4. */
export function at(address: string, port = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SockaddrIn.size);
  const sockaddr = SockaddrIn.from(bytes);
  sockaddr.sin_family = AF_INET;
  sockaddr.sin_port = port;
  bytes.set(address.split(".").map(Number), SockaddrIn.offsets.sin_addr);
  return bytes;
}

function request(name: string): { bytes: Uint8Array<ArrayBuffer>; ifreq: Ifreq } {
  const bytes = new Uint8Array(Ifreq.size);
  bytes.set(new TextEncoder().encode(name));
  return { bytes, ifreq: Ifreq.from(bytes) };
}

/** A kernel with an Ethernet address, and what its pid 1 does with it. */
export class Host {
  readonly kernel: Kernel;
  readonly device: VirtioNet;
  readonly address: string;

  constructor(kernel: Kernel, device: VirtioNet, address: string) {
    this.kernel = kernel;
    this.device = device;
    this.address = address;
  }

  static async boot(
    address: string,
    net: VirtioNetOptions,
    options: BootOptions = {},
  ): Promise<Host> {
    const device = new VirtioNet(net);
    const kernel = await Kernel.boot({
      image: "full",
      ...options,
      devices: [device, ...(options.devices ?? [])],
    });
    const host = new Host(kernel, device, address);
    await host.up("eth0", address);
    return host;
  }

  get init(): Process {
    return this.kernel.init;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kernel[Symbol.asyncDispose]();
  }

  /** One ioctl of a socket, for a network device. */
  async interface(number: number, name: string, set?: (ifreq: Ifreq) => void): Promise<Ifreq> {
    const fd = await this.init.socket(AF_INET, SOCK_DGRAM, 0);
    try {
      const { bytes, ifreq } = request(name);
      set?.(ifreq);
      await this.init.ioctl(fd, number, bytes);
      return ifreq;
    } finally {
      await this.init.close(fd);
    }
  }

  /** Give a device an address, with a mask of 24 bits, and switch it on. */
  async up(name: string, address: string): Promise<void> {
    const fd = await this.init.socket(AF_INET, SOCK_DGRAM, 0);
    for (const [number, value] of [
      [SIOCSIFADDR, address],
      [SIOCSIFNETMASK, "255.255.255.0"],
    ] as const) {
      const { bytes } = request(name);
      bytes.set(at(value), Ifreq.offsets.ifr_ifru);
      await this.init.ioctl(fd, number, bytes);
    }
    await this.init.close(fd);
    await this.setFlags(name, IFF_UP, IFF_UP);
  }

  /** IFF_… of a device. */
  async flags(name = "eth0"): Promise<number> {
    return (await this.interface(SIOCGIFFLAGS, name)).ifr_ifru.ifru_flags;
  }

  /** Set the flags among `mask` to `value`. */
  async setFlags(name: string, mask: number, value: number): Promise<void> {
    const flags = await this.flags(name);
    await this.interface(SIOCSIFFLAGS, name, (ifreq) => {
      ifreq.ifr_ifru.ifru_flags = (flags & ~mask) | value;
    });
  }

  async mtu(name = "eth0"): Promise<number> {
    return (await this.interface(SIOCGIFMTU, name)).ifr_ifru.ifru_mtu;
  }

  async setMtu(mtu: number, name = "eth0"): Promise<void> {
    await this.interface(SIOCSIFMTU, name, (ifreq) => {
      ifreq.ifr_ifru.ifru_mtu = mtu;
    });
  }

  /** A listening TCP socket. */
  async listen(port: number): Promise<number> {
    const fd = await this.init.socket(AF_INET, SOCK_STREAM, 0);
    const address = at("0.0.0.0", port);
    await this.init.bind(fd, address, address.length);
    await this.init.listen(fd, 16);
    return fd;
  }

  /** A connected TCP socket. */
  async connect(to: string, port: number): Promise<number> {
    const fd = await this.init.socket(AF_INET, SOCK_STREAM, 0);
    const address = at(to, port);
    await this.init.connect(fd, address, address.length);
    return fd;
  }

  /** A UDP socket at a port; 0: any. */
  async udp(port = 0): Promise<number> {
    const fd = await this.init.socket(AF_INET, SOCK_DGRAM, 0);
    const address = at("0.0.0.0", port);
    await this.init.bind(fd, address, address.length);
    return fd;
  }

  async sendTo(fd: number, to: string, port: number, bytes: Uint8Array): Promise<number> {
    const address = at(to, port);
    return this.init.sendto(fd, bytes, bytes.length, 0, address, address.length);
  }

  async send(fd: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const part = bytes.subarray(done, done + 65536);
      done += await this.init.sendto(fd, part, part.length, 0, null, 0);
    }
  }

  /** Exactly so many bytes, or fewer if the stream ends. */
  async receive(fd: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const part = bytes.subarray(done, done + 65536);
      const count = await this.init.recvfrom(fd, part, part.length, 0, null, null);
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  }
}

/** A TCP connection from `a` to `b`: their sockets. */
export async function connected(a: Host, b: Host, port = 7000): Promise<[number, number]> {
  const listener = await b.listen(port);
  const [theirs, mine] = await Promise.all([
    b.init.accept4(listener, null, null, 0),
    a.connect(b.address, port),
  ]);
  await b.init.close(listener);
  return [mine, theirs];
}

/** Bytes that differ from place to place, and can be told again from a seed. */
export function pattern(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** A station that keeps what it gets, and sends what it is told. */
export class Listener implements Station {
  readonly port: Port;
  readonly frames: Frame[] = [];
  /** False: it says that it has no room. */
  open = true;
  refusals = 0;
  resumed = 0;
  carriers: boolean[] = [];

  constructor(port: Port) {
    this.port = port;
    port.attach(this);
  }

  receive(frame: Frame): boolean {
    if (!this.open) this.refusals++;
    else this.frames.push(frame.copy());
    return this.open;
  }

  carrierChanged(): void {
    this.carriers.push(this.port.up);
  }

  resume(): void {
    this.resumed++;
  }

  send(bytes: Uint8Array): boolean {
    return this.port.send(Frame.of(bytes));
  }
}

/** An Ethernet frame. */
export function ethernet(
  to: string,
  from: string,
  type: number,
  payload: Uint8Array = new Uint8Array(46),
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(14 + payload.length);
  const mac = (text: string) => text.split(":").map((byte) => parseInt(byte, 16));
  bytes.set([...mac(to), ...mac(from), type >> 8, type & 0xff]);
  bytes.set(payload, 14);
  return bytes;
}

/** Frames that say anything of themselves: from random bytes, and from real ones with a few changed. */
export function* nonsense(seed: number, count: number, real: readonly Frame[]): Generator<Frame> {
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let n = 0; n < count; n++) {
    const model = random(4) ? real[random(real.length)] : null;
    const frame = model ? model.copy() : new Frame();
    if (!model) frame.add(pattern(random(random(8) ? 200 : 66000), state));
    for (let changes = random(6); changes > 0 && frame.lengthBytes > 0; changes--)
      frame.segments[0][random(random(2) ? 80 : frame.lengthBytes)] = random(256);
    if (random(3) === 0) {
      frame.needsChecksum = random(2) === 0;
      frame.checksumStart = random(random(2) ? 80 : 65536);
      frame.checksumOffset = random(random(2) ? 20 : 65536);
    }
    if (random(3) === 0) {
      frame.gsoType = random(8) ? random(6) | (random(8) ? 0 : 0x80) : random(256);
      frame.gsoSize = random(random(2) ? 1500 : 65536);
      frame.headerBytes = random(random(2) ? 128 : 65536);
    }
    yield frame;
  }
}
