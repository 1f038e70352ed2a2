/** The terminals of this tab: each stays open while other views are looked at. */

import { formatTarget } from "../../core/allow.ts";
import type { Target } from "../../core/names.ts";
import type { Route } from "../route.ts";
import type { ViewProps } from "./root.tsx";
import { TerminalView } from "./terminal.tsx";

/** Where they are, of each session: in the order in which they were opened. */
const opened = new WeakMap<object, Map<string, { device: string; target: Target }>>();

export function Terminals({ session, actions, route }: ViewProps & { route: Route }) {
  const terminals = opened.get(session) ?? new Map();
  opened.set(session, terminals);
  const here = route.view === "terminal" ? keyOf(route) : undefined;
  if (route.view === "terminal" && here) terminals.set(here, route);
  return (
    <>
      {[...terminals].map(([key, { device, target }]) => (
        <TerminalView
          key={key}
          session={session}
          actions={actions}
          device={device}
          target={target}
          isShown={key === here}
          onClose={() => {
            terminals.delete(key);
            location.hash = `#/device/${device}`;
            actions.update();
          }}
        />
      ))}
    </>
  );
}

function keyOf({ device, target }: { device: string; target: Target }): string {
  return `${device}:${formatTarget(target)}`;
}
