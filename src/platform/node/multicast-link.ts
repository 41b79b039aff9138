// Ethernet over multicast UDP, one frame a datagram: all who are in a group are on one wire. It is what
// QEMU speaks with `-netdev socket,mcast=230.0.0.1:1234`.
//
// Invariant: #sender is known to nobody else, so what comes from there has gone round. Members of other
// programs send from the group's port.

import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { platform } from "node:process";

import { LinkError } from "../../link/errors.ts";
import { Frame, MAX_FRAME_BYTES } from "../../link/frame.ts";
import { ipv4Bytes } from "../../link/ip.ts";
import { Uplink } from "../../link/uplink.ts";
import type { UplinkOptions } from "../../link/uplink.ts";
import { InvalidOptionError } from "../../machine/errors.ts";
import { checkPort } from "./ports.ts";

export interface MulticastLinkOptions extends UplinkOptions {
  /** The group's address: 224.0.0.0 to 239.255.255.255. */
  readonly group: string;
  readonly port: number;
  /** The interface by its address: "127.0.0.1" stays on this machine. Default: the system's choice. */
  readonly local?: string;
  /** How many routers a frame may pass, 0 to 255. Default 1: none. */
  readonly ttl?: number;
}

/** What the sockets of the system hold; more is dropped as on any wire. */
const BUFFER_BYTES = 4 << 20;
const MAX_TTL = 255;
/** The upper half of the first byte of such addresses. */
const GROUPS = 14;

/** A socket at an address, or any. */
function bound(port: number, address: string | undefined): Promise<Socket> {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ port, ...(address === undefined ? {} : { address }) }, () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}

/** The address that datagrams to a group come from. */
async function sourceOf(group: string, port: number): Promise<string> {
  const socket = createSocket("udp4");
  try {
    return await new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.connect(port, group, () => resolve(socket.address().address));
    });
  } finally {
    socket.close();
  }
}

export class MulticastLink extends Uplink {
  readonly #receiver: Socket;
  readonly #sender: Socket;
  readonly #group: string;
  readonly #port: number;
  #underway = 0;

  /**
   * Join a group.
   *
   * @throws {LinkError} EIO if there is no such interface, or the port is taken by one who does not share it
   * @throws {InvalidOptionError} for a group, port or ttl that is none
   */
  static async open(options: MulticastLinkOptions): Promise<MulticastLink> {
    const { group, port, local, ttl = 1 } = options;
    checkPort("port", port, 1);
    const [first = 0] = ipv4Bytes(group) ?? [];
    if (first >> 4 !== GROUPS)
      throw new InvalidOptionError("group", `"${group}": it is an address like 230.0.0.1`);
    if (!Number.isInteger(ttl) || ttl < 0 || ttl > MAX_TTL)
      throw new InvalidOptionError("ttl", `${ttl}: it is 0 to ${MAX_TTL}`);
    const sockets: Socket[] = [];
    try {
      // Bound to the group, it gets nothing else, where the system can do that.
      const receiver = await bound(port, platform === "win32" ? undefined : group);
      sockets.push(receiver);
      receiver.addMembership(group, local);
      const sender = await bound(0, local ?? (await sourceOf(group, port)));
      sockets.push(sender);
      if (local !== undefined) sender.setMulticastInterface(local);
      sender.setMulticastLoopback(true);
      sender.setMulticastTTL(ttl);
      return new MulticastLink(receiver, sender, options);
    } catch (error) {
      for (const socket of sockets) socket.close();
      const problem = error instanceof Error ? error.message : String(error);
      throw new LinkError("EIO", `cannot join ${group}:${port}: ${problem}`, error);
    }
  }

  private constructor(receiver: Socket, sender: Socket, options: MulticastLinkOptions) {
    super(`${options.group}:${options.port}`, options);
    this.#receiver = receiver;
    this.#sender = sender;
    this.#group = options.group;
    this.#port = options.port;
    const own = sender.address();
    receiver.on("message", (bytes, from) => {
      if (from.port === own.port && from.address === own.address) return;
      if (bytes.length > MAX_FRAME_BYTES) this.droppedFrames++;
      else this.arrived(Frame.of(bytes));
    });
    for (const socket of [receiver, sender])
      socket.on("error", (error) => this.fail(new LinkError("EIO", error.message, error)));
    try {
      receiver.setRecvBufferSize(BUFFER_BYTES);
      sender.setSendBufferSize(BUFFER_BYTES);
    } catch {
      // The system's own sizes, then.
    }
    this.opened();
  }

  protected override get backlogBytes(): number {
    return this.#underway;
  }

  protected override transmit(frame: Frame): void {
    const bytes = frame.bytes();
    this.#underway += bytes.length;
    this.#sender.send(bytes, this.#port, this.#group, (error) => {
      this.#underway -= bytes.length;
      // Too long, or no way out: lost, as on any wire.
      if (error) this.droppedFrames++;
      if (this.#underway === 0) this.drained();
    });
  }

  protected override async release(): Promise<void> {
    await Promise.all(
      [this.#receiver, this.#sender].map(
        (socket) => new Promise<void>((resolve) => socket.close(() => resolve())),
      ),
    );
  }
}
