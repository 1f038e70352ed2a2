/** Invitations: a join string that is shown once, as text, as a link and as a QR code. */

import { useEffect, useRef, useState } from "preact/hooks";
import { parseDuration } from "../../core/names.ts";
import { joinLink } from "../join_link.ts";
import { QrCode } from "./qr_code.tsx";
import type { ViewProps } from "./root.tsx";
import { useAction } from "./use_remote.ts";

interface Made {
  readonly role: "device" | "operator";
  readonly name: string;
  readonly join: string;
}

export function Invite({ session, actions, onInvited }: ViewProps & { onInvited: () => void }) {
  const [role, setRole] = useState<Made["role"]>("operator");
  const [name, setName] = useState("");
  const [scope, setScope] = useState("");
  const [ttl, setTtl] = useState("1h");
  const [isAdmin, setAdmin] = useState(false);
  const [made, setMade] = useState<Made>();
  const inviting = useAction();
  const isOperator = role === "operator";
  const submit = (event: Event) => {
    event.preventDefault();
    inviting.run(async () => {
      const grants = isOperator && scope.trim() !== "" ? [{ scope: scope.trim() }] : undefined;
      const rights = isOperator && isAdmin ? { admin: true } : undefined;
      const invitation = {
        role,
        name: name.trim(),
        ttl: parseDuration(ttl.trim()),
        grants,
        rights,
      };
      const join = await session.fleet!.invite(invitation);
      setMade({ role, name: name.trim(), join });
      setName("");
      actions.announce(`Invited ${role} ${name.trim()}`);
      onInvited();
    });
  };
  return (
    <>
      <h2>Invite</h2>
      <form class="inline" onSubmit={submit}>
        <div>
          <label for="invite-role">Whom</label>
          <select
            id="invite-role"
            value={role}
            onChange={({ currentTarget }) => setRole(currentTarget.value as Made["role"])}
          >
            <option value="operator">Operator</option>
            <option value="device">Device</option>
          </select>
        </div>
        <div>
          <label for="invite-name">{isOperator ? "Name" : "ID"}</label>
          <input
            id="invite-name"
            required
            autocomplete="off"
            spellcheck={false}
            value={name}
            onInput={({ currentTarget }) => setName(currentTarget.value)}
          />
        </div>
        {isOperator && (
          <div>
            <label for="invite-scope">May reach</label>
            <input
              id="invite-scope"
              autocomplete="off"
              spellcheck={false}
              placeholder="line3-*:22,443"
              value={scope}
              onInput={({ currentTarget }) => setScope(currentTarget.value)}
            />
          </div>
        )}
        <div>
          <label for="invite-ttl">Good for</label>
          <input
            id="invite-ttl"
            required
            autocomplete="off"
            value={ttl}
            onInput={({ currentTarget }) => setTtl(currentTarget.value)}
          />
        </div>
        {isOperator && (
          <label class="check">
            <input
              type="checkbox"
              checked={isAdmin}
              onChange={({ currentTarget }) => setAdmin(currentTarget.checked)}
            />
            Admin
          </label>
        )}
        <button type="submit" disabled={inviting.isBusy}>Invite</button>
        {inviting.error && <p class="problem" role="alert">{inviting.error}</p>}
      </form>
      {made && <Shown made={made} onClose={() => setMade(undefined)} />}
    </>
  );
}

/** The one time that a join string is to be seen: nothing keeps it. */
function Shown({ made: { role, name, join }, onClose }: { made: Made; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isCopied, setCopied] = useState(false);
  useEffect(() => dialog.current!.showModal(), []);
  const text = role === "operator" ? joinLink(join) : join;
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
  };
  return (
    <dialog ref={dialog} class="invitation" aria-labelledby="invitation-title" onClose={onClose}>
      <h2 id="invitation-title">Invitation of {role} {name}</h2>
      <p class="hint">
        It is shown this once. Hand it over like a password: {role === "operator"
          ? "the link opens this console"
          : <code>tunnel device --id {name} --join -</code>}.
      </p>
      <QrCode text={text} />
      <label for="invitation-text">{role === "operator" ? "Link" : "Join string"}</label>
      <textarea
        id="invitation-text"
        readOnly
        rows={4}
        value={text}
        onFocus={({ currentTarget }) =>
          currentTarget.select()}
      />
      <div class="field">
        <button type="button" onClick={copy}>{isCopied ? "Copied" : "Copy"}</button>
        <button
          type="button"
          class="quiet"
          onClick={() =>
            dialog.current!.close()}
        >
          Done
        </button>
      </div>
    </dialog>
  );
}
