// Flow tables of nf_tables: packets of connections that are in one pass without being routed again.

import {
  NFTA_DEVICE_NAME,
  NFTA_FLOWTABLE_FLAGS,
  NFTA_FLOWTABLE_HANDLE,
  NFTA_FLOWTABLE_HOOK,
  NFTA_FLOWTABLE_HOOK_DEVS,
  NFTA_FLOWTABLE_HOOK_NUM,
  NFTA_FLOWTABLE_HOOK_PRIORITY,
  NFTA_FLOWTABLE_NAME,
  NFTA_FLOWTABLE_TABLE,
  NFTA_FLOWTABLE_USE,
  NFT_FLOWTABLE_COUNTER,
  NFT_FLOWTABLE_HW_OFFLOAD,
  NFT_NAME_MAXLEN,
  NF_NETDEV_INGRESS,
} from "../../abi/constants/netfilter.ts";
import { IFNAMSIZ } from "../link-kinds.ts";
import { AttributeSet, list } from "../netlink/attributes.ts";
import { be32, be64, bits, mapped, text } from "../netlink/codec.ts";
import type { Codec, Value } from "../netlink/codec.ts";
import type { NftFamily } from "./objects.ts";

const name = text(NFT_NAME_MAXLEN);

const signed: Codec<number> = mapped(
  be32,
  (value) => value | 0,
  (value: number) => value >>> 0,
);

const hook = new AttributeSet({
  number: [NFTA_FLOWTABLE_HOOK_NUM, be32],
  priority: [NFTA_FLOWTABLE_HOOK_PRIORITY, signed],
  devices: [NFTA_FLOWTABLE_HOOK_DEVS, list(text(IFNAMSIZ), { type: NFTA_DEVICE_NAME })],
});

export const flowTableAttributes = new AttributeSet({
  table: [NFTA_FLOWTABLE_TABLE, name],
  name: [NFTA_FLOWTABLE_NAME, name],
  hook: [NFTA_FLOWTABLE_HOOK, hook],
  use: [NFTA_FLOWTABLE_USE, be32],
  handle: [NFTA_FLOWTABLE_HANDLE, be64],
  flags: [
    NFTA_FLOWTABLE_FLAGS,
    bits(be32, { offload: NFT_FLOWTABLE_HW_OFFLOAD, counter: NFT_FLOWTABLE_COUNTER }),
  ],
});

/** A flow table. Rules put connections there by the action `{ flow: NAME }`. */
export interface NftFlowTableSpec {
  readonly family: NftFamily;
  readonly table: string;
  readonly name: string;
  /** Where packets come in that pass quickly. */
  readonly devices: readonly string[];
  /** Default 0. */
  readonly priority?: number;
  /** Count packets in connection tracking, too. */
  readonly counter?: boolean;
}

export interface NftFlowTable extends NftFlowTableSpec {
  readonly handle: number;
  readonly priority: number;
  /** How many rules lead there. */
  readonly use: number;
}

export function flowTableValues(spec: NftFlowTableSpec): Value<typeof flowTableAttributes> {
  const { table, name: own, devices, priority = 0, counter = false } = spec;
  return {
    table,
    name: own,
    hook: { number: NF_NETDEV_INGRESS, priority, devices },
    ...(counter && { flags: ["counter"] }),
  };
}

export function flowTableOf(
  family: NftFamily,
  told: Value<typeof flowTableAttributes>,
): NftFlowTable {
  const { table = "", name: own = "", handle = 0, use = 0, hook: at, flags = [] } = told;
  return {
    family,
    table,
    name: own,
    handle,
    use,
    devices: at?.devices ?? [],
    priority: at?.priority ?? 0,
    ...(flags.includes("counter") && { counter: true }),
  };
}
