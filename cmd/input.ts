/** Words that people paste, name a file for, or pipe in. */

import { describe, TunnelError } from "../core/errors.ts";
import { parsePublicJwk, type PublicJwk } from "../core/identity/keys.ts";

/**
 * A text itself, or from where it is: `@FILE`, or `-` for stdin.
 *
 * @param what "join string"; the error's words, which never show the text
 * @param how what would be right: "--join @FILE"
 * @throws {TunnelError} `usage` when it cannot be read
 */
export async function readText(text: string, what: string, how: string): Promise<string> {
  const file = text.startsWith("@") ? text.slice(1) : undefined;
  if (file === undefined && text !== "-") return text;
  try {
    return file === undefined
      ? await new Response(Deno.stdin.readable).text()
      : await Deno.readTextFile(file);
  } catch (cause) {
    throw new TunnelError("usage", {
      action: `read the ${what}`,
      state: `${file ?? "stdin"} cannot be read`,
      remedy: `name a file that this user may read: ${how}`,
      cause,
    });
  }
}

/**
 * The public key of an authority: a JSON Web Key, or a file that holds one.
 *
 * @throws {TunnelError} `usage` when it is none, or a private key
 */
export async function readAuthority(text: string): Promise<PublicJwk> {
  const action = "read the authority's public key";
  const isKey = text.trimStart().startsWith("{");
  let jwk: { d?: unknown };
  try {
    const json = isKey ? text : await Deno.readTextFile(text.replace(/^@/, ""));
    jwk = Object(JSON.parse(json));
  } catch (cause) {
    // A JSON error quotes its input, which may be a private key.
    const state = cause instanceof SyntaxError ? "it is no JSON" : describe(cause);
    throw new TunnelError("usage", { action, state, remedy: HOW });
  }
  if (jwk.d !== undefined) {
    throw new TunnelError("usage", { action, state: "it is the private key", remedy: HOW });
  }
  return parsePublicJwk(jwk);
}

const HOW = "give what `tunnel authority init` has printed, or a file that holds it";
