/** A way that loses packets makes sessions that bear it, and channels move to them: real processes. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { startLinkField } from "../bench/link/field.ts";
import { openLink } from "../bench/link/link.ts";
import { testOverLink } from "../bench/link/require.ts";
import { bounded } from "./bounded.ts";
import { Running } from "./processes.ts";

const test = suite("loss");

/** Round trips of 40 ms, and one packet in 20 lost each way: 40 probes decide. */
const LOSSY = { delay: 20, rate: 100, loss: 5 };

for (const near of ["service", "device"] as const) {
  await testOverLink(
    test,
    [],
    `a ${near} behind a lossy link gets a session that bears it`,
    async () => {
      await using link = await openLink(LOSSY);
      await using field = await startLinkField(link, near, ["tunnel quic"]);
      assert.is(field.failures.size, 0);
      const { port, running } = field.contenders[0]!;
      const side = near === "service" ? link.near : link.far;
      const generator = new URL("../bench/generator.ts", import.meta.url).pathname;
      const command = [Deno.execPath(), "run", "-A", "--quiet", "--no-check", generator];
      // Longer than it is watched; it ends with what its connections meet.
      await using load = new Running(
        side.command([...command, `127.0.0.1:${port}`, "down", "1", "0", "600"]),
      );
      const signedIn = /signed in[^]*signed in/;
      const moved = /channel resumed/;
      const roles = near === "service" ? ["service"] : ["device"];
      for (const role of roles) {
        await running(role).line(signedIn, "stderr");
        await running(role).line(moved, "stderr");
      }
      const outcome = load.outcome();
      load.kill();
      const { stderr } = await bounded("the load", outcome);
      assert.is(stderr, "", "a connection did not outlive the move");
    },
  );
}

test.run();
