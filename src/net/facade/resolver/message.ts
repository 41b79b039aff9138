// Messages of the domain name system: RFC 1035, section 4; RFC 6891 for their size.

/** What is asked for. */
export const TYPE = { A: 1, CNAME: 5, AAAA: 28 } as const;
const TYPE_OPT = 41;
const CLASS_IN = 1;
const HEADER_BYTES = 12;
const RECORD_BYTES = 10;
const MAX_LABEL_BYTES = 63;
const MAX_NAME_BYTES = 255;
/** How long an answer by UDP may be: what passes nearly everywhere in one piece. */
export const UDP_PAYLOAD_BYTES = 1232;
const POINTER = 0xc0;

const FLAG_RESPONSE = 0x8000;
const FLAG_TRUNCATED = 0x0200;
const FLAG_RECURSION_DESIRED = 0x0100;
const RCODE_MASK = 0xf;
export const RCODE = { NOERROR: 0, NXDOMAIN: 3 } as const;

const encoder = new TextEncoder();

/** These bytes are no message of the domain name system. */
export class MalformedAnswerError extends Error {
  override readonly name = "MalformedAnswerError";
  readonly code = "EBADRESP";
}

export interface Answer {
  readonly id: number;
  /** Whether it is a response at all. */
  readonly response: boolean;
  readonly truncated: boolean;
  readonly rcode: number;
  /** The name and the type that were asked for, in lower case. */
  readonly question: { readonly name: string; readonly type: number } | undefined;
  /** Addresses in bytes, for the name or what it is an alias of. */
  readonly addresses: readonly Uint8Array[];
}

/** A name as a sequence of labels; undefined if it cannot be one. */
function encodeName(name: string): Uint8Array | undefined {
  const bytes: number[] = [];
  for (const label of name.replace(/\.$/, "").split(".")) {
    const text = encoder.encode(label);
    if (!text.length || text.length > MAX_LABEL_BYTES) return undefined;
    bytes.push(text.length, ...text);
  }
  bytes.push(0);
  return bytes.length > MAX_NAME_BYTES ? undefined : Uint8Array.from(bytes);
}

/** A question, or undefined if the name is none that could be asked for. */
export function encodeQuestion(id: number, name: string, type: number): Uint8Array | undefined {
  const labels = encodeName(name);
  if (!labels) return undefined;
  const bytes = new Uint8Array(HEADER_BYTES + labels.length + 4 + 1 + RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id);
  view.setUint16(2, FLAG_RECURSION_DESIRED);
  view.setUint16(4, 1); // one question
  view.setUint16(10, 1); // one more record, which says how long the answer may be
  bytes.set(labels, HEADER_BYTES);
  let at = HEADER_BYTES + labels.length;
  view.setUint16(at, type);
  view.setUint16(at + 2, CLASS_IN);
  at += 5;
  view.setUint16(at, TYPE_OPT);
  view.setUint16(at + 2, UDP_PAYLOAD_BYTES);
  return bytes;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  take(length: number): Uint8Array {
    if (this.at + length > this.#bytes.length)
      throw new MalformedAnswerError(`the message ends at ${this.#bytes.length}`);
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  u16(): number {
    this.take(2);
    return this.#view.getUint16(this.at - 2);
  }

  /** A name in lower case. Pointers lead backwards only, so that it ends. */
  name(): string {
    const labels: string[] = [];
    let end: number | undefined;
    let limit = this.at;
    for (;;) {
      const [length] = this.take(1);
      if (length === 0) break;
      if ((length & POINTER) === POINTER) {
        const [low] = this.take(1);
        const target = ((length & ~POINTER) << 8) | low;
        if (target >= limit) throw new MalformedAnswerError("a name leads forward");
        end ??= this.at;
        this.at = limit = target;
      } else if (length & POINTER) throw new MalformedAnswerError("a label of an unknown kind");
      else labels.push(String.fromCharCode(...this.take(length)).toLowerCase());
    }
    this.at = end ?? this.at;
    return labels.join(".");
  }
}

/** @throws {MalformedAnswerError} */
export function decodeAnswer(bytes: Uint8Array): Answer {
  const reader = new Reader(bytes);
  const id = reader.u16();
  const flags = reader.u16();
  const questions = reader.u16();
  const answers = reader.u16();
  reader.take(4);
  let question: Answer["question"];
  for (let index = 0; index < questions; index++) {
    const name = reader.name();
    question ??= { name, type: reader.u16() };
    reader.u16();
  }
  const addresses: Uint8Array[] = [];
  for (let index = 0; index < answers; index++) {
    reader.name();
    const type = reader.u16();
    reader.take(6);
    const data = reader.take(reader.u16());
    const size = type === TYPE.A ? 4 : type === TYPE.AAAA ? 16 : undefined;
    if (type === question?.type && data.length === size) addresses.push(data.slice());
  }
  return {
    id,
    response: (flags & FLAG_RESPONSE) !== 0,
    truncated: (flags & FLAG_TRUNCATED) !== 0,
    rcode: flags & RCODE_MASK,
    question,
    addresses,
  };
}
