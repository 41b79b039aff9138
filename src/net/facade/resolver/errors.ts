// Why a name has no address, in the words of Node's dns.lookup().

/** Libuv's numbers of getaddrinfo(3)'s errors: EAI_NONAME is ENOTFOUND to Node. */
const NUMBERS = { ENOTFOUND: -3008, EAI_AGAIN: -3001 } as const;

export class LookupError extends Error {
  readonly errno: number;
  readonly code: keyof typeof NUMBERS;
  readonly syscall = "getaddrinfo";
  readonly hostname: string;

  constructor(code: keyof typeof NUMBERS, hostname: string, cause?: unknown) {
    super(`getaddrinfo ${code} ${hostname}`, cause === undefined ? undefined : { cause });
    this.errno = NUMBERS[code];
    this.code = code;
    this.hostname = hostname;
  }
}
