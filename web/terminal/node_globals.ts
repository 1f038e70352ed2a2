/** Globals of Node that the SSH library looks for in places: they must be there before it runs. */

import { Buffer } from "buffer";

const process = { env: {}, browser: true, nextTick: queueMicrotask };
const setImmediate = (work: () => void) => setTimeout(work, 0);

Object.assign(globalThis, { Buffer, process, setImmediate });
