// The system calls of scripts: arguments laid out, the call made, what comes back held against the script.

import type { KernelMemory } from "../../src/abi/calls.ts";
import { AT_FDCWD } from "../../src/abi/constants/fcntl.ts";
import { IPPROTO_ICMP, IPPROTO_UDP } from "../../src/abi/constants/in.ts";
import { IPPROTO_ICMPV6 } from "../../src/abi/constants/in6.ts";
import { FIONREAD } from "../../src/abi/constants/ioctl.ts";
import { AF_INET, AF_INET6, MSG_FASTOPEN } from "../../src/abi/constants/socket.ts";
import { errno, errnoMessage } from "../../src/abi/errno.ts";
import { EpollEvent, Pollfd } from "../../src/abi/structs/io.ts";
import { Cmsghdr, SockExtendedErr, UserMsghdr } from "../../src/abi/structs/socket.ts";
import { KernelTimespec } from "../../src/abi/structs/time.ts";
import { SystemError } from "../../src/syscall/errors.ts";
import type { Process } from "../../src/syscall/process.ts";
import { Endpoint } from "./endpoint.ts";
import type { Protocol } from "./endpoint.ts";
import { Mismatch } from "./errors.ts";
import type { Piece, Room } from "./room.ts";
import type { CallEvent, Expression } from "./script.ts";
import {
  addressFrom,
  fieldOf,
  itemsOf,
  numberOf,
  optionBytes,
  show,
  socketAddress,
} from "./values.ts";

const IOVEC_BYTES = 8;
const CONTROL_BYTES = 4096;
const ADDRESS_BYTES = 128;
const OPTION_BYTES = 1024;
const SIGSET_BYTES = 8;
const align = (bytes: number) => Math.ceil(bytes / 4) * 4;

/** Where a socket is bound or connected to. */
export interface Target {
  readonly address: Uint8Array;
  readonly port: number;
}

/** What calls need to know of the script that is run, and what they tell it. */
export interface CallHost {
  readonly process: Process;
  readonly room: Room;
  /** AF_INET or AF_INET6. */
  readonly domain: number;
  /** Where sockets are bound and connected to if the script does not say. */
  readonly bindTo: Target;
  readonly connectTo: Target;
  /** When the script began, as the kernel's clock shows the time of day; and how exact times are. */
  readonly startNs: number;
  readonly toleranceNs: number;
  /** The kernel's descriptors by the script's. */
  readonly descriptors: Map<number, number>;
  /** Sockets by the script's descriptors. */
  readonly endpoints: Map<number, Endpoint>;
  /** A socket was made. */
  created(endpoint: Endpoint): void;
  /** A socket is to connect, or to send to somewhere. */
  connecting(endpoint: Endpoint, target: Target): void;
  /** A connection was accepted. @param port of the other end */
  accepted(scriptFd: number, port: number): void;
}

/** The arguments of one call. */
class Arguments {
  readonly #event: CallEvent;
  readonly #host: CallHost;

  constructor(event: CallEvent, host: CallHost) {
    this.#event = event;
    this.#host = host;
  }

  get count(): number {
    return this.#event.args.length;
  }

  /** @throws {Mismatch} unless there are so many */
  expect(least: number, most = least): void {
    if (this.count >= least && this.count <= most) return;
    throw new Mismatch(
      `expected ${least === most ? least : `${least} to ${most}`} args but got ${this.count}`,
    );
  }

  at(index: number): Expression {
    const arg = this.#event.args[index];
    if (!arg) throw new Mismatch(`argument ${index + 1} is missing`);
    return arg;
  }

  number(index: number): number {
    const value = numberOf(this.at(index));
    return value > 0x7fffffff ? Number(BigInt.asIntN(32, BigInt(value))) : value;
  }

  isAny(index: number): boolean {
    return this.at(index).kind === "ellipsis";
  }

  scriptFd(index = 0): number {
    return numberOf(this.at(index));
  }

  /** The kernel's descriptor: one that the script never opened is passed on as it is. */
  fd(index = 0): number {
    const script = this.scriptFd(index);
    return this.#host.descriptors.get(script) ?? (script < 0 ? script : 100_000 + script);
  }

