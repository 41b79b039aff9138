// The system calls of scripts: arguments laid out, the call made, what comes back held against the script.

import { errno, errnoMessage } from "../../../src/abi/errno.ts";
import { BufferSizeError, SystemError } from "../../../src/syscall/errors.ts";
import { Mismatch } from "../errors.ts";
import type { CallEvent } from "../script.ts";
import { numberOf, show } from "../values.ts";
import { Arguments } from "./call.ts";
import type { CallHost, Done, Handler } from "./call.ts";
import { read, readv, recv, send, sendto, write, writev } from "./data.ts";
import { open, pipe, sendfile, splice } from "./files.ts";
import { recvmsg, sendmsg } from "./messages.ts";
import { fcntl, getsockopt, ioctl, setsockopt } from "./options.ts";
import { accept, bind, close, connect, listen, shutdown, socket } from "./sockets.ts";
import { epollCreate, epollCtl, epollWait, poll } from "./waiting.ts";

const HANDLERS: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ["socket", socket],
  ["bind", bind],
  ["listen", listen],
  ["accept", accept],
  ["accept4", accept],
  ["connect", connect],
  ["shutdown", shutdown],
  ["close", close],
  ["read", read],
  ["readv", readv],
  ["recv", recv],
  ["recvfrom", recv],
  ["recvmsg", recvmsg],
  ["write", write],
  ["writev", writev],
  ["send", send],
  ["sendto", sendto],
  ["sendmsg", sendmsg],
  ["setsockopt", setsockopt],
  ["getsockopt", getsockopt],
  ["fcntl", fcntl],
  ["ioctl", ioctl],
  ["poll", poll],
  ["epoll_create", epollCreate],
  ["epoll_create1", epollCreate],
  ["epoll_ctl", epollCtl],
  ["epoll_wait", epollWait],
  ["open", open],
  ["sendfile", sendfile],
  ["pipe", pipe],
  ["splice", splice],
]);

function verifyResult(event: CallEvent, result: number, error: number): void {
  const { result: expected, error: name } = event;
  const code = name === undefined ? undefined : errno[name as keyof typeof errno];
  if (name !== undefined && code === undefined) throw new Mismatch(`unknown errno: '${name}'`);
  if (expected.kind === "ellipsis" && name === undefined) return;
  const got =
    result === -1 ? `${result} with errno ${error} (${errnoMessage(error)})` : String(result);
  if (expected.kind !== "ellipsis" && numberOf(expected) !== result)
    throw new Mismatch(`Expected result ${show(expected)} but got ${got}`);
  if (result === -1 && code !== undefined && code !== error)
    throw new Mismatch(
      `Expected errno ${code} (${errnoMessage(code)}) but got ${error} (${errnoMessage(error)})`,
    );
}

/**
 * Make a call as a script says. Settles when the kernel has answered.
 *
 * @throws {Mismatch} if it comes to something else than the script expects
 */
export async function makeCall(event: CallEvent, host: CallHost): Promise<void> {
  const handler = HANDLERS.get(event.name);
  if (!handler) throw new Mismatch("Unknown system call");
  host.room.clear();
  let done: Done;
  try {
    done = await handler(new Arguments(event, host), host, event);
  } catch (error) {
    // More was asked for than the script's own buffers have.
    if (error instanceof BufferSizeError) throw new Mismatch(error.message, { cause: error });
    if (!(error instanceof SystemError)) throw error;
    verifyResult(event, -1, -error.errno);
    return;
  }
  if (done.result === "descriptor") {
    // A descriptor has the script's name, unless it expected none.
    if (event.result.kind !== "ellipsis" && numberOf(event.result) < 0)
      throw new Mismatch(`Expected result ${show(event.result)} but got a descriptor`);
    return;
  }
  verifyResult(event, done.result, 0);
  if (done.result >= 0) done.verify?.();
}
