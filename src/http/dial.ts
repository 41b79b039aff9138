// A connection to a server: its addresses, TCP, and TLS if it is wanted, each with its time.
//
// Invariants: what dial() began and did not give back is destroyed. A socket that is destroyed has
// told its last TCP_INFO before the kernel forgets it.

import { once } from "node:events";
import type { LookupFunction } from "node:net";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { TLSSocket } from "node:tls";

import { InvalidOptionError } from "../machine/errors.ts";
import { readTcpInfo } from "../net/index.ts";
import type { TcpInfo } from "../net/index.ts";
import { Sysctl } from "../net/sysctl.ts";
import type { NodeSockets } from "../platform/node/index.ts";
import { failure, HttpClientError, tlsFailure } from "./errors.ts";
import { hostOf, isSecure, portOf } from "./request.ts";
import type { HttpVersion } from "./request.ts";
import type { Dialled } from "./timing.ts";

/** What TLS trusts. */
export interface HttpTls {
  /** Certificates in PEM that are trusted instead of the runtime's. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[];
  /** Trust everybody. Default false. */
  readonly insecure?: boolean;
  /**
   * Told the secrets of each connection, as lines of the format that Wireshark reads: whoever has them
   * and a capture can read what was sent.
   */
  readonly onKeyLog?: (line: Uint8Array) => void;
}

type Found = readonly string[] | undefined;

export interface DialOptions {
  readonly tls?: HttpTls;
  /** TCP_CONGESTION: "cubic", "bbr", "reno"… Default: the kernel's own choice. */
  readonly congestion?: string;
  /** 4 or 6: addresses of this kind only. Default: both, in the order in which they are best tried. */
  readonly family?: 4 | 6;
  /** The addresses of a host, a name or a literal; undefined to ask the kernel's resolver. */
  readonly resolve?: (host: string, port: number) => Found | Promise<Found>;
  /** Told which addresses a host has. */
  readonly onResolved?: (host: string, addresses: readonly string[]) => void;
}

/** What can be told of TLS. */
export interface TlsFacts {
  /** "TLSv1.3". */
  readonly protocol: string;
  readonly cipher: string;
  /** Whether the certificate was verified; false only if `insecure` let it pass. */
  readonly trusted: boolean;
}

type KernelSocket = InstanceType<NodeSockets["net"]["Socket"]>;

/** Sockets that look at TCP_INFO before they go. */
interface Observed extends KernelSocket {
  /** What TCP knows of it; when it is gone, what it knew. Null if it never stood. */
  tcpInfo(): Promise<TcpInfo | null>;
}

const classes = new WeakMap<NodeSockets, new (options: object) => Observed>();

function observedClass(sockets: NodeSockets): new (options: object) => Observed {
  const known = classes.get(sockets);
  if (known) return known;
  class ObservedSocket extends sockets.net.Socket {
    #last: TcpInfo | null = null;
    /** While it goes, its last look. */
    #farewell: Promise<void> | null = null;

    async tcpInfo(): Promise<TcpInfo | null> {
      await (this.#farewell ?? this.#look());
      return this.#last;
    }

    async #look(): Promise<void> {
      try {
        const bytes = await this.connection?.getOption("TCP_INFO");
        if (bytes instanceof Uint8Array) this.#last = readTcpInfo(bytes);
      } catch {
        // What is gone has nothing more to say.
      }
    }

    override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
      // eslint-disable-next-line no-underscore-dangle -- node:stream's name of it
      void this.#leave(() => super._destroy(error, done));
    }

    async #leave(go: () => void): Promise<void> {
      if (this.connection) await (this.#farewell = this.#look());
      go();
    }
  }
  classes.set(sockets, ObservedSocket);
  return ObservedSocket;
}

/** A connection that stands, ready for HTTP. */
export class Line {
  readonly #socket: Observed;
  /** What is sent on it and comes by it: the socket, or TLS over it. */
  readonly stream: Duplex;
  readonly dialled: Dialled;
  readonly tls: TlsFacts | null;
  /** What ALPN chose; null without. */
  readonly protocol: string | null;
  readonly local: { readonly address: string; readonly port: number };
  readonly remote: { readonly address: string; readonly port: number };
  readonly congestion: string;
  readonly closed: Promise<void>;

  constructor(socket: Observed, secure: TLSSocket | null, dialled: Dialled, congestion: string) {
    const { localAddress = "", localPort = 0, remoteAddress = "", remotePort = 0 } = socket;
    this.#socket = socket;
    this.stream = secure ?? socket;
    this.dialled = dialled;
    this.congestion = congestion;
    this.local = { address: localAddress, port: localPort };
    this.remote = { address: remoteAddress, port: remotePort };
    this.protocol = secure?.alpnProtocol || null;
    this.tls = secure && {
      protocol: secure.getProtocol() ?? "",
      cipher: secure.getCipher().standardName,
      trusted: secure.authorized,
    };
    this.closed = new Promise((resolve) => void socket.once("close", () => resolve()));
    // Half open as the socket below it: but what is sent to a server that has ended, nobody reads.
    secure?.once("end", () => secure.destroySoon());
    // Whoever uses it is told by what stands on it.
    this.stream.on("error", () => {});
    socket.on("error", () => {});
  }

