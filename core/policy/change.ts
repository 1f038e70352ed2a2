/**
 * Administrative changes: what `tunnel invite`, `grant` and `revoke` do, in the form in which the
 * store applies them and an admin's control stream carries them.
 */

import * as v from "valibot";
import { TunnelError } from "../errors.ts";
import { BASE64URL_32 } from "../identity/keys.ts";
import { DEVICE_ID, MAX_DURATION } from "../names.ts";
import { formatScope, parseScope } from "./grant.ts";

/** Grants that one invitation brings at most. */
export const MAX_GRANTS = 64;
/** Characters of a scope, at most. */
export const MAX_SCOPE = 2_000;
/** What errors call it. */
export const CHANGE = "change who may reach what";
/** Uses that one invitation has at most. */
export const MAX_USES = 1_000;

const name = v.pipe(v.string(), v.regex(DEVICE_ID, "a name"));
/** Milliseconds since 1970, as far as dates go. */
const instant = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(8.64e15));
const given = {
  /** In its canonical spelling. */
  scope: v.pipe(v.string(), v.maxLength(MAX_SCOPE), v.check(isScope, "a grant")),
  until: v.optional(instant),
};
const Rights = v.object({
  /** May change who reaches what, and read the audit trail. */
  admin: v.optional(v.boolean()),
  /** May let a dial through that a device asks about. */
  approver: v.optional(v.boolean()),
});

/** What an operator may do beside dialling. */
export type Rights = v.InferOutput<typeof Rights>;

export const Change = v.variant("type", [
  v.object({
    type: v.literal("invite"),
    role: v.picklist(["device", "operator"]),
    name,
    /** `hashSecret` of the join string's secret. */
    secretHash: v.pipe(v.string(), v.regex(BASE64URL_32)),
    expiresAt: instant,
    uses: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_USES)),
    /** Milliseconds that credentials are valid, at most ten years; the role's default without. */
    validity: v.optional(
      v.pipe(v.number(), v.safeInteger(), v.minValue(1_000), v.maxValue(MAX_DURATION)),
    ),
    /** An operator's, in place of those that the name has; one left out is not given. */
    rights: v.optional(Rights),
    /** An operator's, added to those that the name has. */
    grants: v.optional(v.pipe(v.array(v.object(given)), v.maxLength(MAX_GRANTS))),
  }),
  /** Gives a grant; one of the same operator and scope is renewed. */
  v.object({ type: v.literal("grant"), operator: name, ...given }),
  /** In place of those that the operator has; one left out is not given. */
  v.object({ type: v.literal("rights"), operator: name, rights: Rights }),
  /** Ends a grant. */
  v.object({ type: v.literal("revoke-grant"), id: v.pipe(v.string(), v.regex(/^[a-z2-7]{8}$/)) }),
  /**
   * Ends everything that a name has: its credentials so far, its open invitations, an operator's
   * grants and rights. It may be invited again.
   */
  v.object({
    type: v.literal("revoke-member"),
    role: v.picklist(["device", "operator"]),
    name,
    /** Also when it was never here: an authority elsewhere may have signed its credential. */
    unseen: v.optional(v.boolean()),
  }),
]);
export type Change = v.InferOutput<typeof Change>;

/**
 * A change in its form; other members are dropped.
 *
 * @throws {TunnelError} `usage`
 */
export function parseChange(value: unknown): Change {
  const result = v.safeParse(Change, value);
  if (result.success) return result.output;
  // What the part holds is not shown: it may be a hash.
  const part = v.getDotPath(result.issues[0]) ?? "it";
  const state = `${part} is missing, malformed or out of range`;
  throw new TunnelError("usage", { action: CHANGE, state });
}

/** Who makes a change, from where, and when. */
export interface Author {
  /** `local:root` for a user of the relay's machine, `operator:anna` for an admin. */
  readonly by: string;
  /** An admin's address. */
  readonly from?: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** @throws {TunnelError} `usage` */
export function checkInstant(action: string, at: number): void {
  if (v.is(instant, at)) return;
  throw new TunnelError("usage", { action, state: `${at} is no instant` });
}

function isScope(text: string): boolean {
  try {
    return formatScope(parseScope(text)) === text;
  } catch (cause) {
    if (cause instanceof TunnelError) return false;
    throw cause;
  }
}
