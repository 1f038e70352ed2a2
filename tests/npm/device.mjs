/** A device's program on the packed package, until its standard input ends. */

import { fileStore, httpHandler, serve } from "@tunnel/tunnel";

const [home, port] = process.argv.slice(2);
const page = httpHandler((request, { operator }) =>
  new Response(`${new URL(request.url).pathname} for ${operator}`)
);
const device = await serve({
  id: "n",
  store: fileStore(home),
  join: process.env.JOIN,
  allow: [Number(port)],
  accept({ target }) {
    if (target.port === 80) return page;
    if (target.port === 7) return ({ readable, writable }) => readable.pipeTo(writable);
  },
});
console.log(`online ${device.transport}`);
for await (const _ of process.stdin);
await device.close();
await device.closed;
console.log("closed");
