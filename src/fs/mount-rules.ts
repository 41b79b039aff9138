// How the value of a mount option becomes text, and which values there are.

/** One option of a file system. */
export interface Rule<Value> {
  /** What a value is, for an error. */
  readonly expects: string;
  /**
   * As mount(8) takes it after -o; "" if there is nothing to say; undefined if it is no value of
   * this option. Whether the type is right is for this to find out.
   */
  readonly text: (value: Value) => string | undefined;
}

export type ValueOf<R> = R extends Rule<infer Value> ? Value : never;

/** @param off what false says; without it false says nothing */
export function flag(on: string, off = ""): Rule<boolean> {
  return {
    expects: "it is true or false",
    text: (value) => (typeof value === "boolean" ? (value ? on : off) : undefined),
  };
}

export function choice<const Values extends readonly string[]>(
  key: string,
  values: Values,
): Rule<Values[number]> {
  return {
    expects: `it is one of ${values.join(", ")}`,
    text: (value) => (values.includes(value) ? `${key}=${value}` : undefined),
  };
}

/** A whole number. */
export function count(key: string, least = 0, most: number = 2 ** 32 - 1): Rule<number> {
  return {
    expects: `it is a whole number from ${least} to ${most}`,
    text: (value) =>
      Number.isSafeInteger(value) && value >= least && value <= most
        ? `${key}=${value}`
        : undefined,
  };
}

/** Permissions, which the kernel reads in octal. */
export function permissions(key: string, most = 0o777): Rule<number> {
  return {
    expects: `it is a number from 0 to 0o${most.toString(8)}`,
    text: (value) =>
      Number.isInteger(value) && value >= 0 && value <= most
        ? `${key}=${value.toString(8)}`
        : undefined,
  };
}

/** Text that cannot be escaped: the kernel splits at every comma. */
export function name(key: string): Rule<string> {
  return {
    expects: "it is text that is not empty and has neither a comma, which would end it, nor a NUL",
    text: (value) =>
      typeof value === "string" && /^[^,\0]+$/.test(value) ? `${key}=${value}` : undefined,
  };
}

const isPath = (value: unknown) =>
  typeof value === "string" && value !== "" && !value.includes("\0");

/** A path of overlayfs, which alone knows a backslash that takes a comma's meaning away. */
export function path(key: string): Rule<string> {
  return {
    expects: "it is a path without a NUL",
    text: (value) =>
      isPath(value) ? `${key}=${value.replaceAll(/[\\,]/g, String.raw`\$&`)}` : undefined,
  };
}

/** Paths of overlayfs, with colons between them. */
export function paths(key: string): Rule<readonly string[]> {
  return {
    expects: "it is a list of one path or more, without a NUL",
    text: (value) =>
      Array.isArray(value) && value.length && value.every(isPath)
        ? `${key}=${value.map((one: string) => one.replaceAll(/[\\,:]/g, String.raw`\$&`)).join(":")}`
        : undefined,
  };
}

/** How to compress. */
export interface Compression<Algorithm extends string> {
  readonly algorithm: Algorithm;
  /** Default: the kernel's. */
  readonly level?: number;
}

/** @param most the highest level of each algorithm; 0: it has none */
export function compression<Algorithm extends string>(
  key: string,
  most: Readonly<Record<Algorithm, number>>,
): Rule<Compression<Algorithm>> {
  const described = Object.entries<number>(most).map(([algorithm, level]) =>
    level ? `${algorithm} (level 1 to ${level})` : algorithm,
  );
  return {
    expects: `its algorithm is one of ${described.join(", ")}`,
    text: (value) => {
      // What is given may be anything.
      const given: unknown = value;
      if (typeof given !== "object" || given === null) return undefined;
      const { algorithm, level } = value;
      if (!Object.hasOwn(most, algorithm)) return undefined;
      if (level === undefined) return `${key}=${algorithm}`;
      const allowed = Number.isInteger(level) && level >= 1 && level <= most[algorithm];
      return allowed ? `${key}=${algorithm}:${level}` : undefined;
    },
  };
}
