// Scripts, read: the grammar is that of packetdrill's documentation, without encapsulations.

import { ScriptError } from "./errors.ts";
import { lex } from "./lexer.ts";
import type { Defines, Lexed, ScriptOption, Token } from "./lexer.ts";
import { ACE_FLAGS, FLAG_ACK, TCP_FLAGS, ECN_MASK } from "./packet.ts";
import type {
  Command,
  EventTime,
  Expression,
  IcmpSpec,
  IpFields,
  PacketEvent,
  Ports,
  Script,
  ScriptEvent,
  TcpSpec,
  UdpSpec,
} from "./script.ts";
import {
  ACCECN_FIELDS,
  FASTOPEN_MAGIC,
  MAX_OPTION_BYTES,
  TCPOPT_ACCECN0,
  TCPOPT_ACCECN1,
  TCPOPT_EOL,
  TCPOPT_EXPERIMENT,
  TCPOPT_FASTOPEN,
  TCPOPT_MD5,
  TCPOPT_MSS,
  TCPOPT_NOP,
  TCPOPT_SACK,
  TCPOPT_SACK_PERMITTED,
  TCPOPT_TIMESTAMP,
  TCPOPT_WSCALE,
  option,
  optionBytes,
} from "./tcp-options.ts";
import type { TcpOption } from "./tcp-options.ts";

const SECOND_NS = 1e9;
const U8 = 0xff;
const U16 = 0xffff;
const U32 = 0xffffffff;
const FLOW_LABEL_MAX = 0xfffff;

const ECN_NAMES: ReadonlyMap<string, number> = new Map([
  ["noecn", 0],
  ["ect1", 1],
  ["ect0", 2],
  ["ce", 3],
]);

const ENCAPSULATIONS: ReadonlySet<string> = new Set([
  "ipv4",
  "ipv6",
  "gre",
  "GREv0",
  "mpls",
  "psp",
]);

class Parser {
  readonly #tokens: readonly Token[];
  readonly #file: string;
  #at = 0;

  constructor({ tokens }: Lexed, file: string) {
    this.#tokens = tokens;
    this.#file = file;
  }

  // --- Words -----------------------------------------------------------------------------------

