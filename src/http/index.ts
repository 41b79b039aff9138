// HTTP over the sockets of a kernel.
export { HttpClient, HttpResponse } from "./client.ts";
export type { ConnectionFacts, HttpClientOptions } from "./client.ts";
export type { DialOptions, HttpTls, TlsFacts } from "./dial.ts";
export { HttpClientError } from "./errors.ts";
export type { HttpPhase } from "./errors.ts";
export type { HeaderInit, HeaderList } from "./headers.ts";
export type { HttpVersion, RequestBody, RequestOptions } from "./request.ts";
export type { Timing } from "./timing.ts";
