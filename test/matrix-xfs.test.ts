// XFS with its features, in both directions.

import { XFS_FORMATS } from "./images/formats/xfs.ts";
import { testFormats } from "./images/matrix.ts";

testFormats("xfs", XFS_FORMATS);
