// sysctl: parameters of the kernel.

import { NO_FLAGS, show } from "../command.ts";
import type { Command } from "../command.ts";
import { WordError } from "../words.ts";
import type { Words } from "../words.ts";

interface Setting {
  readonly name: string;
  readonly value?: string;
}

/** `sysctl net.ipv4.ip_forward`, `sysctl [-w] net.ipv4.ip_forward=1`, `sysctl -n NAME` */
export function sysctl(words: Words): Command {
  let valuesOnly = false;
  let writes = false;
  const settings: Setting[] = [];
  while (words.next !== undefined) {
    if (words.accept("-n")) valuesOnly = true;
    else if (words.accept("-w")) writes = true;
    else settings.push(setting(words.take("a parameter")));
  }
  if (!settings.length) throw new WordError("which parameter? e.g. sysctl net.ipv4.ip_forward=1");
  const read = settings.find(({ value }) => value === undefined);
  if (writes && read) throw new WordError(`"${read.name}": -w needs a value: ${read.name}=VALUE`);
  return async (context) => {
    const { network } = context;
    const found: Required<Setting>[] = [];
    for (const { name, value } of settings) {
      if (value !== undefined) await network.sysctl.set(name, value);
      found.push({ name: name.replaceAll("/", "."), value: await network.sysctl.get(name) });
    }
    await show(
      context,
      NO_FLAGS,
      found,
      ({ name, value }) => ({ [name]: value }),
      ({ name, value }) => (valuesOnly ? `${value}\n` : `${name} = ${value}\n`),
    );
  };
}

function setting(text: string): Setting {
  const [, name = "", value] = /^([^=]*)(?:=([^]*))?$/.exec(text) ?? [];
  if (!/^[\w./:*-]+$/.test(name) || name.includes(".."))
    throw new WordError(`"${text}": it is like net.ipv4.ip_forward, or net.ipv4.ip_forward=1`);
  return { name, ...(value !== undefined && { value: value.trim() }) };
}
