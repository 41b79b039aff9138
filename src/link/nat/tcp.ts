// One TCP connection: the guest's stack at one end, a stream of the host's at the other (RFC 9293).
//
// Positions count bytes from the start of a direction, the SYN being the first; a number on the wire is
// such a position and where the direction began, modulo 2^32.
//
// Invariants: #acked <= #sent <= #end, where #end is what the host's stream has given so far; #queue
// holds the bytes from #acked on. The host's stream is paused while more than MAX_SEND_BYTES of them wait.
// While something is sent and not acknowledged, or while the guest has no room for what waits, #dueMs says
// when it is sent again, and a timer runs that rings no later; it is not set anew for each segment.

import { VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6 } from "../../abi/constants/virtio.ts";
import type { Frame } from "../frame.ts";
import { isIpv6 } from "./address.ts";
import type { Address } from "./address.ts";
import type { Blocks } from "./blocks.ts";
import { u16 } from "./bytes.ts";
import { Outbox } from "./outbox.ts";
import { headerBytes } from "./packet.ts";
import type { Route } from "./packet.ts";
import { joined, lengthOf, skip } from "./pieces.ts";
import type { Pieces } from "./pieces.ts";
import { ACK, FIN, PSH, RST, SYN, TCP_BYTES, segmentFrame } from "./segment.ts";
import type { Segment } from "./segment.ts";
import { SendQueue } from "./send-queue.ts";
import type { HostFailure, HostStream, StreamListener } from "./sockets.ts";

/** What waits for the guest, and what may wait for the host. */
const MAX_SEND_BYTES = 1 << 20;
const MAX_RECEIVE_BYTES = 1 << 21;
/** What the window is shifted by, if the guest knows that (RFC 7323). */
const SCALE = 7;
const MAX_SCALE = 14;
const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_MSS = 2;
const OPTION_SCALE = 3;
/** The least that everyone takes (RFC 9293, section 3.7.1). */
const DEFAULT_MSS = 536;
const MIN_MSS = 64;
/** What fits a packet besides the headers. */
const MAX_SEGMENT_BYTES = 65535 - 40;
const INITIAL_SEGMENTS = 10;
const FIRST_TIMEOUT_MS = 250;
const MAX_TIMEOUT_MS = 60_000;
/** A timer that rings so much too late says nothing of the guest. */
const STALL_MS = 20;
const MAX_RETRIES = 12;
/** The same for a guest that has not answered at all: after about 16 s. */
const MAX_SYN_RETRIES = 5;
const DUPLICATES = 3;
/** What the guest has sent is acknowledged together, up to so many bytes. */
const MAX_UNTOLD_BYTES = 1 << 18;
/** Questions whether a silent guest is still there. */
const MAX_PROBES = 4;

/** What a connection needs of the NAT. */
export interface TcpHost {
  /** Bytes of a packet that fits the link. */
  readonly mtu: number;
  /** Bring a frame to the guest. False: better wait for {@link TcpConnection.room}. */
  deliver(frame: Frame, guest: Address): boolean;
  /** Tell the guest why what it sent did not arrive. False: that is not told so. */
  unreachable(guest: Address, quoted: Uint8Array<ArrayBuffer>, why: HostFailure): boolean;
  /** Call {@link TcpConnection.settle} as soon as nothing else is done. */
  soon(connection: TcpConnection): void;
  /** Memory for its bytes. */
  readonly blocks: Blocks;
  /** The connection is over. */
  forget(connection: TcpConnection): void;
}

export class TcpConnection implements StreamListener {
  /** By which the NAT finds it. */
  readonly key: string;
  readonly route: Route;
  readonly guestPort: number;
  readonly port: number;
  readonly #host: TcpHost;
  /** The largest segment that fits the link. */
  readonly #linkMss: number;
  /** The begin of the packet that asked for it, until it is open. */
  #quoted: Uint8Array<ArrayBuffer> | null;
  #stream: HostStream | null = null;
  #outbox: Outbox | null = null;
  #over = false;
  /** Whether the guest has answered. */
  #established = false;
  /** Whether SYN (and so everything) may be sent: the host's stream is open. */
  #opened = false;

