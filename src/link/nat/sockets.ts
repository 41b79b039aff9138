// What the NAT needs of its host: sockets. A platform has them, see src/platform/node/host-nat.ts.

/**
 * Why a host's socket failed, for what is told to the guest: ECONNREFUSED, EHOSTUNREACH (or what is most
 * like it), ENETUNREACH, EACCES, or that a connection broke.
 */
export type HostFailure = "refused" | "unreachable" | "no-network" | "prohibited" | "reset";

/** A connection of the host's. */
export interface HostStream {
  /** Bytes that are written are the stream's until `written` is called, which it is in any case. */
  write(bytes: Uint8Array, written: () => void): void;
  /** What was written and has not left yet, in bytes. */
  readonly backlogBytes: number;
  /** No more is written. */
  end(): void;
  /** It is over, both ways, at once: the other end sees a reset. Its listener is not called any more. */
  destroy(): void;
  pause(): void;
  resume(): void;
}

/** Who is told about a stream. */
export interface StreamListener {
  opened(): void;
  /** Bytes that came, valid until this returns. */
  data(bytes: Uint8Array): void;
  /** The other end sends no more. */
  ended(): void;
  failed(why: HostFailure): void;
}

/** An end for datagrams. */
export interface HostDatagrams {
  /** `failed` is called if it could not leave; what happens to it later is not known. */
  send(bytes: Uint8Array, address: string, port: number, failed: (why: HostFailure) => void): void;
  close(): void;
}

export type DatagramListener = (bytes: Uint8Array, address: string, port: number) => void;

/** Something that listens. */
export interface HostListener {
  readonly port: number;
  close(): Promise<void>;
}

export interface HostSockets {
  /** Connect; the listener hears of it later, never from within the call. */
  connect(address: string, port: number, listener: StreamListener): HostStream;
  /** A port for datagrams; 0: any. Rejects if it is taken. */
  listenDatagrams(
    address: string,
    port: number,
    received: DatagramListener,
  ): Promise<HostDatagrams & { readonly port: number }>;
  /** Any port for datagrams to addresses of a version of IP. */
  datagrams(version: 4 | 6, received: DatagramListener): HostDatagrams;
  /**
   * Listen for connections. `accept` gets each, with a way to say who listens to it, which has to be
   * called at once. Rejects if the port is taken.
   */
  listen(
    address: string,
    port: number,
    accept: (
      stream: (listener: StreamListener) => HostStream,
      address: string,
      port: number,
    ) => void,
  ): Promise<HostListener>;
  /** Whether an address answers to ICMP echo; where the host can tell. */
  ping?(address: string): Promise<boolean>;
}
