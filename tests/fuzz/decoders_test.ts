/** Every decoder against altered encodings: so many from one seed in the suite. */

import { suiteOf } from "./suite.ts";
import { decoders } from "./targets.ts";

suiteOf("fuzz decoders", decoders);
