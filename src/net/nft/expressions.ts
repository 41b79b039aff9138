// Expressions of nf_tables: what rules are made of, as the kernel has them.

import {
  NFTA_BITWISE_DREG,
  NFTA_BITWISE_LEN,
  NFTA_BITWISE_MASK,
  NFTA_BITWISE_SREG,
  NFTA_BITWISE_XOR,
  NFTA_CMP_DATA,
  NFTA_CMP_OP,
  NFTA_CMP_SREG,
  NFTA_CONNLIMIT_COUNT,
  NFTA_CONNLIMIT_FLAGS,
  NFTA_COUNTER_BYTES,
  NFTA_COUNTER_PACKETS,
  NFTA_CT_DIRECTION,
  NFTA_CT_DREG,
  NFTA_CT_KEY,
  NFTA_CT_SREG,
  NFTA_DATA_VALUE,
  NFTA_DATA_VERDICT,
  NFTA_DYNSET_EXPR,
  NFTA_DYNSET_OP,
  NFTA_DYNSET_SET_NAME,
  NFTA_DYNSET_SREG_KEY,
  NFTA_DYNSET_TIMEOUT,
  NFTA_EXPR_DATA,
  NFTA_EXPR_NAME,
  NFTA_FIB_DREG,
  NFTA_FIB_FLAGS,
  NFTA_FIB_RESULT,
  NFTA_FLOW_TABLE_NAME,
  NFTA_IMMEDIATE_DATA,
  NFTA_IMMEDIATE_DREG,
  NFTA_LIMIT_BURST,
  NFTA_LIMIT_FLAGS,
  NFTA_LIMIT_RATE,
  NFTA_LIMIT_TYPE,
  NFTA_LIMIT_UNIT,
  NFTA_LIST_ELEM,
  NFTA_LOG_GROUP,
  NFTA_LOG_LEVEL,
  NFTA_LOG_PREFIX,
  NFTA_LOG_SNAPLEN,
  NFTA_LOOKUP_DREG,
  NFTA_LOOKUP_FLAGS,
  NFTA_LOOKUP_SET,
  NFTA_LOOKUP_SET_ID,
  NFTA_LOOKUP_SREG,
  NFTA_MASQ_FLAGS,
  NFTA_MASQ_REG_PROTO_MAX,
  NFTA_MASQ_REG_PROTO_MIN,
  NFTA_META_DREG,
  NFTA_META_KEY,
  NFTA_META_SREG,
  NFTA_NAT_FAMILY,
  NFTA_NAT_FLAGS,
  NFTA_NAT_REG_ADDR_MAX,
  NFTA_NAT_REG_ADDR_MIN,
  NFTA_NAT_REG_PROTO_MAX,
  NFTA_NAT_REG_PROTO_MIN,
  NFTA_NAT_TYPE,
  NFTA_NG_DREG,
  NFTA_NG_MODULUS,
  NFTA_NG_OFFSET,
  NFTA_NG_TYPE,
  NFTA_OBJREF_IMM_NAME,
  NFTA_OBJREF_IMM_TYPE,
  NFTA_PAYLOAD_BASE,
  NFTA_PAYLOAD_CSUM_FLAGS,
  NFTA_PAYLOAD_CSUM_OFFSET,
  NFTA_PAYLOAD_CSUM_TYPE,
  NFTA_PAYLOAD_DREG,
  NFTA_PAYLOAD_LEN,
  NFTA_PAYLOAD_OFFSET,
  NFTA_PAYLOAD_SREG,
  NFTA_QUEUE_FLAGS,
  NFTA_QUEUE_NUM,
  NFTA_QUEUE_TOTAL,
  NFTA_QUOTA_BYTES,
  NFTA_QUOTA_CONSUMED,
  NFTA_QUOTA_FLAGS,
  NFTA_RANGE_FROM_DATA,
  NFTA_RANGE_OP,
  NFTA_RANGE_SREG,
  NFTA_RANGE_TO_DATA,
  NFTA_REDIR_FLAGS,
  NFTA_REDIR_REG_PROTO_MAX,
  NFTA_REDIR_REG_PROTO_MIN,
  NFTA_REJECT_ICMP_CODE,
  NFTA_REJECT_TYPE,
  NFTA_VERDICT_CHAIN,
  NFTA_VERDICT_CODE,
  NFT_BREAK,
  NFT_CHAIN_MAXNAMELEN,
  NFT_CMP_EQ,
  NFT_CMP_GT,
  NFT_CMP_GTE,
  NFT_CMP_LT,
  NFT_CMP_LTE,
  NFT_CMP_NEQ,
  NFT_CONTINUE,
  NFT_CT_BYTES,
  NFT_CT_DIRECTION,
  NFT_CT_MARK,
  NFT_CT_PKTS,
  NFT_CT_STATE,
  NFT_CT_STATUS,
  NFT_CT_ZONE,
  NFT_DYNSET_OP_ADD,
  NFT_DYNSET_OP_DELETE,
  NFT_DYNSET_OP_UPDATE,
  NFT_GOTO,
  NFT_JUMP,
  NFT_LIMIT_PKTS,
  NFT_LIMIT_PKT_BYTES,
  NFT_META_IIFNAME,
  NFT_META_L4PROTO,
  NFT_META_LEN,
  NFT_META_MARK,
  NFT_META_NFPROTO,
  NFT_META_OIFNAME,
  NFT_META_PKTTYPE,
  NFT_META_PRIORITY,
  NFT_META_PROTOCOL,
  NFT_META_SKGID,
  NFT_META_SKUID,
  NFT_NAT_DNAT,
  NFT_NAT_SNAT,
  NFT_PAYLOAD_LL_HEADER,
  NFT_PAYLOAD_NETWORK_HEADER,
  NFT_PAYLOAD_TRANSPORT_HEADER,
  NFT_RANGE_EQ,
  NFT_RANGE_NEQ,
  NFT_REJECT_ICMPX_UNREACH,
  NFT_REJECT_ICMP_UNREACH,
  NFT_REJECT_TCP_RST,
  NFT_RETURN,
  NFT_NAME_MAXLEN,
  NFT_SET_MAXNAMELEN,
  NF_ACCEPT,
  NF_DROP,
} from "../../abi/constants/netfilter.ts";
import { AttributeSet, list } from "../netlink/attributes.ts";
import { be16, be32, be64, mapped, named, raw, text, u8 } from "../netlink/codec.ts";
import type { Value } from "../netlink/codec.ts";

