/** The executable's entry. */

import { run } from "./cli.ts";

Deno.exit(await run(Deno.args));
