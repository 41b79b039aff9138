// The host's own sockets for the NAT.

import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import type { Socket as DatagramSocket } from "node:dgram";
import { getServers } from "node:dns";
import { createConnection, createServer, isIPv6 } from "node:net";
import type { AddressInfo, Socket } from "node:net";

import { HostNat } from "../../link/nat/nat.ts";
import type { HostNatOptions } from "../../link/nat/nat.ts";
import type {
  DatagramListener,
  HostDatagrams,
  HostFailure,
  HostListener,
  HostSockets,
  HostStream,
  StreamListener,
} from "../../link/nat/sockets.ts";

/** How long the other end may be silent until it is asked whether it is there. */
const KEEP_ALIVE_MS = 60_000;
/** What is read at once. */
const READ_BYTES = 262_144;
/** How long a host may take to answer an echo request, in seconds. */
const PING_SECONDS = 4;

/** What is none of these is as if the host was not there. */
const FAILURES: ReadonlyMap<string, HostFailure> = new Map([
  ["ECONNREFUSED", "refused"],
  ["ECONNRESET", "reset"],
  ["EPIPE", "reset"],
  ["ENETUNREACH", "no-network"],
  // There is no IPv6 at all, or no address of it.
  ["EAFNOSUPPORT", "no-network"],
  ["EADDRNOTAVAIL", "no-network"],
  ["EACCES", "prohibited"],
  ["EPERM", "prohibited"],
]);

function failureOf(error: Error): HostFailure {
  const code = "code" in error ? error.code : undefined;
  return (typeof code === "string" && FAILURES.get(code)) || "unreachable";
}

/**
 * Before there is a connection there is nobody to tell. And while the end of what was written is on its
 * way, after all of it, Node's reset fails and leaves a socket that never closes.
 */
function mayReset(socket: Socket): boolean {
  const isEnding = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
  return !socket.connecting && !isEnding;
}

function streamOf(socket: Socket, listener: StreamListener): HostStream {
  socket.setNoDelay(true);
  // The guest's own questions whether the other end is there end at the NAT.
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  socket.on("connect", () => listener.opened());
  socket.on("data", (bytes: Buffer) => listener.data(bytes));
  socket.on("end", () => listener.ended());
  socket.on("error", (error) => listener.failed(failureOf(error)));
  return {
    write: (bytes, written) => void socket.write(bytes, () => written()),
    get backlogBytes() {
      return socket.writableLength;
    },
    end: () => void socket.end(),
    destroy: () => {
      socket.removeAllListeners();
      socket.on("error", () => {});
      if (mayReset(socket)) socket.resetAndDestroy();
      else socket.destroy();
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
  };
}

function datagramsOf(socket: DatagramSocket, received: DatagramListener): HostDatagrams {
  let closed = false;
  let told = (_why: HostFailure): void => {};
  socket.on("message", (bytes, { address, port }) => received(bytes, address, port));
  // It could not even begin: what was sent is not told of by itself.
  socket.on("error", (error) => told(failureOf(error)));
  return {
    send: (bytes, address, port, failed) => {
      told = failed;
      if (closed) return;
      socket.send(bytes, port, address, (error) => {
        if (error) failed(failureOf(error));
      });
    },
    close: () => {
      if (!closed) socket.close();
      closed = true;
    },
  };
}

class NodeSockets implements HostSockets {
  /** What all of its connections are read into, one after the other. */
  readonly #buffer = new Uint8Array(READ_BYTES);

  connect(address: string, port: number, listener: StreamListener): HostStream {
    // Much faster than "data", which there is besides where a runtime does not know of it.
    const onread = {
      buffer: this.#buffer,
      callback: (count: number, buffer: Uint8Array): boolean => {
        listener.data(buffer.subarray(0, count));
        return true;
      },
    };
    const options = { host: address, port, allowHalfOpen: true, onread };
    return streamOf(createConnection(options), listener);
  }

  datagrams(version: 4 | 6, received: DatagramListener): HostDatagrams {
    return datagramsOf(createSocket({ type: `udp${version}`, ipv6Only: version === 6 }), received);
  }

  async listenDatagrams(
    address: string,
    port: number,
    received: DatagramListener,
  ): Promise<HostDatagrams & { readonly port: number }> {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind(port, address, resolve);
    });
    return { ...datagramsOf(socket, received), port: socket.address().port };
  }

  async listen(
    address: string,
    port: number,
    accept: Parameters<HostSockets["listen"]>[2],
  ): Promise<HostListener> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const { remoteAddress = address, remotePort = 0 } = socket;
      accept((listener) => streamOf(socket, listener), remoteAddress, remotePort);
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, address, resolve);
    });
    return {
      port: (server.address() as AddressInfo).port,
      // Its connections are the NAT's.
      close: async () => void server.close(),
    };
  }

  /** By the system's own program, which has the right to. */
  ping(address: string): Promise<boolean> {
    const args = ["-n", "-c", "1", "-W", String(PING_SECONDS), address];
    return new Promise((resolve) => execFile("ping", args, (error) => resolve(error === null)));
  }
}

/**
 * A network whose way out are this process's own sockets: no root, no devices.
 *
 * @param options default: DNS questions go to the host's own servers @throws {InvalidOptionError}
 */
export function hostNat(options: Partial<HostNatOptions> = {}): HostNat {
  return new HostNat(new NodeSockets(), { nameservers: getServers(), ...options });
}
