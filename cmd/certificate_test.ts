import { suite } from "uvu";
import * as assert from "uvu/assert";
import { certificateHash, HASHES_PATH, readHashes } from "../core/identity/certificate_hashes.ts";
import { SILENT } from "../core/log.ts";
import type { Certificate, Listener } from "../core/transport.ts";
import { expiry, LEAF_RENEWAL } from "../stores/certificate.ts";
import { tempDir } from "../tests/processes.ts";
import { MadeCertificate } from "./certificate.ts";

const test = suite("the relay's certificate");
const request = { method: "GET", target: HASHES_PATH };

test("its hash is told to any page, vouched for by the root", async () => {
  await using dir = await tempDir();
  const made = await MadeCertificate.find(dir.path, ["localhost"], SILENT);
  const { status, headers, body } = made.answer(request);
  assert.is(status, 200);
  assert.is(headers!["access-control-allow-origin"], "*");
  const hashes = await readHashes(String(body).trim(), [made.root]);
  assert.equal(hashes, [await certificateHash(made.current.cert)]);
  for (const other of [{ method: "POST" }, { target: "/" }, { target: `${HASHES_PATH}/x` }]) {
    assert.is(made.answer({ ...request, ...other }).status, 404);
  }
});

test("a week before its end there is another, on every listener, under the same root", async () => {
  await using dir = await tempDir();
  const made = await MadeCertificate.find(dir.path, ["localhost"], SILENT);
  const before = made.current;
  const shown: Certificate[] = [];
  const listener = { transport: "test", renew: (next) => void shown.push(next) } as Listener;
  const end = expiry(before.cert).getTime();
  await made.renew([listener], end - LEAF_RENEWAL);
  assert.equal([shown, made.current], [[], before]);
  await made.renew([listener, listener], end - LEAF_RENEWAL + 1);
  assert.is(shown.length, 2);
  assert.equal(shown[0], made.current);
  assert.is.not(made.current.cert, before.cert);
  assert.ok(expiry(made.current.cert).getTime() > end);
  const hashes = await readHashes(String(made.answer(request).body).trim(), [made.root]);
  const both = [made.current.cert, before.cert].map(certificateHash);
  assert.equal(hashes, await Promise.all(both));
});

test.run();
