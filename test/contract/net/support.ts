// What the contracts of net and dgram share.

import type dgram from "node:dgram";
import { once } from "node:events";
import type { EventEmitter } from "node:events";
import type net from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

/** The modules under test, and where they may put the names of unix sockets. */
export interface NetSubject {
  readonly net: typeof net;
  readonly dgram: typeof dgram;
  /** A directory. */
  readonly folder: string;
  done(): PromiseLike<void>;
}

/** A server that listens, and its port. */
export async function listen(server: Server, ...args: readonly unknown[]): Promise<number> {
  const given = args.length ? args : [0, "127.0.0.1"];
  (server.listen as (...values: readonly unknown[]) => void).call(server, ...given);
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

export function close(server: Server): Promise<void> {
  return new Promise((resolve, reject) =>
    server.close((error) => (error ? reject(error) : resolve())),
  );
}

/** What a socket reads until the end. */
export async function all(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Whether it closed with an error, which is not of interest here. */
export function closed(socket: EventEmitter): Promise<boolean> {
  return new Promise((resolve) => void socket.once("close", resolve));
}

/** The names of events, in the order in which they come. */
export function record(emitter: EventEmitter, ...names: readonly string[]): string[] {
  const events: string[] = [];
  for (const name of names) emitter.on(name, () => events.push(name));
  return events;
}

export interface SystemError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly address?: string;
  readonly port?: number;
}

export function errorOf(emitter: EventEmitter): Promise<SystemError> {
  return new Promise((resolve) => void emitter.once("error", resolve));
}

/** Both ends of a connection, and the server that made it. */
export async function pair(
  { net }: NetSubject,
  options: net.ServerOpts = {},
  connect: Partial<net.TcpNetConnectOpts> = {},
): Promise<{ near: Socket; far: Socket; server: Server }> {
  const server = net.createServer(options);
  const port = await listen(server);
  const near = net.connect({ port, host: "127.0.0.1", ...connect });
  const [[far]] = await Promise.all([
    once(server, "connection") as Promise<[Socket]>,
    once(near, "connect"),
  ]);
  return { near, far, server };
}

/** End both ends, and the server. */
export async function finish(server: Server, ...sockets: readonly Socket[]): Promise<void> {
  for (const socket of sockets) socket.destroy();
  await close(server);
}

/** A port where nobody listens. */
export async function unusedPort({ net }: NetSubject): Promise<number> {
  const server = net.createServer();
  const port = await listen(server);
  await close(server);
  return port;
}

export const portOf = (address: AddressInfo | string | null): number =>
  (address as AddressInfo).port;
