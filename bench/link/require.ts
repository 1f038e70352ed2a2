/** Tests that need an emulated link: skipped by name where the machine has none. */

import type { Test } from "uvu";
import { find, testWith } from "../../tests/require.ts";
import { canEmulate, PROGRAMS } from "./link.ts";

/**
 * Registers a test that opens links. Absent programs are treated as `testWith` treats them; what
 * cannot be installed (root, /dev/net/tun, namespaces) is never a failure.
 *
 * @param programs of the machine, beside those of the link
 */
export async function testOverLink(
  test: Test,
  programs: readonly string[],
  name: string,
  body: () => Promise<void>,
): Promise<void> {
  const needed = [...PROGRAMS, ...programs];
  const why = needed.every(find) ? await (probed ??= canEmulate()) : undefined;
  if (why === undefined) return testWith(test, needed, name, body);
  console.log(`skipped: ${name} (${why})`);
  test.skip(name);
}

let probed: Promise<string | undefined> | undefined;
