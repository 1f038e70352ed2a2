/** The frame around every view: who is signed in, by what, and where to go. */

import type { ComponentChildren } from "preact";
import type { Actions, State } from "../app.tsx";
import type { Route } from "../route.ts";
import type { Session } from "../session.ts";
import { Access } from "./access.tsx";
import { Audit } from "./audit.tsx";
import { Channels } from "./channels.tsx";
import { DeviceView } from "./device.tsx";
import { Devices } from "./devices.tsx";
import { SignIn } from "./sign_in.tsx";
import { Terminals } from "./terminals.tsx";

export interface ViewProps {
  readonly session: Session;
  readonly actions: Actions;
}

export function Root({ state, route, actions }: { state: State; route: Route; actions: Actions }) {
  const { session, phase } = state;
  return (
    <>
      {phase === "signed in" && session
        ? <SignedIn session={session} route={route} actions={actions} />
        : <SignIn state={state} actions={actions} />}
      <div class="unseen" role="status" aria-live="polite">{state.announcement}</div>
    </>
  );
}

function SignedIn({ session, route, actions }: ViewProps & { route: Route }) {
  const props = { session, actions };
  const isDevices = ["devices", "device", "terminal"].includes(route.view);
  return (
    <>
      <header>
        <a class="skip" href="#content" onClick={toContent}>Skip to content</a>
        <a class="brand" href="#/">tunnel</a>
        <nav aria-label="Views">
          <Tab to="#/" isHere={isDevices}>Devices</Tab>
          <Tab to="#/channels" isHere={route.view === "channels"}>
            Channels{session.channels.size > 0 && <span class="count">{session.channels.size}
            </span>}
          </Tab>
          {session.isAdmin && <Tab to="#/access" isHere={route.view === "access"}>Access</Tab>}
          {session.isAdmin && <Tab to="#/audit" isHere={route.view === "audit"}>Audit</Tab>}
        </nav>
        <div class="who">
          <Standing session={session} />
          <span class="operator" title={session.fleet!.relay}>{session.fleet!.operator}</span>
          <button type="button" class="quiet" onClick={() => actions.signOut()}>Sign out</button>
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        {session.failure && <p class="problem" role="alert">{session.failure.message}</p>}
        {route.view === "devices" && <Devices {...props} />}
        {route.view === "device" && <DeviceView {...props} id={route.device} />}
        {route.view === "channels" && <Channels {...props} />}
        {route.view === "access" && session.isAdmin && <Access {...props} />}
        {route.view === "audit" && session.isAdmin && <Audit {...props} />}
        <Terminals {...props} route={route} />
      </main>
    </>
  );
}

function Tab(
  { to, isHere, children }: { to: string; isHere: boolean; children: ComponentChildren },
) {
  return <a href={to} aria-current={isHere ? "page" : undefined}>{children}</a>;
}

/** By what the relay is reached now, or that it is not. */
function Standing({ session }: { session: Session }) {
  const { transport, failure, trouble } = session;
  if (failure) return <span class="standing bad">ended</span>;
  if (transport) return <span class="standing good">{transport}</span>;
  return <span class="standing wait" role="status" title={trouble}>reconnecting</span>;
}

function toContent(event: Event) {
  // The address is the view's: only the focus moves.
  event.preventDefault();
  document.getElementById("content")?.focus();
}