  endpoint(index = 0): Endpoint | undefined {
    return this.#host.endpoints.get(this.scriptFd(index));
  }
}

/** What a call came to: its result, and how to look at what it wrote. */
interface Done {
  /** "descriptor": the script has a name for it. */
  readonly result: number | "descriptor";
  readonly verify?: () => void;
}

type Handler = (args: Arguments, host: CallHost, event: CallEvent) => Promise<Done>;

/** @throws {Mismatch} */
function expectEqual(what: string, expected: Expression, actual: number): void {
  if (expected.kind === "ellipsis") return;
  const value = numberOf(expected);
  if (value === actual || (value | 0) === (actual | 0)) return;
  throw new Mismatch(`Bad ${what}: expected: ${show(expected)} (${value}) vs actual: ${actual}`);
}

// --- Sockets -------------------------------------------------------------------------------------

function protocolOf(protocol: number): Protocol {
  if (protocol === IPPROTO_UDP) return "udp";
  return protocol === IPPROTO_ICMP || protocol === IPPROTO_ICMPV6 ? "icmp" : "tcp";
}

const EMPTY = () => ({
  local: new Uint8Array(0),
  localPort: 0,
  remote: new Uint8Array(0),
  remotePort: 0,
});

/** The script's name of a new descriptor. @throws {Mismatch} if it did not expect one */
function name(host: CallHost, event: CallEvent, fd: number): number {
  const script = event.result.kind === "ellipsis" ? fd : numberOf(event.result);
  if (script < 0) return script;
  if (host.descriptors.has(script) && !event.name.startsWith("accept"))
    throw new Mismatch(`duplicate fd ${script} in script`);
  host.descriptors.set(script, fd);
  return script;
}

function addEndpoint(host: CallHost, script: number, protocol: Protocol): void {
  const endpoint = new Endpoint(protocol, EMPTY(), script);
  host.endpoints.set(script, endpoint);
  host.created(endpoint);
}

async function socket(args: Arguments, host: CallHost, event: CallEvent): Promise<Done> {
  args.expect(3);
  const domain = args.isAny(0) ? host.domain : args.number(0);
  const protocol = args.number(2);
  const fd = await host.process.socket(domain, args.number(1), protocol);
  const script = name(host, event, fd);
  if (domain === AF_INET || domain === AF_INET6) addEndpoint(host, script, protocolOf(protocol));
  return { result: "descriptor" };
}

function addressAt(args: Arguments, index: number, otherwise: Target): Target {
  return args.isAny(index) ? otherwise : addressFrom(args.at(index));
}

async function bind(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  const bytes = socketAddress(addressAt(args, 1, host.bindTo));
  return { result: await host.process.bind(args.fd(), bytes, bytes.length) };
}

async function listen(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(2);
  const result = await host.process.listen(args.fd(), args.number(1));
  const endpoint = args.endpoint();
  if (endpoint) endpoint.state = "listening";
  return { result };
}

async function accept(args: Arguments, host: CallHost, event: CallEvent): Promise<Done> {
  args.expect(3, 4);
  const address = await host.room.take(ADDRESS_BYTES);
  const length = await host.room.take(4, new Uint8Array(Uint32Array.of(ADDRESS_BYTES).buffer));
  const flags = args.count > 3 ? args.number(3) : 0;
  const fd = await host.process.accept4(args.fd(), address, length, flags);
  const script = name(host, event, fd);
  host.endpoints.set(script, new Endpoint("tcp", EMPTY(), script));
  // The port is in the same place for both versions of IP.
  host.accepted(script, address.view.getUint16(2));
  return { result: "descriptor" };
}

async function connect(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  if (args.at(1).kind === "word") return disconnect(args, host);
  const target = addressAt(args, 1, host.connectTo);
  const endpoint = args.endpoint();
  if (endpoint) host.connecting(endpoint, target);
  const bytes = socketAddress(target);
  return { result: await host.process.connect(args.fd(), bytes, bytes.length) };
}

