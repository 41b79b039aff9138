// liblinux completion: scripts that let a shell complete liblinux's command line.

import { UsageError } from "./errors.ts";
import { parse } from "./options.ts";
import { write } from "./output.ts";
import { SHELLS } from "./verbs.ts";

/** bash replaces what is behind the last of its word breaks, which a colon is. */
const BASH = String.raw`_liblinux() {
    local candidate about
    COMPREPLY=()
    while IFS=$'\t' read -r candidate about; do
        [[ $candidate == *[/:=] ]] && compopt -o nospace
        COMPREPLY+=("$(printf %q "$candidate")")
    done < <("$1" complete --line "${"$"}{COMP_LINE:0:COMP_POINT}" --breaks "$COMP_WORDBREAKS" 2>/dev/null)
}
complete -F _liblinux liblinux
`;

const ZSH = String.raw`#compdef liblinux
_liblinux() {
    local line value
    local -a open closed texts
    for line in "${"$"}{(@f)$(liblinux complete -- "${"$"}{(@Q)words[2,CURRENT-1]}" "${"$"}{(Q)PREFIX}" 2>/dev/null)}"; do
        value=${"$"}{line%%$'\t'*}
        if [[ -z $value ]]; then
            continue
        elif [[ $value == *[/:=] ]]; then
            open+=("$value")
        else
            closed+=("$value")
            texts+=("${"$"}{line/$'\t'/  }")
        fi
    done
    compadd -S '' -a open
    compadd -l -d texts -a closed
}
if [[ $funcstack[1] == _liblinux ]]; then
    _liblinux "$@"
else
    compdef _liblinux liblinux
fi
`;

const FISH = String.raw`function __liblinux_complete
    set -l words (commandline -opc)
    liblinux complete -- $words[2..] (commandline -ct | string unescape) 2>/dev/null
end
complete -c liblinux -f -a '(__liblinux_complete)'
`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

export async function completion(args: string[]): Promise<number> {
  const { positionals } = parse("completion", args, {});
  const [shell, ...more] = positionals;
  const script = shell === undefined || more.length ? undefined : SCRIPTS[shell];
  if (script === undefined)
    throw new UsageError("completion", `for which shell? ${SHELLS.join(", ")}`);
  await write(script);
  return 0;
}
