// What goes wrong between us and the kernel over netlink.

import { errnoCode, errnoMessage } from "../../abi/errno.ts";

/** What the kernel adds to an error (NETLINK_EXT_ACK). */
export interface ExtendedAck {
  /** The kernel's own words. */
  readonly reason?: string;
  /** The name, with those around it, of what it rejects: "vlan.id". */
  readonly attribute?: string;
  /** The name of what it misses. */
  readonly missing?: string;
}

/** The kernel refused a request. Has the fields of a NodeJS.ErrnoException. */
export class NetlinkError extends Error implements ExtendedAck {
  override readonly name = "NetlinkError";
  /** E.g. `EEXIST`. */
  readonly code: string;
  /** Negative, e.g. −17. */
  readonly errno: number;
  readonly syscall = "netlink";
  /** What was to be done: "add the link 'v0'". */
  readonly request: string;
  readonly reason?: string;
  readonly attribute?: string;
  readonly missing?: string;

  /** @param errno negative */
  constructor(errno: number, request: string, ack: ExtendedAck = {}) {
    const code = errnoCode(-errno) ?? `errno ${-errno}`;
    const what = (errnoMessage(-errno) || "unknown error").toLowerCase();
    const { reason, attribute, missing } = ack;
    const details = [
      ...(reason === undefined ? [] : [reason]),
      ...(attribute === undefined ? [] : [`the kernel rejects "${attribute}"`]),
      ...(missing === undefined ? [] : [`the kernel misses "${missing}"`]),
    ];
    super(`${code}: ${what}, ${request}${details.length ? `: ${details.join("; ")}` : ""}`);
    this.code = code;
    this.errno = errno;
    this.request = request;
    if (reason !== undefined) this.reason = reason;
    if (attribute !== undefined) this.attribute = attribute;
    if (missing !== undefined) this.missing = missing;
  }
}

/** Bytes are no netlink message, or an attribute has a length that it cannot have. */
export class MalformedMessageError extends Error {
  override readonly name = "MalformedMessageError";
  readonly code = "ERR_MALFORMED_NETLINK";
  /** Where: "vlan.id", or "" for the message itself. */
  readonly attribute: string;
  /** What is wrong, without where. */
  readonly problem: string;

  constructor(problem: string, attribute = "") {
    super(attribute === "" ? problem : `${attribute}: ${problem}`);
    this.attribute = attribute;
    this.problem = problem;
  }

  /** The same inside of another attribute. */
  within(name: string): MalformedMessageError {
    return new MalformedMessageError(
      this.problem,
      this.attribute === "" ? name : `${name}.${this.attribute}`,
    );
  }
}

/** What was listed kept changing, each time that it was. */
export class DumpInterruptedError extends Error {
  override readonly name = "DumpInterruptedError";
  readonly code = "ERR_DUMP_INTERRUPTED";
  readonly request: string;

  constructor(request: string, times: number) {
    super(`${request}: it changed while it was listed, ${times} times in a row: try again`);
    this.request = request;
  }
}
