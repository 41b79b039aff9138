// What the parts of the network's configuration share: the process that asks, its sockets, and
// devices by their names.

import type { CallOptions } from "../abi/calls.ts";
import { IFLA_IFNAME } from "../abi/constants/if_link.ts";
import { NETLINK_GENERIC, NETLINK_ROUTE } from "../abi/constants/netlink.ts";
import { RTM_GETLINK } from "../abi/constants/rtnetlink.ts";
import { Ifinfomsg } from "../abi/structs/netlink.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { DisposedError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { IFNAMSIZ } from "./link-kinds.ts";
import { AttributeSet } from "./netlink/attributes.ts";
import { atLeast, text } from "./netlink/codec.ts";
import { NetlinkError } from "./netlink/errors.ts";
import { GenericFamily } from "./netlink/generic.ts";
import { compose } from "./netlink/message.ts";
import { NetlinkSocket } from "./netlink/socket.ts";

/** A network interface: its name, or its number (ifindex). */
export type Device = string | number;

/** There is no such interface in this network namespace. */
export class UnknownDeviceError extends Error {
  override readonly name = "UnknownDeviceError";
  readonly code = "ENODEV";
  readonly device: Device;
  /** The option that named it. */
  readonly option: string;

  constructor(device: Device, option: string) {
    super(`${option}: there is no network interface ${JSON.stringify(device)}`);
    this.device = device;
    this.option = option;
  }
}

const names = new AttributeSet({ name: [IFLA_IFNAME, text(IFNAMSIZ)] });

function headerOf(index: number): Uint8Array {
  const header = Ifinfomsg.alloc();
  header.ifi_index = index;
  return header.bytes;
}

/** @throws {InvalidOptionError} if it can be no interface's name or number */
export function checkDevice(device: Device, option: string): void {
  const number = typeof device === "number";
  if (number ? Number.isInteger(device) && device > 0 : typeof device === "string" && device !== "")
    return;
  throw new InvalidOptionError(option, `${String(device)}: it is an interface's name or number`);
}

export class Session {
  readonly process: Process;
  readonly #sockets = new Map<number, NetlinkSocket>();
  #disposed = false;
  readonly #families = new Map<string, GenericFamily>();

  constructor(process: Process) {
    this.process = process;
  }

  /** The socket for requests of a protocol, NETLINK_ROUTE and so on. @throws {DisposedError} */
  socket(protocol: number): NetlinkSocket {
    if (this.#disposed) throw new DisposedError("this network was disposed");
    let socket = this.#sockets.get(protocol);
    if (!socket) this.#sockets.set(protocol, (socket = new NetlinkSocket(this.process, protocol)));
    return socket;
  }

  get route(): NetlinkSocket {
    return this.socket(NETLINK_ROUTE);
  }

  get generic(): NetlinkSocket {
    return this.socket(NETLINK_GENERIC);
  }

  /** A family of generic netlink, looked up once. @throws {UnknownFamilyError} */
  async family(name: string, options?: CallOptions): Promise<GenericFamily> {
    const known = this.#families.get(name);
    if (known) return known;
    const found = await GenericFamily.find(this.generic, name, options);
    this.#families.set(name, found);
    return found;
  }

  /** An interface's number. @throws {UnknownDeviceError} */
  async indexOf(device: Device, option: string, options?: CallOptions): Promise<number> {
    checkDevice(device, option);
    if (typeof device === "number") return device;
    const wanted = compose({ type: RTM_GETLINK, header: headerOf(0) }, [names, { name: device }]);
    try {
      const [answer] = await this.route.request(wanted, `look up '${device}'`, options);
      if (answer) {
        atLeast(answer.payload, Ifinfomsg.size);
        return Ifinfomsg.from(answer.payload).ifi_index;
      }
    } catch (error) {
      if (!(error instanceof NetlinkError && error.code === "ENODEV")) throw error;
    }
    throw new UnknownDeviceError(device, option);
  }

  /** An interface's name; its number if it is gone. */
  async nameOf(index: number, options?: CallOptions): Promise<Device> {
    const wanted = compose({ type: RTM_GETLINK, header: headerOf(index) });
    try {
      const [answer] = await this.route.request(wanted, `look up ${index}`, options);
      return (answer && readName(answer.payload).name) ?? index;
    } catch (error) {
      if (error instanceof NetlinkError && error.code === "ENODEV") return index;
      throw error;
    }
  }

  /** What gives the names of interfaces by their numbers, asking once for each. */
  naming(options?: CallOptions): (index: number) => Promise<Device> {
    const known = new Map<number, Promise<Device>>();
    return (index) => {
      let name = known.get(index);
      if (!name) known.set(index, (name = this.nameOf(index, options)));
      return name;
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    for (const socket of this.#sockets.values()) await socket[Symbol.asyncDispose]();
    this.#sockets.clear();
  }
}

function readName(payload: Uint8Array): { name?: string } {
  atLeast(payload, Ifinfomsg.size);
  return names.read(payload.subarray(Ifinfomsg.size));
}
