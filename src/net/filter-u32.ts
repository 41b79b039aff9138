// u32: a filter that looks at words of a packet, wherever they are (tc-u32(8)).

import { TC_U32_TERMINAL } from "../abi/constants/pkt_sched.ts";
import { TcU32Key, TcU32Sel } from "../abi/structs/netlink.ts";
import { atLeast, whole } from "./netlink/codec.ts";
import type { Codec } from "./netlink/codec.ts";

/** As many as the kernel's structure counts. */
const MAX_KEYS = 0xff;
const MAX_U32 = 0xffffffff;

/** Four bytes of a packet, as a number in network order, that have to be a value where the mask is 1. */
export interface U32Key {
  readonly value: number;
  readonly mask: number;
  /** Where they are, from the beginning of the network header on; a multiple of 4. */
  readonly offsetBytes: number;
}

export const u32Keys: Codec<readonly U32Key[]> = {
  write(to, keys) {
    if (!Array.isArray(keys) || !keys.length || keys.length > MAX_KEYS)
      throw to.wrong(`it is a list of 1 to ${MAX_KEYS} keys`);
    const selector = TcU32Sel.alloc();
    selector.flags = TC_U32_TERMINAL;
    selector.nkeys = keys.length;
    to.put(selector.bytes);
    for (const [index, { value, mask, offsetBytes }] of keys.entries()) {
      const option = (name: string) => `${to.path}.${index}.${name}`;
      const raw = TcU32Key.alloc();
      const view = new DataView(raw.bytes.buffer, raw.bytes.byteOffset);
      const { mask: atMask, val: atValue } = TcU32Key.offsets;
      view.setUint32(atMask, whole(mask, 0, MAX_U32, option("mask")));
      view.setUint32(atValue, (whole(value, 0, MAX_U32, option("value")) & mask) >>> 0);
      raw.off = whole(offsetBytes, -0x8000, 0x7fff, option("offsetBytes"));
      to.put(raw.bytes);
    }
  },
  read(payload) {
    atLeast(payload, TcU32Sel.size);
    const { nkeys } = TcU32Sel.from(payload);
    const view = atLeast(payload, TcU32Sel.size + nkeys * TcU32Key.size);
    return Array.from({ length: nkeys }, (_, index) => {
      const at = TcU32Sel.size + index * TcU32Key.size;
      return {
        value: view.getUint32(at + TcU32Key.offsets.val),
        mask: view.getUint32(at + TcU32Key.offsets.mask),
        offsetBytes: new TcU32Key(view, at).off,
      };
    });
  },
};
