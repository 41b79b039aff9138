// Files that are encrypted, and files that are verified, by ext4 and F2FS: with a key and without,
// untouched and tampered with.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import { AT_FDCWD, O_CREAT, O_RDONLY, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import {
  FS_IOC_ADD_ENCRYPTION_KEY,
  FS_IOC_ENABLE_VERITY,
  FS_IOC_MEASURE_VERITY,
  FS_IOC_SET_ENCRYPTION_POLICY,
  FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER,
  FSCRYPT_POLICY_FLAGS_PAD_32,
  FSCRYPT_POLICY_V2,
} from "../src/abi/constants/ioctl.ts";
import { FscryptAddKeyArg, FscryptPolicyV2, FsverityEnableArg } from "../src/abi/structs/fs.ts";
import { openDirectory } from "../src/fs/directory.ts";
import { readDirectory, readFile } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import type { Process } from "../src/index.ts";
import { CRYPTO_FORMATS, ENCRYPTION_MODES, VERITY_ALGORITHMS } from "./images/formats/crypto.ts";
import { withMounted } from "./images/matrix.ts";
import { emptyImage, noise, temporaryFolder } from "./images/native.ts";

const KEY = noise(64, 77);
const CONTENT = noise(300_001, 78);
const NAMES = ["short", "n".repeat(200), "ünïcödé"];

/** Give a file system the key. @returns its identifier */
async function addKey(process: Process, root: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(FscryptAddKeyArg.size + KEY.length);
  const args = FscryptAddKeyArg.from(bytes);
  args.key_spec.type = FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER;
  args.raw_size = KEY.length;
  bytes.set(KEY, FscryptAddKeyArg.size);
  const fd = await openDirectory(process, root);
  await process.ioctl(fd, FS_IOC_ADD_ENCRYPTION_KEY, bytes);
  await process.close(fd);
  return args.key_spec.u.identifier.slice();
}

async function setPolicy(
  process: Process,
  folder: string,
  key: Uint8Array,
  contents: number,
  names: number,
): Promise<void> {
  const policy = FscryptPolicyV2.alloc();
  policy.version = FSCRYPT_POLICY_V2;
  policy.contents_encryption_mode = contents;
  policy.filenames_encryption_mode = names;
  policy.flags = FSCRYPT_POLICY_FLAGS_PAD_32;
  policy.master_key_identifier = key;
  const fd = await openDirectory(process, folder);
  await process.ioctl(fd, FS_IOC_SET_ENCRYPTION_POLICY, policy.bytes);
  await process.close(fd);
}

async function write(process: Process, path: string, bytes: Uint8Array): Promise<void> {
  const fd = await process.openat(AT_FDCWD, path, O_CREAT | O_WRONLY, 0o644);
  await process.write(fd, bytes, bytes.length);
  await process.close(fd);
}

const namesIn = async (process: Process, path: string) =>
  (await readDirectory(process, path)).map(({ name }) => name).toSorted();

suite("encryption and verity", () => {
  let kernel: Kernel;
  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: 128 });
  });
  after(() => kernel.halt());

  for (const format of CRYPTO_FORMATS) {
    for (const [name, contents, names] of ENCRYPTION_MODES)
      test(`${format.name}: ${name}: nothing to be read without the key, all with it`, async () => {
        using folder = temporaryFolder();
        const image = emptyImage(join(folder.path, "image"), format.mib);
        format.make([image]);
        const { init } = kernel;
        await withMounted(kernel, format, [image], false, async ({ target }) => {
          await init.mkdirat(AT_FDCWD, `${target}/e`, 0o755);
          await setPolicy(init, `${target}/e`, await addKey(init, target), contents, names);
          for (const file of NAMES) await write(init, `${target}/e/${file}`, CONTENT);
          await init.symlinkat("where it points to", AT_FDCWD, `${target}/e/link`);
        });
        format.checker?.check([image]);
        const bytes = readFileSync(image);
        for (const secret of [CONTENT.subarray(0, 64), "where it points to", NAMES[1], NAMES[2]])
          assert.equal(bytes.indexOf(secret), -1);
        await withMounted(kernel, format, [image], false, async ({ target }) => {
          const hidden = await namesIn(init, `${target}/e`);
          assert.equal(hidden.length, 4);
          assert.ok(!hidden.some((one) => NAMES.includes(one)));
          for (const one of hidden)
            await assert.rejects(readFile(init, `${target}/e/${one}`), /ENOKEY|ENOENT/);
          const fresh = init.openat(AT_FDCWD, `${target}/e/new`, O_CREAT | O_WRONLY, 0o644);
          await assert.rejects(fresh, { code: "ENOKEY" });
          await addKey(init, target);
          assert.deepEqual(await namesIn(init, `${target}/e`), [...NAMES, "link"].toSorted());
          for (const one of NAMES)
            assert.ok(CONTENT.equals(await readFile(init, `${target}/e/${one}`)));
        });
      });

    for (const [name, algorithm, bytes] of VERITY_ALGORITHMS)
      test(`${format.name}: verity by ${name}: one byte that was flipped is an I/O error`, async () => {
        using folder = temporaryFolder();
        const image = emptyImage(join(folder.path, "image"), format.mib);
        format.make([image]);
        const { init } = kernel;
        await withMounted(kernel, format, [image], false, async ({ target }) => {
          await write(init, `${target}/file`, CONTENT);
          const fd = await init.openat(AT_FDCWD, `${target}/file`, O_RDONLY, 0);
          const args = FsverityEnableArg.alloc();
          args.version = 1;
          args.hash_algorithm = algorithm;
          args.block_size = 4096;
          await init.ioctl(fd, FS_IOC_ENABLE_VERITY, args.bytes);
          const digest = new Uint8Array(4 + bytes);
          new DataView(digest.buffer).setUint16(2, bytes, true);
          await init.ioctl(fd, FS_IOC_MEASURE_VERITY, digest);
          assert.deepEqual([...digest.subarray(0, 4)], [algorithm, 0, bytes, 0]);
          await init.close(fd);
        });
        format.checker?.check([image]);
        await withMounted(kernel, format, [image], true, async ({ target }) => {
          assert.ok(CONTENT.equals(await readFile(init, `${target}/file`)));
          const writing = init.openat(AT_FDCWD, `${target}/file`, O_WRONLY, 0);
          await assert.rejects(writing, /EPERM|EROFS/);
        });
        const disk = readFileSync(image);
        const at = disk.indexOf(CONTENT.subarray(200_000 - (200_000 % 4096)).subarray(0, 4096));
        assert.ok(at > 0);
        disk[at + 99] ^= 4;
        writeFileSync(image, disk);
        await withMounted(kernel, format, [image], true, async ({ target }) => {
          await assert.rejects(readFile(init, `${target}/file`), { code: "EIO" });
        });
      });
  }
});
