/**
 * What runs in the frame of a device's page, before the page itself does. It makes pages work that
 * know nothing of where they are; nothing of the console's safety depends on it, since whatever the
 * page does with it, the frame has no origin, no network, and one port to the tab around it.
 */

import type { PageToShow } from "./messages.ts";
import { Bridge } from "./shim/bridge.ts";
import { installDynamic } from "./shim/dynamic.ts";
import { installNavigation } from "./shim/navigation.ts";
import { installNetwork } from "./shim/network.ts";
import { Resources } from "./shim/resources.ts";
import { installStorage } from "./shim/storage.ts";

addEventListener("message", function first({ data, ports, source }: MessageEvent<PageToShow>) {
  if (source !== parent || !ports[0]) return;
  removeEventListener("message", first);
  show(data, new Bridge(ports[0]));
});

async function show(page: PageToShow, bridge: Bridge): Promise<void> {
  const parsed = new DOMParser().parseFromString(page.html, "text/html");
  const base = takeBase(parsed, page.url);
  const refresh = takeRefresh(parsed);
  const resources = new Resources(bridge);
  await resources.embed(parsed, base);
  const doctype = parsed.doctype ? "<!doctype html>" : "";
  document.open();
  // Opening takes every listener away, so that these come behind it.
  installNetwork(bridge);
  installStorage(bridge, page);
  installNavigation(bridge, page.url);
  installDynamic(resources);
  addEventListener("load", () => tellTitle(bridge));
  document.write(doctype + parsed.documentElement.outerHTML);
  document.close();
  tellTitle(bridge);
  if (!refresh) return;
  const { seconds, address } = refresh;
  const request = { url: new URL(address, base).href, method: "GET", headers: [] };
  setTimeout(() => bridge.tell({ type: "navigate", ...request }), seconds * 1_000);
}

/** What relative addresses are relative to: said once, in a form that holds in this frame. */
function takeBase(parsed: Document, url: string): string {
  const said = parsed.querySelector("base[href]")?.getAttribute("href") ?? "";
  parsed.querySelectorAll("base").forEach((element) => element.remove());
  const base = URL.canParse(said, url) ? new URL(said, url).href : url;
  const element = parsed.createElement("base");
  element.setAttribute("href", base);
  parsed.head.prepend(element);
  // A policy of the page's own would forbid what stands for its scripts and pictures here.
  parsed.querySelectorAll("meta[http-equiv='content-security-policy' i]").forEach((element) =>
    element.remove()
  );
  return base;
}

function takeRefresh(parsed: Document): { seconds: number; address: string } | undefined {
  const element = parsed.querySelector("meta[http-equiv='refresh' i]");
  element?.remove();
  const [, seconds, address = ""] =
    /^\s*(\d+)(?:\.\d*)?\s*(?:[;,]\s*(?:url\s*=\s*)?["']?([^"']*)["']?)?\s*$/i
      .exec(element?.getAttribute("content") ?? "") ?? [];
  return seconds === undefined ? undefined : { seconds: Number(seconds), address };
}

function tellTitle(bridge: Bridge): void {
  bridge.tell({ type: "title", title: document.title.slice(0, 1_000) });
}
