/** The console: an operator's fleet in a browser tab. */

import "@xterm/xterm/css/xterm.css";
import "./style.css";
import { render } from "preact";
import { describe } from "../core/errors.ts";
import { isKnown, Session } from "./session.ts";
import { TABS } from "./tabs.ts";
import { parseRoute } from "./route.ts";
import { Root } from "./views/root.tsx";

/** What is shown now. */
export interface State {
  phase: "loading" | "signed out" | "signing in" | "signed in";
  session?: Session;
  /** Why the last sign-in failed. */
  error?: string;
  /** Read out by screen readers. */
  announcement: string;
}

const state: State = { phase: "loading", announcement: "" };
const root = document.getElementById("root")!;
let isDue = false;

/** Shows the state, once a frame however often it changes. */
function update(): void {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    render(<Root state={state} route={parseRoute(location.hash)} actions={actions} />, root);
  });
}

const actions = {
  update,
  announce(text: string): void {
    state.announcement = text;
    update();
  },
  async signIn(join?: string): Promise<void> {
    const session = new Session({ onChange: update });
    Object.assign(state, { phase: "signing in", error: undefined, session: undefined });
    update();
    try {
      await session.open(join);
      Object.assign(state, { phase: "signed in", session, announcement: "Signed in" });
    } catch (cause) {
      Object.assign(state, { phase: "signed out", error: describe(cause) });
    }
    update();
  },
  async signOut(): Promise<void> {
    const { session } = state;
    Object.assign(state, { phase: "signed out", session: undefined, announcement: "Signed out" });
    update();
    await session?.signOut();
  },
};
export type Actions = typeof actions;

/** A join string that this page was opened with; it leaves the address at once. */
function takeJoin(): string | undefined {
  const text = location.hash.slice(1);
  if (!text.startsWith("tj1.")) return undefined;
  history.replaceState(null, "", location.pathname);
  return text;
}

async function start(join = takeJoin()): Promise<void> {
  if (join !== undefined || await isKnown()) return await actions.signIn(join);
  state.phase = "signed out";
  update();
}

addEventListener("hashchange", () => {
  const join = takeJoin();
  if (join === undefined) {
    update();
    // What had the focus may have gone with its view; then it is at the start of the new one.
    return requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        if (document.activeElement === document.body) document.getElementById("content")?.focus();
      })
    );
  }
  state.session?.close();
  actions.signIn(join);
});
new BroadcastChannel(TABS).addEventListener("message", () => {
  state.session?.close();
  Object.assign(state, { phase: "signed out", session: undefined });
  update();
});
update();
start().catch((cause) => {
  Object.assign(state, { phase: "signed out", error: describe(cause) });
  update();
});
