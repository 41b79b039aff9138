// Errors that Node's sockets make themselves, without asking the kernel.

import { inspect } from "node:util";

/** An error with a code, as Node's own. */
class NodeError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

class NodeTypeError extends TypeError {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

class NodeRangeError extends RangeError {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

function received(value: unknown): string {
  if (value === null || value === undefined) return `Received ${value}`;
  if (typeof value === "function") return `Received function ${value.name}`;
  if (typeof value === "object") return `Received an instance of ${value.constructor.name}`;
  return `Received type ${typeof value} (${inspect(value)})`;
}

export const argumentTypeError = (name: string, expected: string, value: unknown): TypeError =>
  new NodeTypeError(
    "ERR_INVALID_ARG_TYPE",
    `The "${name}" ${name.includes(".") ? "property" : "argument"} must be ${expected}. ${received(value)}`,
  );

export const argumentValueError = (name: string, value: unknown, why = "is invalid"): TypeError =>
  new NodeTypeError(
    "ERR_INVALID_ARG_VALUE",
    `The ${name.includes(".") ? "property" : "argument"} '${name}' ${why}. Received ${inspect(value)}`,
  );

export const missingArgumentsError = (names: string): TypeError =>
  new NodeTypeError("ERR_MISSING_ARGS", `The ${names} must be specified`);

export const badPortError = (name: string, value: unknown, zero: boolean): RangeError =>
  new NodeRangeError(
    "ERR_SOCKET_BAD_PORT",
    `${name} should be ${zero ? ">=" : ">"} 0 and < 65536. ${received(value)}.`,
  );

export const outOfRangeError = (name: string, range: string, value: unknown): RangeError =>
  new NodeRangeError(
    "ERR_OUT_OF_RANGE",
    `The value of "${name}" is out of range. It must be ${range}. Received ${String(value)}`,
  );

export const badAddressError = (address: string): TypeError =>
  new NodeTypeError("ERR_INVALID_IP_ADDRESS", `Invalid IP address: ${address}`);

export const badFamilyError = (address: string, host: string, expected: string): Error =>
  new NodeError(
    "ERR_INVALID_ADDRESS_FAMILY",
    `Invalid address family: ${address} ${host}${expected}`,
  );

export const closedError = (): Error => new NodeError("ERR_SOCKET_CLOSED", "Socket is closed");

export const closedBeforeConnectionError = (): Error =>
  new NodeError(
    "ERR_SOCKET_CLOSED_BEFORE_CONNECTION",
    "Socket closed before the connection was established",
  );

export const alreadyListeningError = (): Error =>
  new NodeError(
    "ERR_SERVER_ALREADY_LISTEN",
    "Listen method has been called more than once without closing.",
  );

export const notRunningError = (): Error =>
  new NodeError("ERR_SERVER_NOT_RUNNING", "Server is not running.");

export const handleTypeError = (): TypeError =>
  new NodeTypeError("ERR_INVALID_HANDLE_TYPE", "This handle type cannot be sent");

export const attemptTimeoutError = (): Error =>
  new NodeError("ERR_SOCKET_CONNECTION_TIMEOUT", "Socket connection timeout");

/** The other end has ended, and with it this one. */
export const endedError = (): Error =>
  new NodeError("EPIPE", "This socket has been ended by the other party");

export const datagramNotRunningError = (): Error =>
  new NodeError("ERR_SOCKET_DGRAM_NOT_RUNNING", "Not running");

export const datagramConnectedError = (): Error =>
  new NodeError("ERR_SOCKET_DGRAM_IS_CONNECTED", "Already connected");

export const datagramNotConnectedError = (): Error =>
  new NodeError("ERR_SOCKET_DGRAM_NOT_CONNECTED", "Not connected");

export const alreadyBoundError = (): Error =>
  new NodeError("ERR_SOCKET_ALREADY_BOUND", "Socket is already bound");

export const badTypeError = (): TypeError =>
  new NodeTypeError(
    "ERR_SOCKET_BAD_TYPE",
    "Bad socket type specified. Valid types are: udp4, udp6",
  );

export const badBufferSizeError = (): TypeError =>
  new NodeTypeError("ERR_SOCKET_BAD_BUFFER_SIZE", "Buffer size must be a positive integer");
