// Verbs that change files of images.

import { ADDRESS, JSON_OPTION, KERNEL_OPTIONS, PROGRESS_OPTIONS, READ_OPTIONS } from "./verb.ts";
import type { Verb } from "./verb.ts";

export const CHANGE_VERBS: Readonly<Record<string, Verb>> = {
  write: {
    usage: "write [-a] [-m MODE] IMAGE[:VOLUME]:/PATH",
    about: "put standard input into a file of an image",
    text: `${ADDRESS}

A new file appears when it is complete; the content of one that is there is replaced in place.`,
    options: {
      "-a, --append": "after what is there already",
      "-m, --mode MODE": "its permissions, as 0644",
      ...PROGRESS_OPTIONS,
      ...KERNEL_OPTIONS,
    },
    examples: ["echo hello | liblinux write -m 0644 disk.img:/etc/motd"],
    load: async () => (await import("../write.ts")).write,
  },
  mkdir: {
    usage: "mkdir [-p] [-m MODE] IMAGE[:VOLUME]:/PATH...",
    about: "make directories in an image",
    text: ADDRESS,
    options: {
      "-p, --parents": "those above, too; those that are there are no error",
      "-m, --mode MODE": "permissions, as 0755",
      ...KERNEL_OPTIONS,
    },
    examples: ["liblinux mkdir -p disk.img:/srv/data/new"],
    load: async () => (await import("../mkdir.ts")).mkdir,
  },
  rm: {
    usage: "rm [-r] [-f] IMAGE[:VOLUME]:/PATH...",
    about: "remove files and directories of an image",
    text: ADDRESS,
    options: {
      "-r, --recursive": "directories with all below them",
      "-f, --force": "what is not there is no error",
      ...KERNEL_OPTIONS,
    },
    examples: ["liblinux rm -r 'disk.img:/var/cache/*'"],
    load: async () => (await import("../rm.ts")).rm,
  },
  mv: {
    usage: "mv IMAGE[:VOLUME]:/PATH... /TARGET",
    about: "rename files of an image, or move them to another of its directories",
    text: `${ADDRESS}

/TARGET is a directory of the same volume, or a new name.`,
    options: {
      ...KERNEL_OPTIONS,
    },
    examples: ["liblinux mv disk.img:/etc/motd /etc/motd.old"],
    load: async () => (await import("../mv.ts")).mv,
  },
  ln: {
    usage: "ln [-s] [-f] TARGET IMAGE[:VOLUME]:/PATH",
    about: "make a link in an image",
    text: `${ADDRESS}

TARGET is a path in the same volume; of a symbolic link, any text.`,
    options: {
      "-s, --symbolic": "a symbolic link",
      "-f, --force": "instead of what is there",
      ...KERNEL_OPTIONS,
    },
    examples: ["liblinux ln -s ../usr/bin disk.img:/bin"],
    load: async () => (await import("../ln.ts")).ln,
  },
  chmod: {
    usage: "chmod [-R] MODE IMAGE[:VOLUME]:/PATH...",
    about: "change permissions of files of an image",
    text: `${ADDRESS}

MODE is octal, as 0644, or like u+x,go-w.`,
    options: {
      "-R, --recursive": "directories with all below them",
      ...KERNEL_OPTIONS,
    },
    examples: ["liblinux chmod -R g+w disk.img:/srv", "liblinux chmod 0600 disk.img:/etc/shadow"],
    load: async () => (await import("../chmod.ts")).chmod,
  },
  chown: {
    usage: "chown [-R] [-h] UID[:GID] IMAGE[:VOLUME]:/PATH...",
    about: "change owners of files of an image",
    text: `${ADDRESS}

Users and groups are numbers: the names are the image's own.`,
    options: {
      "-R, --recursive": "directories with all below them",
      "-h, --no-dereference": "of a symbolic link itself",
      ...KERNEL_OPTIONS,
    },
    examples: ["liblinux chown -R 33:33 disk.img:/var/www"],
    load: async () => (await import("../chown.ts")).chown,
  },
  xattr: {
    usage: "xattr [--get NAME | --set NAME=VALUE... --remove NAME...] IMAGE[:VOLUME]:/PATH",
    about: "show or change extended attributes of a file of an image",
    text: `${ADDRESS}

Without options all are shown. A value can be 0x and hexadecimal digits.`,
    options: {
      "--get NAME": "print one value as it is",
      "--set NAME=VALUE": "as in user.note=hello; can be repeated",
      "--remove NAME": "can be repeated",
      "-h, --no-dereference": "of a symbolic link itself",
      ...JSON_OPTION,
      ...KERNEL_OPTIONS,
    },
    examples: [
      "liblinux xattr disk.img:/file",
      "liblinux xattr --set user.note=hello disk.img:/file",
    ],
    load: async () => (await import("../xattr.ts")).xattr,
  },
  shell: {
    usage: "shell [--write] [-c COMMAND]... IMAGE[:VOLUME][:/PATH]",
    about: "look around in an image, and change it, by commands",
    text: `${ADDRESS}

Commands are the verbs, with names from the directory on where one is, and cd, pwd, get, put, lcd,
lpwd, help and exit; help lists them. On a terminal the tabulator completes, and what was typed is
kept for the next time. Elsewhere commands are lines of standard input, with # for comments, and
the first one that fails ends the shell.`,
    options: {
      "-w, --write":
        "let commands change the image (default: it is only read); with --overlay changes are forgotten in the end",
      "-c, --command COMMAND": "this instead of what is typed; can be repeated",
      ...READ_OPTIONS,
    },
    examples: [
      "liblinux shell disk.img:2",
      "liblinux shell --write -c 'put -r ./site /var/www' -c 'chown -R 33:33 /var/www' disk.img:2",
    ],
    exits: "0 done, 1 a command failed, 2 usage.",
    load: async () => (await import("../shell.ts")).shell,
  },
};
