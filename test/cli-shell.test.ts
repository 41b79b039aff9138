// The shell, and completion in other shells: by real ones, on a terminal.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { after, before, suite, test } from "node:test";

import { commandOf, quoted, wordsOf } from "../src/cli/shell/words.ts";
import { findVerb, helpText, optionsOf, verbNames } from "../src/cli/verbs.ts";
import { execute, fails, main, succeeds, succeedsWith, top } from "./command.ts";
import { ext4Image, run, sampleTree, temporaryFolder } from "./images/native.ts";
import { typed as typedOn } from "./terminal.ts";
import type { Step } from "./terminal.ts";

suite("the shell and completion", { concurrency: 2 }, () => {
  const folder = temporaryFolder();
  const at = (...names: string[]) => join(folder.path, ...names);
  let image: string;
  after(() => folder[Symbol.dispose]());
  before(() => {
    const root = sampleTree(folder.path);
    mkdirSync(join(root, "with space"));
    writeFileSync(join(root, "with space/file one"), "one\n");
    image = ext4Image(at("sample.img"), root);
    mkdirSync(at("bin"));
    const wrapper = `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`;
    writeFileSync(at("bin/liblinux"), wrapper, { mode: 0o755 });
  });
  const env = () => ({
    ...process.env,
    PATH: [at("bin"), process.env.PATH].join(delimiter),
    XDG_STATE_HOME: at("state"),
    XDG_CONFIG_HOME: at("config"),
    XDG_DATA_HOME: at("data"),
    TERM: "xterm",
    NO_COLOR: "1",
  });

  const typed = (command: string, ...steps: readonly Step[]) => typedOn(command, env(), ...steps);

  test("commands come from standard input, and change a directory and an image", async () => {
    const copy = at("changed.img");
    run("cp", image, copy);
    const local = at("local");
    mkdirSync(local);
    writeFileSync(join(local, "new file"), "new\n");
    const { text } = await succeedsWith(
      `# names are as in a shell
lcd '${local}'
cd sub/deeper
pwd
ls
cd ..; # no lists
`.replace("cd ..; # no lists", "cd ../.."),
      "shell",
      image,
    );
    assert.equal(text, "/sub/deeper\nsecret\n");
    await succeedsWith(
      `lcd "${local}"
mkdir -p a/b
cd a
put new\\ file
put -r . "b/all of it"
mv "new file" b/renamed
ln -s b link
chmod 600 link/ren*
chown 5:6 b/renamed
cp b/renamed twin
get twin
get -r b out
rm twin
exit
no such command
`,
      "shell",
      "--write",
      copy,
    );
    run("e2fsck", "-fn", copy);
    assert.equal(readFileSync(join(local, "twin"), "utf8"), "new\n");
    assert.equal(readFileSync(join(local, "out/all of it/new file"), "utf8"), "new\n");
    const found = await succeeds("shell", "-c", "cd a", "-c", "find", "-c", "ls -l b", copy);
    assert.equal(
      found.text.replaceAll(/ +\d+ +20\S+ \S+ +/g, " "),
      `/a
/a/b
/a/b/all of it
/a/b/all of it/new file
/a/b/renamed
/a/link
drwxr-xr-x  2  0  0 all of it
-rw-------  1  5  6 renamed
`,
    );
    const [facts] = JSON.parse((await succeeds("shell", "-c", "stat --json a/link", copy)).text);
    assert.deepEqual([facts.type, facts.target, facts.uid], ["symlink", "b", 0]);
    assert.match((await succeeds("shell", "-c", "df", copy)).text, /^whole +ext4 /m);
    assert.match((await succeeds("shell", "-c", "help", copy)).text, /^ {2}get \[-r\]/m);
  });

  test("what fails ends it, and it only reads unless it is told to write", async () => {
    const error = (line: RegExp, ...commands: string[]) =>
      fails(1, line, "shell", ...commands.flatMap((one) => ["-c", one]), image);
    await error(/sample\.img:\/none: ENOENT/, "cat none", "cat hello.txt");
    await error(/EROFS: was opened to be read: liblinux shell --write/, "rm hello.txt");
    await error(/sample\.img:\/hello\.txt: ENOTDIR/, "cd hello.txt");
    await fails(2, /frob: there is no such command/, "shell", "-c", "frob", image);
    await fails(2, /a quote is not closed/, "shell", "-c", "cat 'x", image);
    await fails(2, /no pipes/, "shell", "-c", "cat hello.txt | head", image);
    await fails(2, /which image/, "shell");
    await fails(1, /ENOENT/, "shell", `${image}:/none`);
    const { text } = await succeeds("shell", "-c", "cat ../absolute/secret", `${image}:/sub`);
    assert.equal(text, "s");
    // Links of the image lead nowhere else.
    await error(/ENOENT/, "cat ../../../../etc/hostname");
  });

  test("words are taken apart as shells do", () => {
    assert.deepEqual(commandOf(`a 'b c' "d\\"e \\n" f\\ g # h`), ["a", "b c", 'd"e \\n', "f g"]);
    assert.deepEqual(commandOf("a#b ''"), ["a#b", ""]);
    assert.equal(wordsOf("a 'b c").at(-1)?.open, true);
    for (const text of ["a b", "it's", '"', "\\", "a\nb", "#"])
      assert.deepEqual(commandOf(quoted(text)), [text]);
  });

  test("on a terminal it completes, keeps what was typed, and goes on after errors", async () => {
    const text = await typed(
      `liblinux shell '${image}'`,
      [/> $/m, "cat hel\t"],
      [/cat hello\.txt /, "\n"],
      [/^hello$/m, "cat nowhere\n"],
      [/nowhere: ENOENT[^]*> /, "ls 'wi\t"],
      [/'with space\//, "fi\t"],
      [/file one/, "'\n"],
      [/^\/with space\/file one\n[^]*> /m, "cd su\t"],
      [/cd sub\//, "deeper\npwd\ntree --lev\t"],
      [/\/sub\/deeper> tree --level /, "\x03"],
      [/\^C[^]*> /, "exit\n"],
    );
    assert.ok(!text.includes("secret"));
    const history = readFileSync(at("state/liblinux/shell-history"), "utf8");
    assert.match(history, /^cat hello\.txt *\ncat nowhere\nls 'with space\/file one'\n/);
    // The end of the input ends it, too; the arrow brings back the last line.
    await typed(
      `liblinux shell '${image}'`,
      [/> $/m, "\x1b[A\x1b[A"],
      [/pwd/, "\n"],
      [/^\/\n[^]*> /m, "\x04"],
    );
  });

  test("bash completes verbs, options, volumes and names in images", async () => {
    const setup = 'eval "$(liblinux completion bash)"; cd ' + folder.path;
    const script = (line: string) => `${setup}
COMP_LINE=${JSON.stringify(line)}; COMP_POINT=\${#COMP_LINE}; compopt() { :; }
_liblinux liblinux; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const offered = async (line: string) => {
      const { text, err } = await execute("bash", ["-c", script(line)], env());
      assert.equal(err, "");
      return text.split("\n").filter(Boolean);
    };
    assert.deepEqual(await offered("liblinux cho"), ["chown"]);
    assert.ok((await offered("liblinux ")).includes("shell"));
    assert.deepEqual(await offered("liblinux tar --sp"), ["--sparse"]);
    assert.deepEqual(await offered("liblinux mkfs -t ex"), ["ext2", "ext3", "ext4", "exfat"]);
    assert.deepEqual(await offered("liblinux cat sample.img"), ["sample.img", "sample.img:"]);
    assert.deepEqual(await offered("liblinux cat sample.img:"), ["/"]);
    assert.deepEqual(await offered("liblinux cat sample.img:/h"), ["/hello.txt"]);
    assert.deepEqual(await offered("liblinux ls sample.img:0:/sub/de"), ["/sub/deeper/"]);
    assert.deepEqual(await offered("liblinux cat sample.img:/with\\ space/f"), [
      "/with\\ space/file\\ one",
    ]);
    assert.deepEqual(await offered("liblinux cat nowhere.img:/"), []);
    assert.deepEqual(await offered("liblinux completion "), ["bash", "zsh", "fish"]);
    await typed(
      "bash --norc --noprofile -i",
      [/[$#] $/m, `${setup}; PS1='ready> '\n`],
      [/^ready> /m, "liblinux cat sample.img:/hel\t"],
      [/hello\.txt /, "\n"],
      [/^hello$/m, "exit\n"],
    );
  });

  test("zsh completes, too", async () => {
    const setup = `cd ${folder.path}; autoload -U compinit; compinit -D; eval "$(liblinux completion zsh)"`;
    await typed(
      "zsh -f -i",
      [/[%#] $/m, `${setup}; PS1='ready> '\n`],
      [/ready> $/m, "liblinux cat sample.img:/hel\t"],
      [/hello\.txt /, "\n"],
      [/hello\n[^]*ready> $/, "liblinux comp\t"],
      [/completion /, "fi\t"],
      [/fish /, "\n"],
      [/function __liblinux_complete[^]*ready> /, "exit\n"],
    );
  });

  test("fish completes, too", async () => {
    const offered = async (line: string) => {
      const script = `cd ${folder.path}; liblinux completion fish | source; complete -C '${line}'`;
      const { text } = await execute("fish", ["--no-config", "-c", script], env());
      return text.split("\n").filter(Boolean);
    };
    assert.deepEqual(await offered("liblinux chow"), ["chown\tchange owners of files of an image"]);
    assert.deepEqual(await offered("liblinux cat sample.img:/hel"), ["sample.img:/hello.txt"]);
    assert.deepEqual(await offered("liblinux ls --rec"), [
      "--recursive\tand all directories below",
    ]);
  });

  test("progress where it is wanted, and colours on terminals only", async () => {
    const shown = await execute(
      process.execPath,
      [main, "cp", "--progress", `${image}:/big`, at("big")],
      env(),
    );
    assert.equal(shown.code, 0);
    assert.match(shown.err, /^(?:\d+% {2}[^\n]* of 2\.9 MiB, [^\n]*\/s[^\n]*\n)*100% {2}[^\n]*\n$/);
    assert.equal((await succeeds("tar", `${image}:/big`, "-o", at("big.tar"))).err, "");
    const tree = `liblinux tree -L 1 '${image}'`;
    const onTerminal = async (noColour: Record<string, string>) => {
      // Of the environment only what is needed: Node shows no colours where CI=1 is, too.
      const { PATH, TERM } = env();
      return (await execute("script", ["-qec", tree, "/dev/null"], { PATH, TERM, ...noColour }))
        .text;
    };
    assert.match(await onTerminal({}), /\x1b\[1m/); // eslint-disable-line no-control-regex
    assert.ok(!(await onTerminal({ NO_COLOR: "1" })).includes("\x1b"));
    assert.ok(!(await succeeds("tree", image)).text.includes("\x1b"));
  });

  test("the help of every verb is complete", () => {
    const guide = readFileSync(join(top, "docs/cli.md"), "utf8");
    for (const name of verbNames()) {
      assert.ok(name === "demo" || guide.includes(`liblinux ${name} `), `${name} in docs/cli.md`);
      const { usage, examples = [] } = findVerb(name);
      assert.ok(usage.startsWith(name), name);
      assert.ok(examples.length, `an example of ${name}`);
      const long = helpText(name)
        .split("\n")
        .filter((line, i) => i && line.length > 80);
      assert.deepEqual(
        long.filter((line) => !/liblinux/.test(line)),
        [],
        name,
      );
    }
  });

  test("the help has every option that there is, and no other", async () => {
    for (const name of verbNames().filter((verb) => !["demo", "boot"].includes(verb))) {
      const verb = findVerb(name);
      const told = optionsOf(name);
      const run = await verb.load();
      for (const { names, argument } of told)
        for (const option of names)
          await assert.rejects(
            run(argument ? [option, "1"] : [option]),
            (error: Error) => error.name === "UsageError" && !/unknown option/i.test(error.message),
            `${name} ${option}`,
          );
      const source = readFileSync(join(top, "src/cli", `${name}.ts`), "utf8");
      const taken = Array.from(
        source.matchAll(/^ +"?([\w-]+)"?: \{ type: "/gm),
        ([, long]) => `--${long}`,
      );
      const names = new Set(told.flatMap((one) => one.names));
      assert.deepEqual(
        taken.filter((option) => !names.has(option)),
        [],
        name,
      );
    }
  });
});
