// CommonJS, with what it needs of a module taken once, and a class of its own, as of old.

const { connect, createServer, Socket } = require("net") as typeof import("node:net");
const { createServer: createWeb, request } = require("node:http") as typeof import("node:http");
const { lookup } = require("dns") as typeof import("node:dns");
const { inherits } = require("util") as typeof import("node:util");

interface Counting extends InstanceType<typeof Socket> {
  count: number;
}

function Counter(this: Counting): void {
  Reflect.apply(Socket as unknown as () => void, this, []);
  this.count = 0;
  this.on("data", (data) => (this.count += data.length));
}
inherits(Counter, Socket);

const server = createServer((socket) => {
  console.log("accepted", socket instanceof Socket);
  socket.end(Buffer.alloc(100_000));
});
server.listen(7, () => {
  const counter = Reflect.construct(Counter, []) as Counting;
  counter.connect(7, "localhost", () => console.log("connected", counter.remotePort));
  counter.on("close", () => {
    console.log("counted", counter.count);
    server.close(web);
  });
});

function web(): void {
  const web = createWeb((incoming, response) => incoming.pipe(response));
  web.listen(80, () => {
    const outgoing = request({ method: "POST", agent: false }, (response) => {
      response.setEncoding("utf8").on("data", (text: string) => console.log("answer", text));
      response.on("end", () => web.close(nobody));
    });
    outgoing.end("hello");
  });
}

function nobody(): void {
  connect(81, "127.0.0.1").on("error", ({ message }) => {
    console.log(message);
    lookup("localhost", { family: 4 }, (_error, address) => console.log("lookup", address));
    const again = process.getBuiltinModule("net").connect(82, "127.0.0.1");
    again.on("error", (error: NodeJS.ErrnoException) => console.log(error.code));
  });
}
