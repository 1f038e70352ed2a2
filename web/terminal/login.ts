/** All that a terminal needs and the rest of the page does not: loaded when the first is opened. */

import "./node_globals.ts";

export { readPrivateKey } from "./private_key.ts";
export { openScreen, type Screen } from "./screen.ts";
export { openShell, type Question, type Shell } from "./ssh.ts";
