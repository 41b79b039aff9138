// Runs a script: a kernel, a TUN device in it, and time that passes only where the script waits.
//
// Invariants: events are handled one after the other. Only one system call of the script is in the kernel
// at a time, but for one that blocks: before the next call it has to have ended.

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
import type { Process } from "../../src/syscall/process.ts";
import type { CallHost, Target } from "./calls/call.ts";
import { makeCall } from "./calls/index.ts";
import { configure } from "./config.ts";
import type { Config } from "./config.ts";
import type { Endpoint } from "./endpoint.ts";
import { Mismatch, ScriptError } from "./errors.ts";
import type { ScriptOption } from "./lexer.ts";
import { parse } from "./parser.ts";
import { runPython } from "./python.ts";
import type { PyScope } from "./python.ts";
import { Room } from "./room.ts";
import type { CallEvent, Command, EventTime, Script, ScriptEvent } from "./script.ts";
import { Shell } from "./shell.ts";
import { symbols } from "./symbols.ts";
import { Timeline, seconds } from "./timeline.ts";
import { Tun } from "./tun.ts";
import { Wire } from "./wire.ts";
import type { Addresses } from "./wire.ts";

const MS = 1e6;
const MEMORY_MIB = 64;
/** What randomness a kernel has: the same in every run. */
const SEED = 1;
const EPOCH_MS = Date.UTC(2024, 0, 1);
/**
 * Where in a jiffy of 10 ms scripts begin. The kernel's timers ring where one ends; the scripts are made
 * for jiffies of 1 ms. What begins 1 ms before the end rings as there, if it happens every 10 ms.
 */
const START_IN_JIFFY_NS = 9 * MS;
/** How late a call that blocks may end, to be told when. */
const LATE_NS = 5e9;
/** Where SO_MEMINFO has what, by the names of linux/sock_diag.h. */
const MEMORY_FIELDS = Object.entries(diag).filter(([name]) => name.startsWith("SK_MEMINFO_"));
/** The process id that commands see as their parent's. */
const PPID = "4242";

/** How a script went that did what it should. */
export interface Report {
  readonly events: number;
  readonly packets: number;
  /** By how much something was too early or too late, at most; it was within the tolerance. */
  readonly deviationNs: number;
  /** What was not as expected, but is not fatal by --non_fatal; and what the script printed. */
  readonly notes: readonly string[];
}

export interface RunOptions {
  /** Those of the command line. */
  readonly options?: readonly ScriptOption[];
  /** The script's text, if it is not to be read from the file. */
  readonly text?: string;
  /** Told of each packet and each call. */
  readonly trace?: (line: string) => void;
  /** Variables that commands see. */
  readonly environment?: ReadonlyMap<string, string>;
  /** Where in a jiffy of the kernel's the script begins, 0 to below JIFFY_NS. */
  readonly startInJiffyNs?: number;
}

/** @throws {ScriptError} if the script is malformed, or the kernel does something else than it says */
export async function runScript(file: string, given: RunOptions = {}): Promise<Report> {
  let config = configure(file, [], given.options ?? []);
  const script = parse(given.text ?? readFileSync(file, "utf8"), file, (own) => {
    config = configure(file, own, given.options ?? []);
    return config.defines;
  });
  const clock = new VirtualClock({ epochMs: EPOCH_MS });
  const kernel = await Kernel.boot({ clock, random: SEED, memoryMiB: MEMORY_MIB });
  try {
    // All that is opened in the kernel ends with it.
    const runner = await clock.drive(Runner.prepare(script, config, kernel, clock, given));
    return await runner.run(given.startInJiffyNs ?? START_IN_JIFFY_NS);
  } finally {
    kernel.dispose();
  }
}

/** A system call that the script says blocks. */
interface Blocked {
  readonly event: CallEvent;
  readonly line: number;
  /** When it is to end, on the script's time; and when it did. */
  readonly endNs: number;
  endedNs: number | undefined;
  readonly done: Promise<void>;
}

/** What a script is run with. */
interface Parts {
  readonly process: Process;
  readonly room: Room;
  readonly tun: Tun;
  readonly time: Timeline;
  readonly wire: Wire;
  readonly shell: Shell;
}

class Runner implements CallHost {
  readonly #script: Script;
  readonly #config: Config;
  readonly #parts: Parts;
  readonly #trace: (line: string) => void;
  readonly #notes: string[] = [];
  readonly #scope: PyScope = new Map(symbols);
  #blocked: Blocked | undefined;
  readonly descriptors = new Map<number, number>();
  readonly endpoints = new Map<number, Endpoint>();
  readonly domain: number;
  readonly bindTo: Target;
  readonly connectTo: Target;

