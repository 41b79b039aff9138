// Verbs that serve images, and about liblinux itself.

import { KERNEL_OPTIONS } from "./verb.ts";
import type { Verb } from "./verb.ts";

export const MORE_VERBS: Readonly<Record<string, Verb>> = {
  serve: {
    usage: "serve ftp [--write] --user NAME:PASSWORD[:UID[:GID]]... IMAGE[:VOLUME][:/PATH]",
    about: "serve a volume of an image by FTP until it is interrupted",
    text: `Prints the address when it listens. On SIGINT and SIGTERM sessions are ended, the volume is
unmounted, and all that was written is in the image. With /PATH that directory is all there is.`,
    options: {
      "--write": "let users change files (default: everything is read-only)",
      "--user USER": "somebody who may log in; can be repeated. Without UID with all rights",
      "--anonymous": "let anybody in, as user 65534 (nobody)",
      "--host HOST": "the address to listen at (default 127.0.0.1: this machine only)",
      "--port N": "default 2121; 0 is any that is free",
      "--tls-cert FILE": "a certificate in PEM, with its chain: clients may use TLS (AUTH TLS)",
      "--tls-key FILE": "its private key in PEM",
      "--json": "print a JSON object on one line instead of the address",
      ...KERNEL_OPTIONS,
    },
    examples: ["liblinux serve ftp --user me:secret disk.img:2"],
    load: async () => (await import("../serve.ts")).serve,
  },
  boot: {
    usage: "boot [--log LEVEL] [--append ARGUMENTS] [--json]",
    about: "boot a kernel, print its log and how long it took",
    text: "",
    options: {
      "--log LEVEL":
        "what to show of the log: none, err, warning, notice, info, debug (default info)",
      "--append TEXT": "the kernel's command line",
      "--json": "print a JSON object a line: the log's records, then the timings",
      ...KERNEL_OPTIONS,
      "--profile NAME": "the kernel: fs, full or kunit (default fs)",
    },
    examples: ["liblinux boot --log warning --memory 64"],
    load: async () => (await import("../boot.ts")).boot,
  },
  demo: {
    usage: "demo",
    about: "boot a kernel and show a file of a fresh ext4 image",
    text: "Needs mke2fs (e2fsprogs) to make the image.",
    options: {},
    examples: ["liblinux demo"],
    load: async () => (await import("../demo.ts")).demo,
  },
  completion: {
    usage: "completion bash|zsh|fish",
    about: "print a script that lets a shell complete verbs, options, and names in images",
    text: `In bash and zsh evaluate it, for all sessions in ~/.bashrc or ~/.zshrc; fish finds it where it
keeps completions.`,
    options: {},
    examples: [
      'eval "$(liblinux completion bash)"',
      'eval "$(liblinux completion zsh)"',
      "liblinux completion fish > ~/.config/fish/completions/liblinux.fish",
    ],
    load: async () => (await import("../completion.ts")).completion,
  },
  complete: {
    usage: "complete --line TEXT --breaks CHARACTERS | complete -- WORD...",
    about: "candidates for the scripts of liblinux completion",
    text: "The last word is the one that is completed.",
    options: {},
    hidden: true,
    load: async () => (await import("../complete.ts")).complete,
  },
};
