/** The choice between the implementations of the suite. */

import { loadNativeSuite } from "./native_suite.ts";
import { nobleSuite } from "./noble_suite.ts";
import type { Suite } from "./suite.ts";

let found: Suite | undefined;

/**
 * The platform's own implementation where there is one, else that in JavaScript. Looked for at the
 * first call, which may take some 20 ms where the platform loads its own lazily.
 */
export function platformSuite(): Suite {
  return found ??= loadNativeSuite() ?? nobleSuite;
}
