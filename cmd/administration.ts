/**
 * Who may reach what, as the commands change and show it: in the store of this home's relay, whether
 * that runs or not, or over an admin's session with a relay elsewhere.
 */

import { Admin, type AuditPage } from "../core/admin.ts";
import type { OperatorInfo } from "../core/admin_messages.ts";
import { untilAborted } from "../core/deadline.ts";
import { TunnelError } from "../core/errors.ts";
import type { Join } from "../core/identity/join.ts";
import type { AuditQuery } from "../core/policy/audit.ts";
import type { Change } from "../core/policy/change.ts";
import type { Subject } from "../core/policy/decide.ts";
import type { Grant } from "../core/policy/grant.ts";
import { Policy } from "../core/policy/policy.ts";
import { cannotIssue } from "../core/relay/issuing.ts";
import { type AuditReport, MAX_PAGE, type Store } from "../core/store.ts";
import { localAuthor } from "./author.ts";
import type { Context } from "./context.ts";
import { stopSignal } from "./process.ts";
import { LINK_TIMEOUT, type Service, withService } from "./service.ts";

/** A relay that is administered, wherever it is; the methods are those of {@linkcode Admin}. */
export interface Administration {
  /**
   * What a join string for that member says of the relay.
   *
   * @throws {TunnelError} `refused` when it is known here that nobody can join by one
   */
  fleet(member: Subject): Promise<Pick<Join, "relay" | "authority" | "root">>;
  change(change: Change): Promise<Grant[]>;
  operators(): Promise<readonly OperatorInfo[]>;
  grants(operator?: string): Promise<Grant[]>;
  audit(query: AuditQuery): Promise<AuditPage>;
  checkAudit(): Promise<AuditReport>;
}

/**
 * Runs `work` on the relay of this home, or with `--remote` or without one on that which its operator
 * has joined. The signal fires when the command is to end.
 *
 * @throws {TunnelError} `refused` when this home has neither a relay nor an operator
 */
export async function administer<T>(
  context: Context,
  work: (relay: Administration, stop: AbortSignal) => Promise<T>,
): Promise<T> {
  const { home, options } = context;
  if (options.flag("remote") || !await home.hasStore()) {
    await checkOperator(context);
    return await withService(context, (service) => work(remote(context, service), service.stop));
  }
  const stop = stopSignal();
  await using store = await home.openStore();
  return await untilAborted(work(local(context, store), stop), stop, "run");
}

function local({ home, env }: Context, store: Store): Administration {
  return {
    async fleet(member) {
      const endpoint = await home.relayEndpoint();
      if (endpoint?.authority) throw cannotIssue(member).during("invite");
      const authority = await home.issuer();
      if (endpoint && authority) {
        return { relay: endpoint.url, authority: authority.publicJwk, root: endpoint.root };
      }
      throw new TunnelError("refused", {
        action: "invite",
        state: `no relay has run yet with ${home.path}`,
        remedy: "start one: tunnel relay",
      });
    },
    change: (change) => store.apply(change, localAuthor(env)),
    async operators() {
      return (await store.policy()).standings.filter(({ role }) => role === "operator");
    },
    async grants(operator) {
      return new Policy(await store.policy()).grants(Date.now(), operator);
    },
    async audit(query) {
      const limit = Math.min(query.limit, MAX_PAGE);
      const rows = await store.audit({ ...query, limit });
      return { rows, more: rows.length === limit && limit < query.limit };
    },
    checkAudit: () => store.checkAudit(),
  };
}

function remote({ home }: Context, { supervisor, identity, stop }: Service): Administration {
  // After a loss the next session serves as well.
  const admin = async () => new Admin(await supervisor.link(LINK_TIMEOUT, stop), stop);
  return {
    async fleet() {
      const { relay, authority, root } = identity;
      // From the relay's own machine it may be reached by an address that others cannot use.
      const isOwn = (await home.issuer())?.publicJwk.x === authority.x;
      const endpoint = isOwn ? await home.relayEndpoint() : undefined;
      return { relay: endpoint?.url ?? relay, authority, root };
    },
    change: async (change) => await (await admin()).change(change),
    operators: async () => await (await admin()).operators(),
    grants: async (operator) => await (await admin()).grants(operator),
    audit: async (query) => await (await admin()).audit(query),
    checkAudit: async () => await (await admin()).checkAudit(),
  };
}

/** Says what is missing before anything is tried. */
async function checkOperator({ home, options }: Context): Promise<void> {
  if (options.text("join") !== undefined || await home.issuer()) return;
  if (await home.members.read("operator", undefined)) return;
  throw new TunnelError("refused", {
    action: "administer a relay",
    state: `${home.path} has neither a relay nor an operator`,
    remedy: "run this on the relay's machine, with its --home, after `tunnel relay`, or give an " +
      "admin's join string: --join",
  });
}
