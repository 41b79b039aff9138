// Ethernet over a TCP or unix socket, each frame behind its length: what QEMU speaks with
// `-netdev socket,connect=…`, `-netdev socket,listen=…` and `-netdev stream,…`.

import { createConnection, createServer } from "node:net";
import type { Server, Socket } from "node:net";

import { LinkError } from "../../link/errors.ts";
import { Frame, MAX_FRAME_BYTES } from "../../link/frame.ts";
import { FrameReader, LENGTH_BYTES } from "../../link/stream-frames.ts";
import { Uplink } from "../../link/uplink.ts";
import type { UplinkOptions } from "../../link/uplink.ts";
import { checkPort } from "./ports.ts";

/** Where a socket is: a port of TCP, of this machine if there is no host; or the path of a unix socket. */
export type SocketPlace =
  | { readonly port: number; readonly host?: string }
  | { readonly path: string };

const LOOPBACK = "127.0.0.1";

const nameOf = (place: SocketPlace): string =>
  "path" in place ? place.path : `${place.host ?? LOOPBACK}:${place.port}`;

/** @throws {InvalidOptionError} */
function optionsOf(place: SocketPlace, leastPort: 0 | 1) {
  if ("path" in place) return { path: place.path };
  checkPort("port", place.port, leastPort);
  return { port: place.port, host: place.host ?? LOOPBACK };
}

export class SocketLink extends Uplink {
  readonly #socket: Socket;
  readonly #reader = new FrameReader(MAX_FRAME_BYTES);

  /** Connect to one that listens. @throws {LinkError} EIO if there is none @throws {InvalidOptionError} */
  static async connect(place: SocketPlace, options: UplinkOptions = {}): Promise<SocketLink> {
    const socket = createConnection(optionsOf(place, 1));
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", (error) =>
        reject(new LinkError("EIO", `nobody listens at ${nameOf(place)}: ${error.message}`, error)),
      );
    });
    return new SocketLink(socket, { name: nameOf(place), ...options });
  }

  /** @internal */
  constructor(socket: Socket, options: UplinkOptions) {
    super("socket", options);
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (piece: Buffer) => this.#read(piece));
    socket.on("drain", () => this.drained());
    socket.on("error", (error) => {
      const hungUp = "code" in error && (error.code === "EPIPE" || error.code === "ECONNRESET");
      this.fail(new LinkError(hungUp ? "ECONNRESET" : "EIO", error.message, error));
    });
    socket.on("close", () => this.fail(new LinkError("ECONNRESET", "the other end hung up")));
    this.opened();
  }

  #read(piece: Uint8Array): void {
    try {
      let goOn = true;
      for (const bytes of this.#reader.read(piece)) goOn = this.arrived(Frame.of(bytes));
      if (!goOn) this.#socket.pause();
    } catch (error) {
      this.fail(error as LinkError);
    }
  }

  protected override more(): void {
    this.#socket.resume();
  }

  protected override get backlogBytes(): number {
    return this.#socket.writableLength;
  }

  protected override transmit(frame: Frame): void {
    const bytes = new Uint8Array(LENGTH_BYTES + frame.lengthBytes);
    new DataView(bytes.buffer).setUint32(0, frame.lengthBytes);
    frame.copyTo(bytes, LENGTH_BYTES);
    this.#socket.write(bytes);
  }

  protected override release(): void {
    this.#socket.destroy();
  }
}

/** Listens for others that connect: each of them is a link of its own. */
export class SocketLinkServer {
  readonly #server: Server;
  readonly #links = new Set<SocketLink>();

  /**
   * @param connected gets each link, and plugs something into its port
   * @throws {LinkError} EIO if it cannot listen there @throws {InvalidOptionError}
   */
  static async listen(
    place: SocketPlace,
    connected: (link: SocketLink) => void,
  ): Promise<SocketLinkServer> {
    const to = optionsOf(place, 0);
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) =>
        reject(new LinkError("EIO", `cannot listen at ${nameOf(place)}: ${error.message}`, error)),
      );
      server.listen(to, resolve);
    });
    return new SocketLinkServer(server, connected);
  }

  private constructor(server: Server, connected: (link: SocketLink) => void) {
    this.#server = server;
    server.on("connection", (socket) => {
      const { remoteAddress, remotePort } = socket;
      const name = remoteAddress === undefined ? "socket" : `${remoteAddress}:${remotePort}`;
      const link = new SocketLink(socket, { name });
      this.#links.add(link);
      void link.ended.then(() => this.#links.delete(link));
      connected(link);
    });
  }

  /** The links that are there. */
  get links(): ReadonlySet<SocketLink> {
    return this.#links;
  }

  /** The port of TCP that it listens at, if it does. */
  get port(): number | undefined {
    const address = this.#server.address();
    return address !== null && typeof address === "object" ? address.port : undefined;
  }

  /** End it, and all its links. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await Promise.all(Array.from(this.#links, (link) => link.close()));
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