  // To the guest.
  readonly #initial = crypto.getRandomValues(new Uint32Array(1))[0];
  readonly #queue: SendQueue;
  #acked = 0;
  #sent = 0;
  #end = 1;
  #finAt = -1;
  #window = 65535;
  /** The guest has no room: what is sent only asks whether that is still so. */
  #blocked = false;
  #windowScale = 0;
  #mss = DEFAULT_MSS;
  #congestion = INITIAL_SEGMENTS * DEFAULT_MSS;
  #threshold = Infinity;
  #duplicates = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueMs = Infinity;
  #excused = false;
  #timeoutMs = FIRST_TIMEOUT_MS;
  #retries = 0;
  #paused = false;
  #probes = 0;
  #heard = false;

  // From the guest.
  #guestInitial = 0;
  #received = 0;
  /** How much of it the guest was told of. */
  #told = 0;
  #scaled = false;
  #ahead: { at: number; bytes: Uint8Array<ArrayBuffer> }[] = [];
  #aheadBytes = 0;
  #guestFinAt = -1;
  #offered = 0;

  /** @param route from the NAT to the guest @param quoted of the guest's packet, if it asked */
  constructor(
    host: TcpHost,
    key: string,
    route: Route,
    ports: { readonly port: number; readonly guestPort: number },
    quoted: Uint8Array<ArrayBuffer> | null,
  ) {
    this.#host = host;
    this.key = key;
    this.route = route;
    this.port = ports.port;
    this.guestPort = ports.guestPort;
    this.#quoted = quoted;
    this.#queue = new SendQueue(host.blocks);
    this.#linkMss = host.mtu - headerBytes(route.target) - TCP_BYTES;
  }

  /** The guest asks for the connection; `connect` makes the host's end. */
  accept(segment: Segment, connect: (listener: StreamListener) => HostStream): void {
    this.#guestInitial = segment.seq;
    this.#received = 1;
    this.#readOptions(segment.options);
    this.#window = segment.window;
    this.#open(connect(this));
  }

  /** The host asks for the connection: somebody connected to a port that is forwarded. */
  ask(stream: (listener: StreamListener) => HostStream): void {
    this.#scaled = true;
    const opened = stream(this);
    opened.pause();
    this.#open(opened);
    this.#paused = true;
    this.#opened = true;
    this.#send();
  }