/** Verdicts of the kernel are negative. */
const signed = mapped(
  be32,
  (value) => value | 0,
  (value: number) => value >>> 0,
);

const verdict = new AttributeSet({
  code: [
    NFTA_VERDICT_CODE,
    named(signed, {
      drop: NF_DROP,
      accept: NF_ACCEPT,
      continue: NFT_CONTINUE,
      break: NFT_BREAK,
      jump: NFT_JUMP,
      goto: NFT_GOTO,
      return: NFT_RETURN,
    }),
  ],
  chain: [NFTA_VERDICT_CHAIN, text(NFT_CHAIN_MAXNAMELEN)],
});

/** Bytes, or a verdict. */
export const data = new AttributeSet({
  value: [NFTA_DATA_VALUE, raw],
  verdict: [NFTA_DATA_VERDICT, verdict],
});

const register = be32;

const bitwise = new AttributeSet({
  source: [NFTA_BITWISE_SREG, register],
  target: [NFTA_BITWISE_DREG, register],
  length: [NFTA_BITWISE_LEN, be32],
  mask: [NFTA_BITWISE_MASK, data],
  xor: [NFTA_BITWISE_XOR, data],
});

const cmp = new AttributeSet({
  source: [NFTA_CMP_SREG, register],
  operator: [
    NFTA_CMP_OP,
    named(be32, {
      "==": NFT_CMP_EQ,
      "!=": NFT_CMP_NEQ,
      "<": NFT_CMP_LT,
      "<=": NFT_CMP_LTE,
      ">": NFT_CMP_GT,
      ">=": NFT_CMP_GTE,
    }),
  ],
  data: [NFTA_CMP_DATA, data],
});

const range = new AttributeSet({
  source: [NFTA_RANGE_SREG, register],
  operator: [NFTA_RANGE_OP, named(be32, { "==": NFT_RANGE_EQ, "!=": NFT_RANGE_NEQ })],
  from: [NFTA_RANGE_FROM_DATA, data],
  to: [NFTA_RANGE_TO_DATA, data],
});

const connlimit = new AttributeSet({
  count: [NFTA_CONNLIMIT_COUNT, be32],
  flags: [NFTA_CONNLIMIT_FLAGS, be32],
});

const counter = new AttributeSet({
  bytes: [NFTA_COUNTER_BYTES, be64],
  packets: [NFTA_COUNTER_PACKETS, be64],
});

