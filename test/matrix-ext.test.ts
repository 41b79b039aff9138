// ext2, ext3 and ext4 with their features, in both directions.

import { EXT_FORMATS } from "./images/formats/ext.ts";
import { testFormats } from "./images/matrix.ts";

testFormats("ext2, ext3 and ext4", EXT_FORMATS);