/** `connect(4, AF_UNSPEC, ...)` */
async function disconnect(args: Arguments, host: CallHost): Promise<Done> {
  const endpoint = args.endpoint();
  if (endpoint) endpoint.state = "new";
  const bytes = socketAddress({ address: new Uint8Array(4), port: 0 });
  new DataView(bytes.buffer).setUint16(0, args.number(1), true);
  return { result: await host.process.connect(args.fd(), bytes, bytes.length) };
}

async function shutdown(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(2);
  return { result: await host.process.shutdown(args.fd(), args.number(1)) };
}

async function close(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(1);
  const result = await host.process.close(args.fd());
  host.descriptors.delete(args.scriptFd());
  return { result };
}

// --- Reading and writing ---------------------------------------------------------------------------

/** Whether a buffer is none: 0 or NULL. */
function isNull(what: Expression): boolean {
  return (what.kind === "number" || what.kind === "word") && numberOf(what) === 0;
}

/** Where what is read goes. */
async function destination(args: Arguments, index: number, host: CallHost): Promise<KernelMemory> {
  const length = args.number(index + 1);
  return isNull(args.at(index)) ? { address: 0, length } : host.room.take(length);
}

/** What is to be sent: zeroes, or what the script says. */
async function contents(args: Arguments, index: number, host: CallHost): Promise<KernelMemory> {
  const what = args.at(index);
  const length = args.number(index + 1);
  if (isNull(what)) return { address: 0, length };
  if (what.kind !== "string") return host.room.zeroes(length);
  return host.room.take(length, new TextEncoder().encode(what.value).subarray(0, length));
}

async function write(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  const bytes = await contents(args, 1, host);
  return { result: await host.process.write(args.fd(), bytes, bytes.length) };
}

async function send(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(4);
  const bytes = await contents(args, 1, host);
  const { process } = host;
  return { result: await process.sendto(args.fd(), bytes, bytes.length, args.number(3), null, 0) };
}

async function sendto(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(6);
  const bytes = await contents(args, 1, host);
  const flags = args.number(3);
  const endpoint = args.endpoint();
  const opens = (flags & MSG_FASTOPEN) !== 0 || endpoint?.protocol === "udp";
  // On a connection, "..." is no address at all.
  const addressed = !args.isAny(4) || opens;
  const target = addressAt(args, 4, host.connectTo);
  if (endpoint && opens) host.connecting(endpoint, target);
  const to = addressed ? socketAddress(target) : null;
  const { process } = host;
  return {
    result: await process.sendto(args.fd(), bytes, bytes.length, flags, to, to?.length ?? 0),
  };
}

async function read(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  const bytes = await destination(args, 1, host);
  return { result: await host.process.read(args.fd(), bytes, bytes.length) };
}

async function recv(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(4, 6);
  const bytes = await destination(args, 1, host);
  const { process } = host;
  return {
    result: await process.recvfrom(args.fd(), bytes, bytes.length, args.number(3), null, null),
  };
}

/** The lengths of `[{..., 1000}, {..., 500}]`. */
function lengthsOf(expression: Expression): number[] {
  return itemsOf(expression).map((vector) => {
    const [, length] = itemsOf(vector);
    if (!length) throw new Mismatch(`${show(vector)}: it is like {..., 1000}`);
    return numberOf(length);
  });
}

async function vectors(host: CallHost, pieces: readonly KernelMemory[]): Promise<KernelMemory> {
  const table = await host.room.take(pieces.length * IOVEC_BYTES);
  for (const [index, { address, length }] of pieces.entries()) {
    table.view.setUint32(index * IOVEC_BYTES, address, true);
    table.view.setUint32(index * IOVEC_BYTES + 4, length, true);
  }
  return table;
}

async function rooms(host: CallHost, lengths: readonly number[]): Promise<KernelMemory[]> {
  const pieces: KernelMemory[] = [];
  for (const length of lengths) pieces.push(await host.room.take(length));
  return pieces;
}

async function writev(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  const table = await vectors(host, await host.room.scattered(lengthsOf(args.at(1))));
  return { result: await host.process.writev(args.fd(), table, args.number(2)) };
}

async function readv(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  const table = await vectors(host, await rooms(host, lengthsOf(args.at(1))));
  return { result: await host.process.readv(args.fd(), table, args.number(2)) };
}

