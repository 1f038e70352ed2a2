import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/bounded.ts";
import { probeReceiveBuffer, WANTED, widenReceiveBuffer } from "./receive_buffer.ts";

const test = suite("receive buffer");
const isLinux = Deno.build.os === "linux";

/** Bytes that a process without privileges may ask for. */
async function most(): Promise<number> {
  return Number(await Deno.readTextFile("/proc/sys/net/core/rmem_max"));
}

test("a QUIC endpoint can be given what the system lets it have", async () => {
  if (!isLinux) return;
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const room = widenReceiveBuffer(endpoint.addr.port);
  assert.ok(room! >= Math.min(WANTED, await most()), `${room} bytes`);
  assert.is(widenReceiveBuffer(endpoint.addr.port), room);
  assert.is(probeReceiveBuffer(), room);
  endpoint.close();
});

test("the socket is told from one of TCP on the same port, and from none", () => {
  if (!isLinux) return;
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  assert.is(widenReceiveBuffer(port), undefined);
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port });
  assert.ok(widenReceiveBuffer(port)! > 0);
  socket.close();
});

test("without permission it stays as it is, and nobody is asked", async () => {
  const module = import.meta.resolve("./receive_buffer.ts");
  const program = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--unstable-net", "--allow-net", "-"],
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" } as const,
  }).spawn();
  const script = new Response(`
    import { probeReceiveBuffer } from ${JSON.stringify(module)};
    console.log(probeReceiveBuffer());
  `);
  await script.body!.pipeTo(program.stdin);
  const { stdout, stderr } = await bounded("the program", program.output());
  assert.is(new TextDecoder().decode(stderr), "");
  assert.is(new TextDecoder().decode(stdout), "undefined\n");
});

test.run();
