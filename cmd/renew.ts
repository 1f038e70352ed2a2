/** Renewals as the commands run them: over their own session, kept in the home. */

import { describe } from "../core/errors.ts";
import type { LinkSource } from "../core/dialer.ts";
import { Verifier } from "../core/identity/credential.ts";
import { audienceOf } from "../core/identity/proof.ts";
import type { Membership } from "../core/membership.ts";
import { parseRelayUrl } from "../core/names.ts";
import { Renewal } from "../core/renewal.ts";
import type { Identity } from "../stores/home.ts";
import type { Context } from "./context.ts";

/** The renewals of a member of this home. */
export function renewalOf(
  { home, log }: Context,
  identity: Identity,
  membership: Membership,
  links: LinkSource,
): Renewal {
  const { role, name, authority, relay } = identity;
  return new Renewal({
    ...{ membership, role, name, links, log },
    verifier: new Verifier(authority),
    audience: audienceOf(parseRelayUrl(relay)),
    async keep(next, before) {
      if (await home.renewIdentity({ role, name }, before.credential, next)) return;
      log.warn("the home has another identity by now: the new credential is not kept", {
        [role]: name,
      });
    },
  });
}

/** Renews in the background until the signal fires. */
export function renewWhile(renewal: Renewal, { log }: Context, signal: AbortSignal): void {
  renewal.run(signal).catch((cause) => log.error("renewals ended", { why: describe(cause) }));
}
