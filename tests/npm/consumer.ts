/** What a program in TypeScript makes of the package's types; it is checked and never run. */

import {
  connect,
  type DeviceChange,
  type DeviceInfo,
  type DialAcceptor,
  fileStore,
  type Fleet,
  type FleetStream,
  httpHandler,
  memoryStore,
  parseIdentity,
  serve,
  TunnelError,
} from "@tunnel/tunnel";
import * as browser from "@tunnel/tunnel/browser";

const fleet: Fleet = await connect({ store: fileStore("x"), join: "tj1." });
const stream: FleetStream = await fleet.dial("x", "printer:9100", { reason: "paper" });
const readable: ReadableStream<Uint8Array> = stream.readable;
const devices: DeviceInfo[] = await fleet.devices();
const since: number | undefined = devices[0]?.since;
for await (const change of fleet.watch()) {
  const { type }: DeviceChange = change;
  // @ts-expect-error: there is no such type of change
  type === "vanished";
}
const accept: DialAcceptor = ({ operator, refuse }) => {
  if (operator !== "anna") throw refuse("anna alone");
  return ({ readable, writable }) => readable.pipeTo(writable);
};
const device = await serve({ id: "x", store: memoryStore(), allow: [22, "a:1"], accept });
await serve({
  id: "x",
  identity: parseIdentity("{}"),
  accept: () => httpHandler(() => new Response()),
});
const code: string = new TunnelError("usage", { action: "a", state: "b" }).code;
// @ts-expect-error: a store or an identity must be given
await connect({ join: "tj1." });
// @ts-expect-error: a device needs an ID
await serve({ store: memoryStore() });
// @ts-expect-error: a browser is no device
browser.serve;
const page: browser.Fleet = await browser.connect({ store: browser.indexedDbStore() });

export { code, device, page, readable, since };
