// Ethernet over UDP, one frame a datagram: what QEMU speaks with `-netdev dgram,…` and
// `-netdev socket,udp=…,localaddr=…`, and socat with UDP-DATAGRAM.

import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { SocketAddress } from "node:net";

import { LinkError } from "../../link/errors.ts";
import { Frame, MAX_FRAME_BYTES } from "../../link/frame.ts";
import { Uplink } from "../../link/uplink.ts";
import type { UplinkOptions } from "../../link/uplink.ts";
import { checkPort } from "./ports.ts";

export interface UdpLinkOptions extends UplinkOptions {
  /** The other end; datagrams from elsewhere are dropped. */
  readonly remote: { readonly host?: string; readonly port: number };
  /** This end. Default: the loopback, or any address if the remote is elsewhere, and a free port. */
  readonly local?: { readonly host?: string; readonly port?: number };
}

const LOOPBACK = "127.0.0.1";
/** What the sockets of the system hold; more is dropped as on any wire. */
const BUFFER_BYTES = 4 << 20;

export class UdpLink extends Uplink {
  readonly #socket: Socket;
  readonly #host: string;
  readonly #port: number;
  #underway = 0;

  /**
   * @throws {LinkError} EIO if there is no such host, or the local address is not there or taken
   * @throws {InvalidOptionError} for a port that is none
   */
  static async open(options: UdpLinkOptions): Promise<UdpLink> {
    const { remote, local = {} } = options;
    checkPort("remote.port", remote.port, 1);
    checkPort("local.port", local.port ?? 0, 0);
    const { address: host, family } = await resolve(remote.host ?? LOOPBACK);
    const socket = createSocket(family === 6 ? "udp6" : "udp4");
    const address = local.host ?? (host === LOOPBACK ? LOOPBACK : undefined);
    await new Promise<void>((bound, reject) => {
      socket.once("error", ({ message }) => {
        socket.close();
        reject(new LinkError("EIO", `cannot be at the local address: ${message}`));
      });
      socket.bind({ port: local.port ?? 0, ...(address === undefined ? {} : { address }) }, bound);
    });
    return new UdpLink(socket, host, remote.port, options);
  }

  private constructor(socket: Socket, host: string, port: number, options: UplinkOptions) {
    super(`${host}:${port}`, options);
    this.#socket = socket;
    this.#host = host;
    this.#port = port;
    socket.removeAllListeners("error");
    socket.on("error", (error) => this.fail(new LinkError("EIO", error.message, error)));
    socket.on("message", (bytes, from) => {
      if (from.address !== host || from.port !== port || bytes.length > MAX_FRAME_BYTES)
        this.droppedFrames++;
      else this.arrived(Frame.of(bytes));
    });
    try {
      socket.setRecvBufferSize(BUFFER_BYTES);
      socket.setSendBufferSize(BUFFER_BYTES);
    } catch {
      // The system's own sizes, then.
    }
    this.opened();
  }

  /** The port of this end. */
  get localPort(): number {
    return this.#socket.address().port;
  }

  protected override get backlogBytes(): number {
    return this.#underway;
  }

  protected override transmit(frame: Frame): void {
    const bytes = frame.bytes();
    this.#underway += bytes.length;
    this.#socket.send(bytes, this.#port, this.#host, (error) => {
      this.#underway -= bytes.length;
      // Nobody there, or too long: lost, as on any wire.
      if (error) this.droppedFrames++;
      if (this.#underway === 0) this.drained();
    });
  }

  protected override release(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }
}

/** The address of a host, as datagrams say where they come from. @throws {LinkError} EIO */
async function resolve(host: string): Promise<{ address: string; family: number }> {
  try {
    const { address, family } = await lookup(host);
    const scoped = address.includes("%");
    if (family !== 6 || scoped) return { address, family };
    return { address: new SocketAddress({ address, family: "ipv6" }).address, family };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new LinkError("EIO", `there is no host "${host}": ${problem}`, error);
  }
}
