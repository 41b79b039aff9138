// Points in time as FTP writes them: always UTC.

import { FtpError } from "./reply.ts";

const NS_PER_SECOND = 1_000_000_000n;
/** What a Date can hold, in milliseconds. */
const MAX_DATE_MS = 8.64e15;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/** Half a year: what is older, or to come, is listed with its year. */
const RECENT_MS = 182 * 86_400_000;

function dateOf(ns: bigint): Date | null {
  // Down, also before 1970.
  const ms = Number(ns / 1_000_000n - (ns % 1_000_000n < 0n ? 1n : 0n));
  if (Math.abs(ms) > MAX_DATE_MS) return null;
  const date = new Date(ms);
  const year = date.getUTCFullYear();
  return year >= 0 && year <= 9999 ? date : null;
}

/** YYYYMMDDHHMMSS, with milliseconds if there are any (RFC 3659, section 2.3); null if it has no such form. */
export function stamp(ns: bigint): string | null {
  const iso = dateOf(ns)?.toISOString();
  if (iso === undefined) return null;
  const [whole, fraction] = iso.replace("Z", "").split(".");
  return whole.replaceAll(/\D/g, "") + (fraction === "000" ? "" : `.${fraction}`);
}

/** As `ls -l` has it: `Feb  3 04:05`, or `Feb  3  2001`. */
export function listed(ns: bigint, nowNs: bigint): string {
  const date = dateOf(ns) ?? new Date(0);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${MONTHS[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)}`;
  const ageMs = Number(nowNs / 1_000_000n) - date.getTime();
  return ageMs >= 0 && ageMs < RECENT_MS
    ? `${day} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`
    : `${day}  ${String(date.getUTCFullYear()).padStart(4, "0")}`;
}

/** Nanoseconds since 1970. @throws {FtpError} 501 */
export function parseStamp(text: string): bigint {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9})\d*)?$/.exec(text);
  const [, year, month, day, hour, minute, second, fraction = ""] = parts ?? [];
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const ms = Date.parse(`${iso}Z`);
  // There are dates that a Date takes for others, such as 30 February.
  if (!parts || Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(iso))
    throw new FtpError(501, "A time is YYYYMMDDHHMMSS, in UTC.");
  return (BigInt(ms) / 1000n) * NS_PER_SECOND + BigInt(fraction.padEnd(9, "0"));
}
