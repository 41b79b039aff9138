// Runs a script: one kernel, one TUN device, on time that stands still but when the script waits.
//
// Invariants: #lastNs is when the event before was over; events are handled one after the other, and while
// one is handled the clock is moved by nobody else. Only one system call is in the kernel at a time.

import { readFileSync } from "node:fs";
import { dirname } from "node:path";

import * as diag from "../../src/abi/constants/diag.ts";
import {
  AF_INET,
  AF_INET6,
  SOL_SOCKET,
  SOL_TCP,
  SO_MEMINFO,
} from "../../src/abi/constants/socket.ts";
import { TCP_INFO } from "../../src/abi/constants/tcp.ts";
import { TcpInfo } from "../../src/abi/structs/socket.ts";
import { Kernel, VirtualClock } from "../../src/index.ts";
import { ipOf } from "../../src/net/address.ts";
import { net } from "../../src/net/index.ts";
import type { Network } from "../../src/net/index.ts";
import type { Process } from "../../src/syscall/process.ts";
import { makeCall } from "./calls.ts";
import type { CallHost } from "./calls.ts";
import { applyOption, configFor } from "./config.ts";
import type { Config } from "./config.ts";
import { Endpoint } from "./endpoint.ts";
import { Mismatch, ScriptError } from "./errors.ts";
import { icmpMessage, icmpNumbers } from "./icmp.ts";
import { FLAG_ACK, FLAG_CWR, FLAG_SYN, decode, encode, format, formatSegment } from "./packet.ts";
import type { IpHeader, Packet, TcpSegment } from "./packet.ts";
import { isSynOnly, parse } from "./parser.ts";
import { runPython } from "./python.ts";
import type { PyScope } from "./python.ts";
import { Room } from "./room.ts";
import type {
  CallEvent,
  CodeEvent,
  EventTime,
  IcmpSpec,
  PacketEvent,
  Script,
  ScriptEvent,
  TcpSpec,
  UdpSpec,
} from "./script.ts";
import { Shell } from "./shell.ts";
import { symbols } from "./symbols.ts";
import { timestampOf, withTimestamp } from "./tcp-options.ts";
import { Tun } from "./tun.ts";
import type { Sniffed } from "./tun.ts";
import { check, verifyContinues, verifyIp, verifyTcp } from "./verify.ts";

const MS = 1e6;
const SECOND = 1e9;
const MEMORY_MIB = 64;
/** What randomness a kernel has: the same in every run. */
const SEED = 1;
const EPOCH_MS = Date.UTC(2024, 0, 1);
/** The kernel counts 100 jiffies a second. */
export const JIFFY_NS = 10 * MS;
/**
 * Where in a jiffy scripts begin. The kernel's timers ring where one ends; the scripts are made for 1000
 * a second. What begins 1 ms before the end rings as there, if it happens every 10 ms.
 */
const START_IN_JIFFY_NS = 9 * MS;
/** How long a packet is waited for that comes at any time, and one that is late. */
const PATIENCE_NS = 300 * SECOND;
const LATE_NS = 5 * SECOND;
/** How long a call may take that is not said to block. */
const CALL_NS = 60 * SECOND;
/** Turns of the event loop that a call may take while the kernel is idle, before time moves for it. */
const IDLE_TURNS = 4;
/** Where SO_MEMINFO has what, by the names of linux/sock_diag.h. */
const MEMORY_FIELDS = Object.entries(diag).filter(([name]) => name.startsWith("SK_MEMINFO_"));
const FIRST_REMOTE_PORT = 33000;
const PPID = "4242";
const IP_MTU_MIN = 20;

/** How a script went that did what it should. */
export interface Report {
  readonly events: number;
  readonly packets: number;
  /** By how much packets of the kernel's were early or late, at most. */
  readonly deviationNs: number;
  /** What was not as expected, but is not fatal by --non_fatal; and what the script printed. */
  readonly notes: readonly string[];
}

export interface RunOptions {
  /** Changed by the options of the script. Default: IPv4. */
  readonly config?: Config;
  /** The script's text, if it is not to be read from the file. */
  readonly text?: string;
  /** Told of each packet and each event. */
  readonly trace?: (line: string) => void;
  /** Where in a jiffy of the kernel's the script begins, 0 to below {@link JIFFY_NS}. */
  readonly startInJiffyNs?: number;
}

