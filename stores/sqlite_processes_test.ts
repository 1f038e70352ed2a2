/** One file, several processes. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TunnelError } from "../core/errors.ts";
import { bounded } from "../tests/bounded.ts";
import { invite, newPath, redeem } from "../tests/store_fixture.ts";
import { SqliteStore } from "./sqlite.ts";

// The test starts itself as the other processes.
const [task, path, list] = Deno.args;
if (task) await serve(task, path!, list!.split(","));
else runTests();

function runTests(): void {
  const test = suite("SqliteStore: one file, several processes");

  test("of two processes that redeem at once, one gets each invitation", async () => {
    const path = newPath();
    const hashes = Array.from({ length: 200 }, (_, i) => `h${i}`);
    await using store = await SqliteStore.open(path);
    for (const hash of hashes) await invite(store, hash);
    const children = [start("redeem", path, hashes), start("redeem", path, hashes)];
    await bounded("both are ready", Promise.all(children.map((child) => child.ready)));
    await Promise.all(children.map((child) => child.go()));
    const results = await bounded(
      "both are done",
      Promise.all(children.map((child) => child.result)),
    );
    const redeemed = results.flat();
    assert.is(redeemed.length, hashes.length);
    assert.equal(new Set(redeemed), new Set(hashes));
  });

  test("processes that make the same files at once all get them", async () => {
    const paths = Array.from({ length: 10 }, newPath);
    const children = Array.from({ length: 4 }, () => start("open", ".", paths));
    await bounded("all are ready", Promise.all(children.map((child) => child.ready)));
    await Promise.all(children.map((child) => child.go()));
    const opened = await bounded(
      "all are done",
      Promise.all(children.map((child) => child.result)),
    );
    assert.equal(opened, [paths, paths, paths, paths]);
  });

  test.run();
}

/** A process that, told to go, redeems invitations or opens files, and says which it got. */
function start(task: "redeem" | "open", path: string, list: string[]) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", import.meta.url, task, path, list.join(",")],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const ready = output.read().then(({ value }) => assert.is(value, "ready\n"));
  return {
    ready,
    async go() {
      const writer = child.stdin.getWriter();
      await writer.write(new Uint8Array(1));
      await writer.close();
    },
    result: ready.then(async (): Promise<string[]> => {
      let text = "";
      for (let part; !(part = await output.read()).done;) text += part.value;
      await child.status;
      return JSON.parse(text);
    }),
  };
}

/** The child's side: without a failure of its own, every item is done or refused as used up. */
async function serve(task: string, path: string, list: string[]): Promise<void> {
  const store = task === "redeem" ? await SqliteStore.open(path) : undefined;
  console.log("ready");
  await Deno.stdin.read(new Uint8Array(1));
  const done: string[] = [];
  for (const item of list) {
    try {
      if (store) await redeem(store, item);
      else await (await SqliteStore.open(item)).close();
      done.push(item);
    } catch (error) {
      if (!(error instanceof TunnelError && error.code === "refused")) throw error;
    }
  }
  console.log(JSON.stringify(done));
  await store?.close();
}