const ct = new AttributeSet({
  target: [NFTA_CT_DREG, register],
  key: [
    NFTA_CT_KEY,
    named(be32, {
      state: NFT_CT_STATE,
      direction: NFT_CT_DIRECTION,
      status: NFT_CT_STATUS,
      mark: NFT_CT_MARK,
      packets: NFT_CT_PKTS,
      bytes: NFT_CT_BYTES,
      zone: NFT_CT_ZONE,
    }),
  ],
  direction: [NFTA_CT_DIRECTION, u8],
  source: [NFTA_CT_SREG, register],
});

const fib = new AttributeSet({
  target: [NFTA_FIB_DREG, register],
  result: [NFTA_FIB_RESULT, be32],
  flags: [NFTA_FIB_FLAGS, be32],
});

const immediate = new AttributeSet({
  target: [NFTA_IMMEDIATE_DREG, register],
  data: [NFTA_IMMEDIATE_DATA, data],
});

const limit = new AttributeSet({
  rate: [NFTA_LIMIT_RATE, be64],
  perSeconds: [NFTA_LIMIT_UNIT, be64],
  burst: [NFTA_LIMIT_BURST, be32],
  of: [NFTA_LIMIT_TYPE, named(be32, { packets: NFT_LIMIT_PKTS, bytes: NFT_LIMIT_PKT_BYTES })],
  flags: [NFTA_LIMIT_FLAGS, be32],
});

/** include/net/netfilter/nf_log.h: NF_LOG_PREFIXLEN. */
const LOG_PREFIX_BYTES = 128;

const log = new AttributeSet({
  group: [NFTA_LOG_GROUP, be16],
  prefix: [NFTA_LOG_PREFIX, text(LOG_PREFIX_BYTES)],
  snapLengthBytes: [NFTA_LOG_SNAPLEN, be32],
  level: [NFTA_LOG_LEVEL, be32],
});

const lookup = new AttributeSet({
  set: [NFTA_LOOKUP_SET, text(NFT_SET_MAXNAMELEN)],
  /** Of a set that is made together with the rule. */
  setId: [NFTA_LOOKUP_SET_ID, be32],
  source: [NFTA_LOOKUP_SREG, register],
  target: [NFTA_LOOKUP_DREG, register],
  flags: [NFTA_LOOKUP_FLAGS, be32],
});

const flow = new AttributeSet({ table: [NFTA_FLOW_TABLE_NAME, text(NFT_NAME_MAXLEN)] });

const masquerade = new AttributeSet({
  flags: [NFTA_MASQ_FLAGS, be32],
  portMin: [NFTA_MASQ_REG_PROTO_MIN, register],
  portMax: [NFTA_MASQ_REG_PROTO_MAX, register],
});

const meta = new AttributeSet({
  target: [NFTA_META_DREG, register],
  key: [
    NFTA_META_KEY,
    named(be32, {
      length: NFT_META_LEN,
      protocol: NFT_META_PROTOCOL,
      priority: NFT_META_PRIORITY,
      mark: NFT_META_MARK,
      iifname: NFT_META_IIFNAME,
      oifname: NFT_META_OIFNAME,
      skuid: NFT_META_SKUID,
      skgid: NFT_META_SKGID,
      nfproto: NFT_META_NFPROTO,
      l4proto: NFT_META_L4PROTO,
      pkttype: NFT_META_PKTTYPE,
    }),
  ],
  source: [NFTA_META_SREG, register],
});

const nat = new AttributeSet({
  type: [NFTA_NAT_TYPE, named(be32, { snat: NFT_NAT_SNAT, dnat: NFT_NAT_DNAT })],
  family: [NFTA_NAT_FAMILY, be32],
  addressMin: [NFTA_NAT_REG_ADDR_MIN, register],
  addressMax: [NFTA_NAT_REG_ADDR_MAX, register],
  portMin: [NFTA_NAT_REG_PROTO_MIN, register],
  portMax: [NFTA_NAT_REG_PROTO_MAX, register],
  flags: [NFTA_NAT_FLAGS, be32],
});

const numgen = new AttributeSet({
  target: [NFTA_NG_DREG, register],
  modulus: [NFTA_NG_MODULUS, be32],
  type: [NFTA_NG_TYPE, named(be32, { incremental: 0, random: 1 })],
  offset: [NFTA_NG_OFFSET, be32],
});

const objref = new AttributeSet({
  type: [NFTA_OBJREF_IMM_TYPE, be32],
  name: [NFTA_OBJREF_IMM_NAME, text()],
});

