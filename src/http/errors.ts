// What can go wrong with a request, by where it was.

/** How far a request had come. */
export type HttpPhase =
  /** The host's name has no address. */
  | "lookup"
  | "connect"
  | "tls"
  /** The server's certificate is not to be trusted. */
  | "certificate"
  /** Sending the request, its body included. */
  | "request"
  /** Waiting for the response, or reading its head. */
  | "response"
  /** The body ended too early, or broke off. */
  | "body"
  /** The body is not encoded as its head says. */
  | "encoding"
  | "redirect"
  | "timeout";

/** A request failed. `cause` is what was behind it, if anything was. */
export class HttpClientError extends Error {
  override readonly name = "HttpClientError";
  readonly phase: HttpPhase;
  /** Of the cause, such as ECONNREFUSED, ENOTFOUND, CERT_HAS_EXPIRED; or ERR_HTTP_… of this client. */
  readonly code: string;
  readonly url: string;

  constructor(phase: HttpPhase, code: string, url: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.phase = phase;
    this.code = code;
    this.url = url;
  }
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;

/** Several addresses were tried: what each of them said. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join("; ");
  const text = error instanceof Error ? error.message : String(error);
  // OpenSSL's: `E0A2…:error:0A000458:SSL routines:ssl3_read_bytes:tlsv1 unrecognized name:../deps/…`
  const [, reason] = /:SSL routines:[^:]*:([^:]+):/.exec(text) ?? [];
  return (reason ?? text).trim();
}

/** OpenSSL's names of alerts that the other side sent. */
const ALERT = /^ERR_SSL_(?:SSLV3_ALERT|TLSV1|TLSV13)_/;

/** What was thrown, said of a phase. */
export function failure(phase: HttpPhase, url: string, error: unknown): HttpClientError {
  if (error instanceof HttpClientError) return error;
  const code = codeOf(error);
  const text = messageOf(error);
  const said = ALERT.test(code ?? "") ? `the server ended TLS with an alert: ${text}` : text;
  return new HttpClientError(phase, code ?? "ERR_HTTP_FAILED", url, said, error);
}

/** OpenSSL's, as Node has them, of a chain that does not lead to somebody trusted. */
const CERTIFICATE =
  /^(?:CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|INVALID_CA|HOSTNAME_MISMATCH|CRL_|PATH_LENGTH|ERR_TLS_CERT_)/;

/** What TLS threw before it stood. */
export function tlsFailure(url: string, error: unknown): HttpClientError {
  const untrusted = CERTIFICATE.test(codeOf(error) ?? "");
  return failure(untrusted ? "certificate" : "tls", url, error);
}
