/** What keeps a listener from accepting for a while, though nothing is wrong with it. */

import { TunnelError } from "../core/errors.ts";

/** Told of a failure to accept. */
export type OnShortage = (shortage: TunnelError) => void;

/** Milliseconds in which one failure of many is told of. */
const AGAIN = 60_000;

const NO_MEMORY = ["this machine has no memory left for sockets", "see what takes it"] as const;
/** By the codes that Deno and Node give (errno(3)). */
const SHORTAGES: Readonly<Record<string, readonly [state: string, remedy: string]>> = {
  EMFILE: [
    "this process may open no more files",
    "raise its limit: `ulimit -n`, or LimitNOFILE= of its unit",
  ],
  ENFILE: ["this machine may open no more files", "raise the limit: `sysctl fs.file-max`"],
  ENOBUFS: NO_MEMORY,
  ENOMEM: NO_MEMORY,
};

/**
 * Takes failures to accept, and tells of those that somebody can do something about: the first, and
 * one a minute after it.
 */
export function shortages(
  tell: OnShortage = () => {},
  now: () => number = () => performance.now(),
): (cause: unknown) => void {
  let told = -AGAIN;
  return (cause) => {
    const words = SHORTAGES[(cause as { code?: string }).code ?? ""];
    if (!words || now() - told < AGAIN) return;
    told = now();
    const [state, remedy] = words;
    tell(new TunnelError("unavailable", { action: "accept connections", state, remedy, cause }));
  };
}
