/** Every state machine against peers that say anything, in any order. */

import { suiteOf } from "./suite.ts";
import { machines } from "./targets.ts";

suiteOf("fuzz state machines", machines);