  get usable(): boolean {
    return !this.stream.destroyed && this.stream.writable && this.stream.readable;
  }

  tcpInfo(): Promise<TcpInfo | null> {
    return this.#socket.tcpInfo();
  }

  destroy(): void {
    this.stream.destroy();
    this.#socket.destroy();
  }
}

/** Rejects when the signal is aborted, and lets nothing of itself behind. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    work.catch(() => {});
    aborted.promise.catch(() => {});
  }
}

/** Rejects by an error's event, too. */
const event = (emitter: Duplex, name: string, signal: AbortSignal): Promise<unknown> =>
  abortable(once(emitter, name), signal);

async function addressesOf(
  sockets: NodeSockets,
  url: URL,
  options: DialOptions,
): Promise<readonly string[]> {
  const [host, port] = [hostOf(url), portOf(url)];
  const { family, resolve } = options;
  const given = (await resolve?.(host, port)) ?? (isIP(host) ? [host] : undefined);
  const found =
    given ??
    (await sockets.sockets.lookup(host, { family: family ?? 0 })).map((one) => one.address);
  const fits = found.filter((address) => !family || isIP(address) === family);
  if (fits.length) return fits;
  throw new HttpClientError(
    "lookup",
    "ENOTFOUND",
    url.href,
    `${host} has no address of IPv${family ?? 4}`,
  );
}

const looked =
  (addresses: readonly string[]): LookupFunction =>
  (_host, options, done) => {
    const all = addresses.map((address) => ({ address, family: isIP(address) }));
    if (options.all) done(null, all);
    else done(null, all[0].address, all[0].family);
  };

/** @throws {InvalidOptionError} of a name that the kernel does not know, with those it knows */
async function choose(sockets: NodeSockets, socket: Observed, name: string): Promise<void> {
  try {
    await socket.connection?.setOption("TCP_CONGESTION", name);
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
    const sysctl = new Sysctl(sockets.sockets.process);
    const known = await sysctl.get("net.ipv4.tcp_available_congestion_control");
    throw new InvalidOptionError(
      "congestion",
      `${JSON.stringify(name)}: this kernel has ${known.split(/\s+/).toSorted().join(", ")}`,
    );
  }
}

/** What is offered by ALPN: in the order of preference. */
const OFFERS: Readonly<Record<string, readonly string[]>> = {
  any: ["h2", "http/1.1"],
  "1.1": ["http/1.1"],
  "2": ["h2"],
};

async function secure(
  socket: Observed,
  url: URL,
  version: HttpVersion,
  { ca, insecure = false, onKeyLog }: HttpTls,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const host = hostOf(url);
  const pem = (text: string | Uint8Array) => (typeof text === "string" ? text : Buffer.from(text));
  const list = ca === undefined || typeof ca === "string" || ca instanceof Uint8Array ? [ca] : ca;
  const trusted = list.filter((one) => one !== undefined).map(pem);
  let stream: TLSSocket | null = null;
  try {
    stream = connectTls({
      socket,
      host,
      ...(!isIP(host) && { servername: host }),
      ...(ca !== undefined && { ca: trusted }),
      ALPNProtocols: [...OFFERS[version ?? "any"]],
      rejectUnauthorized: !insecure,
    });
    if (onKeyLog) stream.on("keylog", onKeyLog);
    await event(stream, "secureConnect", signal);
    return stream;
  } catch (error) {
    stream?.on("error", () => {}).destroy();
    if (signal.aborted) throw error;
    throw tlsFailure(url.href, error);
  }
}

/**
 * Connect to where a URL leads.
 *
 * @throws {HttpClientError} "lookup", "connect", "tls", "certificate" @throws the signal's reason
 */
export async function dial(
  sockets: NodeSockets,
  url: URL,
  version: HttpVersion,
  options: DialOptions,
  signal: AbortSignal,
): Promise<Line> {
  const began = performance.now();
  let addresses: readonly string[];
  try {
    addresses = await abortable(addressesOf(sockets, url, options), signal);
  } catch (error) {
    if (signal.aborted) throw error;
    throw failure("lookup", url.href, error);
  }
  options.onResolved?.(hostOf(url), addresses);
  const found = performance.now();
  // TLS ends its directions by itself.
  const socket = new (observedClass(sockets))({ allowHalfOpen: isSecure(url) });
  socket.on("error", () => {});
  try {
    const [first] = addresses;
    const host = addresses.length > 1 ? "several" : first;
    socket.connect({ host, port: portOf(url), noDelay: true, lookup: looked(addresses) });
    await event(socket, "connect", signal);
    if (options.congestion !== undefined) await choose(sockets, socket, options.congestion);
    const congestion = await socket.connection?.getOption("TCP_CONGESTION");
    const connected = performance.now();
    const tls = isSecure(url)
      ? await secure(socket, url, version, options.tls ?? {}, signal)
      : null;
    const dialled = {
      lookupMs: found - began,
      connectMs: connected - found,
      tlsMs: tls ? performance.now() - connected : 0,
    };
    return new Line(socket, tls, dialled, typeof congestion === "string" ? congestion : "");
  } catch (error) {
    socket.destroy();
    if (signal.aborted || error instanceof InvalidOptionError) throw error;
    throw failure("connect", url.href, error);
  }
}
