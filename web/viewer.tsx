/** A tab with a page of a device: the page is in a frame without an origin, the tunnel is out here. */

import "./viewer.css";
import { render } from "preact";
import { describe, TunnelError } from "../core/errors.ts";
import { indexedDbStore } from "../stores/indexeddb.ts";
import { connect } from "../transports/runtime/browser.ts";
import { DeviceSite } from "./pages/device_site.ts";
import { PageView, type Shown } from "./pages/page_view.ts";
import { parseRoute, readTarget } from "./route.ts";
import { TABS } from "./tabs.ts";

const root = document.getElementById("root")!;

async function start(): Promise<void> {
  const route = parseRoute(`#device/${location.hash.slice(1)}`);
  const target = readTarget(decodeURIComponent(location.hash.split("/")[1] ?? ""));
  if (route.view !== "device" || !target) {
    throw new TunnelError("usage", {
      action: "open a page of a device",
      state: "the address names no device and port",
      remedy: "open it from the console",
    });
  }
  const { device } = route;
  const fleet = await connect({ store: indexedDbStore() });
  const site = new DeviceSite({
    origin: location.origin,
    target,
    dial: (signal) => fleet.dial(device, target, { signal }),
  });
  const place = document.createElement("div");
  place.className = "place";
  document.body.append(place);
  const view = new PageView({ site, place, onChange: show });
  function show(shown: Shown) {
    document.title = shown.title ? `${device}: ${shown.title}` : device;
    render(<Bar device={device} host={site.host} shown={shown} view={view} />, root);
  }
  new BroadcastChannel(TABS).addEventListener("message", () => {
    fleet.close();
    place.remove();
    render(<p class="problem" role="alert">Signed out.</p>, root);
  });
  await view.navigate({ url: "/", method: "GET", headers: [] });
}

interface BarProps {
  readonly device: string;
  readonly host: string;
  readonly shown: Shown;
  readonly view: PageView;
}

function Bar({ device, host, shown, view }: BarProps) {
  const { path, isBusy, failure, download } = shown;
  return (
    <header class="viewer">
      <button type="button" class="quiet" disabled={!view.canGoBack} onClick={() => view.back()}>
        Back
      </button>
      <button type="button" class="quiet" onClick={() => view.reload()}>Reload</button>
      <p class="where">
        <strong>{device}</strong> <span>{host}{path}</span>
      </p>
      <p role="status" class="hint">{isBusy ? "Loading…" : ""}</p>
      {download && <a download={download.name} href={download.url}>Save {download.name}</a>}
      {failure && <p class="problem" role="alert">{failure}</p>}
    </header>
  );
}

start().catch((cause) => {
  render(<p class="problem" role="alert">{describe(cause)}</p>, root);
});
