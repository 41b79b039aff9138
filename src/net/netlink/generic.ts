// Generic netlink: families by their names.

import type { CallOptions } from "../../abi/calls.ts";
import {
  CTRL_ATTR_FAMILY_ID,
  CTRL_ATTR_FAMILY_NAME,
  CTRL_ATTR_MAXATTR,
  CTRL_ATTR_MCAST_GROUPS,
  CTRL_ATTR_MCAST_GRP_ID,
  CTRL_ATTR_MCAST_GRP_NAME,
  CTRL_ATTR_VERSION,
  CTRL_CMD_GETFAMILY,
  GENL_ID_CTRL,
} from "../../abi/constants/netlink.ts";
import { Genlmsghdr } from "../../abi/structs/netlink.ts";
import { AttributeSet, list } from "./attributes.ts";
import { atLeast, text, u16, u32 } from "./codec.ts";
import type { Codec } from "./codec.ts";
import { NetlinkError } from "./errors.ts";
import { compose } from "./message.ts";
import type { Composed, Message } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

const GENL_NAMSIZ = 16;

const group = new AttributeSet({
  name: [CTRL_ATTR_MCAST_GRP_NAME, text(GENL_NAMSIZ)],
  id: [CTRL_ATTR_MCAST_GRP_ID, u32],
});

const family = new AttributeSet({
  id: [CTRL_ATTR_FAMILY_ID, u16],
  name: [CTRL_ATTR_FAMILY_NAME, text(GENL_NAMSIZ)],
  version: [CTRL_ATTR_VERSION, u32],
  maxAttribute: [CTRL_ATTR_MAXATTR, u32],
  groups: [CTRL_ATTR_MCAST_GROUPS, list(group)],
});

/** This kernel does not have a family of generic netlink. */
export class UnknownFamilyError extends Error {
  override readonly name = "UnknownFamilyError";
  readonly code = "ERR_UNKNOWN_FAMILY";
  readonly family: string;

  constructor(name: string, cause: NetlinkError) {
    super(`this kernel has no generic netlink family "${name}"`, { cause });
    this.family = name;
  }
}

/** A message's attributes, behind the header that all families have. */
export function readGeneric<T>(codec: Codec<T>, { payload }: Message): T {
  atLeast(payload, Genlmsghdr.size);
  return codec.read(payload.subarray(Genlmsghdr.size));
}

/** A family of generic netlink, looked up. */
export class GenericFamily {
  readonly id: number;
  readonly version: number;
  /** Multicast groups: numbers by names. */
  readonly groups: ReadonlyMap<string, number>;

  /** @throws {UnknownFamilyError} */
  static async find(
    socket: NetlinkSocket,
    name: string,
    options?: CallOptions,
  ): Promise<GenericFamily> {
    const header = Genlmsghdr.alloc();
    header.cmd = CTRL_CMD_GETFAMILY;
    header.version = 1;
    const composed = compose({ type: GENL_ID_CTRL, header: header.bytes }, [family, { name }]);
    try {
      const [answer] = await socket.request(composed, `look up "${name}"`, options);
      const found = answer ? readGeneric(family, answer) : {};
      return new GenericFamily(found);
    } catch (error) {
      if (error instanceof NetlinkError && error.code === "ENOENT")
        throw new UnknownFamilyError(name, error);
      throw error;
    }
  }

  private constructor({ id = 0, version = 0, groups = [] }: ReturnType<typeof family.read>) {
    this.id = id;
    this.version = version;
    this.groups = new Map(groups.map(({ name = "", id: number = 0 }) => [name, number]));
  }

  /** A message of this family. */
  compose<T>(command: number, attributes?: readonly [Codec<T>, T], flags = 0): Composed {
    const header = Genlmsghdr.alloc();
    header.cmd = command;
    header.version = this.version;
    return compose({ type: this.id, flags, header: header.bytes }, attributes);
  }
}