const payload = new AttributeSet({
  target: [NFTA_PAYLOAD_DREG, register],
  source: [NFTA_PAYLOAD_SREG, register],
  base: [
    NFTA_PAYLOAD_BASE,
    named(be32, {
      link: NFT_PAYLOAD_LL_HEADER,
      network: NFT_PAYLOAD_NETWORK_HEADER,
      transport: NFT_PAYLOAD_TRANSPORT_HEADER,
    }),
  ],
  offset: [NFTA_PAYLOAD_OFFSET, be32],
  length: [NFTA_PAYLOAD_LEN, be32],
  checksumType: [NFTA_PAYLOAD_CSUM_TYPE, be32],
  checksumOffset: [NFTA_PAYLOAD_CSUM_OFFSET, be32],
  checksumFlags: [NFTA_PAYLOAD_CSUM_FLAGS, be32],
});

const queue = new AttributeSet({
  number: [NFTA_QUEUE_NUM, be16],
  total: [NFTA_QUEUE_TOTAL, be16],
  flags: [NFTA_QUEUE_FLAGS, be16],
});

const quota = new AttributeSet({
  bytes: [NFTA_QUOTA_BYTES, be64],
  flags: [NFTA_QUOTA_FLAGS, be32],
  consumed: [NFTA_QUOTA_CONSUMED, be64],
});

const redirect = new AttributeSet({
  portMin: [NFTA_REDIR_REG_PROTO_MIN, register],
  portMax: [NFTA_REDIR_REG_PROTO_MAX, register],
  flags: [NFTA_REDIR_FLAGS, be32],
});

const reject = new AttributeSet({
  type: [
    NFTA_REJECT_TYPE,
    named(be32, {
      icmp: NFT_REJECT_ICMP_UNREACH,
      "tcp-reset": NFT_REJECT_TCP_RST,
      icmpx: NFT_REJECT_ICMPX_UNREACH,
    }),
  ],
  code: [NFTA_REJECT_ICMP_CODE, u8],
});

const notrack = new AttributeSet({});

/** What may stand in a set's element, or in what adds one. */
const inSets = {
  connlimit: ["connlimit", connlimit],
  counter: ["counter", counter],
  limit: ["limit", limit],
  quota: ["quota", quota],
} as const;

/** An expression of a set. */
export const setExpression = new AttributeSet(
  { name: [NFTA_EXPR_NAME, text()] },
  { selector: "name", type: NFTA_EXPR_DATA, cases: inSets },
);

const dynset = new AttributeSet({
  set: [NFTA_DYNSET_SET_NAME, text(NFT_SET_MAXNAMELEN)],
  operation: [
    NFTA_DYNSET_OP,
    named(be32, {
      add: NFT_DYNSET_OP_ADD,
      update: NFT_DYNSET_OP_UPDATE,
      delete: NFT_DYNSET_OP_DELETE,
    }),
  ],
  key: [NFTA_DYNSET_SREG_KEY, register],
  timeoutMs: [NFTA_DYNSET_TIMEOUT, be64],
  expression: [NFTA_DYNSET_EXPR, setExpression],
});

/** By the names that they have in objects, and the kernel's. */
export const expressionKinds = {
  ...inSets,
  bitwise: ["bitwise", bitwise],
  cmp: ["cmp", cmp],
  ct: ["ct", ct],
  dynset: ["dynset", dynset],
  fib: ["fib", fib],
  flowOffload: ["flow_offload", flow],
  immediate: ["immediate", immediate],
  log: ["log", log],
  lookup: ["lookup", lookup],
  masquerade: ["masq", masquerade],
  meta: ["meta", meta],
  nat: ["nat", nat],
  notrack: ["notrack", notrack],
  numgen: ["numgen", numgen],
  objref: ["objref", objref],
  payload: ["payload", payload],
  queue: ["queue", queue],
  range: ["range", range],
  redirect: ["redir", redirect],
  reject: ["reject", reject],
} as const;

/** One expression: its name, and an object of that name. */
export const expression = new AttributeSet(
  { name: [NFTA_EXPR_NAME, text()] },
  { selector: "name", type: NFTA_EXPR_DATA, cases: expressionKinds },
);

export type NftExpression = Value<typeof expression>;

export const expressions = list(expression, { type: NFTA_LIST_ELEM });

/** An expression by the name that it has in objects. */
export function expr<K extends keyof typeof expressionKinds>(
  kind: K,
  value: Value<(typeof expressionKinds)[K][1]>,
): NftExpression {
  const made: NftExpression = { name: expressionKinds[kind][0] };
  return Object.assign(made, { [kind]: value });
}
