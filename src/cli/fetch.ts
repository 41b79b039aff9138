// liblinux fetch: HTTP over a kernel's own TCP, with what other clients cannot tell or choose.

import { appendFileSync, readFileSync } from "node:fs";
import { basename } from "node:path";

import { HttpClient } from "../http/index.ts";
import type { HeaderInit, HttpResponse, RequestBody, RequestOptions } from "../http/index.ts";
import type { Impairments } from "../link/index.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { at, describeError, FailedError, UsageError } from "./errors.ts";
import { EXIT, told } from "./fetch/failures.ts";
import { parseResolve } from "./fetch/hosts.ts";
import { FetchNetwork } from "./fetch/network.ts";
import { reportOf } from "./fetch/report.ts";
import { bodyFrom, STDIN } from "./fetch/source.ts";
import { Target } from "./fetch/target.ts";
import { secondsToMs, toMbps, toMs, toNumber, toProbability } from "./fetch/units.ts";
import { kernelChoice, parse, PROGRESS_OPTIONS, showsProgress } from "./options.ts";
import { write } from "./output.ts";
import { Progress } from "./progress.ts";

const DEFAULT_REDIRECTS = 10;
const MAX_REDIRECTS = 100;
const MIN_MTU = 576;
const MAX_MTU = 65535;
const FIRST_ERROR = 400;
/** In place of a file's name. */
const STDOUT = "-";

