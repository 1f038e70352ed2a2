/** 200 MB of a device through the channel into a real browser, every byte of it. */

import { createHash } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { callPage, CHROMIUM, openPage } from "./chromium.ts";
import type * as FilePage from "./file_page.ts";
import { tempDir, tunnel } from "./processes.ts";
import { newSeed, Random } from "./random.ts";
import { testWith } from "./require.ts";

const test = suite("200 MB into a browser");
const BYTES = 200_000_000;

for (const transport of ["webtransport", "websocket"]) {
  testWith(
    test,
    [CHROMIUM],
    `the checksum of 200 MB is the device's own (${transport})`,
    async () => {
      await using browser = await openPage(new URL("./file_page.ts", import.meta.url));
      const { page } = browser;
      const protocol = await page.context().newCDPSession(page);
      await protocol.send("Security.setIgnoreCertificateErrors", { ignore: true });
      await using dir = await tempDir();
      await using file = serveFile();
      const env = { TUNNEL_HOME: dir.path };
      // A page that is not allowed to use the one has the other.
      const allowed = transport === "webtransport" ? ["--allow-origin", browser.origin] : [];
      await using relay = tunnel(["relay", "--listen", "127.0.0.1:0", ...allowed], { env });
      await relay.line(/^relay ready/m);
      await using x = tunnel(["device", "--id", "x", "--allow", String(file.port)], { env });
      await x.line(/^device x online/m);
      await using inviting = tunnel(["invite", "operator", "anna", "--grant", "*:*"], { env });
      const join = (await inviting.outcome()).stdout.trim();
      const { ms, ...taken } = await callPage<typeof FilePage, "take">(
        page,
        "take",
        join,
        file.port,
      );
      assert.equal(taken, { bytes: BYTES, hash: await file.hash, transport });
      console.log(`${transport}: ${Math.round(BYTES * 8 / 1_000 / ms)} Mbit/s with its SHA-256`);
    },
  );
}

test.run();

/** A server that sends one file to whoever connects, and knows its SHA-256 once it is sent. */
function serveFile(): AsyncDisposable & { port: number; hash: Promise<string> } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const sending = (async () => {
    using conn = await listener.accept();
    const hash = createHash("sha256");
    const block = new Random(newSeed()).bytes(1_000_000);
    for (let i = 0; i < BYTES / block.length; i++) {
      // No two blocks are the same.
      new DataView(block.buffer).setUint32(0, i);
      hash.update(block);
      for (let at = 0; at < block.length;) at += await conn.write(block.subarray(at));
    }
    return hash.digest("hex");
  })();
  sending.catch(() => {}); // Whoever asks for the hash learns of it.
  return {
    port: listener.addr.port,
    hash: sending,
    async [Symbol.asyncDispose]() {
      listener.close();
      await sending.catch(() => {});
    },
  };
}
