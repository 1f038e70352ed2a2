/** An operator's program on the packed package: does what it is told, one JSON value a line. */

import { createHash, randomBytes } from "node:crypto";
import {
  connect,
  decodeJoin,
  encodeJoin,
  fileStore,
  memoryStore,
  TunnelError,
} from "@tunnel/tunnel";

const [home, port] = process.argv.slice(2);
const say = (value) => console.log(JSON.stringify(value));
const store = fileStore(home);

// The relay has a certificate of its own, and only the join string knows its root.
const join = encodeJoin({ ...decodeJoin(process.env.JOIN), root: undefined });
const untrusted = await connect({ store: memoryStore(), join }).catch((error) => error);
say({ code: untrusted.code, isTold: /certificate is not trusted/.test(untrusted.message) });

const fleet = await connect({ store, join: process.env.JOIN });
say({ operator: fleet.operator, transport: fleet.transport });

// There and back, with a half-close in between.
const stream = await fleet.dial("x", Number(port), { reason: "ticket 4711" });
const sent = randomBytes(8 * 1024 * 1024);
const back = createHash("sha256");
const reading = (async () => {
  let bytes = 0;
  for await (const chunk of stream.readable) {
    back.update(chunk);
    bytes += chunk.length;
  }
  return bytes;
})();
const writer = stream.writable.getWriter();
for (let at = 0; at < sent.length; at += 65_536) await writer.write(sent.subarray(at, at + 65_536));
await writer.close();
const bytes = await reading;
await stream.closed;
const isSame = back.digest("hex") === createHash("sha256").update(sent).digest("hex");
say({ bytes, isSame });

say((await fleet.devices()).map(({ id, online }) => [id, online]));

const refused = await fleet.dial("x", 1).catch((error) => error);
say({ isOurs: refused instanceof TunnelError, code: refused.code });

// Until the device of the other program has come, answered HTTP, and gone. While it joins it is here
// for a moment and cannot be dialled.
let page;
for await (const { device } of fleet.watch()) {
  if (device.id !== "n") continue;
  if (page && !device.online) break;
  if (page || !device.online) continue;
  page = await ask("n").catch(onlyOffline);
  if (page) say({ came: "n", page });
}
say({ went: "n" });
await fleet.close();

// What is kept is enough, without the join string.
await (await connect({ store })).close();
say("done");

async function ask(id) {
  const http = await fleet.dial(id, 80);
  const request = http.writable.getWriter();
  const head = "GET /a HTTP/1.0\r\nHost: n\r\n\r\n";
  await request.write(new TextEncoder().encode(head));
  return (await new Response(http.readable).text()).split("\r\n\r\n")[1];
}

function onlyOffline(error) {
  if (error.code !== "offline") throw error;
}
