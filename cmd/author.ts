/** Who makes changes on this machine. */

import type { Author } from "../core/policy/change.ts";
import type { Context } from "./context.ts";

/** This user as the author of changes made now. */
export function localAuthor(env: Context["env"]): Author {
  return { by: `local:${userName(env)}`, at: Date.now() };
}

/** This user's name in the form of an operator's. */
export function userName(env: Context["env"]): string {
  const name = (env("USER") ?? env("USERNAME") ?? "").toLowerCase().replace(/[^a-z0-9._-]/g, "-");
  return name.replace(/^[^a-z0-9]+/, "").slice(0, 63) || "operator";
}
