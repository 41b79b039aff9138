// Serve a volume of an image by FTP, and be its first client: node examples/ftp-server.ts disk.img

import { once } from "node:events";
import { connect } from "node:net";

import { serveFtp } from "../src/ftp/index.ts";
import { openImage } from "../src/index.ts";

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error("which image?");
await using image = await openImage(path, { readOnly: true });
await using volume = await image.volume().mount({ readOnly: true });

await using server = await serveFtp({
  kernel: image.kernel,
  root: volume.mount.target,
  // Each user is a process of the kernel, which decides what that may do.
  users: [{ name: "me", password: "secret", uid: 1000 }],
  anonymous: true,
});
console.log(`volume ${String(volume.volume)} is at ${server.url}`);

// Any client of this machine can come now. This one needs no more than a line a command.
const client = connect(server.port, server.host);
client.pipe(process.stdout, { end: false });
client.write("USER anonymous\r\nPASS me@\r\nSTAT /\r\nQUIT\r\n");
await once(client, "close");
