/** What the address names of the page: the part behind `#`. */

import { DEVICE_ID, parseTarget, type Target } from "../core/names.ts";

/** A view, and what it is about. */
export type Route =
  | { readonly view: "devices" | "channels" | "access" | "audit" }
  | { readonly view: "device"; readonly device: string }
  | { readonly view: "terminal"; readonly device: string; readonly target: Target };

/** What is no route is the list of devices. */
export function parseRoute(hash: string): Route {
  const [view, device = "", text = ""] = hash.replace(/^#\/?/, "").split("/").map(decode);
  if (view === "channels" || view === "access" || view === "audit") return { view };
  if (!DEVICE_ID.test(device)) return { view: "devices" };
  if (view === "device") return { view, device };
  const target = view === "terminal" ? readTarget(text) : undefined;
  return target ? { view: "terminal", device, target } : { view: "devices" };
}

/** A target that somebody has typed; undefined when it is none. */
export function readTarget(text: string): Target | undefined {
  try {
    return parseTarget(text.trim());
  } catch {
    return undefined; // The form says that it is none.
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return ""; // A lone percent sign names nothing.
  }
}
