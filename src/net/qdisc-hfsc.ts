// hfsc: classes with guarantees of rate and of delay, by curves (tc-hfsc(7)).

import { TCA_HFSC_FSC, TCA_HFSC_RSC, TCA_HFSC_USC } from "../abi/constants/pkt_sched.ts";
import { AttributeSet } from "./netlink/attributes.ts";
import { record, whole } from "./netlink/codec.ts";

const MAX_U32 = 0xffffffff;
const US_PER_MS = 1000;

/** struct tc_hfsc_qopt of linux/pkt_sched.h: a __u16. */
const QOPT_BYTES = 2;
/** struct tc_service_curve of linux/pkt_sched.h: three __u32. */
const CURVE_BYTES = 12;

export interface HfscOptions {
  /** The minor number of the class of packets that no filter takes. Default 0: they are dropped. */
  defaultClass: number;
}

export const hfsc = record<HfscOptions>(
  QOPT_BYTES,
  (view) => ({ defaultClass: view.getUint16(0, true) }),
  (view, { defaultClass }, option) => {
    view.setUint16(0, whole(defaultClass, 0, 0xffff, option("defaultClass")), true);
  },
);

/** How much may go: at one rate for a time, at another from then on. */
export interface ServiceCurve {
  firstBytesPerSecond: number;
  firstMs: number;
  bytesPerSecond: number;
}

const curve = record<ServiceCurve>(
  CURVE_BYTES,
  (view) => ({
    firstBytesPerSecond: view.getUint32(0, true),
    firstMs: view.getUint32(4, true) / US_PER_MS,
    bytesPerSecond: view.getUint32(8, true),
  }),
  (view, value, option) => {
    const { firstBytesPerSecond: first, firstMs, bytesPerSecond: then } = value;
    view.setUint32(0, whole(first, 0, MAX_U32, option("firstBytesPerSecond")), true);
    const us = Math.round(firstMs * US_PER_MS);
    view.setUint32(4, whole(us, 0, MAX_U32, option("firstMs")), true);
    view.setUint32(8, whole(then, 0, MAX_U32, option("bytesPerSecond")), true);
  },
);

export const hfscClass = new AttributeSet({
  /** What it gets whatever others do; only of leaves. */
  realTime: [TCA_HFSC_RSC, curve],
  /** How it shares with its neighbours what is left. */
  linkShare: [TCA_HFSC_FSC, curve],
  /** No more than that. */
  upperLimit: [TCA_HFSC_USC, curve],
});