const OPTIONS = {
  output: { type: "string", short: "o" },
  request: { type: "string", short: "X" },
  header: { type: "string", short: "H", multiple: true },
  data: { type: "string", short: "d", multiple: true },
  upload: { type: "string", short: "T" },
  user: { type: "string", short: "u" },
  include: { type: "boolean", short: "i", default: false },
  head: { type: "boolean", short: "I", default: false },
  location: { type: "boolean", short: "L", default: false },
  "max-redirs": { type: "string" },
  fail: { type: "boolean", short: "f", default: false },
  compressed: { type: "boolean", default: false },
  range: { type: "string", short: "r" },
  continue: { type: "boolean", short: "C", default: false },
  "http1.1": { type: "boolean", default: false },
  http2: { type: "boolean", default: false },
  insecure: { type: "boolean", short: "k", default: false },
  cacert: { type: "string" },
  "connect-timeout": { type: "string" },
  "max-time": { type: "string" },
  resolve: { type: "string", multiple: true },
  dns: { type: "string", multiple: true },
  ipv4: { type: "boolean", short: "4", default: false },
  ipv6: { type: "boolean", short: "6", default: false },
  congestion: { type: "string" },
  rate: { type: "string" },
  delay: { type: "string" },
  jitter: { type: "string" },
  loss: { type: "string" },
  mtu: { type: "string" },
  pcap: { type: "string" },
  keylog: { type: "string" },
  timing: { type: "boolean", default: false },
  "tcp-info": { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  memory: { type: "string" },
  ...PROGRESS_OPTIONS,
} as const;

type Values = ReturnType<typeof parse<typeof OPTIONS>>["values"];

export async function fetch(args: string[]): Promise<number> {
  const { values, positionals } = parse("fetch", args, OPTIONS);
  const urls = positionals.map((url) => uploadUrl(url, values.upload));
  if (values.output === STDOUT) delete values.output;
  if (!urls.length) throw new UsageError("fetch", "which URL?");
  for (const url of urls) checkUrl(url);
  if (values.output !== undefined && urls.length > 1)
    throw new UsageError("fetch", "--output: for one URL");
  if (values.continue && (values.output === undefined || values.range !== undefined))
    throw new UsageError("fetch", "--continue: with --output, and without --range");
  const plan = planOf(values);
  const body = await bodyFrom(values.data ?? [], values.upload);
  const options = requestOf(values, body);
  const client = clientOf(values);
  // Before there is anything to be undone: Ctrl-C ends all of it in order.
  using progress = new Progress(showsProgress(values) && (values.output !== undefined || !!body));
  try {
    await using network = await FetchNetwork.open(plan);
    const { hosts } = network;
    await using http = new HttpClient(network.sockets, {
      ...client,
      resolve: (host, port) => hosts.find(host, port),
      onResolved: (host, addresses) => network.named(host, addresses),
    });
    for (const url of urls) await one(http, url, options, values, progress);
    await http[Symbol.asyncDispose]();
    await network.closeCapture();
    return 0;
  } catch (error) {
    if (error instanceof InvalidOptionError) throw new UsageError("fetch", error.message);
    throw told(error);
  }
}

/** A URL that ends with / is a directory's: the file keeps its name there. */
function uploadUrl(text: string, upload: string | undefined): string {
  const url = URL.parse(text);
  if (!url?.pathname.endsWith("/") || upload === undefined || upload === STDIN) return text;
  url.pathname += encodeURIComponent(basename(upload));
  return url.href;
}

function checkUrl(text: string): void {
  const url = URL.parse(text);
  if (!url || !["http:", "https:"].includes(url.protocol))
    throw new UsageError("fetch", `${text}: it is a URL such as https://example.com/`);
}

// --- What the options say ------------------------------------------------------------------------

function planOf(values: Values) {
  const { mtu, rate, delay, jitter, loss } = values;
  const conditions: Impairments = {
    ...(rate !== undefined && { rateMbps: toMbps("rate", rate) }),
    ...(delay !== undefined && { delayMs: toMs("delay", delay) }),
    ...(jitter !== undefined && { jitterMs: toMs("jitter", jitter) }),
    ...(loss !== undefined && { loss: toProbability("loss", loss) }),
  };
  if ((conditions.jitterMs ?? 0) > (conditions.delayMs ?? 0))
    throw new UsageError("fetch", "--jitter: it is at most as much as --delay");
  return {
    memoryMiB: kernelChoice("fetch", { memory: values.memory }).memoryMiB,
    conditions: Object.keys(conditions).length ? conditions : null,
    mtu: mtu === undefined ? undefined : toNumber("mtu", mtu, MIN_MTU, MAX_MTU),
    pcap: values.pcap,
    nameservers: values.dns ?? [],
    resolve: new Map((values.resolve ?? []).map(parseResolve)),
  };
}

function clientOf({ congestion, insecure, cacert, keylog, ipv4, ipv6 }: Values) {
  if (ipv4 && ipv6) throw new UsageError("fetch", "--ipv4 and --ipv6: one of them");
  const family = ipv4 ? 4 : ipv6 ? 6 : undefined;
  const ca = cacert === undefined ? undefined : readPem(cacert);
  return {
    tls: {
      insecure,
      ...(ca !== undefined && { ca }),
      ...(keylog !== undefined && { onKeyLog: keyLog(keylog) }),
    },
    ...(congestion !== undefined && { congestion }),
    ...(family && ({ family } as const)),
  };
}

/** Nobody else may read it: it has secrets. What cannot be written is known before anything is sent. */
function keyLog(path: string): (line: Uint8Array) => void {
  const append = (line: Uint8Array | string) => appendFileSync(path, line, { mode: 0o600 });
  try {
    append("");
  } catch (error) {
    throw at(path, error);
  }
  let whole = true;
  return (line) => {
    try {
      if (whole) append(line);
    } catch (error) {
      // It is told, and what is fetched is fetched all the same.
      whole = false;
      process.stderr.write(`liblinux: fetch ${describeError(at(path, error))}\n`);
    }
  };
}

function readPem(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw at(path, error);
  }
  if (!text.includes("-----BEGIN "))
    throw new UsageError("fetch", `--cacert ${path}: it has no certificate in PEM`);
  return text;
}

function headersOf(values: Values, form: boolean): HeaderInit {
  const given = new Map<string, { name: string; values: string[] }>();
  for (const line of values.header ?? []) {
    const [, name, value = ""] = /^([^:\s]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined) throw new UsageError("fetch", `--header ${line}: it is 'Name: value'`);
    const before = given.get(name.toLowerCase())?.values ?? [];
    given.set(name.toLowerCase(), { name, values: value ? [...before, value] : [] });
  }
  const { user, range } = values;
  const own: readonly (readonly [string, string])[] = [
    ...(form ? [["Content-Type", "application/x-www-form-urlencoded"] as const] : []),
    ...(range === undefined ? [] : [["Range", `bytes=${range}`] as const]),
    ...(user === undefined
      ? []
      : [["Authorization", `Basic ${Buffer.from(user).toString("base64")}`] as const]),
  ];
  return Object.fromEntries([
    ...own.filter(([name]) => !given.has(name.toLowerCase())),
    ...Array.from(given.values(), (one) => [one.name, one.values] as const),
  ]);
}

