// System calls of a process, and what they take.
export type { Address, CallOptions, In, KernelMemory, Out, Path } from "../abi/calls.ts";
export { NR } from "../abi/numbers.ts";
export type { CallName } from "../abi/numbers.ts";
export { errno, errnoCode, errnoMessage } from "../abi/errno.ts";
export { KernelBuffer } from "./buffer.ts";
export { BufferSizeError, DisposedError, SystemError } from "./errors.ts";
export { Process } from "./process.ts";
export type { ExitStatus } from "./process.ts";
