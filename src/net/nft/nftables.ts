// nf_tables: the packet filter (nft(8)). Changes are made in batches, of which all or nothing is
// done.

import type { CallOptions } from "../../abi/calls.ts";
import {
  NFNL_MSG_BATCH_BEGIN,
  NFNL_MSG_BATCH_END,
  NFNL_SUBSYS_NFTABLES,
  NFPROTO_UNSPEC,
  NFT_MSG_DELCHAIN,
  NFT_MSG_DELFLOWTABLE,
  NFT_MSG_DELOBJ,
  NFT_MSG_DELRULE,
  NFT_MSG_DELSET,
  NFT_MSG_DELSETELEM,
  NFT_MSG_DELTABLE,
  NFT_MSG_GETCHAIN,
  NFT_MSG_GETFLOWTABLE,
  NFT_MSG_GETOBJ,
  NFT_MSG_GETRULE,
  NFT_MSG_GETSET,
  NFT_MSG_GETSETELEM,
  NFT_MSG_GETTABLE,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWFLOWTABLE,
  NFT_MSG_NEWOBJ,
  NFT_MSG_NEWRULE,
  NFT_MSG_NEWSET,
  NFT_MSG_NEWSETELEM,
  NFT_MSG_NEWTABLE,
  NFT_OBJECT_COUNTER,
} from "../../abi/constants/netfilter.ts";
import {
  NETLINK_NETFILTER,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_EXCL,
} from "../../abi/constants/netlink.ts";
import { Nfgenmsg } from "../../abi/structs/netlink.ts";
import type { Codec } from "../netlink/codec.ts";
import { compose } from "../netlink/message.ts";
import type { Composed } from "../netlink/message.ts";
import type { Session } from "../session.ts";
import { compileStatements } from "./action.ts";
import { flowTableAttributes, flowTableValues } from "./flow-table.ts";
import type { NftFlowTable, NftFlowTableSpec } from "./flow-table.ts";
import { ANONYMOUS, MatchCompiler } from "./match.ts";
import type { AnonymousSet } from "./match.ts";
import {
  chainAttributes,
  chainValues,
  elementsAttributes,
  familyNumber,
  objectAttributes,
  readChain,
  readCounter,
  readElements,
  readNftRule,
  readRawSet,
  readTable,
  ruleAttributes,
  setAttributes,
  tableAttributes,
  readFlowTable,
} from "./objects.ts";
import type {
  NftChain,
  NftChainSpec,
  NftCounter,
  NftFamily,
  NftRule,
  NftRuleSpec,
  NftSet,
  NftSetSpec,
  NftTable,
} from "./objects.ts";
import { elementsOf, rawElements, setValues, shapeOf } from "./set.ts";
import type { NftElement, SetShape } from "./set.ts";

/** As many elements as fit into one attribute, whatever they are. */
const ELEMENTS_PER_MESSAGE = 256;

/** What names a table. */
export interface NftTableName {
  readonly family: NftFamily;
  readonly table: string;
}

function headerOf(family: number, resource = 0): Uint8Array {
  const header = Nfgenmsg.alloc();
  header.nfgen_family = family;
  header.res_id = resource;
  return header.bytes;
}

const typeNumber = (message: number): number => (NFNL_SUBSYS_NFTABLES << 8) | message;

/**
 * Changes that are made together. Each method adds one; nothing is done before {@link commit}. What
 * is wrong with one of them by itself is thrown at once, as InvalidOptionError.
 */
export class NftBatch {
  readonly #session: Session;
  readonly #messages: Composed[] = [];
  readonly #names: string[] = [];
  #setId = 0;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** How many changes there are. */
  get length(): number {
    return this.#messages.length;
  }