// --- Messages --------------------------------------------------------------------------------------

async function controlToSend(host: CallHost, control: Expression | undefined) {
  const messages = control ? itemsOf(control) : [];
  const parts = messages.map((message) => ({
    level: numberOf(fieldOf(message, "cmsg_level")),
    type: numberOf(fieldOf(message, "cmsg_type")),
    data: optionBytes(fieldOf(message, "cmsg_data")),
  }));
  const bytes = parts.reduce((sum, { data }) => sum + align(Cmsghdr.size + data.length), 0);
  const piece = await host.room.take(bytes);
  let at = 0;
  for (const { level, type, data } of parts) {
    const header = new Cmsghdr(piece.view, at);
    header.cmsg_len = Cmsghdr.size + data.length;
    header.cmsg_level = level;
    header.cmsg_type = type;
    piece.bytes.set(data, at + Cmsghdr.size);
    at += align(header.cmsg_len);
  }
  return piece;
}

async function sendmsg(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  const message = args.at(1);
  const flags = args.number(2);
  const endpoint = args.endpoint();
  const opens = (flags & MSG_FASTOPEN) !== 0 || endpoint?.protocol === "udp";
  const pieces = await host.room.scattered(lengthsOf(fieldOf(message, "msg_iov")));
  const control = message.kind === "record" ? message.fields.get("msg_control") : undefined;
  const header = await host.room.take(UserMsghdr.size);
  const table = await vectors(host, pieces);
  const extra = await controlToSend(host, control);
  const fields = new UserMsghdr(header.view);
  fields.msg_iov = table.address;
  fields.msg_iovlen = pieces.length;
  fields.msg_control = extra.length ? extra.address : 0;
  fields.msg_controllen = extra.length;
  if (endpoint && opens) {
    host.connecting(endpoint, host.connectTo);
    const to = socketAddress(host.connectTo);
    const piece = await host.room.take(to.length, to);
    fields.msg_name = piece.address;
    fields.msg_namelen = to.length;
  }
  return { result: await host.process.sendmsg(args.fd(), header, flags) };
}

interface Control {
  readonly level: number;
  readonly type: number;
  readonly data: Uint8Array;
}

function controlsIn(bytes: Uint8Array): Control[] {
  const controls: Control[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + Cmsghdr.size <= bytes.length;) {
    const header = new Cmsghdr(view, at);
    if (header.cmsg_len < Cmsghdr.size) break;
    const data = bytes.slice(at + Cmsghdr.size, at + header.cmsg_len);
    controls.push({ level: header.cmsg_level, type: header.cmsg_type, data });
    at += align(header.cmsg_len);
  }
  return controls;
}

const ERROR_FIELDS = ["ee_errno", "ee_origin", "ee_type", "ee_code", "ee_info", "ee_data"] as const;

/** A time of the kernel's clock, which scripts count from their beginning. */
function verifyTimestamp(expected: Expression, view: DataView, host: CallHost): void {
  // Three struct timespec, the first of which is software's; in the old form with 32 bits each.
  const old = view.byteLength < 3 * KernelTimespec.size;
  const seconds = old ? view.getInt32(0, true) : Number(view.getBigInt64(0, true));
  const rest = old ? view.getInt32(4, true) : Number(view.getBigInt64(8, true));
  const actual = seconds * 1e9 + rest - host.startNs;
  const wanted =
    numberOf(fieldOf(expected, "scm_sec")) * 1e9 + numberOf(fieldOf(expected, "scm_nsec"));
  if (Math.abs(actual - wanted) > host.toleranceNs)
    throw new Mismatch(
      `Bad timestamp: expected: ${(wanted / 1e9).toFixed(9)} vs actual: ${(actual / 1e9).toFixed(9)} sec`,
    );
}

function verifyControlData(expected: Expression, data: Uint8Array, host: CallHost): void {
  if (expected.kind === "record" && expected.fields.has("ee_errno")) {
    const actual = SockExtendedErr.from(data);
    for (const field of ERROR_FIELDS) {
      expectEqual(field, fieldOf(expected, field), actual[field]);
    }
    return;
  }
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (expected.kind === "record" && expected.fields.has("scm_sec"))
    return verifyTimestamp(expected, view, host);
  expectEqual("cmsg_data", expected, data.length >= 4 ? view.getInt32(0, true) : data[0]);
}

