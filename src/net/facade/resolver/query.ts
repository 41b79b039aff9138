// One question to one server: by UDP, and by TCP if the answer is too long for that. RFC 7766.

import { ipEndpoint } from "../endpoint.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Sockets } from "../sockets.ts";
import { MalformedAnswerError, RCODE, decodeAnswer, encodeQuestion } from "./message.ts";
import type { Answer } from "./message.ts";

const PORT = 53;
const LENGTH_BYTES = 2;

/** A server did not answer, or said that it could not. */
export class ServerError extends Error {
  override readonly name = "ServerError";
  readonly code = "ESERVFAIL";
}

export interface Question {
  readonly name: string;
  readonly type: number;
}

function serverOf(text: string): Endpoint {
  return ipEndpoint(text, PORT, "nameserver");
}

function randomId(): number {
  return crypto.getRandomValues(new Uint16Array(1))[0];
}

/** Whether it answers this question: others may send as well. */
function belongs(answer: Answer, id: number, { name, type }: Question): boolean {
  const asked = answer.question;
  return (
    answer.response &&
    answer.id === id &&
    asked?.type === type &&
    asked.name === name.toLowerCase().replace(/\.$/, "")
  );
}

function read(bytes: Uint8Array): Answer | undefined {
  try {
    return decodeAnswer(bytes);
  } catch (error) {
    if (error instanceof MalformedAnswerError) return undefined;
    throw error;
  }
}

async function byUdp(
  sockets: Sockets,
  server: Endpoint,
  question: Question,
  signal: AbortSignal,
): Promise<Answer> {
  const id = randomId();
  const message = encodeQuestion(id, question.name, question.type)!;
  const local = ipEndpoint(server.family === "IPv6" ? "::" : "0.0.0.0", 0);
  await using socket = await sockets.datagrams({ local });
  const abort = () => void socket.close();
  signal.addEventListener("abort", abort, { once: true });
  try {
    await socket.connect(server);
    await socket.send(message);
    for await (const { bytes } of socket) {
      const answer = read(bytes);
      if (answer && belongs(answer, id, question)) return answer;
    }
    throw signal.reason;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function byTcp(
  sockets: Sockets,
  server: Endpoint,
  question: Question,
  signal: AbortSignal,
): Promise<Answer> {
  const id = randomId();
  const message = encodeQuestion(id, question.name, question.type)!;
  await using connection = await sockets.connect({ remote: server, signal });
  const abort = () => void connection.close();
  signal.addEventListener("abort", abort, { once: true });
  try {
    await connection.write([Uint8Array.of(message.length >> 8, message.length & 0xff), message]);
    let received = new Uint8Array();
    for await (const part of connection) {
      const joined = new Uint8Array(received.length + part.length);
      joined.set(received);
      joined.set(part, received.length);
      received = joined;
      const length = received.length < LENGTH_BYTES ? Infinity : (received[0] << 8) | received[1];
      if (received.length < LENGTH_BYTES + length) continue;
      const answer = read(received.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
      if (answer && belongs(answer, id, question)) return answer;
      break;
    }
    throw new ServerError("the server broke off");
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/**
 * Ask.
 *
 * @returns addresses, none if the name has none of this kind
 * @throws {ServerError} and errors of sockets
 */
export async function ask(
  sockets: Sockets,
  server: string,
  question: Question,
  timeoutMs: number,
): Promise<{ readonly exists: boolean; readonly addresses: readonly Uint8Array[] }> {
  const limit = new AbortController();
  const timer = setTimeout(
    () => limit.abort(new ServerError(`${server} did not answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    const endpoint = serverOf(server);
    let answer = await byUdp(sockets, endpoint, question, limit.signal);
    if (answer.truncated) answer = await byTcp(sockets, endpoint, question, limit.signal);
    const { rcode, addresses } = answer;
    if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN)
      throw new ServerError(`${server} answered with the code ${rcode}`);
    return { exists: rcode === RCODE.NOERROR, addresses };
  } catch (error) {
    limit.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
