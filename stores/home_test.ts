import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../tests/failure.ts";
import { Home } from "./home.ts";

const test = suite("home");

// The last two are IDs like any other, and properties that every object has or that schemas skip.
for (const device of ["pi-7", "007", "constructor", "prototype"]) {
  test(`the first key of ${device} is pinned, beside those of others`, async () => {
    const home = new Home(await Deno.makeTempDir());
    assert.is(await home.pin("other", "SHA256:o"), "SHA256:o");
    assert.is(await home.pin(device, "SHA256:first"), "SHA256:first");
    assert.is(await home.pin(device, "SHA256:second"), "SHA256:first");
    assert.is(await home.pin("other", "SHA256:second"), "SHA256:o");
    await Deno.remove(home.path, { recursive: true });
  });
}

for (const text of ["", "[]", "null", '"x"', '{"x":1}', '{"x":{}}', "{"]) {
  test(`pins.json that holds ${JSON.stringify(text)} is damaged, and is not replaced`, async () => {
    const home = new Home(await Deno.makeTempDir());
    await Deno.writeTextFile(home.pinsPath, text);
    assert.is((await failure(() => home.pin("x", "SHA256:x"))).code, "unavailable");
    assert.is(await Deno.readTextFile(home.pinsPath), text);
    await Deno.remove(home.path, { recursive: true });
  });
}

test.run();
