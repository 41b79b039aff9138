// The host's own sockets for the NAT.

import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import type { Socket as DatagramSocket } from "node:dgram";
import { getServers } from "node:dns";
import { createConnection, createServer } from "node:net";
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

/** How long a host may take to answer an echo request, in seconds. */
const PING_SECONDS = 4;

function failureOf(error: Error): HostFailure {
  const code = "code" in error ? error.code : undefined;
  if (code === "ECONNREFUSED") return "refused";
  if (code === "ECONNRESET" || code === "EPIPE") return "reset";
  return "unreachable";
}

function streamOf(socket: Socket, listener: StreamListener): HostStream {
  socket.setNoDelay(true);
  socket.on("connect", () => listener.opened());
  socket.on("data", (bytes: Buffer) => listener.data(bytes));
  socket.on("drain", () => listener.drained());
  socket.on("end", () => listener.ended());
  socket.on("error", (error) => listener.failed(failureOf(error)));
  return {
    write: (bytes) => void socket.write(bytes),
    get backlogBytes() {
      return socket.writableLength;
    },
    end: () => void socket.end(),
    destroy: () => {
      socket.removeAllListeners();
      socket.on("error", () => {});
      socket.destroy();
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
  };
}

function datagramsOf(socket: DatagramSocket, received: DatagramListener): HostDatagrams {
  let closed = false;
  socket.on("message", (bytes, { address, port }) => received(bytes, address, port));
  socket.on("error", () => {});
  return {
    send: (bytes, address, port) => {
      if (!closed) socket.send(bytes, port, address, () => {});
    },
    close: () => {
      if (!closed) socket.close();
      closed = true;
    },
  };
}

class NodeSockets implements HostSockets {
  connect(address: string, port: number, listener: StreamListener): HostStream {
    return streamOf(createConnection({ host: address, port, allowHalfOpen: true }), listener);
  }

  datagrams(received: DatagramListener): HostDatagrams {
    return datagramsOf(createSocket("udp4"), received);
  }

  async listenDatagrams(
    address: string,
    port: number,
    received: DatagramListener,
  ): Promise<HostDatagrams & { readonly port: number }> {
    const socket = createSocket("udp4");
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
