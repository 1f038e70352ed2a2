/** Programs that some tests need: absent ones are skipped by name, or fail a strict run. */

import type { Test } from "uvu";

/**
 * Registers a test that needs programs of the machine. With TUNNEL_TEST_STRICT=1 an absent program
 * is a failure.
 */
export function testWith(
  test: Test,
  programs: readonly string[],
  name: string,
  body: () => Promise<void>,
): void {
  const absent = programs.filter((program) => !find(program));
  if (absent.length === 0) {
    test(name, body);
  } else if (Deno.env.get("TUNNEL_TEST_STRICT") === "1") {
    test(name, () => {
      throw new Error(`${absent.join(", ")} must be installed for this test`);
    });
  } else {
    console.log(`skipped: ${name} (needs ${absent.join(", ")})`);
    test.skip(name);
  }
}

/** The path of a program in PATH or where system administration keeps its own. */
export function find(program: string): string | undefined {
  const folders = (Deno.env.get("PATH") ?? "").split(":").concat("/usr/sbin", "/sbin");
  return folders.map((folder) => `${folder}/${program}`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}