  #open(stream: HostStream): void {
    this.#stream = stream;
    this.#outbox = new Outbox(this.#host.blocks, stream, () => this.#left());
  }

  /** The stream has taken some of what the guest sent: the guest is told, if it was told of little room. */
  #left(): void {
    if (this.#over || !this.#established || this.#offered >= MAX_RECEIVE_BYTES / 2) return;
    if (this.#freeBytes() >= MAX_RECEIVE_BYTES / 2) this.#acknowledge();
  }

  /** For so many bytes from the guest there is room. */
  #freeBytes(): number {
    const waiting = this.#aheadBytes + (this.#outbox?.waitingBytes ?? 0);
    return Math.max(0, MAX_RECEIVE_BYTES - waiting);
  }

  /** End it: both ends see a reset. */
  abort(): void {
    if (!this.#over) this.#reset();
    this.destroy();
  }

  /** End it without a word to the guest; the host's end, if it has not ended by itself, is reset. */
  destroy(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#stream?.destroy();
    this.#outbox = null;
    this.#queue.clear();
    this.#ahead = [];
    this.#host.forget(this);
  }

  // --- From the host's stream ----------------------------------------------------------------

  opened(): void {
    if (this.#over) return;
    this.#opened = true;
    this.#quoted = null;
    this.#send();
  }

  data(bytes: Uint8Array): void {
    if (this.#over || bytes.length === 0) return;
    this.#queue.add(bytes);
    this.#end += bytes.length;
    if (this.#end - this.#acked > MAX_SEND_BYTES && !this.#paused) {
      this.#paused = true;
      this.#stream?.pause();
    }
    this.#send();
  }

  ended(): void {
    if (this.#over || this.#finAt >= 0) return;
    this.#finAt = this.#end++;
    this.#send();
  }

  failed(why: HostFailure): void {
    if (this.#over) return;
    const quoted = this.#quoted;
    if (!quoted || !this.#host.unreachable(this.route.target, quoted, why)) this.#reset();
    this.destroy();
  }

  // --- From the guest ------------------------------------------------------------------------

  segment(segment: Segment): void {
    if (this.#over) return;
    this.#heard = true;
    const { flags } = segment;
    if (flags & RST) {
      if (this.#isExpected(segment)) this.destroy();
      return;
    }
    if (flags & SYN) {
      this.#synchronize(segment);
      return;
    }
    if (!(flags & ACK) || !this.#opened) return;
    this.#acknowledged(segment);
    if (this.#over) return;
    this.#take(segment);
    this.#finish();
  }

  /** Nothing else is done: what has come leaves, and the guest is told of it. */
  settle(): void {
    this.#outbox?.flush();
    if (!this.#over && this.#told !== this.#received) this.#acknowledge();
  }

  /** There is room for frames again. */
  room(): void {
    if (!this.#over) this.#send();
  }

  /** Called now and then: a guest that is silent is asked whether it is there; one that is not is forgotten. */
  probe(): void {
    if (this.#heard || !this.#established) {
      this.#heard = false;
      this.#probes = 0;
    } else if (++this.#probes > MAX_PROBES) this.destroy();
    // What it has already, once more: it says so (RFC 9293, section 3.8.4).
    else if (this.#sent === this.#acked) this.#frame(this.#sent - 1, 0, []);
  }

  /** Whether a segment is where the next one should be, so that it is from who it says. */
  #isExpected({ seq, ack, flags }: Segment): boolean {
    if (this.#received === 0) return (flags & ACK) !== 0 && ack === this.#number(this.#sent);
    const ahead = (seq - this.#guestNumber(this.#received)) | 0;
    return ahead >= 0 && ahead <= MAX_RECEIVE_BYTES;
  }

  /** A SYN: the answer to ours, or the one that we know. */
  #synchronize(segment: Segment): void {
    if (this.#received > 0) {
      // Again: our answer was lost, or there is none yet.
      if (this.#opened && !this.#established) this.#retransmit();
      else if (this.#established) this.#acknowledge();
      return;
    }
    if (!(segment.flags & ACK) || segment.ack !== this.#number(1)) return;
    this.#guestInitial = segment.seq;
    this.#received = 1;
    this.#scaled = false;
    this.#readOptions(segment.options);
    this.#acknowledged(segment);
    this.#acknowledge();
  }

  #readOptions(options: Uint8Array): void {
    for (let at = 0; at < options.length && options[at] !== OPTION_END;) {
      if (options[at] === OPTION_NOP) {
        at++;
        continue;
      }
      const length = options[at + 1];
      if (!(length >= 2)) break;
      if (options[at] === OPTION_MSS && length === 4)
        this.#mss = Math.max(MIN_MSS, u16(options, at + 2));
      if (options[at] === OPTION_SCALE && length === 3) {
        this.#scaled = true;
        this.#windowScale = Math.min(options[at + 2], MAX_SCALE);
      }
      at += length;
    }
    this.#mss = Math.min(this.#mss, this.#linkMss);
    this.#congestion = INITIAL_SEGMENTS * this.#mss;
  }

  /** What a segment says of what we sent. */
  #acknowledged({ ack, window, flags, payloadBytes }: Segment): void {
    const ahead = (ack - this.#number(this.#acked)) >>> 0;
    if (ahead > this.#end - this.#acked) return;
    const room = flags & SYN ? window : window * 2 ** this.#windowScale;
    if (ahead > 0) {
      this.#drop(ahead);
      if (this.#congestion < this.#threshold) this.#congestion += ahead;
      else this.#congestion += (this.#mss * ahead) / this.#congestion;
      this.#congestion = Math.min(this.#congestion, 2 * MAX_SEND_BYTES);
      this.#duplicates = this.#retries = 0;
      this.#timeoutMs = FIRST_TIMEOUT_MS;
      this.#established = true;
      this.#dueMs = Infinity;
    } else if (room === this.#window && payloadBytes === 0 && this.#sent > this.#acked)
      this.#duplicate();
    this.#window = room;
    if (this.#blocked && room > 0) {
      // The question's byte was not taken.
      this.#blocked = false;
      this.#sent = this.#acked;
      this.#timeoutMs = FIRST_TIMEOUT_MS;
      this.#dueMs = Infinity;
    }
    // It is there, it only has no room.
    if (room === 0) this.#retries = 0;
    if (this.#paused && this.#established && this.#end - this.#acked <= MAX_SEND_BYTES / 2) {
      this.#paused = false;
      this.#stream?.resume();
    }
    this.#send();
  }

  /** The guest has so many more bytes. */
  #drop(count: number): void {
    // The SYN is none of the bytes; what is left over beyond them is the FIN.
    this.#queue.drop(count - (this.#acked === 0 ? 1 : 0));
    this.#acked += count;
    this.#sent = Math.max(this.#sent, this.#acked);
  }

  /** The guest says again what it has: something in between may be lost. */
  #duplicate(): void {
    if (++this.#duplicates !== DUPLICATES) return;
    this.#threshold = Math.max((this.#sent - this.#acked) / 2, 2 * this.#mss);
    this.#congestion = this.#threshold;
    this.#retransmit();
  }

  #take({ seq, payload, payloadBytes, flags }: Segment): void {
    if (payloadBytes === 0 && !(flags & FIN)) {
      // One that is behind asks whether somebody is there.
      if (seq !== this.#guestNumber(this.#received)) this.#acknowledge();
      return;
    }
    const at = this.#received + ((seq - this.#guestNumber(this.#received)) | 0);
    const end = at + payloadBytes;
    if (flags & FIN && end >= this.#received) this.#guestFinAt = end;
    const isNext = at <= this.#received;
    if (isNext) {
      this.#write(at < this.#received ? skip(payload, this.#received - at) : payload);
      this.#takeAhead();
    } else if (this.#aheadBytes + payloadBytes <= MAX_RECEIVE_BYTES) {
      this.#ahead.push({ at, bytes: joined(payload) });
      this.#aheadBytes += payloadBytes;
    }
    const ended = this.#received === this.#guestFinAt;
    if (ended) {
      this.#received++;
      this.#outbox?.flush();
      this.#stream?.end();
    }
    // What is missing is asked for at once, by telling again what is there.
    if (!isNext || ended || this.#received - this.#told > MAX_UNTOLD_BYTES) this.#acknowledge();
    else this.#host.soon(this);
  }

  #write(pieces: Pieces): void {
    // Beyond its own end there is nothing.
    if (this.#guestFinAt >= 0 && this.#received >= this.#guestFinAt) return;
    for (const piece of pieces) {
      this.#received += piece.length;
      this.#outbox?.add(piece);
    }
  }

  /** What came too early may be next. */
  #takeAhead(): void {
    if (this.#ahead.length === 0) return;
    this.#ahead.sort((a, b) => a.at - b.at);
    while (this.#ahead.length && this.#ahead[0].at <= this.#received) {
      const { at, bytes } = this.#ahead.shift()!;
      this.#aheadBytes -= bytes.length;
      if (at + bytes.length > this.#received) this.#write([bytes.subarray(this.#received - at)]);
    }
  }

  /** Over, if both ends have said all and know of it. */
  #finish(): void {
    if (this.#finAt < 0 || this.#acked <= this.#finAt) return;
    if (this.#guestFinAt >= 0 && this.#received > this.#guestFinAt) {
      // The stream goes on by itself with what it has to send, all of which it has.
      this.#stream = null;
      this.destroy();
    }
  }

  // --- To the guest --------------------------------------------------------------------------

  #number(position: number): number {
    return (this.#initial + position) >>> 0;
  }

  #guestNumber(position: number): number {
    return (this.#guestInitial + position) >>> 0;
  }

  /** Send what may be sent. */
  #send(): void {
    if (!this.#opened || this.#over) return;
    if (this.#sent === 0) {
      this.#sent = 1;
      this.#frame(0, SYN, []);
    }
    if (!this.#established) return this.#setTimer();
    const allowed = this.#acked + Math.min(this.#window, this.#congestion);
    const dataEnd = this.#finAt < 0 ? this.#end : this.#finAt;
    while (this.#sent < Math.min(dataEnd, allowed)) {
      const most = this.#mss * Math.max(1, Math.floor(MAX_SEGMENT_BYTES / this.#mss));
      const count = Math.min(dataEnd - this.#sent, Math.floor(allowed - this.#sent), most);
      if (count <= 0) break;
      const at = this.#sent;
      this.#sent += count;
      if (!this.#frame(at, PSH, this.#queue.views(at - Math.max(this.#acked, 1), count))) break;
    }
    if (this.#sent === this.#finAt) {
      this.#sent++;
      this.#frame(this.#finAt, FIN, []);
    }
    this.#setTimer();
  }

  /** Begin again with what is not acknowledged. */
  #retransmit(): void {
    this.#sent = this.#acked;
    this.#send();
  }

  #acknowledge(): void {
    this.#frame(this.#sent, 0, []);
  }

  #reset(): void {
    if (this.#received > 0 || this.#sent > 0) this.#frame(this.#sent, RST, []);
  }

  /** @returns false if there is no more room for frames */
  #frame(position: number, flags: number, pieces: Pieces): boolean {
    this.#offered = this.#freeBytes();
    this.#told = this.#received;
    const scale = this.#scaled && !(flags & SYN) ? SCALE : 0;
    const frame = segmentFrame(
      this.route,
      {
        sourcePort: this.port,
        targetPort: this.guestPort,
        seq: this.#number(position),
        ack: this.#received > 0 ? this.#guestNumber(this.#received) : 0,
        flags: flags | (this.#received > 0 ? ACK : 0),
        window: Math.min(this.#offered >> scale, 65535),
        ...(flags & SYN ? { options: this.#options() } : {}),
      },
      pieces,
    );
    if (lengthOf(pieces) > this.#mss) {
      frame.gsoType = isIpv6(this.route.target)
        ? VIRTIO_NET_HDR_GSO_TCPV6
        : VIRTIO_NET_HDR_GSO_TCPV4;
      frame.gsoSize = this.#mss;
    }
    return this.#host.deliver(frame, this.route.target);
  }

  #options(): Uint8Array {
    const mss = this.#linkMss;
    const options = [OPTION_MSS, 4, mss >> 8, mss & 255];
    if (this.#scaled) options.push(OPTION_NOP, OPTION_SCALE, 3, SCALE);
    return Uint8Array.from(options);
  }

  #setTimer(): void {
    const waits = this.#sent > this.#acked || this.#end > this.#sent;
    if (!waits || this.#over) this.#dueMs = Infinity;
    else if (this.#dueMs === Infinity) {
      this.#dueMs = performance.now() + this.#timeoutMs;
      this.#timer ??= setTimeout(this.#ring, this.#timeoutMs);
    }
  }

  readonly #ring = (): void => {
    this.#timer = undefined;
    if (this.#dueMs === Infinity) return;
    let leftMs = this.#dueMs - performance.now();
    if (leftMs < -STALL_MS && !this.#excused) {
      // The program has stood still, and a guest in it, too. Once more, then.
      this.#excused = true;
      leftMs = this.#timeoutMs;
      this.#dueMs = performance.now() + leftMs;
    }
    if (leftMs > 0) this.#timer = setTimeout(this.#ring, leftMs);
    else this.#late();
  };

  /** What was sent is not acknowledged in time. */
  #late(): void {
    this.#dueMs = Infinity;
    this.#excused = false;
    if (++this.#retries > (this.#established ? MAX_RETRIES : MAX_SYN_RETRIES)) {
      this.abort();
      return;
    }
    this.#timeoutMs = Math.min(2 * this.#timeoutMs, MAX_TIMEOUT_MS);
    if (this.#window === 0) {
      // One byte asks whether there is room again. Nothing is lost.
      this.#blocked = true;
      this.#window = 1;
    } else {
      this.#threshold = Math.max((this.#sent - this.#acked) / 2, 2 * this.#mss);
      this.#congestion = this.#mss;
    }
    this.#retransmit();
  }
}