function verifyControls(
  expected: readonly Expression[],
  actual: readonly Control[],
  host: CallHost,
): void {
  if (expected.length !== actual.length) {
    const got = actual.map(({ level, type }) => `{cmsg_level=${level}, cmsg_type=${type}}`);
    throw new Mismatch(
      `Bad msg_control: expected: ${expected.length} of them vs actual: ${actual.length}: [${got.join(", ")}]`,
    );
  }
  for (const [index, message] of expected.entries()) {
    const { level, type, data } = actual[index];
    expectEqual("cmsg_level", fieldOf(message, "cmsg_level"), level);
    expectEqual("cmsg_type", fieldOf(message, "cmsg_type"), type);
    verifyControlData(fieldOf(message, "cmsg_data"), data, host);
  }
}

async function recvmsg(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  const message = args.at(1);
  const controls = message.kind === "record" ? message.fields.get("msg_control") : undefined;
  const pieces = await rooms(host, lengthsOf(fieldOf(message, "msg_iov")));
  const table = await vectors(host, pieces);
  const from = await host.room.take(ADDRESS_BYTES);
  const control = await host.room.take(CONTROL_BYTES);
  const header = await host.room.take(UserMsghdr.size);
  const fields = new UserMsghdr(header.view);
  fields.msg_name = from.address;
  fields.msg_namelen = from.length;
  fields.msg_iov = table.address;
  fields.msg_iovlen = pieces.length;
  fields.msg_control = controls ? control.address : 0;
  fields.msg_controllen = controls ? control.length : 0;
  const result = await host.process.recvmsg(args.fd(), header, args.number(2));
  return {
    result,
    verify: () => {
      const told = new UserMsghdr(header.view);
      expectEqual("msg_flags", fieldOf(message, "msg_flags"), told.msg_flags);
      if (!controls) return;
      const bytes = control.bytes.subarray(0, told.msg_controllen);
      verifyControls(itemsOf(controls), controlsIn(bytes), host);
    },
  };
}

// --- Options ---------------------------------------------------------------------------------------

async function setsockopt(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(5);
  const value = args.at(3);
  const bytes = value.kind === "ellipsis" ? new Uint8Array(0) : optionBytes(value);
  const length = args.isAny(4) ? bytes.length : args.number(4);
  const piece = await host.room.take(Math.max(length, bytes.length), bytes);
  const { process } = host;
  return {
    result: await process.setsockopt(args.fd(), args.number(1), args.number(2), piece, length),
  };
}

async function getsockopt(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(5);
  const value = args.at(3);
  const [length] = itemsOf(args.at(4));
  const given = length && length.kind !== "ellipsis" ? numberOf(length) : OPTION_BYTES;
  const piece = await host.room.take(Math.max(given, OPTION_BYTES));
  const size = await host.room.take(4, new Uint8Array(Uint32Array.of(given).buffer));
  const { process } = host;
  const result = await process.getsockopt(args.fd(), args.number(1), args.number(2), piece, size);
  return {
    result,
    verify: () => {
      const told = size.view.getUint32(0, true);
      if (value.kind === "ellipsis" || itemsOf(value)[0]?.kind === "ellipsis") return;
      if (length && length.kind !== "ellipsis") expectEqual("optlen", length, told);
      const bytes = optionBytes(value);
      const actual = piece.bytes.slice(0, Math.max(told, bytes.length));
      if (bytes.some((byte, index) => byte !== actual[index]))
        throw new Mismatch(
          `Bad getsockopt optval: expected: ${show(value)} vs actual: ` +
            (told === 4 ? `[${piece.view.getInt32(0, true)}]` : `bytes ${actual.join(" ")}`),
        );
    },
  };
}

async function fcntl(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(2, 3);
  const value = args.count > 2 ? args.number(2) : 0;
  // The argument is no address but the number itself.
  const result = await host.process.fcntl64(args.fd(), args.number(1), {
    address: value,
    length: 0,
  });
  return { result };
}

