/** Who makes changes on this machine. */

import { userInfo } from "node:os";
import type { Author } from "../core/policy/change.ts";
import type { Context } from "./context.ts";

/** This user as the author of changes made now. */
export function localAuthor(env: Context["env"]): Author {
  return { by: `local:${userName(env)}`, at: Date.now() };
}

/** This user's name in the form of an operator's. */
export function userName(env: Context["env"]): string {
  const given = env("USER") ?? env("USERNAME") ?? systemUser();
  const name = given.toLowerCase().replace(/[^a-z0-9._-]/g, "-");
  return name.replace(/^[^a-z0-9]+/, "").slice(0, 63) || "operator";
}

/** A service's environment may not say. */
function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    return ""; // A user without a name, as in a container.
  }
}
