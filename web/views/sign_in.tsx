/** Signing in by a join string, pasted or as the address has brought it. */

import { useState } from "preact/hooks";
import type { Actions, State } from "../app.tsx";
import { joinIn } from "../join_link.ts";

export function SignIn({ state, actions }: { state: State; actions: Actions }) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string>();
  const { phase, error } = state;
  if (phase === "loading" || phase === "signing in") {
    return (
      <main class="welcome" aria-busy="true">
        <h1>tunnel</h1>
        <p role="status">{phase === "loading" ? "One moment…" : "Signing in…"}</p>
      </main>
    );
  }
  const submit = (event: Event) => {
    event.preventDefault();
    const join = joinIn(text);
    if (join === undefined) {
      return setProblem(
        "This is no join string: it starts with tj1. or is a link that ends with one.",
      );
    }
    setText("");
    setProblem(undefined);
    actions.signIn(join);
  };
  const message = problem ?? error;
  return (
    <main class="welcome">
      <h1>tunnel</h1>
      <p>
        Reach your devices from this browser. What you send is encrypted from here to the device.
      </p>
      <form onSubmit={submit}>
        <label for="join">Join string or link</label>
        <textarea
          id="join"
          rows={4}
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          required
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
          aria-describedby="join-help"
          aria-invalid={message !== undefined}
        />
        <p id="join-help" class="hint">
          An admin makes one with{" "}
          <code>tunnel invite operator NAME</code>. It is good once. Your keys are made in this
          browser and stay in it.
        </p>
        {message && <p class="problem" role="alert">{message}</p>}
        <button type="submit">Sign in</button>
      </form>
    </main>
  );
}
