// A script, as it was read: what happens when.

import type { TcpOption } from "./tcp-options.ts";

/** When something happens, in nanoseconds. */
export type EventTime =
  | { readonly kind: "any" }
  | {
      /** Since the start of the script, or since the event before. */
      readonly kind: "absolute" | "relative";
      readonly ns: number;
      /** The end of a range, if it is one. */
      readonly endNs?: number;
    };

/** An argument or a result of a system call. */
export type Expression =
  | { readonly kind: "ellipsis" }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "word"; readonly name: string }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "or"; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: "list"; readonly items: readonly Expression[] }
  | { readonly kind: "record"; readonly fields: ReadonlyMap<string, Expression> };

export type Direction = "inbound" | "outbound";

/** What a packet's IP header has to say, or is to say. */
export interface IpFields {
  /** Bits of the type of service, and which of them are meant. */
  readonly tos?: { readonly mask: number; readonly value: number } | "ect01";
  readonly ttl?: number;
  readonly flowLabel?: number;
}

export interface Ports {
  readonly source: number;
  readonly destination: number;
}

export interface TcpSpec {
  readonly protocol: "tcp";
  readonly ports?: Ports;
  /** TCP_FLAG_… */
  readonly flags: number;
  /** The flags of ECN are a counter (RFC 9768), of which 0 is not looked at. */
  readonly ace: boolean;
  readonly sequence: number;
  readonly payloadBytes: number;
  readonly acknowledgment: number;
  /** Undefined: any. */
  readonly window: number | undefined;
  readonly urgent: number;
  /** Null: any. */
  readonly options: readonly TcpOption[] | null;
}

export interface UdpSpec {
  readonly protocol: "udp";
  readonly ports?: Ports;
  readonly payloadBytes: number;
}

export interface IcmpSpec {
  readonly protocol: "icmp";
  readonly type: string;
  readonly code: string | undefined;
  readonly mtu: number | undefined;
  readonly id: number | undefined;
  /** The packet that it is about. */
  readonly echoed:
    | { readonly protocol: "tcp"; readonly sequence: number; readonly payloadBytes: number }
    | { readonly protocol: "udp"; readonly payloadBytes: number }
    | { readonly protocol: "raw"; readonly payloadBytes: number }
    | undefined;
}

export interface PacketEvent {
  readonly kind: "packet";
  readonly direction: Direction;
  readonly ip: IpFields;
  readonly packet: TcpSpec | UdpSpec | IcmpSpec;
}

export interface CallEvent {
  readonly kind: "call";
  readonly name: string;
  readonly args: readonly Expression[];
  readonly result: Expression;
  /** The error's name, where there is to be one. */
  readonly error: string | undefined;
  /** When a call that blocks ends: like the event's own time. Undefined: it does not block. */
  readonly endNs: number | undefined;
}

export interface CommandEvent {
  readonly kind: "command";
  readonly command: string;
}

export interface CodeEvent {
  readonly kind: "code";
  readonly code: string;
}

export type ScriptEvent = (PacketEvent | CallEvent | CommandEvent | CodeEvent) & {
  readonly time: EventTime;
  readonly line: number;
};

/** A shell command and where it is. */
export interface Command {
  readonly command: string;
  readonly line: number;
}

export interface Script {
  readonly file: string;
  readonly init: Command | undefined;
  readonly events: readonly ScriptEvent[];
  readonly cleanup: Command | undefined;
}
