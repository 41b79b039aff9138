// The file systems of DOS and Windows, in both directions.

import { DOS_FORMATS } from "./images/formats/dos.ts";
import { testFormats } from "./images/matrix.ts";

testFormats("the file systems of DOS and Windows", DOS_FORMATS);
