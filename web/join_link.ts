/** Join strings as links: behind `#`, which browsers tell no server. */

import { decodeJoin } from "../core/identity/join.ts";
import { TunnelError } from "../core/errors.ts";

/** `https://relay/#tj1...`, for an operator to open. */
export function joinLink(join: string): string {
  const { host } = new URL(decodeJoin(join).relay);
  return `https://${host}/#${join}`;
}

/** The join string that somebody has pasted, as it is or as a link; undefined when there is none. */
export function joinIn(text: string): string | undefined {
  const join = text.trim().split("#").at(-1)!;
  try {
    decodeJoin(join);
    return join;
  } catch (cause) {
    if (cause instanceof TunnelError) return undefined;
    throw cause;
  }
}