  private constructor(
    script: Script,
    config: Config,
    parts: Parts,
    { local, remote }: Addresses,
    trace: (line: string) => void,
  ) {
    this.#script = script;
    this.#config = config;
    this.#parts = parts;
    this.#trace = trace;
    const { ipVersion, bindPort, connectPort } = config;
    this.domain = ipVersion === "ipv4" ? AF_INET : AF_INET6;
    const mapped = (address: Uint8Array) =>
      ipVersion === "ipv4-mapped-ipv6"
        ? Uint8Array.of(...new Uint8Array(10), 0xff, 0xff, ...address)
        : address;
    this.bindTo = { address: mapped(local), port: bindPort };
    this.connectTo = { address: mapped(remote), port: connectPort };
  }

  static async prepare(
    script: Script,
    config: Config,
    kernel: Kernel,
    clock: VirtualClock,
    { trace = () => {}, environment = new Map() }: RunOptions,
  ): Promise<Runner> {
    const { init } = kernel;
    const addresses: Addresses = {
      local: ipOf(config.localIp)!.bytes,
      remote: ipOf(config.remoteIp.replace(/\/\d+$/, ""))!.bytes,
    };
    const process = await kernel.process();
    const room = await Room.open(process);
    const network = net(init);
    const tun = await Tun.open(init, network, clock, config);
    const time = new Timeline(clock, config);
    const wire = new Wire(tun, time, config, addresses, trace);
    const variables = new Map([...environment, ["PPID", PPID]]);
    const shell = new Shell({ process: init, network, folder: dirname(script.file), variables });
    const parts = { process, room, tun, time, wire, shell };
    return new Runner(script, config, parts, addresses, trace);
  }

  // --- The script --------------------------------------------------------------------------------

  async run(startInJiffyNs: number): Promise<Report> {
    const { file, init, events, cleanup } = this.#script;
    const { time, tun, wire } = this.#parts;
    const [first] = events;
    if (first?.time.kind === "absolute" && first.time.ns !== 0)
      throw new ScriptError(
        { file, line: first.line },
        "semantic error",
        "first event should be at time 0",
      );
    try {
      if (init) await this.#command(init);
      await time.begin(startInJiffyNs);
      tun.sniffed.length = 0;
      for (const event of events) await this.#event(event);
      await this.#finishBlocked();
    } finally {
      if (cleanup) await this.#command(cleanup);
    }
    return {
      events: events.length,
      packets: wire.packets,
      deviationNs: time.deviationNs,
      notes: this.#notes,
    };
  }

