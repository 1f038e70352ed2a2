/** `tunnel devices`: who is online, since when, by which transport, from where. */

import type { Context } from "./context.ts";
import { toJson } from "./json.ts";
import { print } from "./process.ts";
import { LINK_TIMEOUT, withService } from "./service.ts";
import { table } from "./table.ts";

export async function devices(context: Context): Promise<void> {
  const list = await withService(context, async ({ supervisor, stop }) => {
    const link = await supervisor.link(LINK_TIMEOUT, stop);
    return await link.devices(stop);
  });
  if (context.options.flag("json")) {
    const iso = (since?: number) => since === undefined ? null : new Date(since).toISOString();
    print(toJson(list.map((device) => ({ ...device, since: iso(device.since) })), 2));
    return;
  }
  if (list.length === 0) {
    print("no device has joined yet: tunnel invite device ID");
    return;
  }
  const rows = list.map(({ id, online, since, transport, remote }) => [
    id,
    online ? "online" : "offline",
    since === undefined ? "never seen" : `since ${new Date(since).toISOString().slice(0, 19)}Z`,
    transport ?? "",
    remote ?? "",
  ]);
  print(table([["DEVICE", "STATE", "SINCE", "VIA", "FROM"], ...rows]));
}