async function ioctl(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(2, 3);
  const command = args.number(1);
  const value = args.count > 2 ? args.at(2) : undefined;
  const piece = await host.room.take(
    4,
    value && value.kind !== "ellipsis" ? optionBytes(value) : undefined,
  );
  const result = await host.process.ioctl(args.fd(), command, piece);
  return {
    result,
    verify: () => {
      if (value?.kind === "list" || (value && command === FIONREAD))
        expectEqual("ioctl value", itemsOf(value)[0], piece.view.getInt32(0, true));
    },
  };
}

// --- Waiting ---------------------------------------------------------------------------------------

async function timeoutOf(host: CallHost, ms: number): Promise<KernelMemory | null> {
  if (ms < 0) return null;
  const piece = await host.room.take(KernelTimespec.size);
  const time = new KernelTimespec(piece.view);
  time.tv_sec = BigInt(Math.floor(ms / 1000));
  time.tv_nsec = BigInt((ms % 1000) * 1e6);
  return piece;
}

async function poll(args: Arguments, host: CallHost): Promise<Done> {
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

async function epollCreate(args: Arguments, host: CallHost, event: CallEvent): Promise<Done> {
  args.expect(1);
  // What epoll_create(2) is given has to be more than 0, and means nothing; of epoll_create1(2) it is flags.
  const old = event.name === "epoll_create";
  if (old && args.number(0) <= 0) throw new SystemError(-errno.EINVAL, event.name);
  name(host, event, await host.process.epoll_create1(old ? 0 : args.number(0)));
  return { result: "descriptor" };
}

const DATA_FIELDS = ["fd", "ptr", "u32", "u64"] as const;

/** What epoll gives back of an event, as it was given. */
function dataOf(event: Expression): bigint {
  const field = DATA_FIELDS.find((name) => event.kind === "record" && event.fields.has(name));
  return field ? BigInt(numberOf(fieldOf(event, field))) : 0n;
}

async function epollCtl(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(4);
  const piece = await host.room.take(EpollEvent.size);
  const event = args.at(3);
  if (event.kind === "record") {
    piece.view.setUint32(EpollEvent.offsets.events, numberOf(fieldOf(event, "events")), true);
    piece.view.setBigUint64(EpollEvent.offsets.data, dataOf(event), true);
  }
  return { result: await host.process.epoll_ctl(args.fd(), args.number(1), args.fd(2), piece) };
}

async function epollWait(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(4);
  const most = args.number(2);
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

// --- Files -----------------------------------------------------------------------------------------

async function open(args: Arguments, host: CallHost, event: CallEvent): Promise<Done> {
  args.expect(2, 3);
  const path = args.at(0);
  if (path.kind !== "string") throw new Mismatch(`a path is expected, not ${show(path)}`);
  const mode = args.count > 2 ? args.number(2) : 0;
  name(host, event, await host.process.openat(AT_FDCWD, path.value, args.number(1), mode));
  return { result: "descriptor" };
}

/** The offset is 64 bits: `[0]`, or none. */
async function sendfile(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(4);
  const [offset] = itemsOf(args.at(2));
  let piece: Piece | null = null;
  if (offset && !isNull(args.at(2)) && offset.kind !== "ellipsis") {
    // As long as what is asked for, as if that was read into it: the marshaller takes it for a buffer.
    piece = await host.room.take(Math.max(8, args.number(3)));
    piece.view.setBigInt64(0, BigInt(numberOf(offset)), true);
  }
  const { process } = host;
  return { result: await process.sendfile64(args.fd(), args.fd(1), piece, args.number(3)) };
}

async function pipe(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(1);
  const piece = await host.room.take(8);
  const result = await host.process.pipe2(piece, 0);
  for (const [index, script] of itemsOf(args.at(0)).entries())
    host.descriptors.set(numberOf(script), piece.view.getInt32(index * 4, true));
  return { result };
}

async function splice(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(6);
  const { process } = host;
  const result = await process.splice(
    args.fd(),
    null,
    args.fd(2),
    null,
    args.number(4),
    args.number(5),
  );
  return { result };
}

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