  async #event(event: ScriptEvent): Promise<void> {
    const { time } = this.#parts;
    const kind = event.kind === "call" ? `runtime error in ${event.name} call` : KINDS[event.kind];
    await this.#at(event.line, kind, async () => {
      const due = time.due(event);
      if (event.kind !== "packet") await this.#finishBlocked();
      try {
        await this.#handle(event, due);
      } catch (error) {
        const named = event.kind === "call" ? "syscall" : event.kind;
        if (!(error instanceof Mismatch && this.#config.nonFatal.has(named))) throw error;
        this.#notes.push(`${this.#script.file}:${event.line}: ${kind}: ${error.message}`);
      }
      time.passed(event, due);
    });
  }

  async #handle(event: ScriptEvent, due: number): Promise<void> {
    const { wire } = this.#parts;
    switch (event.kind) {
      case "packet":
        if (event.direction === "outbound") return wire.outbound(event, event.time, due);
        await this.#reach("inbound packet", event.time, due);
        return wire.inbound(event);
      case "call":
        await this.#reach("system call start", event.time, due);
        return this.#call(event, event.time, due);
      case "command":
        await this.#reach("command", event.time, due);
        return this.#command(event);
      case "code":
        await this.#reach("data collection for code", event.time, due);
        return this.#code(event.code);
    }
  }

  /** Do something for a line of the script. @throws {ScriptError} if that goes wrong */
  async #at(line: number, kind: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Mismatch || error instanceof SyntaxError)) throw error;
      const place = { file: this.#script.file, line };
      throw new ScriptError(place, kind, error.message, { cause: error });
    }
  }

  /** Wait until an event is due. @throws {Mismatch} if it is too late for it already */
  async #reach(what: string, at: EventTime, due: number): Promise<void> {
    const { time } = this.#parts;
    await time.passUntil(due);
    await time.idle();
    time.check(what, at, due, time.nowNs);
  }

  #command({ command, line }: Command): Promise<void> {
    return this.#at(line, KINDS.command, async () => {
      const { time, shell } = this.#parts;
      const { status, output, errors } = await time.settle(shell.run(command));
      if (output) this.#notes.push(output.trimEnd());
      if (status !== 0) throw new Mismatch(`expected status 0 but got ${status}: ${errors.trim()}`);
      if (errors) this.#trace(errors.trimEnd());
    });
  }

  // --- System calls ------------------------------------------------------------------------------

  get process(): Process {
    return this.#parts.process;
  }

  get room(): Room {
    return this.#parts.room;
  }

  get startNs(): number {
    return this.#parts.time.startWallNs;
  }

  get toleranceNs(): number {
    return this.#config.toleranceNs;
  }

  async #call(event: CallEvent & { line: number }, at: EventTime, due: number): Promise<void> {
    const { time } = this.#parts;
    this.#trace(`${seconds(time.nowNs)} ${event.name}()`);
    const done = makeCall(event, this);
    if (event.endNs === undefined) return time.settle(done);
    // The end is written as the beginning is: since the event before, or since the start.
    const base = at.kind === "relative" ? due - at.ns : 0;
    const { line } = event;
    const blocked: Blocked = { event, line, endNs: base + event.endNs, endedNs: undefined, done };
    const ended = () => {
      blocked.endedNs = time.nowNs;
    };
    done.then(ended, ended); // Who waits for its end sees what it came to.
    this.#blocked = blocked;
    return time.idle();
  }

  /** Before the next call, or at the end of the script, a call that blocks has to have ended. */
  async #finishBlocked(): Promise<void> {
    const blocked = this.#blocked;
    if (!blocked) return;
    this.#blocked = undefined;
    const { event, line, done, endNs } = blocked;
    await this.#at(line, `runtime error in ${event.name} call`, async () => {
      const { time } = this.#parts;
      await time.settle(done, Math.max(0, endNs - time.nowNs) + time.toleranceNs(endNs) + LATE_NS);
      const at: EventTime = { kind: "absolute", ns: endNs };
      time.check("system call return", at, endNs, blocked.endedNs ?? time.nowNs);
    });
  }

  created(endpoint: Endpoint): void {
    this.#parts.wire.created(endpoint);
  }

  connecting(endpoint: Endpoint, { address, port }: Target): void {
    this.#parts.wire.connecting(endpoint, address, port);
  }

  accepted(scriptFd: number, port: number): void {
    const endpoint = this.#parts.wire.accepted(port);
    if (!endpoint) return;
    endpoint.scriptFd = scriptFd;
    this.endpoints.set(scriptFd, endpoint);
  }

  // --- Code --------------------------------------------------------------------------------------

  async #code(code: string): Promise<void> {
    const { time, wire } = this.#parts;
    const fd = this.descriptors.get(wire.current?.scriptFd ?? -1);
    if (fd !== undefined)
      for (const [name, value] of await time.settle(this.#known(fd))) this.#scope.set(name, value);
    runPython(code, this.#scope, (text) => this.#notes.push(text));
  }

  /** What is known of a socket: the memory that it has, and the fields of struct tcp_info. */
  async #known(fd: number): Promise<Map<string, number>> {
    const values = new Map<string, number>();
    const memory = await this.#option(fd, SOL_SOCKET, SO_MEMINFO, diag.SK_MEMINFO_VARS * 4);
    for (const [name, index] of MEMORY_FIELDS)
      if (index < diag.SK_MEMINFO_VARS) values.set(name, memory.getUint32(index * 4, true));
    if (this.#parts.wire.current?.protocol !== "tcp") return values;
    const info: object = new TcpInfo(await this.#option(fd, SOL_TCP, TCP_INFO, TcpInfo.size));
    const names = Object.getOwnPropertyNames(TcpInfo.prototype);
    for (const name of names.filter((one) => one.startsWith("tcpi_")))
      values.set(name, Number(Reflect.get(info, name)));
    return values;
  }

  async #option(fd: number, level: number, option: number, size: number): Promise<DataView> {
    const bytes = new Uint8Array(size);
    const length = new Uint8Array(Uint32Array.of(size).buffer);
    await this.process.getsockopt(fd, level, option, bytes, length);
    return new DataView(bytes.buffer);
  }
}

/** What an error is of, by the kind of the event. */
const KINDS = {
  packet: "error handling packet",
  command: "error executing command",
  code: "error executing code",
} as const;
