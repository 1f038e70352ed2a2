/** Who may reach what: operators, grants, invitations. For admins. */

import { useState } from "preact/hooks";
import { parseDuration } from "../../core/names.ts";
import { formatScope, parseScope } from "../../core/policy/grant.ts";
import { instant } from "../format.ts";
import { Invite } from "./invite.tsx";
import type { ViewProps } from "./root.tsx";
import { useAction, useRemote } from "./use_remote.ts";

export function Access({ session, actions }: ViewProps) {
  const { admin } = session.fleet!;
  const operators = useRemote(() => admin.operators());
  const grants = useRemote(() => admin.grants());
  const change = useAction();
  const reload = () => {
    operators.reload();
    grants.reload();
  };
  const revoke = (what: string, work: () => Promise<unknown>) => {
    // The name is in the question, as text.
    if (!confirm(`Revoke ${what}? What it has open is cut at once.`)) return;
    change.run(async () => {
      await work();
      actions.announce(`Revoked ${what}`);
      reload();
    });
  };
  const error = change.error ?? operators.error ?? grants.error;
  return (
    <section class="access" aria-labelledby="access-title">
      <h1 id="access-title">Access</h1>
      {error && <p class="problem" role="alert">{error}</p>}
      <Invite session={session} actions={actions} onInvited={reload} />
      <h2 id="grants-title">Grants</h2>
      <AddGrant
        onAdd={async (operator, scope, until) => {
          await admin.change({ type: "grant", operator, scope, until });
          actions.announce(`${operator} may reach ${scope}`);
          reload();
        }}
      />
      <div class="wide">
        <table aria-labelledby="grants-title">
          <thead>
            <tr>
              <th scope="col">Operator</th>
              <th scope="col">May reach</th>
              <th scope="col">Until</th>
              <th scope="col">Given by</th>
              <th scope="col">
                <span class="unseen">Action</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {grants.value?.map(({ id, operator, scope, until, by }) => (
              <tr key={id}>
                <td>{operator}</td>
                <td>
                  <code>{scope}</code>
                </td>
                <td>{until === undefined ? "revoked" : instant(until)}</td>
                <td>{by}</td>
                <td class="end">
                  <button
                    type="button"
                    class="danger"
                    aria-label={`Revoke ${scope} of ${operator}`}
                    disabled={change.isBusy}
                    onClick={() =>
                      revoke(
                        `${scope} of ${operator}`,
                        () => admin.change({ type: "revoke-grant", id }),
                      )}
                  >
                    Revoke
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {grants.value?.length === 0 && <p class="empty">Nobody may reach anything.</p>}
      <h2 id="operators-title">Operators</h2>
      <div class="wide">
        <table aria-labelledby="operators-title">
          <thead>
            <tr>
              <th scope="col">Operator</th>
              <th scope="col">Since</th>
              <th scope="col">May also</th>
              <th scope="col">
                <span class="unseen">Action</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {operators.value?.map(({ name, since, admin: isAdmin, approver, revokedAt }) => (
              <tr key={name}>
                <td>{name}</td>
                <td>{instant(since)}</td>
                <td>
                  {revokedAt !== undefined
                    ? `revoked ${instant(revokedAt)}`
                    : [isAdmin && "administer", approver && "approve dials"].filter(Boolean).join(
                      ", ",
                    )}
                </td>
                <td class="end">
                  {revokedAt === undefined && name !== session.fleet!.operator && (
                    <button
                      type="button"
                      class="danger"
                      aria-label={`Revoke operator ${name}`}
                      disabled={change.isBusy}
                      onClick={() =>
                        revoke(
                          `operator ${name}`,
                          () => admin.change({ type: "revoke-member", role: "operator", name }),
                        )}
                    >
                      Revoke
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function AddGrant(
  { onAdd }: { onAdd: (operator: string, scope: string, until?: number) => Promise<void> },
) {
  const [operator, setOperator] = useState("");
  const [scope, setScope] = useState("");
  const [lasts, setLasts] = useState("");
  const adding = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    adding.run(async () => {
      const until = lasts.trim() === "" ? undefined : Date.now() + parseDuration(lasts.trim());
      await onAdd(operator.trim(), formatScope(parseScope(scope.trim())), until);
      setScope("");
    });
  };
  return (
    <form class="inline" onSubmit={submit}>
      <div>
        <label for="grant-operator">Operator</label>
        <input
          id="grant-operator"
          required
          autocomplete="off"
          spellcheck={false}
          value={operator}
          onInput={({ currentTarget }) => setOperator(currentTarget.value)}
        />
      </div>
      <div>
        <label for="grant-scope">May reach</label>
        <input
          id="grant-scope"
          required
          autocomplete="off"
          spellcheck={false}
          placeholder="line3-*:22,443"
          value={scope}
          onInput={({ currentTarget }) => setScope(currentTarget.value)}
        />
      </div>
      <div>
        <label for="grant-lasts">For</label>
        <input
          id="grant-lasts"
          autocomplete="off"
          placeholder="8h, 7d; or until revoked"
          value={lasts}
          onInput={({ currentTarget }) => setLasts(currentTarget.value)}
        />
      </div>
      <button type="submit" disabled={adding.isBusy}>Grant</button>
      {adding.error && <p class="problem" role="alert">{adding.error}</p>}
    </form>
  );
}
