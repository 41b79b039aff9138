// How long the parts of a request took.

/** In milliseconds. What was not needed, as on a connection that was there, is 0. */
export interface Timing {
  /** All requests before the last one, which were redirected. */
  readonly redirectsMs: number;
  /** The name's addresses. */
  readonly lookupMs: number;
  /** TCP's handshake, on all addresses that were tried. */
  readonly connectMs: number;
  readonly tlsMs: number;
  /** From the connection to the head of the response: sending the request, and the server's time. */
  readonly firstByteMs: number;
  /** The body. */
  readonly transferMs: number;
  /** Everything, as the user sees it. */
  readonly totalMs: number;
}

/** What it took to connect. */
export type Dialled = Pick<Timing, "lookupMs" | "connectMs" | "tlsMs">;

export const REUSED: Dialled = { lookupMs: 0, connectMs: 0, tlsMs: 0 };

/** Moments of one request, by `performance.now()`. */
export class Stopwatch {
  readonly #startMs = performance.now();
  #firstByteMs = 0;
  #redirectsMs = 0;
  #dialled: Dialled = REUSED;
  #readyMs = this.#startMs;
  #firstMs: number | null = null;
  #endMs: number | null = null;

  /** The request begins, for the first time or after a redirect. */
  begin(): void {
    this.#redirectsMs = performance.now() - this.#startMs;
    this.#firstMs = null;
  }

  /** There is a connection. */
  ready(dialled: Dialled): void {
    this.#dialled = dialled;
    this.#readyMs = performance.now();
  }

  /** The head of the response is there. */
  answered(): void {
    this.#firstMs = performance.now();
    this.#firstByteMs = this.#firstMs - this.#readyMs;
  }

  /** The body has ended. */
  ended(): void {
    this.#endMs ??= performance.now();
  }

  /** As far as it is known now. */
  get timing(): Timing {
    const now = this.#endMs ?? performance.now();
    return {
      redirectsMs: this.#redirectsMs,
      ...this.#dialled,
      firstByteMs: this.#firstByteMs,
      transferMs: this.#firstMs === null ? 0 : now - this.#firstMs,
      totalMs: now - this.#startMs,
    };
  }
}
