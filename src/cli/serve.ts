// liblinux serve ftp: a volume of an image for clients of the network, until it is interrupted.

import { readFileSync } from "node:fs";

import { serveFtp } from "../ftp/index.ts";
import type { FtpOptions, FtpServer, FtpTls, FtpUser } from "../ftp/index.ts";
import type { Kernel } from "../kernel.ts";
import { parseAddress } from "./address.ts";
import { describeError, PlaceError, UsageError } from "./errors.ts";
import { kernelChoice, KERNEL_OPTIONS, parse } from "./options.ts";
import { write } from "./output.ts";
import { openImage, openVolume } from "./session.ts";

const DEFAULT_PORT = 2121;
const MAX_PORT = 65535;
const MAX_ID = 0xfffffffe;

/** After the first of them everything ends in good order; after the second, at once. */
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

const OPTIONS = {
  ...KERNEL_OPTIONS,
  port: { type: "string" },
  host: { type: "string" },
  write: { type: "boolean", default: false },
  user: { type: "string", multiple: true },
  anonymous: { type: "boolean", default: false },
  "tls-cert": { type: "string" },
  "tls-key": { type: "string" },
  json: { type: "boolean", default: false },
} as const;

export async function serve(args: string[]): Promise<number> {
  const { values, positionals } = parse("serve", args, OPTIONS);
  const [protocol, text, ...more] = positionals;
  if (protocol !== "ftp") throw new UsageError("serve", "by which protocol? it is ftp");
  if (text === undefined) throw new UsageError("serve", "which image?");
  if (more.length) throw new UsageError("serve", "one image at a time");
  const choice = kernelChoice("serve", values);
  const address = parseAddress(text);
  // A path is the root of everybody: the kernel looks it up inside of the volume.
  const top = address.path === null ? {} : { root: address.path };
  const users = (values.user ?? []).map((user) => parseUser(user, top));
  if (!users.length && !values.anonymous)
    throw new UsageError("serve", "for whom? --user NAME:PASSWORD, or --anonymous");
  const tls = readTls(values["tls-cert"], values["tls-key"]);
  const options = {
    port: parsePort(values.port),
    host: values.host ?? "127.0.0.1",
    readOnly: !values.write,
    users,
    anonymous: values.anonymous && top,
    ...(tls && { tls }),
  };
  await using image = await openImage(address.image, { ...choice, write: values.write });
  await using volume = await openVolume(image, address, { write: values.write });
  const { kernel } = image;
  return await run(kernel, { ...options, kernel, root: volume.mount.target }, values.json);
}

/** Serve until a signal comes, or the kernel has stopped. */
async function run(kernel: Kernel, options: FtpOptions, json: boolean): Promise<number> {
  const interrupted = Promise.withResolvers<void>();
  // main.ts ends at once, which would leave the image as after a power failure.
  for (const signal of SIGNALS) {
    process.removeAllListeners(signal);
    process.once(signal, () => interrupted.resolve());
  }
  const onError = (error: unknown) =>
    void process.stderr.write(`liblinux: serve: ${describeError(error)}\n`);
  await using server = await serveFtp({ ...options, onError });
  await tell(server, options, json);
  const why = await Promise.race([interrupted.promise, kernel.stopped]);
  if (why) throw why;
  return 0;
}

async function tell(server: FtpServer, options: FtpOptions, json: boolean): Promise<void> {
  const { url, host, port } = server;
  const { readOnly, tls, users = [], anonymous } = options;
  const names = users.map(({ name }) => name);
  const facts = { url, host, port, readOnly, tls: !!tls, users: names, anonymous: !!anonymous };
  await write(json ? `${JSON.stringify(facts)}\n` : `${url}\n`);
}

function parsePort(text: string | undefined): number {
  if (text === undefined) return DEFAULT_PORT;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (port < 0 || port > MAX_PORT)
    throw new UsageError("serve", `--port ${text}: it is a number from 0 to ${MAX_PORT}`);
  return port;
}

/** NAME:PASSWORD[:UID[:GID]]; the password may have colons, but end with no number behind one. */
function parseUser(text: string, top: { root?: string }): FtpUser {
  const [, name, password, uid, gid] = /^([^:]+):([^]+?)(?::(\d+)(?::(\d+))?)?$/.exec(text) ?? [];
  if (name === undefined || password === undefined)
    throw new UsageError("serve", "--user: it is NAME:PASSWORD[:UID[:GID]]");
  const id = (digits: string) => {
    if (Number(digits) <= MAX_ID) return Number(digits);
    throw new UsageError("serve", `--user ${name}: ${digits} is no user or group of Linux`);
  };
  return {
    ...top,
    name,
    password,
    ...(uid !== undefined && { uid: id(uid) }),
    ...(gid !== undefined && { gid: id(gid) }),
  };
}

function readTls(cert: string | undefined, key: string | undefined): FtpTls | null {
  if (cert === undefined && key === undefined) return null;
  if (cert === undefined || key === undefined)
    throw new UsageError("serve", "--tls-cert and --tls-key go together");
  return { cert: readPem(cert), key: readPem(key) };
}

function readPem(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new PlaceError(path, "cannot be read as a certificate or key", error);
  }
}
