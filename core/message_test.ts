import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../tests/failure.ts";
import { bytes } from "../tests/text.ts";
import { SignIn } from "./control.ts";
import { decodeMessage } from "./message.ts";

const test = suite("message");

const SECRET = "q8Xv2LkZr0TjWm5HcYb1NsGd7PfUe3Ai9KoRxEtQwzM";

const shapes: [string, string][] = [
  ["is cut off", `{"type":"join","secret":"${SECRET}`],
  ["lacks a quotation mark", `{"type":"join","secret":${SECRET}"}`],
  ["lacks a member", `{"type":"join","secret":"${SECRET}"}`],
  ["has a member of another kind", `{"type":"join","version":"${SECRET}"}`],
];
for (const [what, text] of shapes) {
  test(`a message that ${what} is refused without a word of what was in it`, async () => {
    const error = await failure(() => decodeMessage(bytes(text), SignIn, "sign in"));
    assert.is(error.code, "protocol");
    const shown = Deno.inspect(error, { depth: 10, strAbbreviateSize: 10_000 });
    assert.is(shown.includes(SECRET.slice(-6)) || shown.includes(SECRET.slice(0, 6)), false, shown);
  });
}

test.run();