  get #next(): Token {
    return this.#tokens[this.#at];
  }

  #peek(ahead: number): Token {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)];
  }

  #fail(expected: string): never {
    const { text, line } = this.#next;
    throw new ScriptError(
      { file: this.#file, line },
      "parse error",
      `at '${text}': expected ${expected}`,
    );
  }

  #semantic(line: number, message: string): never {
    throw new ScriptError({ file: this.#file, line }, "semantic error", message);
  }

  #take(): Token {
    return this.#tokens[this.#at++];
  }

  #is(text: string): boolean {
    return (this.#next.kind === "sign" || this.#next.kind === "word") && this.#next.text === text;
  }

  #accept(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#at++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#accept(text)) this.#fail(`'${text}'`);
  }

  #word(what: string): string {
    if (this.#next.kind !== "word") this.#fail(what);
    return this.#take().text;
  }

  #integer(what: string, limit = Number.MAX_SAFE_INTEGER): number {
    const { kind, text, line } = this.#next;
    if (kind !== "integer" && kind !== "hex") this.#fail(what);
    this.#at++;
    const value = Number(text);
    if (value < 0 || value > limit) this.#semantic(line, `${what} out of range: ${text}`);
    return value;
  }

  // --- Events ----------------------------------------------------------------------------------

  script(): Script {
    const init = this.#command();
    const events: ScriptEvent[] = [];
    let cleanup: Command | undefined;
    while (this.#next.kind !== "end") {
      cleanup = events.length ? this.#command() : undefined;
      if (cleanup) break;
      events.push(this.#event());
    }
    if (this.#next.kind !== "end") this.#fail("the end of the script behind the last command");
    return { file: this.#file, init, events, cleanup };
  }

  #command(): Command | undefined {
    if (this.#next.kind !== "command") return undefined;
    const { text, line } = this.#take();
    return { command: text, line };
  }

  #seconds(): number {
    const { kind, text, line } = this.#next;
    if (kind !== "float" && kind !== "integer") this.#fail("a time in seconds");
    this.#at++;
    const ns = Math.round(Number(text) * SECOND_NS);
    if (ns < 0) this.#semantic(line, "negative time");
    return ns;
  }

  #time(): EventTime {
    if (this.#accept("*")) return { kind: "any" };
    const kind = this.#accept("+") ? "relative" : "absolute";
    const { line } = this.#next;
    const ns = this.#seconds();
    if (!this.#accept("~")) return { kind, ns };
    if (kind === "relative") this.#expect("+");
    const endNs = this.#seconds();
    if (endNs < ns) this.#semantic(line, "time range is backwards");
    return { kind, ns, endNs };
  }

  #event(): ScriptEvent {
    const { line } = this.#next;
    const time = this.#time();
    const action = this.#action();
    const outbound = action.kind === "packet" && action.direction === "outbound";
    if (time.kind === "any" && !outbound)
      this.#semantic(line, "event time <star> can only be used with outbound packets");
    if (time.kind !== "any" && time.endNs !== undefined && !outbound)
      this.#semantic(line, "event time range can only be used with outbound packets");
    return { ...action, time, line };
  }

  #action() {
    const { kind } = this.#next;
    if (kind === "command") return { kind, command: this.#take().text } as const;
    if (kind === "code") return { kind, code: this.#take().text.trim() } as const;
    if (this.#is("<") || this.#is(">")) return this.#packet();
    if (kind === "ellipsis" || kind === "word") return this.#call();
    return this.#fail("a packet, a system call, a command or code");
  }

  // --- Packets ---------------------------------------------------------------------------------

  #packet(): PacketEvent {
    const { line } = this.#next;
    const direction = this.#take().text === "<" ? "inbound" : "outbound";
    if (this.#next.kind === "word" && ENCAPSULATIONS.has(this.#next.text))
      this.#fail("a packet without encapsulation: others are not supported");
    const ip = this.#ipFields();
    if (ip.tos === "ect01" && direction === "inbound")
      this.#semantic(line, "[ect01] can only be used with outbound packets");
    let packet: PacketEvent["packet"];
    if (this.#accept("udp")) packet = this.#udp();
    else if (this.#accept("icmp")) packet = this.#icmp();
    else packet = this.#tcp();
    if (packet.protocol === "tcp" && direction === "inbound") {
      if (packet.options === null)
        this.#semantic(line, "<...> for TCP options can only be used with outbound packets");
      if (packet.window === undefined)
        this.#semantic(line, "window must be specified for inbound packets");
    }
    return { kind: "packet", direction, ip, packet };
  }

  #ipFields(): IpFields {
    const close = this.#is("(") ? ")" : "]";
    if (!this.#accept("(") && !this.#accept("[")) return {};
    const fields: IpFields = {};
    do Object.assign(fields, this.#ipField());
    while (this.#accept(","));
    this.#expect(close);
    return fields;
  }

  #ipField(): IpFields {
    const name = this.#word("noecn, ect0, ect1, ect01, ce, tos, flowlabel or ttl");
    const ecn = ECN_NAMES.get(name);
    if (ecn !== undefined) return { tos: { mask: ECN_MASK, value: ecn } };
    if (name === "ect01") return { tos: "ect01" };
    if (name === "tos") return { tos: { mask: U8, value: this.#integer("tos", U8) } };
    if (name === "flowlabel") return { flowLabel: this.#integer("flowlabel", FLOW_LABEL_MAX) };
    if (name === "ttl") return { ttl: this.#integer("ttl", U8) };
    this.#at--;
    return this.#fail("noecn, ect0, ect1, ect01, ce, tos, flowlabel or ttl");
  }

  #ports(): { ports?: Ports } {
    if (this.#next.kind !== "integer" || this.#peek(1).text !== ">") return {};
    const source = this.#integer("source port", U16);
    this.#expect(">");
    return { ports: { source, destination: this.#integer("destination port", U16) } };
  }

  #udp(): UdpSpec {
    const ports = this.#ports();
    this.#expect("(");
    const payloadBytes = this.#integer("UDP payload size", U16);
    this.#expect(")");
    return { protocol: "udp", ...ports, payloadBytes };
  }

  #icmp(): IcmpSpec {
    const type = this.#word("an ICMP type");
    const named = this.#next.kind === "word" && !this.#is("mtu") && !this.#is("id");
    const code = named ? this.#take().text : undefined;
    const mtu = this.#accept("mtu") ? this.#integer("mtu", U32) : undefined;
    const id = this.#accept("id") ? this.#integer("id", U16) : undefined;
    return { protocol: "icmp", type, code, mtu, id, echoed: this.#echoed() };
  }

  #echoed(): IcmpSpec["echoed"] {
    if (!this.#accept("[")) return undefined;
    let echoed: IcmpSpec["echoed"];
    if (this.#is("udp") || this.#is("raw")) {
      const isUdp = this.#take().text === "udp";
      this.#expect("(");
      const payloadBytes = this.#integer("payload size", U16);
      echoed = isUdp ? { protocol: "udp", payloadBytes } : { protocol: "raw", payloadBytes };
      this.#expect(")");
    } else echoed = { protocol: "tcp", ...this.#sequence() };
    this.#expect("]");
    return echoed;
  }

  #sequence(): { sequence: number; payloadBytes: number } {
    const { line } = this.#next;
    const sequence = this.#integer("TCP start sequence number", U32);
    this.#expect(":");
    const end = this.#integer("TCP end sequence number", U32);
    this.#expect("(");
    const payloadBytes = this.#integer("TCP payload size", U16);
    this.#expect(")");
    if (end !== sequence + payloadBytes)
      this.#semantic(line, "inconsistent TCP sequence numbers and payload size");
    return { sequence, payloadBytes };
  }

  /** "S.", "FP.", ".", "-", "SEWA", ".5". */
  #flags(): { flags: number; ace: boolean } {
    const { line } = this.#next;
    let text = "";
    if (this.#next.kind === "word") text += this.#take().text;
    // "." and the number behind it are a fraction to the lexer.
    if (this.#next.kind === "float" && (text === "" || !this.#next.spaced))
      text += this.#take().text;
    else if (this.#accept(".")) text += ".";
    else if (text === "" && !this.#accept("-")) this.#fail("a packet");
    let flags = 0;
    let ace: number | undefined;
    for (const letter of text) {
      const flag = TCP_FLAGS.get(letter);
      if (flag !== undefined) flags |= flag;
      else if (/[0-7]/.test(letter) && ace === undefined) ace = Number(letter);
      else this.#semantic(line, `Invalid TCP flag: '${letter}'`);
    }
    const counter = ACE_FLAGS.reduce(
      (sum, flag, bit) => ((ace ?? 0) & (1 << bit) ? sum | flag : sum),
      0,
    );
    if (ace !== undefined && ACE_FLAGS.some((flag) => flags & flag))
      this.#semantic(line, `Conflicting TCP flag: '${ace}'`);
    return { flags: flags | counter, ace: counter !== 0 };
  }

  #tcp(): TcpSpec {
    const ports = this.#ports();
    const flags = this.#flags();
    const sequence = this.#sequence();
    const acknowledgment = this.#accept("ack") ? this.#integer("TCP ack sequence number", U32) : 0;
    const window = this.#accept("win") ? this.#integer("TCP window value", U16) : undefined;
    const urgent = this.#accept("urg") ? this.#integer("urg_ptr value", U16) : 0;
    return {
      protocol: "tcp",
      ...ports,
      ...flags,
      ...sequence,
      acknowledgment,
      window,
      urgent,
      options: this.#options(),
    };
  }

  #options(): TcpOption[] | null {
    const { line } = this.#next;
    const options: TcpOption[] = [];
    if (!this.#accept("<")) return options;
    if (this.#next.kind === "ellipsis") {
      this.#at++;
      this.#expect(">");
      return null;
    }
    do options.push(this.#option());
    while (this.#accept(","));
    this.#expect(">");
    const bytes = options.reduce((sum, one) => sum + optionBytes(one), 0);
    if (bytes > MAX_OPTION_BYTES) this.#semantic(line, "TCP option list too long");
    if (bytes % 4)
      this.#semantic(
        line,
        "TCP options are not padded correctly to ensure TCP header is a multiple of 4 bytes: " +
          `${bytes % 4} excess bytes`,
      );
    return options;
  }

  #option(): TcpOption {
    const name = this.#word("a TCP option");
    switch (name) {
      case "nop":
        return option(TCPOPT_NOP);
      case "eol":
        return option(TCPOPT_EOL);
      case "mss":
        return option(TCPOPT_MSS, [16, this.#integer("mss value", U16)]);
      case "wscale":
        return option(TCPOPT_WSCALE, [8, this.#integer("window scale shift count", U8)]);
      case "sackOK":
        return option(TCPOPT_SACK_PERMITTED);
      case "sack":
        return this.#sack();
      case "TS":
        return this.#timestamp();
      case "md5":
        return { kind: TCPOPT_MD5, data: this.#hex() };
      case "FO":
        return { kind: TCPOPT_FASTOPEN, data: this.#hex() };
      case "FOEXP":
        return {
          kind: TCPOPT_EXPERIMENT,
          data: Uint8Array.of(FASTOPEN_MAGIC >> 8, FASTOPEN_MAGIC & U8, ...this.#hex()),
        };
      case "ECN":
        return this.#accurateEcn();
      default:
        this.#at--;
        return this.#fail("a TCP option");
    }
  }

  #sack(): TcpOption {
    const numbers: [32, number][] = [];
    do {
      numbers.push([32, this.#integer("TCP SACK left sequence number", U32)]);
      this.#expect(":");
      numbers.push([32, this.#integer("TCP SACK right sequence number", U32)]);
    } while (this.#next.kind === "integer");
    return option(TCPOPT_SACK, ...numbers);
  }

  #timestamp(): TcpOption {
    this.#expect("val");
    const value = this.#integer("ts val", U32);
    this.#expect("ecr");
    return option(TCPOPT_TIMESTAMP, [32, value], [32, this.#integer("ecr val", U32)]);
  }

  /** An even number of digits, or nothing. */
  #hex(): Uint8Array {
    const { kind, text, line } = this.#next;
    if (kind !== "word" && kind !== "integer") return new Uint8Array(0);
    this.#at++;
    if (!/^(?:[\da-fA-F]{2})+$/.test(text))
      this.#semantic(line, `'${text}' is not a valid hex string with an even number of digits`);
    return Uint8Array.from(text.match(/../g)!, (pair) => parseInt(pair, 16));
  }

  /** `ECN e1b 1 ceb 0 e0b 1`: which counter is first says which of the two kinds it is. */
  #accurateEcn(): TcpOption {
    const kind = this.#is("e0b") ? TCPOPT_ACCECN0 : TCPOPT_ACCECN1;
    const data: number[] = [];
    for (const name of ACCECN_FIELDS.get(kind)!) {
      if (!this.#accept(name)) break;
      const value = this.#integer(name, 0xffffff);
      data.push(value >> 16, (value >> 8) & U8, value & U8);
    }
    return { kind, data: Uint8Array.from(data) };
  }

  // --- System calls ----------------------------------------------------------------------------

  #call() {
    let endNs: number | undefined;
    if (this.#next.kind === "ellipsis") {
      this.#at++;
      endNs = this.#seconds();
    }
    const name = this.#word("the name of a system call");
    this.#expect("(");
    const args = this.#expressions(")");
    this.#expect("=");
    const result = this.#expression();
    const error = this.#next.kind === "word" ? this.#take().text : undefined;
    if (this.#accept("(")) while (!this.#accept(")")) this.#note();
    return { kind: "call", name, args, result, error, endNs } as const;
  }

  /** A remark in parentheses, for whoever reads the script. */
  #note(): void {
    if (this.#next.kind === "end") this.#fail("')'");
    this.#at++;
  }

  #expressions(close: string): Expression[] {
    const items: Expression[] = [];
    if (this.#accept(close)) return items;
    do items.push(this.#expression());
    while (this.#accept(","));
    this.#expect(close);
    return items;
  }

  #expression(): Expression {
    let left = this.#operand();
    while (this.#accept("|")) left = { kind: "or", left, right: this.#operand() };
    return left;
  }

  #operand(): Expression {
    const { kind, text } = this.#next;
    if (kind === "ellipsis") {
      this.#at++;
      return { kind: "ellipsis" };
    }
    if (kind === "integer" || kind === "hex") {
      this.#at++;
      return { kind: "number", value: Number(text) };
    }
    if (kind === "string") return { kind: "string", value: this.#strings() };
    if (kind === "word") {
      this.#at++;
      if (this.#accept("(")) return { kind: "call", name: text, args: this.#expressions(")") };
      return { kind: "word", name: text };
    }
    if (this.#accept("[")) return { kind: "list", items: this.#expressions("]") };
    if (this.#accept("{")) return this.#braces();
    return this.#fail("an argument");
  }

  #strings(): string {
    let value = "";
    while (this.#next.kind === "string") value += unescape(this.#take().text);
    if (this.#next.kind === "ellipsis") this.#at++; // There is more of it, which does not matter.
    return value;
  }

  /** `{name=value, name(count)=value}`, or `{value, value}`. */
  #braces(): Expression {
    if (!this.#isField()) return { kind: "list", items: this.#expressions("}") };
    const fields = new Map<string, Expression>();
    do {
      const name = this.#word("a field");
      if (this.#accept("(")) {
        fields.set(`${name}()`, this.#expression());
        this.#expect(")");
      }
      this.#expect("=");
      fields.set(name, this.#expression());
    } while (this.#accept(","));
    this.#expect("}");
    return { kind: "record", fields };
  }

  #isField(): boolean {
    if (this.#next.kind !== "word") return false;
    if (this.#peek(1).text === "=") return true;
    return this.#peek(1).text === "(" && this.#peek(3).text === ")" && this.#peek(4).text === "=";
  }
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["t", "\t"],
  ["r", "\r"],
  ["0", "\0"],
]);

function unescape(text: string): string {
  return text.replace(/\\(?:x([\da-fA-F]{2})|(.))/gs, (_, code: string | undefined, char: string) =>
    code === undefined ? (ESCAPES.get(char) ?? char) : String.fromCharCode(parseInt(code, 16)),
  );
}

/** The script's own options, which are read before the rest as they may define words. */
export type Configure = (options: readonly ScriptOption[]) => Defines;

/** @throws {ScriptError} a parse error or a semantic error, and where */
export function parse(text: string, file: string, configure?: Configure): Script {
  return new Parser(lex(text, file, configure), file).script();
}

/** Whether a packet of a script begins a connection. */
export function isSynOnly({ flags }: TcpSpec): boolean {
  return (flags & (TCP_FLAGS.get("S")! | FLAG_ACK)) === TCP_FLAGS.get("S");
}
