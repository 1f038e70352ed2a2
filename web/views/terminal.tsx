/** A login by SSH: the form, the questions, the host key, and the screen. */

import { useEffect, useRef, useState } from "preact/hooks";
import { formatTarget } from "../../core/allow.ts";
import { describe, TunnelError } from "../../core/errors.ts";
import type { Target } from "../../core/names.ts";
import {
  checkHostKey,
  fingerprintOf,
  forgetHostKey,
  type PinnedKey,
} from "../terminal/host_keys.ts";
import type { Screen } from "../terminal/login.ts";
import { type Asked, LoginForm, type LoginWords, Questions } from "./terminal_forms.tsx";
import type { ViewProps } from "./root.tsx";

interface TerminalProps extends ViewProps {
  readonly device: string;
  readonly target: Target;
  readonly isShown: boolean;
  readonly onClose: () => void;
}

type Phase = "form" | "connecting" | "open" | "ended";

export function TerminalView(
  { session, actions, device, target, isShown, onClose }: TerminalProps,
) {
  const place = useRef<HTMLDivElement>(null);
  const screen = useRef<Screen>(null);
  const leave = useRef<() => void>(null);
  const [phase, setPhase] = useState<Phase>("form");
  const [message, setMessage] = useState<{ text: string; isKey: boolean }>();
  const [hostKey, setHostKey] = useState<PinnedKey & { isNew: boolean }>();
  const [asked, setAsked] = useState<Asked>();
  const server = `${device}:${formatTarget(target)}`;

  useEffect(() => () => leave.current?.(), []);
  useEffect(() => {
    if (!isShown || phase !== "open") return;
    screen.current?.fit();
    screen.current?.focus();
  }, [isShown, phase]);

  const connect = async ({ user, keyText }: LoginWords) => {
    setPhase("connecting");
    setMessage(undefined);
    try {
      const { readPrivateKey, openScreen, openShell } = await import("../terminal/login.ts");
      const key = keyText ? await readPrivateKey(keyText) : undefined;
      const stream = await session.dial(device, target, "terminal");
      leave.current = () => stream.reset("the terminal was closed");
      screen.current?.close();
      let send: (bytes: Uint8Array) => void = () => {};
      let resize: Parameters<typeof openScreen>[0]["onResize"] = () => {};
      const made = openScreen({
        element: place.current!,
        onInput: (bytes) => send(bytes),
        onResize: (size) => resize(size),
      });
      screen.current = made;
      const shell = await openShell(stream, {
        user,
        key,
        size: made.size,
        checkHostKey: async (algorithm, bytes) => {
          const fingerprint = await fingerprintOf(bytes);
          const { pinned, isNew } = await checkHostKey(server, { algorithm, fingerprint });
          setHostKey({ ...pinned, isNew });
        },
        ask: (questions, title) =>
          new Promise((resolve) =>
            setAsked({
              questions,
              title,
              answer(words) {
                setAsked(undefined);
                resolve(words);
              },
            })
          ),
        onData: (bytes) => made.write(bytes),
      });
      const gone = (cause: unknown) => setMessage({ text: describe(cause), isKey: false });
      send = (bytes) => void shell.send(bytes).catch(() => {}); // `closed` says why.
      resize = (size) => void shell.resize(size).catch(gone);
      leave.current = () => shell.close();
      setPhase("open");
      actions.announce(`Logged in to ${device}`);
      const status = await shell.closed;
      setMessage({
        text: `The login has ended${status ? ` with status ${status}` : ""}.`,
        isKey: false,
      });
    } catch (cause) {
      const isKey = cause instanceof TunnelError && cause.code === "refused" &&
        cause.parts.state.startsWith("its host key");
      setMessage({ text: describe(cause), isKey });
    }
    leave.current?.();
    setAsked(undefined);
    setPhase("ended");
  };

  return (
    <section class="terminal" hidden={!isShown} aria-label={`Terminal of ${device}`}>
      <div class="bar">
        <h1>
          {device} <span class="hint">{formatTarget(target)}</span>
        </h1>
        {hostKey && (
          <p class="key">
            {hostKey.isNew ? "New host key, kept from now on: " : "Host key as before: "}
            <code>{hostKey.algorithm} {hostKey.fingerprint}</code>
          </p>
        )}
        <button
          type="button"
          class="quiet"
          onClick={() => {
            leave.current?.();
            screen.current?.close();
            onClose();
          }}
        >
          Close
        </button>
      </div>
      {message && (
        <div class="problem" role="alert">
          <p>{message.text}</p>
          {message.isKey && (
            <button
              type="button"
              class="danger"
              onClick={async () => {
                await forgetHostKey(server);
                setMessage({ text: "The old host key is forgotten; log in again.", isKey: false });
              }}
            >
              Forget the old key
            </button>
          )}
        </div>
      )}
      {(phase === "form" || phase === "ended") && <LoginForm id={server} onLogin={connect} />}
      {phase === "connecting" && !asked && <p role="status" class="hint">Connecting…</p>}
      {asked && <Questions asked={asked} />}
      <div class="screen" ref={place} data-open={phase === "open"} />
    </section>
  );
}
