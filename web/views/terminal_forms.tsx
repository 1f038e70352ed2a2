/** What a login asks for. */

import { useState } from "preact/hooks";
import type { Question } from "../terminal/login.ts";

/** What the form of a login holds. */
export interface LoginWords {
  readonly user: string;
  /** A private key, as it was pasted or picked. */
  readonly keyText?: string;
}

/** Questions of a server that wait for answers. */
export interface Asked {
  readonly questions: readonly Question[];
  readonly title: string;
  /** Undefined gives up. */
  readonly answer: (words: string[] | undefined) => void;
}

export function LoginForm({ id, onLogin }: { id: string; onLogin: (words: LoginWords) => void }) {
  const [user, setUser] = useState("");
  const [keyText, setKeyText] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    // The key is kept for this login alone.
    setKeyText("");
    onLogin({ user: user.trim(), keyText: keyText.trim() || undefined });
  };
  const pick = async (input: HTMLInputElement) => {
    const file = input.files?.[0];
    // Longer than any key is some other file.
    if (file && file.size < 65_536) setKeyText(await file.text());
    input.value = "";
  };
  return (
    <form class="card login" onSubmit={submit}>
      <label for={`user-${id}`}>Log in as</label>
      <input
        id={`user-${id}`}
        required
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        value={user}
        onInput={({ currentTarget }) => setUser(currentTarget.value)}
      />
      <details>
        <summary>Private key instead of a password</summary>
        <label for={`key-${id}`}>
          Ed25519 without a passphrase, or PEM; kept for this login alone
        </label>
        <textarea
          id={`key-${id}`}
          rows={4}
          autocomplete="off"
          spellcheck={false}
          value={keyText}
          onInput={({ currentTarget }) => setKeyText(currentTarget.value)}
        />
        <input
          type="file"
          aria-label="File of a private key"
          onChange={({ currentTarget }) => pick(currentTarget)}
        />
      </details>
      <button type="submit">Log in</button>
    </form>
  );
}

export function Questions({ asked: { questions, title, answer } }: { asked: Asked }) {
  const [words, setWords] = useState(questions.map(() => ""));
  const submit = (event: Event) => {
    event.preventDefault();
    answer(words);
  };
  return (
    <form class="card login" onSubmit={submit}>
      {title && <p>{title}</p>}
      {questions.map(({ prompt, echo }, i) => (
        <div key={i}>
          <label for={`answer-${i}`}>{prompt}</label>
          <input
            id={`answer-${i}`}
            {...{ type: echo ? "text" : "password" } as { type: "password" }}
            autocomplete="off"
            value={words[i]}
            ref={(element) => {
              if (i === 0 && document.activeElement === document.body) element?.focus();
            }}
            onInput={({ currentTarget }) =>
              setWords(words.map((word, at) => at === i ? currentTarget.value : word))}
          />
        </div>
      ))}
      <div class="field">
        <button type="submit">Continue</button>
        <button type="button" class="quiet" onClick={() => answer(undefined)}>Give up</button>
      </div>
    </form>
  );
}
