// A disk in a file that need not survive a power failure: what syncs takes no time.

import { FileDisk } from "../../src/platform/node/file-disk.ts";

export class VolatileDisk extends FileDisk {
  override flush(): void {
    // The file's bytes are in the page cache, where the tools that look at it find them.
  }
}
