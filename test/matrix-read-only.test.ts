// The file systems that only tools write: images of theirs, read.

import { READ_ONLY_FORMATS } from "./images/formats/read-only.ts";
import { testFormats } from "./images/matrix.ts";

testFormats("read-only file systems", READ_ONLY_FORMATS);
