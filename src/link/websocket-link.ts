// Ethernet over a WebSocket: one frame a binary message, as the relays of v86 and jor1k have it.

import { InvalidOptionError } from "../machine/errors.ts";
import { LinkError } from "./errors.ts";
import { Frame, MAX_FRAME_BYTES } from "./frame.ts";
import { MAX_BACKLOG_BYTES, Uplink } from "./uplink.ts";
import type { UplinkOptions } from "./uplink.ts";

export interface WebSocketLinkOptions extends UplinkOptions {
  /** How long opening it may take, in milliseconds. Default 10 000. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
/** A WebSocket does not tell when its buffer empties: it is looked at this often. */
const LOOK_MS = 5;

export class WebSocketLink extends Uplink {
  readonly #socket: WebSocket;
  #look: ReturnType<typeof setTimeout> | undefined;

  /**
   * Connect to a relay.
   *
   * @param to its address, such as "wss://relay.example/", or a WebSocket, which then is the link's
   * @throws {LinkError} ETIMEDOUT, or EIO if there is none @throws {InvalidOptionError}
   */
  static async open(
    to: string | URL | WebSocket,
    options: WebSocketLinkOptions = {},
  ): Promise<WebSocketLink> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    const link = new WebSocketLink(socketTo(to), options);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => reject(new LinkError("ETIMEDOUT", `no relay answered within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const socket = link.#socket;
    if (socket.readyState === WebSocket.OPEN) resolve();
    socket.addEventListener("open", () => resolve());
    socket.addEventListener("close", () =>
      reject(new LinkError("EIO", `there is no relay at ${socket.url}`)),
    );
    try {
      await promise;
    } catch (error) {
      await link.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    link.opened();
    return link;
  }

  private constructor(socket: WebSocket, options: UplinkOptions) {
    super("websocket", options);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.#message(data));
    socket.addEventListener("close", ({ code, reason }) =>
      this.fail(new LinkError("ECONNRESET", `the relay hung up: ${reason || code}`)),
    );
  }

  #message(data: unknown): void {
    if (data instanceof ArrayBuffer && data.byteLength <= MAX_FRAME_BYTES)
      this.arrived(Frame.of(new Uint8Array(data)));
    else this.droppedFrames++;
  }

  protected override get backlogBytes(): number {
    const { bufferedAmount } = this.#socket;
    if (bufferedAmount > MAX_BACKLOG_BYTES) this.#look ??= setTimeout(this.#drains, LOOK_MS);
    return bufferedAmount;
  }

  readonly #drains = (): void => {
    this.#look = undefined;
    if (this.backlogBytes <= MAX_BACKLOG_BYTES / 2) this.drained();
    else this.#look ??= setTimeout(this.#drains, LOOK_MS);
  };

  protected override transmit(frame: Frame): void {
    this.#socket.send(frame.bytes());
  }

  protected override release(): void {
    clearTimeout(this.#look);
    this.#socket.close();
  }
}

function socketTo(to: string | URL | WebSocket): WebSocket {
  if (typeof to !== "string" && !(to instanceof URL)) return to;
  try {
    return new WebSocket(to);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new InvalidOptionError("to", `"${to}": it is like wss://relay.example/: ${problem}`);
  }
}
