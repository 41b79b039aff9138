// Discs, and the file systems of other times and systems.

import { OTHER_FORMATS } from "./images/formats/others.ts";
import { testFormats } from "./images/matrix.ts";

testFormats("other file systems", OTHER_FORMATS);
