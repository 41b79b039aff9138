// One turn of the event loop, as fast as the runtime has it.

type Turn = (callback: () => void) => void;

declare const setImmediate: Turn | undefined;

function byMessage(): Turn {
  const queue: (() => void)[] = [];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => queue.shift()?.();
  return (callback) => {
    queue.push(callback);
    port2.postMessage(0);
  };
}

/** Call back when the event loop has turned: timers and I/O had their chance. */
export const turn: Turn = typeof setImmediate === "function" ? setImmediate : byMessage();
