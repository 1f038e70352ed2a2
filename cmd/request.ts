/** `tunnel request`: asks for a credential by a text that is carried to the authority. */

import { TunnelError } from "../core/errors.ts";
import { importPrivateKey } from "../core/identity/keys.ts";
import { keysFingerprint, makeRequest } from "../core/identity/request.ts";
import { generateMemberKeys, type JwkKeys, publicKeysOf } from "../core/membership.ts";
import { parseDeviceId, parseOperatorName } from "../core/names.ts";
import type { Role } from "../core/identity/credential.ts";
import type { Context } from "./context.ts";
import { readAuthority } from "./input.ts";
import { print } from "./process.ts";

export async function request(context: Context, role: string, nameText: string): Promise<void> {
  if (role !== "device" && role !== "operator") {
    throw new TunnelError("usage", {
      action: "request a credential",
      state: `${JSON.stringify(role)} is neither device nor operator`,
      remedy: "use `tunnel request device ID` or `tunnel request operator NAME`",
    });
  }
  const name = role === "device" ? parseDeviceId(nameText) : parseOperatorName(nameText);
  const keys = await keysFor(context, role, name);
  const { key, agreement } = await publicKeysOf(keys);
  const privateKey = await importPrivateKey(keys.privateKey);
  const text = await makeRequest({ role, name, key, agreement, privateKey });
  // For comparing with what the authority shows.
  console.error(`${role} ${name}, keys ${await keysFingerprint(key, agreement)}`);
  print(text);
}

/** The keys that this home has for a member, or new ones that wait for their credential. */
async function keysFor({ options, home }: Context, role: Role, name: string): Promise<JwkKeys> {
  const file = await home.members.read(role, name);
  const kept = file?.value.name === name ? file.value : undefined;
  const expected = options.text("authority");
  const rotate = options.flag("rotateKeys");
  if (kept && !rotate && expected === undefined) return kept;
  const before = await home.pending(role, name);
  const authority = expected === undefined
    ? kept?.authority ?? before?.authority
    : await readAuthority(expected);
  // Those of a request that was not answered yet serve again.
  const { privateKey, agreementKey } = (rotate ? undefined : kept ?? before) ??
    await generateMemberKeys();
  const keys = { privateKey, agreementKey };
  await home.savePending({ role, name, ...keys, authority });
  return keys;
}
