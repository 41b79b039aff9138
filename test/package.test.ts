// The published package: what is in it, and that it works in an empty project, offline.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";

const top = join(import.meta.dirname, "..");

/** The most that a compressed kernel may weigh, in bytes. */
const budgets = { "full.wasm.br": 4_000_000, "fs.wasm.br": 2_000_000 };

/** The most that all else in the package may weigh together, in bytes, as it is downloaded. */
const restBudget = 1_500_000;

/** Without what npm and the test runner tell their children, which would change these. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(npm_|NODE_TEST_CONTEXT|NODE_OPTIONS)/.test(name),
  ),
);

/** Runs a command to its end and gives its standard output; throws with both outputs if it fails. */
async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { cwd, env, maxBuffer: 64 << 20 });
  return stdout;
}

suite("the package", () => {
  let folder: string;
  let tarball: string;
  let project: string;
  let installed: string;
  let files: string[];
  let manifest: { version: string; exports: Record<string, string | Record<string, string>> };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "liblinux-package-"));
    await run(top, "npm", "pack", "--pack-destination", folder);
    const [packed = ""] = await readdir(folder);
    tarball = join(folder, packed);
    project = join(folder, "project");
    await mkdir(project);
    await writeFile(join(project, "package.json"), JSON.stringify({ type: "module" }));
    await run(project, "npm", "install", "--offline", "--no-audit", tarball);
    installed = join(project, "node_modules", "liblinux");
    manifest = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
    const entries = await readdir(installed, { recursive: true, withFileTypes: true });
    files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(installed.length + 1))
      .toSorted();
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  test("brings no other package", async () => {
    const names = await readdir(join(project, "node_modules"));
    assert.deepEqual(
      names.filter((name) => !name.startsWith(".")),
      ["liblinux"],
    );
  });

  test("holds JavaScript, declarations, kernels with their sources, licences, and nothing else", () => {
    const expected =
      /^(package\.json|README\.md|LICENSE|LICENSES\/[\w.-]+|kernel\/.+|kernels\/(manifest\.json|(fs|full)\.wasm\.br)|dist\/.*\.(js|d\.ts))$/;
    assert.deepEqual(
      files.filter((path) => !expected.test(path)),
      [],
    );
    for (const path of [
      "README.md",
      "LICENSE",
      "LICENSES/GPL-2.0-only.txt",
      "kernel/arch/lkl/include/uapi/asm/host.h",
      "kernels/manifest.json",
    ]) {
      assert.ok(files.includes(path), path);
    }
  });

  test("keeps to its budgets", async () => {
    let rest = (await stat(tarball)).size;
    for (const [name, budget] of Object.entries(budgets)) {
      const { size } = await stat(join(installed, "kernels", name));
      assert.ok(size <= budget, `${name}: ${size} bytes, ${budget} allowed`);
      rest -= size;
    }
    assert.ok(rest <= restBudget, `${rest} bytes beside the kernels`);
  });

  test("has a file, with declarations, behind every export", () => {
    for (const [name, target] of Object.entries(manifest.exports)) {
      for (const path of typeof target === "string" ? [target] : Object.values(target)) {
        const [start = "", end = ""] = path.slice(2).split("*");
        const found = files.some((file) => file.startsWith(start) && file.endsWith(end));
        assert.ok(found, `${name}: ${path}`);
      }
    }
  });

  test("boots a kernel from JavaScript", async () => {
    const script = `
      import { Kernel } from "liblinux";
      await using kernel = await Kernel.boot({ image: "fs" });
      console.log(await kernel.init.getpid());
    `;
    await writeFile(join(project, "boot.js"), script);
    assert.equal(await run(project, process.execPath, "boot.js"), "1\n");
  });

  test("does what the README's examples say", async () => {
    const program = join(project, "node_modules", ".bin", "liblinux");
    await run(project, program, "mkfs", "-t", "ext4", "-L", "root", "--size", "16M", "disk.img");
    await run(project, program, "mkdir", "disk.img:/etc");
    const readme = await readFile(join(installed, "README.md"), "utf8");
    const [image = "", kernel = "", network = ""] = [
      ...readme.matchAll(/^```ts\n(.*?)^```$/gms),
    ].map(([, code]) => code ?? "");
    await writeFile(join(project, "image.ts"), image);
    assert.match(
      await run(project, process.execPath, "image.ts"),
      /^\/dev\/vda: ext4 "root"\n\[ 'motd' \]\n$/,
    );
    assert.equal(await run(project, program, "cat", "disk.img:/etc/motd"), "written by Linux\n");
    await writeFile(join(project, "kernel.ts"), kernel);
    assert.match(await run(project, process.execPath, "kernel.ts"), /^\d+ \[/);
    await writeFile(join(project, "network.ts"), network);
    assert.equal(await run(project, process.execPath, "network.ts"), "served by Linux\n");
  });

  test("hijacks a program that knows nothing of it", async () => {
    const script = `
      import net from "node:net";
      const server = net.createServer((socket) => socket.end("hello from Linux")).listen(80, () =>
        net.connect(80).on("data", (data) => console.log(String(data))).on("end", () => server.close()),
      );
    `;
    await writeFile(join(project, "hijacked.js"), script);
    assert.equal(
      await run(project, process.execPath, "--import", "liblinux/hijack", "hijacked.js"),
      "hello from Linux\n",
    );
  });

  test("has declarations that compile in a project with strict checks and no other types", async () => {
    const script = `
      import { Kernel } from "liblinux";
      await using kernel = await Kernel.boot({ image: "fs" });
      const pid: number = await kernel.init.getpid();
      export { pid };
    `;
    await writeFile(join(project, "types.ts"), script);
    const options = "--noEmit --strict --target esnext --module nodenext --types  --lib esnext,dom";
    const tsc = join(top, "node_modules", "typescript", "bin", "tsc");
    await run(project, process.execPath, tsc, ...options.split(" "), "types.ts");
  });

  test("has a program that says how it is used", async () => {
    const program = join(project, "node_modules", ".bin", "liblinux");
    assert.match(await run(project, program, "--help"), /^usage: liblinux/im);
  });
});
