/** The store of members in files, as Deno has it: processes that change one folder take turns. */

import type { Log } from "../core/log.ts";
import type { MemberStore } from "../core/member/identity.ts";
import { withFileLock } from "./file_lock.ts";
import { MemberFiles } from "./member_files.ts";

/**
 * Keeps identities in a folder: `devices/ID.json` and `operator.json`, for their owner alone, as the
 * command line has them in its home. A device and an operator may share one with it.
 *
 * @param path the folder, made when it is needed
 * @param options.log is warned of files that other users of this machine can read
 *
 * @example
 * ```ts
 * import { connect, fileStore } from "@tunnel/tunnel";
 *
 * // Whoever has joined by `tunnel connect --join ...` on this machine.
 * await using fleet = await connect({ store: fileStore(`${Deno.env.get("HOME")}/.tunnel`) });
 * ```
 */
export function fileStore(path: string, { log }: { log?: Log } = {}): MemberStore {
  return new MemberFiles(path, { lock: withFileLock, log });
}
