// poll(2) and epoll(7).

import type { KernelMemory } from "../../../src/abi/calls.ts";
import { errno } from "../../../src/abi/errno.ts";
import { EpollEvent, Pollfd } from "../../../src/abi/structs/io.ts";
import { KernelTimespec } from "../../../src/abi/structs/time.ts";
import { SystemError } from "../../../src/syscall/errors.ts";
import { Mismatch } from "../errors.ts";
import type { CallEvent, Expression } from "../script.ts";
import { fieldOf, itemsOf, numberOf } from "../values.ts";
import { expectEqual, nameDescriptor } from "./call.ts";
import type { Arguments, CallHost, Done } from "./call.ts";

const SIGSET_BYTES = 8;

async function timeoutOf(host: CallHost, ms: number): Promise<KernelMemory | null> {
  if (ms < 0) return null;
  const piece = await host.room.take(KernelTimespec.size);
  const time = new KernelTimespec(piece.view);
  time.tv_sec = BigInt(Math.floor(ms / 1000));
  time.tv_nsec = BigInt((ms % 1000) * 1e6);
  return piece;
}

export async function poll(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  const wanted = itemsOf(args.at(0));
  const piece = await host.room.take(wanted.length * Pollfd.size);
  for (const [index, one] of wanted.entries()) {
    const entry = new Pollfd(piece.view, index * Pollfd.size);
    const script = numberOf(fieldOf(one, "fd"));
    entry.fd = host.descriptors.get(script) ?? script;
    entry.events = numberOf(fieldOf(one, "events"));
  }
  const timeout = await timeoutOf(host, args.number(2));
  const result = await host.process.ppoll_time64(
    piece,
    args.number(1),
    timeout,
    null,
    SIGSET_BYTES,
  );
  return {
    result,
    verify: () => {
      for (const [index, one] of wanted.entries()) {
        const expected = one.kind === "record" ? one.fields.get("revents") : undefined;
        const { revents } = new Pollfd(piece.view, index * Pollfd.size);
        expectEqual("poll revents", expected ?? { kind: "number", value: 0 }, revents & 0xffff);
      }
    },
  };
}

export async function epollCreate(
  args: Arguments,
  host: CallHost,
  event: CallEvent,
): Promise<Done> {
  args.expect(1);
  // What epoll_create(2) is given has to be more than 0, and means nothing; of epoll_create1(2) it is flags.
  const old = event.name === "epoll_create";
  if (old && args.number(0) <= 0) throw new SystemError(-errno.EINVAL, event.name);
  nameDescriptor(host, event, await host.process.epoll_create1(old ? 0 : args.number(0)));
  return { result: "descriptor" };
}

const DATA_FIELDS = ["fd", "ptr", "u32", "u64"] as const;

/** What epoll gives back of an event, as it was given. */
function dataOf(event: Expression): bigint {
  const field = DATA_FIELDS.find((name) => event.kind === "record" && event.fields.has(name));
  return field ? BigInt(numberOf(fieldOf(event, field))) : 0n;
}

export async function epollCtl(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(4);
  const piece = await host.room.take(EpollEvent.size);
  const event = args.at(3);
  if (event.kind === "record") {
    piece.view.setUint32(EpollEvent.offsets.events, numberOf(fieldOf(event, "events")), true);
    piece.view.setBigUint64(EpollEvent.offsets.data, dataOf(event), true);
  }
  return { result: await host.process.epoll_ctl(args.fd(), args.number(1), args.fd(2), piece) };
}

export async function epollWait(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(4);
  const most = args.size(2);
  const piece = await host.room.take(Math.max(most, 1) * EpollEvent.size);
  const { process } = host;
  const result = await process.epoll_pwait(
    args.fd(),
    piece,
    most,
    args.number(3),
    null,
    SIGSET_BYTES,
  );
  return {
    result,
    verify: () => {
      for (const [index, expected] of itemsOf(args.at(1)).slice(0, result).entries()) {
        const at = index * EpollEvent.size;
        const events = piece.view.getUint32(at + EpollEvent.offsets.events, true);
        expectEqual("epoll_event events", fieldOf(expected, "events"), events);
        const data = piece.view.getBigUint64(at + EpollEvent.offsets.data, true);
        if (data !== dataOf(expected))
          throw new Mismatch(
            `Bad epoll_event data: expected: ${dataOf(expected)} vs actual: ${data}`,
          );
      }
    },
  };
}
