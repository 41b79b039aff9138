// Btrfs with its features and profiles, in both directions.

import { BTRFS_FORMATS } from "./images/formats/btrfs.ts";
import { testFormats } from "./images/matrix.ts";

testFormats("btrfs", BTRFS_FORMATS);
