/** Node's Buffer, where the SSH library looks for it in places: it must be there before that runs. */

import { Buffer } from "buffer";

Object.assign(globalThis, { Buffer });
