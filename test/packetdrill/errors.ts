// What can be wrong with a script, or with what the kernel makes of it.

/** Where in a script something is. */
export interface Place {
  readonly file: string;
  /** From 1; 0: of no line, such as an option of the command line. */
  readonly line: number;
}

/** Why a script failed, as packetdrill says it: `FILE:LINE: KIND: what was expected, what came`. */
export class ScriptError extends Error {
  override readonly name = "ScriptError";
  readonly place: Place;

  /** @param kind "parse error", "semantic error", "error handling packet"… */
  constructor(place: Place, kind: string, message: string, options?: ErrorOptions) {
    super(`${place.file}${place.line ? `:${place.line}` : ""}: ${kind}: ${message}`, options);
    this.place = place;
  }
}

/** A check that failed, by whoever does not know where in the script it is. */
export class Mismatch extends Error {
  override readonly name = "Mismatch";
}