const seconds = (ns: number) => (ns / SECOND).toFixed(6);

/** A system call that the script says blocks. */
interface Blocked {
  readonly event: CallEvent;
  readonly line: number;
  /** When it is to end, on the script's time; and when it did. */
  readonly endNs: number;
  endedNs: number | undefined;
  readonly done: Promise<void>;
}

/** @throws {ScriptError} if the script is malformed, or the kernel does something else than it says */
export async function runScript(file: string, options: RunOptions = {}): Promise<Report> {
  const config = options.config ?? configFor("ipv4");
  const given = new Map(config.defines);
  const script = parse(options.text ?? readFileSync(file, "utf8"), file, (own) => {
    for (const option of own) applyOption(config, option, { file, line: option.line });
    // What the command line says goes before what the script says.
    for (const [name, value] of given) config.defines.set(name, value);
    return config.defines;
  });
  const clock = new VirtualClock({ epochMs: EPOCH_MS });
  const kernel = await Kernel.boot({ clock, random: SEED, memoryMiB: MEMORY_MIB });
  try {
    return await new Runner(script, config, kernel, clock, options).run();
  } finally {
    kernel.dispose();
  }
}

class Runner implements CallHost {
  readonly #script: Script;
  readonly #config: Config;
  readonly #kernel: Kernel;
  readonly #clock: VirtualClock;
  readonly #trace: (line: string) => void;
  readonly #startInJiffyNs: number;
  readonly #notes: string[] = [];
  readonly descriptors = new Map<number, number>();
  readonly endpoints = new Map<number, Endpoint>();
  readonly domain: number;
  readonly bindTo: CallHost["bindTo"];
  readonly connectTo: CallHost["connectTo"];
  readonly #local: Uint8Array;
  readonly #remote: Uint8Array;
  process!: Process;
  room!: Room;
  #network!: Network;
  #tun!: Tun;
  #shell!: Shell;
  readonly #scope: PyScope = new Map(symbols);
  /** The socket whose packets the script speaks of. */
  #current: Endpoint | undefined;
  /** Passive connections that are not accepted yet. */
  readonly #passive: Endpoint[] = [];
  #nextRemotePort = FIRST_REMOTE_PORT;
  #startNs = 0;
  /** The event before: when it was to be, and was over; on the script's time. */
  #before: { readonly event: ScriptEvent; readonly atNs: number } | undefined;
  /** A call that blocks. */
  #blocked: Blocked | undefined;
  #packets = 0;
  #deviationNs = 0;

