// sendmsg(2) and recvmsg(2), with their control messages.

import { MSG_FASTOPEN } from "../../../src/abi/constants/socket.ts";
import { Cmsghdr, SockExtendedErr, UserMsghdr } from "../../../src/abi/structs/socket.ts";
import { KernelTimespec } from "../../../src/abi/structs/time.ts";
import { Mismatch } from "../errors.ts";
import type { Expression } from "../script.ts";
import { fieldOf, itemsOf, numberOf, optionBytes, socketAddress } from "../values.ts";
import { expectEqual } from "./call.ts";
import type { Arguments, CallHost, Done } from "./call.ts";
import { lengthsOf, vectors, rooms } from "./data.ts";

const CONTROL_BYTES = 4096;
const ADDRESS_BYTES = 128;
const align = (bytes: number) => Math.ceil(bytes / 4) * 4;

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

export async function sendmsg(args: Arguments, host: CallHost): Promise<Done> {
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

export async function recvmsg(args: Arguments, host: CallHost): Promise<Done> {
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
