// What is told of a response besides its body: timing, tcp_info, and both as JSON.

import type { HttpResponse } from "../../http/index.ts";
import type { TcpInfo } from "../../net/index.ts";
import { formatBytes, table } from "../output.ts";

export interface ReportChoice {
  readonly timing: boolean;
  readonly tcpInfo: boolean;
  readonly json: boolean;
}

const ms = (value: number): string => `${value.toFixed(1)} ms`;
const usAsMs = (us: number): string => ms(us / 1000);

function timingText({ timing, connection }: HttpResponse): string {
  const rows = [
    ["redirects", timing.redirectsMs],
    ["name", timing.lookupMs],
    ["connection", timing.connectMs],
    ["TLS", timing.tlsMs],
    ["first byte", timing.firstByteMs],
    ["transfer", timing.transferMs],
    ["total", timing.totalMs],
  ] as const;
  const { reused } = connection;
  const note = (name: string) => (reused && name === "connection" ? "there was one" : "");
  const shown = rows.map(([name, value]) => [name, ms(value), note(name)]);
  return table(shown, [1]);
}

const place = ({ address, port }: { readonly address: string; readonly port: number }): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

function tcpText({ connection }: HttpResponse, info: TcpInfo): string {
  const rows = [
    ["TCP", `${place(connection.local)} to ${place(connection.remote)}, ${info.state}`],
    ["congestion", `${connection.congestion}, window ${info.congestionWindow} segments`],
    [
      "round trip",
      `${usAsMs(info.rttUs)} ±${usAsMs(info.rttVarianceUs)}, least ${usAsMs(info.minRttUs)}`,
    ],
    ["segments", `${info.sendMssBytes} bytes out, ${info.receiveMssBytes} in`],
    ["path MTU", `${info.pathMtuBytes}`],
    [
      "sent",
      `${formatBytes(info.bytesSent)} in ${info.segmentsOut} segments, ${info.totalRetransmits} again`,
    ],
    [
      "received",
      `${formatBytes(info.bytesReceived)} in ${info.segmentsIn} segments, ${info.outOfOrder} out of order`,
    ],
    ["delivery", `${formatBytes(info.deliveryBytesPerSecond)}/s`],
  ];
  return table(rows);
}

function json(response: HttpResponse, info: TcpInfo | null, file: string | null): string {
  const { url, redirects, version, status, reason, headers, receivedBytes } = response;
  const { timing, connection } = response;
  const facts = { url, status, reason, version, redirects, receivedBytes, file };
  // A limit that there is not is no number of JSON's.
  const tcpInfo =
    info &&
    Object.fromEntries(
      Object.entries(info).map(([name, value]) => [name, value === Infinity ? null : value]),
    );
  return `${JSON.stringify({ ...facts, headers, timing, connection, tcpInfo })}\n`;
}

/** The text to be told; "" if nothing is asked for. */
export async function reportOf(
  response: HttpResponse,
  choice: ReportChoice,
  file: string | null,
): Promise<string> {
  const info = choice.tcpInfo || choice.json ? await response.tcpInfo() : null;
  if (choice.json) return json(response, info, file);
  const timing = choice.timing ? timingText(response) : "";
  return timing + (choice.tcpInfo && info ? tcpText(response, info) : "");
}