  #push<T>(
    type: number,
    flags: number,
    family: NftFamily,
    attributes: readonly [Codec<T>, T],
    what: string,
  ): this {
    const head = { type: typeNumber(type), flags, header: headerOf(familyNumber(family)) };
    this.#messages.push(compose(head, attributes));
    this.#names.push(what);
    return this;
  }

  /** A table; one that is there stays as it is. */
  addTable(family: NftFamily, name: string, { dormant = false } = {}): this {
    return this.#push(
      NFT_MSG_NEWTABLE,
      NLM_F_CREATE,
      family,
      [tableAttributes, { name, flags: dormant ? ["dormant"] : [] }],
      `add the table ${family} ${name}`,
    );
  }

  /** A table with all that is in it. */
  deleteTable(family: NftFamily, name: string): this {
    const what = `delete the table ${family} ${name}`;
    return this.#push(NFT_MSG_DELTABLE, 0, family, [tableAttributes, { name }], what);
  }

  /** A chain; one that is there only gets another policy. */
  addChain(spec: NftChainSpec): this {
    return this.#push(
      NFT_MSG_NEWCHAIN,
      NLM_F_CREATE,
      spec.family,
      [chainAttributes, chainValues(spec)],
      `add the chain ${spec.name} of ${spec.table}`,
    );
  }

  /** A chain that no rule leads to, with its rules. */
  deleteChain({ family, table }: NftTableName, name: string): this {
    const what = `delete the chain ${name} of ${table}`;
    return this.#push(NFT_MSG_DELCHAIN, 0, family, [chainAttributes, { table, name }], what);
  }

  /** A rule: the last of its chain, if it does not say where. */
  addRule(spec: NftRuleSpec): this {
    const { family, table, chain, match = {}, expressions = [], comment, before, after } = spec;
    const compiler = new MatchCompiler(familyNumber(family));
    const all = [...compiler.compile(match), ...expressions, ...compileStatements(spec)];
    for (const set of compiler.sets) this.#addAnonymous(spec, set);
    const position = before ?? after;
    return this.#push(
      NFT_MSG_NEWRULE,
      // Without NLM_F_APPEND it goes before the rule at that position, or is the first.
      NLM_F_CREATE | (before === undefined ? NLM_F_APPEND : 0),
      family,
      [
        ruleAttributes,
        {
          table,
          chain,
          expressions: all,
          ...(position !== undefined && { position }),
          ...(comment !== undefined && { comment }),
        },
      ],
      `add a rule to the chain ${chain} of ${table}`,
    );
  }

  /** One rule, or all of its chain if no handle is given. */
  deleteRule({ family, table }: NftTableName, chain: string, handle?: number): this {
    const what = `delete ${handle === undefined ? "the rules" : `rule ${handle}`} of ${chain}`;
    const value = { table, chain, ...(handle !== undefined && { handle }) };
    return this.#push(NFT_MSG_DELRULE, 0, family, [ruleAttributes, value], what);
  }

  /** A set or a map, perhaps with elements. */
  addSet(spec: NftSetSpec, elements: readonly NftElement[] = []): this {
    this.#push(
      NFT_MSG_NEWSET,
      NLM_F_CREATE,
      spec.family,
      [setAttributes, setValues(spec, ++this.#setId)],
      `add the set ${spec.name} of ${spec.table}`,
    );
    return elements.length ? this.addElements(spec, spec.name, elements, spec) : this;
  }

  /** A set for one rule, which the rule that is added next looks into. */
  #addAnonymous({ family, table }: NftTableName, { type, elements, lookup }: AnonymousSet): void {
    const ranges = elements.some(({ key, to }) => to !== undefined || String(key).includes("/"));
    const flags = ["anonymous", "constant", ...(ranges ? (["interval"] as const) : [])] as const;
    const setId = ++this.#setId;
    const spec: NftSetSpec = { family, table, name: ANONYMOUS, type, flags };
    const what = `add a set for a rule of ${table}`;
    const made = [setAttributes, setValues(spec, setId)] as const;
    this.#push(NFT_MSG_NEWSET, NLM_F_CREATE, family, made, what);
    const raw = rawElements(elements, { type, flags });
    for (let at = 0; at < raw.length; at += ELEMENTS_PER_MESSAGE) {
      const part = raw.slice(at, at + ELEMENTS_PER_MESSAGE);
      const value = { table, set: ANONYMOUS, setId, elements: part };
      this.#push(NFT_MSG_NEWSETELEM, NLM_F_CREATE, family, [elementsAttributes, value], what);
    }
    if (lookup.lookup) lookup.lookup.setId = setId;
  }

  deleteSet({ family, table }: NftTableName, name: string): this {
    const what = `delete the set ${name} of ${table}`;
    return this.#push(NFT_MSG_DELSET, 0, family, [setAttributes, { table, name }], what);
  }

  /** @param shape the set's type, and its map and flags if it has them: `nft.set()` tells them */
  addElements(
    table: NftTableName,
    set: string,
    elements: readonly NftElement[],
    shape: SetShape,
  ): this {
    return this.#elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, "add", table, set, elements, shape);
  }

  deleteElements(
    table: NftTableName,
    set: string,
    elements: readonly NftElement[],
    shape: SetShape,
  ): this {
    return this.#elements(NFT_MSG_DELSETELEM, 0, "delete", table, set, elements, shape);
  }

  #elements(
    type: number,
    flags: number,
    verb: string,
    { family, table }: NftTableName,
    set: string,
    elements: readonly NftElement[],
    shape: SetShape,
  ): this {
    const raw = rawElements(elements, shape);
    for (let at = 0; at < raw.length; at += ELEMENTS_PER_MESSAGE)
      this.#push(
        type,
        flags,
        family,
        [elementsAttributes, { table, set, elements: raw.slice(at, at + ELEMENTS_PER_MESSAGE) }],
        `${verb} elements of the set ${set} of ${table}`,
      );
    return this;
  }

  /** A flow table; one that is there stays as it is. */
  addFlowTable(spec: NftFlowTableSpec): this {
    const value = flowTableValues(spec);
    const what = `add the flow table ${spec.name} of ${spec.table}`;
    const attributes = [flowTableAttributes, value] as const;
    return this.#push(NFT_MSG_NEWFLOWTABLE, NLM_F_CREATE, spec.family, attributes, what);
  }

  deleteFlowTable({ family, table }: NftTableName, name: string): this {
    const what = `delete the flow table ${name} of ${table}`;
    const attributes = [flowTableAttributes, { table, name }] as const;
    return this.#push(NFT_MSG_DELFLOWTABLE, 0, family, attributes, what);
  }

  /** A counter with a name, for any number of rules. */
  addCounter(
    { family, table }: NftTableName,
    name: string,
    counter: { readonly packets: number; readonly bytes: number } = { packets: 0, bytes: 0 },
  ): this {
    const value = { table, name, type: NFT_OBJECT_COUNTER, counter };
    const what = `add the counter ${name} of ${table}`;
    const flags = NLM_F_CREATE | NLM_F_EXCL;
    return this.#push(NFT_MSG_NEWOBJ, flags, family, [objectAttributes, value], what);
  }

  deleteCounter({ family, table }: NftTableName, name: string): this {
    const value = { table, name, type: NFT_OBJECT_COUNTER };
    const what = `delete the counter ${name} of ${table}`;
    return this.#push(NFT_MSG_DELOBJ, 0, family, [objectAttributes, value], what);
  }

  /**
   * Do it all, or nothing.
   *
   * @throws {NetlinkError} about the first change that the kernel refuses
   */
  async commit(options?: CallOptions): Promise<void> {
    if (!this.#messages.length) return;
    const header = headerOf(NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES);
    const messages = [
      compose({ type: NFNL_MSG_BATCH_BEGIN, header }),
      ...this.#messages,
      compose({ type: NFNL_MSG_BATCH_END, header }),
    ];
    const whole = `change nf_tables (${this.#names.join("; ")})`;
    const names = [whole, ...this.#names, whole];
    await this.#session.socket(NETLINK_NETFILTER).batch(messages, names, options);
  }
}

/** The packet filter of the namespace that the process is in. */
export class Nft {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** Changes to be made together. */
  batch(): NftBatch {
    return new NftBatch(this.#session);
  }

  async #dump<T>(
    type: number,
    family: NftFamily | undefined,
    what: string,
    attributes?: readonly [Codec<T>, T],
    options?: CallOptions,
  ) {
    const number = family === undefined ? NFPROTO_UNSPEC : familyNumber(family);
    const message = compose({ type: typeNumber(type), header: headerOf(number) }, attributes);
    return this.#session.socket(NETLINK_NETFILTER).dump(message, what, options);
  }

  /** All tables, or those of one family. */
  async tables(family?: NftFamily, options?: CallOptions): Promise<NftTable[]> {
    const messages = await this.#dump(NFT_MSG_GETTABLE, family, "list tables", undefined, options);
    return messages.map(readTable);
  }

  /** All chains, or those of one table. */
  async chains(of?: NftTableName, options?: CallOptions): Promise<NftChain[]> {
    const what = "list chains";
    const messages = await this.#dump(NFT_MSG_GETCHAIN, of?.family, what, undefined, options);
    return messages.map(readChain).filter(({ table }) => !of || table === of.table);
  }

  /** All rules, or those of one table or chain, in their order. */
  async rules(of?: NftTableName & { chain?: string }, options?: CallOptions): Promise<NftRule[]> {
    const { family, table, chain } = of ?? {};
    const filter = {
      ...(table !== undefined && { table }),
      ...(chain !== undefined && { chain }),
    };
    const attributes = [ruleAttributes, filter] as const;
    const messages = await this.#dump(NFT_MSG_GETRULE, family, "list rules", attributes, options);
    return messages.map(readNftRule);
  }

  /** All sets, or those of one table. */
  async sets(of?: NftTableName, options?: CallOptions): Promise<NftSet[]> {
    const filter = of && { table: of.table };
    const attributes = filter && ([setAttributes, filter] as const);
    const what = "list sets";
    const messages = await this.#dump(NFT_MSG_GETSET, of?.family, what, attributes, options);
    return messages.map((message) => shapeOf(readRawSet(message)));
  }

  /** The elements of a set, in an order of the kernel's own. @throws {NetlinkError} ENOENT */
  async elements(of: NftTableName, name: string, options?: CallOptions): Promise<NftElement[]> {
    const { family, table } = of;
    const wanted = compose(
      { type: typeNumber(NFT_MSG_GETSET), header: headerOf(familyNumber(family)) },
      [setAttributes, { table, name }],
    );
    const socket = this.#session.socket(NETLINK_NETFILTER);
    const [answer] = await socket.request(wanted, `look up the set ${name} of ${table}`, options);
    const attributes = [elementsAttributes, { table, set: name }] as const;
    const what = `list the elements of ${name}`;
    const messages = await this.#dump(NFT_MSG_GETSETELEM, family, what, attributes, options);
    return answer ? elementsOf(messages.flatMap(readElements), shapeOf(readRawSet(answer))) : [];
  }

  /** Counters with names, all or those of one table. */
  async counters(of?: NftTableName, options?: CallOptions): Promise<NftCounter[]> {
    const what = "list counters";
    const messages = await this.#dump(NFT_MSG_GETOBJ, of?.family, what, undefined, options);
    return messages
      .map(readCounter)
      .filter((counter) => counter !== undefined)
      .filter(({ table }) => !of || table === of.table);
  }

  /** Flow tables, all or those of one table. */
  async flowTables(of?: NftTableName, options?: CallOptions): Promise<NftFlowTable[]> {
    const what = "list flow tables";
    const messages = await this.#dump(NFT_MSG_GETFLOWTABLE, of?.family, what, undefined, options);
    return messages.map(readFlowTable).filter(({ table }) => !of || table === of.table);
  }

  /** Take away all tables, with all that is in them. */
  async flush(options?: CallOptions): Promise<void> {
    const batch = this.batch();
    for (const { family, name } of await this.tables(undefined, options))
      batch.deleteTable(family, name);
    await batch.commit(options);
  }
}
