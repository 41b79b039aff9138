// police: no more than a rate passes a filter (tc-police(8)).

import {
  TCA_POLICE_RATE,
  TCA_POLICE_RATE64,
  TCA_POLICE_TBF,
  TC_ACT_OK,
  TC_ACT_SHOT,
} from "../abi/constants/pkt_sched.ts";
import { TcPolice } from "../abi/structs/netlink.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { AttributeSet } from "./netlink/attributes.ts";
import { atLeast, fixed, onlyKnown, u64, whole } from "./netlink/codec.ts";
import type { Codec } from "./netlink/codec.ts";
import { bytesOf, setRate, ticksOf } from "./token-bucket.ts";

const MAX_U32 = 0xffffffff;
/** TC_RTAB_SIZE of linux/pkt_sched.h. The kernel wants such a table, and looks at none. */
const TABLE_BYTES = 1024;
/** Any does that is not 0. */
const CELL_LOG = 8;
/** Packets that are longer are too much by themselves: those that are cut later are not. */
const MTU_BYTES = 0x20000;

/** How much passes. */
export interface Police {
  rateBytesPerSecond: number;
  /** How much may come at once. */
  burstBytes: number;
  /** What becomes of what is too much. Default "drop". */
  exceed?: "drop" | "pass";
}

const parameters: Codec<TcPolice> = {
  write: (to, raw) => to.put(raw.bytes),
  read(payload) {
    atLeast(payload, TcPolice.size);
    return TcPolice.from(payload);
  },
};

const attributes = new AttributeSet({
  parameters: [TCA_POLICE_TBF, parameters],
  table: [TCA_POLICE_RATE, fixed(TABLE_BYTES)],
  rate64: [TCA_POLICE_RATE64, u64],
});

const ACTIONS = { drop: TC_ACT_SHOT, pass: TC_ACT_OK } as const;

export const police: Codec<Police> = {
  nested: true,
  nameOf: (type) => attributes.nameOf(type),
  write(to, value) {
    onlyKnown(to, value, ["rateBytesPerSecond", "burstBytes", "exceed"]);
    const { rateBytesPerSecond: rate, burstBytes, exceed = "drop" } = value;
    if (!Object.hasOwn(ACTIONS, exceed))
      throw new InvalidOptionError(`${to.path}.exceed`, `${exceed}: it is drop or pass`);
    const raw = TcPolice.alloc();
    raw.action = ACTIONS[exceed];
    setRate(raw.rate, rate, `${to.path}.rateBytesPerSecond`);
    raw.rate.cell_log = CELL_LOG;
    raw.mtu = MTU_BYTES;
    raw.burst = ticksOf(whole(burstBytes, 1, MAX_U32, `${to.path}.burstBytes`), rate);
    attributes.write(to, {
      parameters: raw,
      table: new Uint8Array(TABLE_BYTES),
      ...(rate > MAX_U32 && { rate64: rate }),
    });
  },
  read(payload) {
    const { parameters: told, rate64 } = attributes.read(payload);
    const raw = told ?? TcPolice.alloc();
    const rate = rate64 ?? raw.rate.rate;
    return {
      rateBytesPerSecond: rate,
      burstBytes: bytesOf(raw.burst, rate),
      exceed: raw.action === TC_ACT_SHOT ? "drop" : "pass",
    };
  },
};
