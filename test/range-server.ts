// A web server of one file that knows ranges, and can be told to make trouble.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";

/** How the server answers one request; what it leaves undone is done as servers should. */
export type Trouble = (request: IncomingMessage, response: ServerResponse) => "done" | "go on";

/** A server of one file that knows ranges. */
export class FileServer {
  bytes: Uint8Array;
  etag: string | null = '"one"';
  modified: string | null = "Sat, 03 Feb 2001 04:05:06 GMT";
  trouble: Trouble = () => "go on";
  /** Sent with every answer. */
  readonly headers: Record<string, string> = {};
  /** The ranges asked for. */
  readonly asked: string[] = [];
  /** Requests under way, and how many there were at once. */
  busy = 0;
  busiest = 0;
  readonly server: Server;
  port = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.server = createServer((request, response) => {
      this.asked.push(request.headers.range ?? "");
      this.busiest = Math.max(this.busiest, ++this.busy);
      response.once("close", () => this.busy--);
      if (this.trouble(request, response) === "go on") this.answer(request, response);
    });
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const { bytes } = this;
    const size = bytes.length;
    const [start = 0, last = 0] =
      /^bytes=(\d+)-(\d+)$/
        .exec(request.headers.range ?? "")
        ?.slice(1)
        .map(Number) ?? [];
    for (const [name, value] of Object.entries(this.headers)) response.setHeader(name, value);
    if (this.etag !== null) response.setHeader("ETag", this.etag);
    if (this.modified !== null) response.setHeader("Last-Modified", this.modified);
    if (start >= size) {
      response.writeHead(416, { "Content-Range": `bytes */${size}` }).end();
      return;
    }
    const body = bytes.subarray(start, Math.min(last + 1, size));
    response.writeHead(206, {
      "Content-Range": `bytes ${start}-${start + body.length - 1}/${size}`,
      "Content-Length": body.length,
    });
    response.end(body);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/disk.img`;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}

export async function serve(bytes: Uint8Array): Promise<FileServer> {
  const file = new FileServer(bytes);
  await new Promise<void>((resolve) => void file.server.listen(0, "127.0.0.1", resolve));
  const address = file.server.address();
  assert.ok(typeof address === "object" && address);
  file.port = address.port;
  return file;
}