function requestOf(values: Values, body: RequestBody | undefined): RequestOptions {
  const { range } = values;
  if (range !== undefined && !/^(?:\d+-\d*|-\d+)$/.test(range))
    throw new UsageError("fetch", `--range ${range}: it is like 0-99, 100- or -100`);
  if (values["http1.1"] && values.http2)
    throw new UsageError("fetch", "--http1.1 and --http2: one of them");
  if (values.head && body !== undefined) throw new UsageError("fetch", "--head sends nothing");
  const method = values.head ? "HEAD" : values.upload === undefined ? undefined : "PUT";
  const redirects = values["max-redirs"];
  const most =
    redirects === undefined
      ? DEFAULT_REDIRECTS
      : toNumber("max-redirs", redirects, 0, MAX_REDIRECTS);
  const { "connect-timeout": connectTimeout, "max-time": maxTime, request = method } = values;
  return {
    headers: headersOf(values, values.data !== undefined),
    version: values["http1.1"] ? "1.1" : values.http2 ? "2" : null,
    maxRedirects: values.location ? most : 0,
    decompress: values.compressed,
    ...(request !== undefined && { method: request }),
    ...(body !== undefined && { body }),
    ...(connectTimeout !== undefined && {
      connectTimeoutMs: secondsToMs("connect-timeout", connectTimeout),
    }),
    ...(maxTime !== undefined && { timeoutMs: secondsToMs("max-time", maxTime) }),
  };
}

// --- A request -----------------------------------------------------------------------------------

async function one(
  http: HttpClient,
  url: string,
  options: RequestOptions,
  values: Values,
  progress: Progress,
): Promise<void> {
  await using target = await Target.of(values.output ?? null, values.continue);
  const { startBytes } = target;
  const { body } = options;
  progress.totalBytes = body instanceof Blob ? body.size : 0;
  const range = startBytes ? { Range: `bytes=${startBytes}-` } : {};
  await using response = await http.request(url, {
    ...options,
    headers: { ...options.headers, ...range },
    signal: progress.signal,
    onSent: (bytes) => progress.add(bytes),
  });
  if (await isComplete(response, startBytes)) return;
  if (values.fail && response.status >= FIRST_ERROR)
    throw new FailedError(
      `${response.url}: ${response.status} ${response.reason}`.trim(),
      EXIT.status,
    );
  await target.begin();
  if (values.include || values.head) await target.write(Buffer.from(headOf(response)));
  progress.totalBytes = body ? 0 : Number(response.header("content-length") ?? 0);
  let counted = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    await target.write(chunk);
    progress.add(response.receivedBytes - counted);
    counted = response.receivedBytes;
  }
  progress.clear();
  const { timing, json } = values;
  const report = await reportOf(
    response,
    { timing, json, tcpInfo: values["tcp-info"] },
    target.path,
  );
  if (target.path === null) process.stderr.write(report);
  else await write(report);
}

/** Whether --continue has nothing left to do. @throws {FailedError} if it cannot be done */
async function isComplete(response: HttpResponse, startBytes: number): Promise<boolean> {
  if (!startBytes) return false;
  const range = response.header("content-range") ?? "";
  if (response.status === 416 && range === `bytes */${startBytes}`) return true;
  if (response.status === 206 && range.startsWith(`bytes ${startBytes}-`)) return false;
  const problem = "the server does not go on in the middle: without --continue all of it comes";
  throw new FailedError(`${response.url}: ${response.status}: ${problem}`, EXIT.range);
}

function headOf({ version, status, reason, headers }: HttpResponse): string {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/${version} ${`${status} ${reason}`.trim()}\r\n${lines.join("")}\r\n`;
}
