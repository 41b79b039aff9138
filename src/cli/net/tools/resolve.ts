// resolve: the addresses of a name, as the kernel's programs would find them. And what scripts need
// besides: sleep, echo.

import { setTimeout as wait } from "node:timers/promises";

import { NO_FLAGS, show } from "../command.ts";
import type { Command } from "../command.ts";
import { address } from "../values.ts";
import { WordError } from "../words.ts";
import type { Words } from "../words.ts";

/** `resolve [-4|-6] NAME...` */
export function resolve(words: Words): Command {
  const family = words.accept("-4") ? 4 : words.accept("-6") ? 6 : 0;
  const names = words.takeRest();
  if (!names.length) throw new WordError("which name?");
  return async (context) => {
    const found: { name: string; address: string }[] = [];
    for (const name of names)
      for (const { address } of await context.space.sockets.lookup(name, { family }))
        found.push({ name, address });
    await show(
      context,
      NO_FLAGS,
      found,
      (one) => one,
      ({ name, address }) => `${name} has address ${address}\n`,
    );
  };
}

/** `nameserver [ADDRESS...]`: who is asked for names, by all of them. */
export function nameserver(words: Words): Command {
  const nameservers: string[] = [];
  while (!words.done) nameservers.push(address(words));
  return async (context) => {
    const { resolver } = context.network;
    if (nameservers.length) await resolver.set({ ...(await resolver.get()), nameservers });
    else
      await show(
        context,
        NO_FLAGS,
        (await resolver.get()).nameservers,
        (one) => ({ nameserver: one }),
        (one) => `nameserver ${one}\n`,
      );
  };
}

/** `echo TEXT...`: between what others print. */
export function echo(words: Words): Command {
  const text = words.takeRest().join(" ");
  return (context) => context.write(`${text}\n`);
}

const MAX_SECONDS = 86_400;

/** `sleep SECONDS` */
export function sleep(words: Words): Command {
  const given = words.take("seconds");
  const seconds = Number(given);
  if (!(seconds >= 0 && seconds <= MAX_SECONDS))
    throw new WordError(`"${given}": it is a number of seconds up to ${MAX_SECONDS}`);
  words.end();
  return async ({ signal }) => {
    await wait(seconds * 1000, undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  };
}
