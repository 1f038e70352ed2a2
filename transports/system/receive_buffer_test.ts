import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { probeReceiveBuffer, WANTED, withRoom } from "./receive_buffer.ts";

const test = suite("receive buffer");
const isLinux = Deno.build.os === "linux";

/** Bytes that a process without privileges may ask for. */
async function most(): Promise<number> {
  return Number(await Deno.readTextFile("/proc/sys/net/core/rmem_max"));
}

const quicEndpoint = () => new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
const datagrams = (port: number) =>
  Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port });

test("a QUIC endpoint has what the system lets it have, however many there are", async () => {
  if (!isLinux) return;
  const least = Math.min(WANTED, await most());
  const all = Array.from({ length: 50 }, () => withRoom(quicEndpoint));
  for (const { room } of all) assert.ok(room! >= least, `${room} bytes`);
  assert.is(probeReceiveBuffer(), all[0]!.room);
  for (const { socket } of all) socket.close();
});

test("descriptors that were free in between, and TCP on the same port, make no difference", () => {
  if (!isLinux) return;
  const files = Array.from({ length: 20 }, () => Deno.openSync("/dev/null"));
  const listeners = [1, 2, 3].map(() => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  for (const file of files) file.close();
  for (const listener of listeners) {
    const { port } = listener.addr as Deno.NetAddr;
    const { socket, room } = withRoom(() => datagrams(port));
    assert.ok(room! > 0);
    socket.close();
    listener.close();
  }
});

test("another thread's descriptors may come in between", () => {
  if (!isLinux) return;
  const meanwhile: Deno.FsFile[] = [];
  const { socket, room } = withRoom(() => {
    for (let i = 0; i < 3; i++) meanwhile.push(Deno.openSync("/dev/null"));
    return datagrams(0);
  });
  assert.ok(room! > 0);
  socket.close();
  for (const file of meanwhile) file.close();
});

test("a failure to open is the caller's", () => {
  assert.throws(() => withRoom(() => datagrams(-1)));
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