  constructor(
    script: Script,
    config: Config,
    kernel: Kernel,
    clock: VirtualClock,
    { trace = () => {}, startInJiffyNs = START_IN_JIFFY_NS }: RunOptions,
  ) {
    this.#script = script;
    this.#config = config;
    this.#kernel = kernel;
    this.#clock = clock;
    this.#trace = trace;
    this.#startInJiffyNs = startInJiffyNs;
    const { ipVersion } = config;
    this.domain = ipVersion === "ipv4" ? AF_INET : AF_INET6;
    this.#local = ipOf(config.localIp)!.bytes;
    this.#remote = ipOf(config.remoteIp.replace(/\/\d+$/, ""))!.bytes;
    const mapped = (address: Uint8Array) =>
      ipVersion === "ipv4-mapped-ipv6"
        ? Uint8Array.of(...new Uint8Array(10), 0xff, 0xff, ...address)
        : address;
    this.bindTo = { address: mapped(this.#local), port: config.bindPort };
    this.connectTo = { address: mapped(this.#remote), port: config.connectPort };
  }

  // --- Time --------------------------------------------------------------------------------------

  /** Since the script began. */
  get startMs(): number {
    return EPOCH_MS + this.#startNs / MS;
  }

  toleranceNs(): number {
    return this.#config.toleranceNs;
  }

  get #nowNs(): number {
    return this.#clock.nowNs() - this.#startNs;
  }

  /** Let time pass until then, on the script's time; not at all if it is past. */
  async #passUntil(ns: number): Promise<void> {
    await this.#clock.advance(Math.max(0, ns - this.#nowNs));
  }

  /** Let time pass until the next timer, but no further. @returns whether there was one */
  async #passToTimer(limitNs: number): Promise<boolean> {
    const next = this.#clock.nextDeadlineNs - this.#startNs;
    await this.#passUntil(Math.min(next, limitNs));
    return next <= limitNs;
  }

  /** Wait for something that the kernel does, for which time passes only if it must. */
  async #settle<T>(work: Promise<T>, limitNs: number): Promise<T> {
    let settled = false;
    const settle = () => {
      settled = true;
    };
    work.then(settle, settle);
    const end = this.#nowNs + limitNs;
    while (!settled) {
      for (let turn = 0; turn < IDLE_TURNS && !settled; turn++) await this.#clock.runUntilIdle();
      if (settled) break;
      if (this.#nowNs >= end) throw new Mismatch(`blocked for ${seconds(limitNs)} sec`);
      await this.#passToTimer(end);
    }
    return work;
  }

  /** When an event is to be. */
  #due({ time, ...event }: ScriptEvent): number {
    if (time.kind === "any") return this.#nowNs;
    if (time.kind === "absolute") return time.ns;
    const isInbound = (one: object) => "direction" in one && one.direction === "inbound";
    // Packets that follow packets go by when those were to be.
    const anchored = this.#before && isInbound(this.#before.event) && isInbound(event);
    return (anchored ? this.#before!.atNs : this.#nowNs) + time.ns;
  }

  #toleranceNs(expectedNs: number): number {
    const { toleranceNs, tolerancePercent } = this.#config;
    const since = expectedNs - (this.#before?.atNs ?? expectedNs);
    return Math.max(toleranceNs, (tolerancePercent / 100) * since);
  }

  /** @throws {Mismatch} if something happened too early or too late */
  #checkTime(what: string, time: EventTime, expectedNs: number, actualNs: number): void {
    if (time.kind === "any") return;
    const tolerance = this.#toleranceNs(expectedNs);
    const range = time.endNs === undefined ? 0 : time.endNs - time.ns;
    const early = expectedNs - actualNs;
    const late = actualNs - expectedNs - range;
    this.#deviationNs = Math.max(this.#deviationNs, early, late);
    if (early <= tolerance && late <= tolerance) return;
    const expected = range
      ? `in time range ${seconds(expectedNs)}~${seconds(expectedNs + range)} sec`
      : `at ${seconds(expectedNs)} sec`;
    throw new Mismatch(
      `timing error: expected ${what} ${expected} but happened at ${seconds(actualNs)} sec; ` +
        `tolerance ${seconds(tolerance)} sec`,
    );
  }

  // --- The script --------------------------------------------------------------------------------

  async run(): Promise<Report> {
    const { events, file } = this.#script;
    const [first] = events;
    if (!first) throw new ScriptError({ file, line: 1 }, "semantic error", "there are no events");
    if (first.time.kind === "absolute" && first.time.ns !== 0)
      throw new ScriptError(
        { file, line: first.line },
        "semantic error",
        "first event should be at time 0",
      );
    await this.#prepare();
    try {
      await this.#play();
    } finally {
      await this.#settle(this.#tun[Symbol.asyncDispose](), CALL_NS);
      await this.#settle(this.room[Symbol.asyncDispose](), CALL_NS);
    }
    return {
      events: events.length,
      packets: this.#packets,
      deviationNs: this.#deviationNs,
      notes: this.#notes,
    };
  }

