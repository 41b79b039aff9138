// isomorphic-git, in a folder that may be anywhere. Argument: the folder.

import fs from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import git from "isomorphic-git";

const [, , dir = ""] = process.argv;
const author = { name: "Somebody", email: "somebody@example.test" };
await git.init({ fs, dir, defaultBranch: "main" });
for (const name of ["one", "two"]) {
  await writeFile(join(dir, `${name}.txt`), `${name}\n`);
  await git.add({ fs, dir, filepath: `${name}.txt` });
  await git.commit({ fs, dir, author, message: name });
}
for (const { commit } of await git.log({ fs, dir })) console.log(commit.message.trim());
console.log(await git.listFiles({ fs, dir }));
