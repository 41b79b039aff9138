// SPDX-License-Identifier: MIT
// The same few lines on every engine: boot, mount an image given as a Blob, read a file, halt.
// Needs nothing of the engine's own; whoever imports this gives the bytes of the image.

/**
 * @param {typeof import("../../src/index.ts")} core
 * @param {typeof import("../../src/disk/index.ts")} disk
 * @param {typeof import("../../src/virtio/index.ts")} virtio
 * @param {Blob} image an ext4 file system that holds /hello.txt
 * @param {boolean} shared
 * @returns {Promise<string>} what the file holds
 */
export async function readHello(core, disk, virtio, image, shared) {
  const hello = await readHelloOn(core, new disk.BlobDisk(image), virtio, shared);
  const edited = await editHello(core, new Uint8Array(await image.arrayBuffer()));
  if (edited !== `${hello}and more`) throw new Error(`it was edited to ${edited}`);
  return hello;
}

/**
 * Append to the file through the shape of node:fs, close the image, and read it in another kernel.
 *
 * @param {typeof import("../../src/index.ts")} core
 * @param {Uint8Array} bytes of the image: they are changed
 * @returns {Promise<string>} what the file holds then
 */
async function editHello(core, bytes) {
  const image = await core.openImage(bytes);
  const mounted = await image.volume().mount();
  await mounted.fs.promises.appendFile("/hello.txt", "and more");
  await image.close();
  const again = await core.openImage(bytes, { readOnly: true });
  const { fs } = await again.volume().mount({ readOnly: true });
  const names = await fs.promises.readdir("/");
  if (!names.includes("hello.txt")) throw new Error(`there are only ${names.join(", ")}`);
  const text = await fs.promises.readFile("/hello.txt", "utf8");
  await again.close();
  return text;
}

/**
 * The same with any disk.
 *
 * @param {typeof import("../../src/index.ts")} core
 * @param {import("../../src/disk/index.ts").Disk} disk
 * @param {typeof import("../../src/virtio/index.ts")} virtio
 * @param {boolean} shared
 * @returns {Promise<string>} what the file holds
 */
export async function readHelloOn(core, disk, virtio, shared) {
  const AT_FDCWD = -100;
  const O_RDONLY = 0;
  const MS_RDONLY = 1;
  const device = new virtio.VirtioBlock(disk, { readOnly: true });
  const kernel = await core.Kernel.boot({ image: "fs", devices: [device], shared });
  const { init } = kernel;
  if ((await init.getpid()) !== 1) throw new Error("pid 1 is another");
  await init.mkdirat(AT_FDCWD, "/mnt", 0o755);
  await init.mount("/dev/vda", "/mnt", "ext4", MS_RDONLY, null);
  const fd = await init.openat(AT_FDCWD, "/mnt/hello.txt", O_RDONLY, 0);
  const bytes = new Uint8Array(4096);
  const length = await init.read(fd, bytes, bytes.length);
  await init.close(fd);
  await kernel.halt();
  return new TextDecoder().decode(bytes.subarray(0, length));
}
