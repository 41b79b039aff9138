// Functions of Node's, replaced where they are.

/** A function of any kind. */
export type Method = (this: unknown, ...args: unknown[]) => unknown;

/**
 * Put another function in the place of one, with its name and all else that it has.
 *
 * @param make gets the function that was there
 */
export function replace(target: object, name: string, make: (original: Method) => Method): void {
  const descriptor = Object.getOwnPropertyDescriptor(target, name);
  const original: unknown = Reflect.get(target, name);
  if (typeof original !== "function") return;
  const replacement = make(original as Method);
  const { prototype: _own, ...rest } = Object.getOwnPropertyDescriptors(original);
  for (const key of Reflect.ownKeys(rest))
    Object.defineProperty(replacement, key, { ...Reflect.get(rest, key), configurable: true });
  Object.defineProperty(target, name, {
    value: replacement,
    writable: true,
    configurable: true,
    enumerable: descriptor?.enumerable ?? true,
  });
}
