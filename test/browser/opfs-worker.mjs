// SPDX-License-Identifier: MIT
// In a dedicated Worker of the page: an OpfsDisk, done with as the test says.
// A message is { id, verb, args }; the answer { id, result } or { id, error }.

/** @param {string} path */
const load = (path) => import(new URL(path, location.href).href);

/** @type {Promise<[typeof import("../../src/index.ts"), typeof import("../../src/platform/browser/index.ts"), typeof import("../../src/virtio/index.ts")]>} */
const modules = Promise.all([
  load("/dist/index.js"),
  load("/dist/platform/browser/index.js"),
  load("/dist/virtio/index.js"),
]);

const AT_FDCWD = -100;
const O_RDONLY = 0;
const O_CREAT_RDWR = 0o102;

/** @type {import("../../src/platform/browser/index.ts").OpfsDisk | undefined} */
let disk;

/** @returns {import("../../src/platform/browser/index.ts").OpfsDisk} */
function theDisk() {
  if (!disk) throw new Error("no disk was opened");
  return disk;
}

/** @param {Uint8Array} bytes */
function toText(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192)
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/** @param {string} text */
const toBytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

/**
 * Boot a kernel with the disk, and do something in its ext4 file system.
 * @template T
 * @param {boolean} shared
 * @param {(init: import("../../src/index.ts").Process) => Promise<T>} work
 */
async function mounted(shared, work) {
  const [{ Kernel }, , { VirtioBlock }] = await modules;
  const device = new VirtioBlock(theDisk());
  const kernel = await Kernel.boot({ image: "fs", devices: [device], shared });
  const { init } = kernel;
  await init.mkdirat(AT_FDCWD, "/mnt", 0o755);
  await init.mount("/dev/vda", "/mnt", "ext4", device.readOnly ? 1 : 0, null);
  const result = await work(init);
  await init.umount2("/mnt", 0);
  await kernel.halt();
  return result;
}

/** @type {Record<string, (...args: any[]) => unknown>} */
const verbs = {
  async open(/** @type {string} */ path, /** @type {object} */ options) {
    const [, { OpfsDisk }] = await modules;
    const opened = await OpfsDisk.open(path, options);
    disk = opened;
    const { sizeBytes, blockSizeBytes, readOnly, synchronous } = opened;
    return { sizeBytes, blockSizeBytes, readOnly, synchronous };
  },
  /** Open by a handle of the file, beside the disk that is open. */
  async openHandle(/** @type {string} */ name) {
    const [, { OpfsDisk }] = await modules;
    const root = await navigator.storage.getDirectory();
    using other = await OpfsDisk.open(await root.getFileHandle(name));
    return other.sizeBytes;
  },
  /** Make a file without a disk. */
  async put(/** @type {string} */ name, /** @type {number} */ length) {
    const root = await navigator.storage.getDirectory();
    const file = await root.getFileHandle(name, { create: true });
    const writable = await file.createWritable();
    await writable.write(new Uint8Array(length).fill(1));
    await writable.close();
  },
  read(/** @type {number} */ offset, /** @type {number} */ length) {
    const bytes = new Uint8Array(length);
    const result = /** @type {unknown} */ (theDisk().read(bytes, offset));
    if (result !== undefined) throw new Error("read() returned something");
    return toText(bytes);
  },
  /** Into a view of shared memory, as kernels with such memory have. */
  readShared(/** @type {number} */ offset, /** @type {number} */ length) {
    const bytes = new Uint8Array(new SharedArrayBuffer(length));
    theDisk().read(bytes, offset);
    theDisk().write(bytes, offset);
    return toText(bytes.slice());
  },
  write: (/** @type {string} */ text, /** @type {number} */ offset) =>
    theDisk().write(toBytes(text), offset),
  writeZeroes: (/** @type {number} */ offset, /** @type {number} */ length) =>
    theDisk().writeZeroes(offset, length),
  flush: () => theDisk().flush(),
  resize(/** @type {number} */ sizeBytes) {
    let told = 0;
    const stop = theDisk().onResize(() => told++);
    theDisk().resize(sizeBytes);
    stop();
    return [theDisk().sizeBytes, told];
  },
  close: () => theDisk().close(),
  async fetchImage() {
    const response = await fetch("/ext4.img");
    const bytes = new Uint8Array(await response.arrayBuffer());
    await verbs.open("images/ext4.img", { createBytes: bytes.length });
    theDisk().write(bytes, 0);
    theDisk().flush();
    theDisk().close();
    return bytes.length;
  },
  writeFile: (
    /** @type {string} */ path,
    /** @type {string} */ text,
    /** @type {boolean} */ shared,
  ) =>
    mounted(shared, async (init) => {
      const bytes = new TextEncoder().encode(text);
      const fd = await init.openat(AT_FDCWD, `/mnt${path}`, O_CREAT_RDWR, 0o644);
      await init.write(fd, bytes, bytes.length);
      await init.close(fd);
    }),
  readFile: (/** @type {string} */ path, /** @type {boolean} */ shared) =>
    mounted(shared, async (init) => {
      const bytes = new Uint8Array(65536);
      const fd = await init.openat(AT_FDCWD, `/mnt${path}`, O_RDONLY, 0);
      const length = await init.read(fd, bytes, bytes.length);
      await init.close(fd);
      return new TextDecoder().decode(bytes.subarray(0, length));
    }),
};

self.onmessage = async ({ data }) => {
  const { id, verb, args } = data;
  try {
    self.postMessage({ id, result: await verbs[verb](...args) });
  } catch (error) {
    const { name, code, message } = /** @type {Error & { code?: string }} */ (error);
    self.postMessage({ id, error: { name, code, message } });
  }
};