  /** What the script says, and what it wants done behind it however that goes. */
  async #play(): Promise<void> {
    const { init, events, cleanup } = this.#script;
    try {
      if (init) await this.#command(init.command, init.line);
      await this.#align();
      for (const event of events) await this.#event(event);
      await this.#finishBlocked();
    } finally {
      if (cleanup) await this.#command(cleanup.command, cleanup.line);
    }
  }

  async #prepare(): Promise<void> {
    const { init } = this.#kernel;
    this.process = await this.#clock.drive(this.#kernel.process());
    this.#network = net(init);
    this.room = await this.#clock.drive(Room.open(this.process));
    this.#tun = await this.#clock.drive(Tun.open(init, this.#network, this.#clock, this.#config));
    this.#shell = new Shell({
      process: init,
      network: this.#network,
      folder: dirname(this.#script.file),
      variables: new Map([["PPID", PPID]]),
    });
  }

  /** Begin where in a jiffy it is wanted. */
  async #align(): Promise<void> {
    await this.#clock.advance(SECOND);
    const phase = this.#clock.nowNs() % JIFFY_NS;
    await this.#clock.advance((JIFFY_NS + this.#startInJiffyNs - phase) % JIFFY_NS);
    this.#startNs = this.#clock.nowNs();
    this.#tun.sniffed.length = 0;
  }

  async #event(event: ScriptEvent): Promise<void> {
    const { file } = this.#script;
    const due = this.#due(event);
    const place = { file, line: event.line };
    if (event.kind !== "packet") await this.#finishBlocked();
    if (
      this.#before &&
      event.time.kind === "absolute" &&
      this.#before.event.time.kind === "absolute"
    )
      if (due < this.#before.atNs)
        throw new ScriptError(place, "semantic error", "time goes backward in script");
    let kind = "error handling packet";
    try {
      switch (event.kind) {
        case "packet":
          if (event.direction === "outbound") await this.#outbound(event, event.time, due);
          else {
            await this.#reach("inbound packet", event.time, due);
            await this.#inbound(event);
          }
          break;
        case "call":
          kind = `runtime error in ${event.name} call`;
          await this.#reach("system call start", event.time, due);
          await this.#call(event, event.line, due);
          break;
        case "command":
          await this.#reach("command", event.time, due);
          await this.#command(event.command, event.line);
          break;
        case "code":
          kind = "error executing code";
          await this.#reach("data collection for code", event.time, due);
          await this.#code(event);
          break;
      }
    } catch (error) {
      if (!(error instanceof Mismatch)) throw error;
      const failure = new ScriptError(place, kind, error.message, { cause: error });
      const fatal = !this.#config.nonFatal.has(event.kind === "call" ? "syscall" : event.kind);
      if (fatal) throw failure;
      this.#notes.push(failure.message);
    }
    this.#before = { event, atNs: due };
  }

  /** Wait until an event is due. @throws {Mismatch} if it is too late for it already */
  async #reach(what: string, time: EventTime, due: number): Promise<void> {
    await this.#passUntil(due);
    await this.#clock.runUntilIdle();
    this.#checkTime(what, time, due, this.#nowNs);
  }

  async #command(command: string, line: number): Promise<void> {
    const place = { file: this.#script.file, line };
    const kind = "error executing command";
    try {
      const { status, output, errors } = await this.#settle(this.#shell.run(command), CALL_NS);
      if (output) this.#notes.push(output.trimEnd());
      if (status !== 0)
        throw new ScriptError(place, kind, `expected status 0 but got ${status}: ${errors.trim()}`);
      if (errors) this.#trace(errors.trimEnd());
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof Mismatch)
        throw new ScriptError(place, kind, error.message, { cause: error });
      throw error;
    }
  }

  // --- System calls ------------------------------------------------------------------------------

  async #call(event: CallEvent, line: number, due: number): Promise<void> {
    this.#trace(`${seconds(this.#nowNs)} ${event.name}()`);
    const done = makeCall(event, this);
    if (event.endNs === undefined) return this.#settle(done, CALL_NS);
    // The end is written as the beginning is: since the event before, or since the start.
    const { time } = event as ScriptEvent & CallEvent;
    const base = time.kind === "relative" ? due - time.ns : 0;
    const blocked: Blocked = { event, line, endNs: base + event.endNs, endedNs: undefined, done };
    const ended = () => {
      blocked.endedNs = this.#nowNs;
    };
    done.then(ended, ended); // Who waits for its end sees what it came to.
    this.#blocked = blocked;
    return this.#clock.runUntilIdle();
  }

  /** Before the next call, or at the end of the script, a call that blocks has to have ended. */
  async #finishBlocked(): Promise<void> {
    const blocked = this.#blocked;
    if (!blocked) return;
    this.#blocked = undefined;
    const { event, line, done, endNs } = blocked;
    try {
      const patience = Math.max(0, endNs - this.#nowNs) + this.#toleranceNs(endNs) + LATE_NS;
      await this.#settle(done, patience);
      const time: EventTime = { kind: "absolute", ns: endNs };
      this.#checkTime("system call return", time, endNs, blocked.endedNs ?? this.#nowNs);
    } catch (error) {
      if (!(error instanceof Mismatch)) throw error;
      const place = { file: this.#script.file, line };
      const kind = `runtime error in ${event.name} call`;
      throw new ScriptError(place, kind, error.message, { cause: error });
    }
  }

  created(endpoint: Endpoint): void {
    this.#current = endpoint;
  }

  listening(endpoint: Endpoint): void {
    endpoint.state = "listening";
  }

  disconnecting(endpoint: Endpoint): void {
    endpoint.state = "new";
  }

  connecting(endpoint: Endpoint, address: Uint8Array, port: number): void {
    if (endpoint.protocol === "tcp" && endpoint.state !== "new") return;
    endpoint.state = "connecting";
    const isMapped = address.length === 16 && this.#remote.length === 4;
    endpoint.live.remote = isMapped ? address.slice(12) : address;
    endpoint.live.remotePort = port;
  }

  accepted(scriptFd: number, port: number): void {
    const index = this.#passive.findIndex(({ live }) => live.remotePort === port);
    if (index < 0) return;
    const [endpoint] = this.#passive.splice(index, 1);
    endpoint.scriptFd = scriptFd;
    this.endpoints.set(scriptFd, endpoint);
  }

  // --- Code --------------------------------------------------------------------------------------

  async #code({ code }: CodeEvent): Promise<void> {
    const fd = this.descriptors.get(this.#current?.scriptFd ?? -1);
    if (fd !== undefined)
      for (const [name, value] of await this.#settle(this.#known(fd), CALL_NS))
        this.#scope.set(name, value);
    runPython(code, this.#scope, (text) => this.#notes.push(text));
  }

  /** What is known of a socket: the fields of struct tcp_info, and the memory that it has. */
  async #known(fd: number): Promise<Map<string, number>> {
    const values = new Map<string, number>();
    const memory = await this.#option(
      fd,
      SOL_SOCKET,
      SO_MEMINFO,
      new Uint8Array(diag.SK_MEMINFO_VARS * 4),
    );
    for (const [name, index] of MEMORY_FIELDS)
      if (index < diag.SK_MEMINFO_VARS) values.set(name, memory.getUint32(index * 4, true));
    if (this.#current?.protocol !== "tcp") return values;
    const info: object = new TcpInfo(
      await this.#option(fd, SOL_TCP, TCP_INFO, new Uint8Array(TcpInfo.size)),
    );
    const names = Object.getOwnPropertyNames(TcpInfo.prototype);
    for (const name of names.filter((one) => one.startsWith("tcpi_")))
      values.set(name, Number(Reflect.get(info, name)));
    return values;
  }

  async #option(fd: number, level: number, option: number, bytes: Uint8Array): Promise<DataView> {
    const length = new Uint8Array(Uint32Array.of(bytes.length).buffer);
    await this.process.getsockopt(fd, level, option, bytes, length);
    return new DataView(bytes.buffer);
  }

  // --- Packets -----------------------------------------------------------------------------------

  /** The socket that a packet of the script is of. */
  #endpointFor(event: PacketEvent): Endpoint {
    const { packet, direction } = event;
    const current = this.#current;
    if (packet.protocol === "tcp") {
      if (direction === "inbound" && (!current || current.state === "listening"))
        return this.#passiveEndpoint(packet);
      if (direction === "outbound" && isSynOnly(packet) && current?.state === "connecting") {
        current.state = "syn-sent";
        current.expectLocalIsn(packet.sequence);
      }
    }
    const fits = packet.protocol === "icmp" || current?.protocol === packet.protocol;
    if (!current || !(fits || "ports" in packet))
      throw new Mismatch("no matching socket for script packet");
    return current;
  }

  /** A connection that the script's first packet makes. */
  #passiveEndpoint({ sequence }: TcpSpec): Endpoint {
    const endpoint = new Endpoint("tcp", {
      local: this.#local,
      localPort: this.#config.bindPort,
      remote: this.#remote,
      remotePort: this.#nextRemotePort++,
    });
    endpoint.state = "syn-received";
    endpoint.learnRemoteIsn(sequence);
    this.#current = endpoint;
    this.#passive.push(endpoint);
    return endpoint;
  }

  async #inbound(event: PacketEvent): Promise<void> {
    const endpoint = this.#endpointFor(event);
    const { live } = endpoint;
    const { tos } = event.ip;
    const ip: IpHeader = {
      source: live.remote.length ? live.remote : this.#remote,
      destination: live.local.length ? live.local : this.#local,
      tos: typeof tos === "object" ? tos.value : 0,
      ttl: event.ip.ttl ?? 0,
      flowLabel: event.ip.flowLabel ?? 0,
    };
    const packet: Packet = { ip, body: this.#inboundBody(event.packet, endpoint, ip) };
    this.#packets++;
    this.#trace(`${seconds(this.#nowNs)} < ${format(packet)}`);
    await this.#settle(this.#tun.inject(encode(packet), this.#config.mss), CALL_NS);
    await this.#clock.runUntilIdle();
  }

  #inboundBody(spec: PacketEvent["packet"], endpoint: Endpoint, ip: IpHeader): Packet["body"] {
    if (spec.protocol === "icmp") return icmpMessage(spec, ip, this.#echoed(spec, endpoint, ip));
    if (spec.protocol === "udp") {
      const { live } = endpoint;
      return {
        protocol: "udp",
        sourcePort: spec.ports?.source || live.remotePort || this.#config.connectPort,
        destinationPort: spec.ports?.destination || live.localPort || this.#config.bindPort,
        payload: new Uint8Array(spec.payloadBytes),
      };
    }
    const { flags, sequence } = spec;
    if (endpoint.state === "synack-sent" && flags & FLAG_ACK) endpoint.state = "synack-acked";
    if (endpoint.state === "syn-sent" && flags & FLAG_SYN && flags & FLAG_ACK) {
      endpoint.state = "syn-acked";
      endpoint.learnRemoteIsn(sequence);
    }
    return endpoint.inbound(spec, this.#config.scaleEchoes);
  }

  /** The packet that an ICMP message tells of: one from the kernel. */
  #echoed(spec: IcmpSpec, endpoint: Endpoint, ip: IpHeader): Packet | null {
    const { echoed } = spec;
    if (!echoed || echoed.protocol === "raw") return null;
    const about = { ...ip, source: ip.destination, destination: ip.source, ttl: IP_MTU_MIN };
    const ports = {
      sourcePort: endpoint.live.localPort,
      destinationPort: endpoint.live.remotePort,
      payload: new Uint8Array(0),
    };
    if (echoed.protocol === "udp") return { ip: about, body: { protocol: "udp", ...ports } };
    return {
      ip: about,
      body: {
        protocol: "tcp",
        ...ports,
        sequence: endpoint.liveSequence(echoed.sequence),
        acknowledgment: 0,
        flags: FLAG_ACK,
        window: 0,
        urgent: 0,
        options: [],
      },
    };
  }

  /** The next packet that the kernel sends from a socket. @throws {Mismatch} if none comes */
  async #sniff(endpoint: Endpoint, limitNs: number): Promise<{ packet: Packet; atNs: number }> {
    await this.#clock.runUntilIdle();
    for (;;) {
      const next: Sniffed | undefined = this.#tun.sniffed.shift();
      if (next) {
        const atNs = next.timeNs - this.#startNs;
        const packet = decode(next.bytes);
        if (packet && (endpoint.sends(packet) || endpoint.begins(packet))) {
          this.#trace(`${seconds(atNs)} > ${format(packet)}`);
          this.#packets++;
          return { packet, atNs };
        }
        if (packet) this.#trace(`${seconds(atNs)} > (of no interest) ${format(packet)}`);
      } else if (this.#nowNs >= limitNs) throw new Mismatch("Timed out waiting for packet");
      else await this.#passToTimer(limitNs);
    }
  }

  async #outbound(event: PacketEvent, time: EventTime, due: number): Promise<void> {
    const endpoint = this.#endpointFor(event);
    const spec = event.packet;
    const range = time.kind !== "any" && time.endNs !== undefined ? time.endNs - time.ns : 0;
    const patience = time.kind === "any" ? PATIENCE_NS : range + this.#toleranceNs(due) + LATE_NS;
    const { packet, atNs } = await this.#sniff(endpoint, due + patience);
    let actual = packet;
    try {
      if (spec.protocol !== packet.body.protocol)
        throw new Mismatch(
          `expected: ${spec.protocol} header vs actual: ${packet.body.protocol} header`,
        );
      if (spec.protocol === "tcp") {
        const segment = await this.#whole(spec, endpoint, packet, due + patience);
        const scripted = this.#scripted(spec, endpoint, segment);
        actual = { ...packet, body: scripted };
        this.#verifyTcp(event, spec, endpoint, packet.ip, scripted);
      } else {
        verifyIp(event.ip, packet.ip);
        verifyOther(spec, packet);
      }
      this.#checkTime("outbound packet", time, due, atNs);
    } catch (error) {
      if (!(error instanceof Mismatch)) throw error;
      const wanted = `script packet: ${seconds(due).padStart(9)} ${formatSpec(event)}`;
      const got = `actual packet: ${seconds(atNs).padStart(9)} ${format(actual)}`;
      throw new Mismatch(`${error.message}\n${wanted}\n${got}`, { cause: error });
    }
  }

  #verifyTcp(
    event: PacketEvent,
    spec: TcpSpec,
    endpoint: Endpoint,
    ip: IpHeader,
    actual: TcpSegment,
  ): void {
    const { timestampTickNs, toleranceNs } = this.#config;
    verifyTcp(spec, actual, timestampTickNs ? toleranceNs / timestampTickNs : undefined);
    verifyIp(event.ip, ip);
    if (event.ip.flowLabel !== undefined && ip.source.length === 16)
      endpoint.checkFlowLabel(event.ip.flowLabel, ip);
  }

  /** The segment, or what several come to if the script has them as one. */
  async #whole(
    spec: TcpSpec,
    endpoint: Endpoint,
    first: Packet,
    limitNs: number,
  ): Promise<TcpSegment> {
    if (first.body.protocol !== "tcp") throw new Mismatch("expected: tcp header");
    const parts = [first.body];
    let length = first.body.payload.length;
    while (length > 0 && length < spec.payloadBytes && !this.#config.strictSegments) {
      const { packet } = await this.#sniff(endpoint, limitNs);
      if (packet.body.protocol !== "tcp") throw new Mismatch("expected: tcp header");
      verifyContinues(parts.at(-1)!, packet.body);
      parts.push(packet.body);
      length += packet.body.payload.length;
    }
    const payload = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      payload.set(part.payload, at);
      at += part.payload.length;
    }
    // As packetdrill puts them together: the last one's header, but for where the first one begins.
    const last = parts.at(-1)!;
    const flags = (last.flags & ~FLAG_CWR) | (first.body.flags & FLAG_CWR);
    return { ...last, sequence: first.body.sequence, payload, flags };
  }

  /** A segment in the script's numbers. */
  #scripted(spec: TcpSpec, endpoint: Endpoint, segment: TcpSegment): TcpSegment {
    const synAck = FLAG_SYN | FLAG_ACK;
    if (endpoint.state === "syn-received" && (spec.flags & synAck) === synAck) {
      endpoint.expectLocalIsn(spec.sequence);
      endpoint.learnLocalIsn(segment.sequence);
      endpoint.state = "synack-sent";
    }
    const mapped = endpoint.outbound(segment);
    const wanted = timestampOf(spec.options ?? []);
    const sent = timestampOf(mapped.options);
    if (!wanted || !sent) return mapped;
    const value = endpoint.scriptTimestamp(wanted.value, sent.value);
    return { ...mapped, options: withTimestamp(mapped.options, value, sent.echo) };
  }
}

function verifyOther(spec: UdpSpec | IcmpSpec, { ip, body }: Packet): void {
  if (spec.protocol === "udp" && body.protocol === "udp")
    check("udp_len", spec.payloadBytes + 8, body.payload.length + 8);
  if (spec.protocol === "icmp" && body.protocol === "icmp") {
    const { type, code } = icmpNumbers(spec, ip.source.length === 4);
    check("icmp_type", type, body.type);
    check("icmp_code", code, body.code);
  }
}

/** The packet that a script expects, as it says it. */
function formatSpec({ packet }: PacketEvent): string {
  if (packet.protocol === "udp") return `udp (${packet.payloadBytes})`;
  if (packet.protocol === "icmp") return `icmp ${packet.type} ${packet.code ?? ""}`.trimEnd();
  return formatSegment(packet);
}
