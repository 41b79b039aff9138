// A source of randomness (virtio 1.2, section 5.4): /dev/hwrng.

import { VIRTIO_ID_RNG } from "../abi/constants/virtio.ts";
import { systemRandom } from "../machine/random.ts";
import type { Random } from "../machine/random.ts";
import { VirtioDevice } from "./device.ts";
import type { VirtQueue } from "./queue.ts";

const QUEUE_SIZE = 8;

export class VirtioRng extends VirtioDevice {
  readonly #random: Random;

  /** @param random fills what the kernel asks for; the engine's own generator by default */
  constructor(random: Random = systemRandom) {
    super({
      id: VIRTIO_ID_RNG,
      name: "virtio-rng",
      features: [],
      configBytes: 0,
      queueSizes: [QUEUE_SIZE],
    });
    this.#random = random;
  }

  protected override serve(queue: VirtQueue): void {
    for (let head; (head = queue.pop()) >= 0;) {
      let written = 0;
      for (let i = queue.readable; i < queue.count; i++) {
        this.#random(this.memory.subarray(queue.address[i], queue.length[i]));
        written += queue.length[i];
      }
      queue.push(head, written);
    }
    this.announce(queue);
  }
}
