import { suite } from "uvu";
import * as assert from "uvu/assert";
import { testAesGcm, testChaChaPoly } from "../../tests/ciphers.ts";
import { bounded } from "../../tests/bounded.ts";
import { openssl } from "./openssl.ts";

const test = suite("ciphers by OpenSSL");
const ciphers = openssl();

if (ciphers) {
  testChaChaPoly(test, "ChaChaPoly", ciphers.chachaPoly);
  testAesGcm(test, "AESGCM", ciphers.aesGcm);
} else if (Deno.env.get("TUNNEL_TEST_STRICT") === "1") {
  test("OpenSSL is there", () => {
    throw new Error("libcrypto.so.3 must be installed for this test");
  });
} else {
  console.log("skipped: ciphers by OpenSSL (needs libcrypto.so.3)");
  test.skip("ciphers by OpenSSL");
}

test("it is loaded once, and with the permission alone", async () => {
  assert.is(openssl(), ciphers);
  const file = JSON.stringify(import.meta.resolve("./openssl.ts"));
  const code = `import { openssl } from ${file}; console.log(openssl());`;
  await using program = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--config",
      new URL("../../deno.json", import.meta.url).pathname,
      "-",
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = program.stdin.getWriter();
  await writer.write(new TextEncoder().encode(code));
  await writer.close();
  const { stdout } = await bounded("the program", program.output());
  assert.is(new TextDecoder().decode(stdout), "undefined\n");
});

test.run();
