/** What the demo measures: a small HTTP server behind the device, and a file each way. */

/** Serves a page about itself, takes a file, and gives one; on a free port of 127.0.0.1. */
export function diagnosticsServer(): { port: number; close(): Promise<void> } {
  const received = new Map<string, string>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/") {
      return new Response(page(), { headers: { "content-type": "text/html; charset=utf-8" } });
    }
    if (pathname === "/upload" && request.method === "PUT") {
      const { digest, bytes } = await digestOf(request.body!);
      received.set(searchParams.get("name") ?? "", digest);
      return Response.json({ digest, bytes });
    }
    if (pathname === "/download") {
      return new Response(pattern(Number(searchParams.get("bytes"))));
    }
    return new Response("not here\n", { status: 404 });
  });
  return { port: server.addr.port, close: () => server.shutdown() };
}

/** A stream of `bytes` repeatable pseudo-random bytes. */
export function pattern(bytes: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  const block = new Uint8Array(64 * 1024);
  for (let i = 0, x = 1; i < block.length; i++) block[i] = x = (x * 1_103_515_245 + 12_345) >>> 16;
  let left = bytes;
  return new ReadableStream({
    pull(controller) {
      if (left === 0) return controller.close();
      const length = Math.min(left, block.length);
      // The position is mixed in, so that a block lost or repeated changes the checksum.
      const chunk = block.slice(0, length);
      new DataView(chunk.buffer).setUint32(0, left);
      left -= length;
      controller.enqueue(chunk);
    },
  });
}

/** SHA-256 of a stream, and how long it was. */
export async function digestOf(
  stream: ReadableStream<Uint8Array>,
): Promise<{ digest: string; bytes: number }> {
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { digest: hash.digest("hex"), bytes };
}

function page(): string {
  const facts = {
    host: Deno.hostname(),
    system: `${Deno.build.os} ${Deno.build.arch}`,
    cpus: navigator.hardwareConcurrency,
    load: Deno.loadavg().map((load) => load.toFixed(2)).join(" "),
  };
  const rows = Object.entries(facts).map(([key, value]) => `<tr><th>${key}<td>${value}`).join("");
  return `<!doctype html><title>diagnostics</title><h1>diagnostics</h1><table>${rows}</table>\n`;
}
