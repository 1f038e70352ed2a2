/** The store of members in files, as Node has it. */

import type { Log } from "../core/log.ts";
import type { MemberStore } from "../core/member/identity.ts";
import { MemberFiles } from "./member_files.ts";

/**
 * Keeps identities in a folder: `devices/ID.json` and `operator.json`, for their owner alone, as the
 * command line has them in its home. Node has no locks of files: let one process at a time use an
 * identity, or the newer of two credentials that were renewed at once may be lost, which is mended by
 * the next renewal.
 *
 * @param path the folder, made when it is needed
 * @param options.log is warned of files that other users of this machine can read
 *
 * @example
 * ```ts
 * import { connect, fileStore } from "@tunnel/tunnel";
 *
 * const fleet = await connect({ store: fileStore("./operator") });
 * ```
 */
export function fileStore(path: string, { log }: { log?: Log } = {}): MemberStore {
  return new MemberFiles(path, { log });
}
