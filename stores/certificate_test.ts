import { X509Certificate } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/conformance.ts";
import { failure } from "../tests/failure.ts";
import { TunnelError } from "../core/errors.ts";
import {
  certificateNames,
  type DevelopmentCertificate,
  developmentCertificate,
  expiry,
  LEAF_RENEWAL,
  matchesName,
  rootOfChain,
  withoutRoot,
} from "./certificate.ts";

const test = suite("certificate");
const DAY = 86_400_000;
const NOW = Date.now();

const dir = Deno.makeTempDirSync();
globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
let folders = 0;
const newDir = () => `${dir}/${++folders}`;
const names = ["localhost", "127.0.0.1", "::1"];
const shared = await developmentCertificate(`${dir}/shared`, { names });
const leafOf = (made: DevelopmentCertificate) => new X509Certificate(made.cert);

test("a leaf and a root of the documented form", async () => {
  const made = await developmentCertificate(newDir(), { names, now: NOW });
  const leaf = leafOf(made);
  const root = new X509Certificate(made.root);
  assert.equal(certificateNames(made.cert), names);
  assert.is(leaf.ca, false);
  assert.is(root.ca, true);
  assert.is(root.subject, "CN=tunnel development root");
  assert.ok(leaf.verify(root.publicKey));
  assert.is(made.cert.match(/BEGIN CERTIFICATE/g)?.length, 1);
  assert.is(rootOfChain(made.root), made.root);
  const lifetime = Date.parse(leaf.validTo) - Date.parse(leaf.validFrom);
  assert.ok(lifetime < 14 * DAY && lifetime > 13 * DAY);
  assert.ok(Date.parse(leaf.validFrom) < NOW);
  const years = (Date.parse(root.validTo) - NOW) / (365 * DAY);
  assert.ok(years > 9.9 && years < 10.1);
});

test("it is kept, root and all, while it is good for what is asked", async () => {
  const at = newDir();
  const first = await developmentCertificate(at, { names, now: NOW });
  assert.equal(await developmentCertificate(at, { names, now: NOW }), first);
  assert.equal(await developmentCertificate(at, { names: ["::1"], now: NOW }), first);
  const last = expiry(first.cert).getTime() - LEAF_RENEWAL;
  assert.equal(await developmentCertificate(at, { names, now: last }), first);
});

test("a new leaf under the same root when a name is missing, time runs short or was set back", async () => {
  const at = newDir();
  let made = await developmentCertificate(at, { names, now: NOW });
  const cases: [string, string[], () => number][] = [
    ["a name is missing", [...names, "relay.example.com"], () => NOW],
    ["time runs short", names, () => expiry(made.cert).getTime() - LEAF_RENEWAL + 1],
    ["it ran out", names, () => expiry(made.cert).getTime() + DAY],
    ["the clock was set back", names, () => NOW - DAY],
  ];
  for (const [what, wanted, now] of cases) {
    const next = await developmentCertificate(at, { names: wanted, now: now() });
    assert.is.not(next.cert, made.cert, what);
    assert.is.not(next.key, made.key, what);
    assert.is(next.root, made.root, what);
    assert.equal(certificateNames(next.cert), wanted);
    made = next;
  }
});

test("a leaf of another root is replaced", async () => {
  const [at, other] = [newDir(), newDir()];
  await developmentCertificate(at, { names, now: NOW });
  const made = await developmentCertificate(other, { names, now: NOW });
  Deno.copyFileSync(`${at}/leaf.pem`, `${other}/leaf.pem`);
  const next = await developmentCertificate(other, { names, now: NOW });
  assert.is(next.root, made.root);
  assert.ok(leafOf(next).verify(new X509Certificate(next.root).publicKey));
});

test("those who ask at once get the same", async () => {
  const at = newDir();
  const asked = Array.from({ length: 5 }, () => developmentCertificate(at, { names, now: NOW }));
  const all = await bounded("all five", Promise.all(asked));
  for (const each of all) assert.equal(each, all[0]);
});

if (Deno.build.os !== "windows") {
  test("every file with a key is the owner's alone", async () => {
    const at = newDir();
    const before = Deno.umask(0);
    try {
      await developmentCertificate(at, { names, now: NOW });
    } finally {
      Deno.umask(before);
    }
    for (const { name } of Deno.readDirSync(at)) {
      assert.is(Deno.statSync(`${at}/${name}`).mode! & 0o777, 0o600, name);
    }
  });
}

for (const wanted of [[], [""], ["a b"], ["a/b"], ["*"], ["*.com"], ["*.127.0.0.1"], ["a.*.b"]]) {
  test(`no certificate is made for ${JSON.stringify(wanted)}`, async () => {
    const error = await failure(() => developmentCertificate(newDir(), { names: wanted }));
    assert.is(error.code, "usage");
  });
}

test("a damaged file is reported by its name", async () => {
  for (
    const text of ["", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
  ) {
    const at = newDir();
    await developmentCertificate(at, { names, now: NOW });
    Deno.writeTextFileSync(`${at}/root.pem`, text);
    const error = await failure(() => developmentCertificate(at, { names, now: NOW }));
    assert.match(error.message, `${at}/root.pem`);
  }
});

test("a root with the key of another is damaged, and so is a leaf", async () => {
  const [at, other] = [newDir(), newDir()];
  for (const folder of [at, other]) await developmentCertificate(folder, { names, now: NOW });
  for (const file of ["leaf.pem", "root.pem"]) {
    const own = Deno.readTextFileSync(`${at}/${file}`);
    const theirs = Deno.readTextFileSync(`${other}/${file}`);
    const key = theirs.slice(theirs.indexOf("-----BEGIN PRIVATE KEY"));
    const mixed = own.slice(0, own.indexOf("-----BEGIN PRIVATE KEY")) + key;
    Deno.writeTextFileSync(`${at}/${file}`, mixed);
    const error = await failure(() => developmentCertificate(at, { names, now: NOW }));
    assert.is(error.code, "unavailable");
    assert.match(error.message, file);
    assert.is(Deno.inspect(error, { depth: 9 }).includes(key.slice(30, 60)), false);
    assert.is(Deno.readTextFileSync(`${at}/${file}`), mixed);
    Deno.writeTextFileSync(`${at}/${file}`, own);
  }
});

test("a certificate with any byte changed is read, or refused in words", async () => {
  const der = Uint8Array.fromBase64(shared.root.replace(/-----.*-----/g, ""));
  for (let at = 0; at < der.length; at++) {
    const altered = der.with(at, der[at]! ^ 0x21).toBase64();
    const pem = `-----BEGIN CERTIFICATE-----\n${altered}\n-----END CERTIFICATE-----\n`;
    for (const read of [certificateNames, expiry, rootOfChain]) {
      const error = await failure(() => {
        read(pem);
        throw new TunnelError("usage", { action: "read", state: "nothing was wrong" });
      });
      assert.is(error.code, "usage", `byte ${at}`);
    }
  }
});

const matches: [string, string, boolean][] = [
  ["relay.example.com", "relay.example.com", true],
  ["relay.example.com", "RELAY.Example.com", true],
  ["Relay.Example.com", "relay.example.com.", true],
  ["relay.example.com", "example.com", false],
  ["relay.example.com", "x.relay.example.com", false],
  ["*.example.com", "relay.example.com", true],
  ["*.example.com", "a.b.example.com", false],
  ["*.example.com", "example.com", false],
  ["*.example.com", ".example.com", false],
  ["*.example.com", "relayexample.com", false],
  ["*.com", "example.com", false],
  ["*", "localhost", false],
  ["r*.example.com", "relay.example.com", false],
  ["relay.*.com", "relay.example.com", false],
  ["*.*.com", "relay.example.com", false],
  ["127.0.0.1", "127.0.0.1", true],
  ["127.0.0.1", "127.0.0.2", false],
  ["127.0.0.1", "127.1", false],
  ["*.0.0.1", "127.0.0.1", false],
  ["::1", "[::1]", true],
  ["0:0:0:0:0:0:0:1", "::1", true],
  ["::1", "::2", false],
  ["localhost", "", false],
];
for (const [name, host, expected] of matches) {
  test(`${name} ${expected ? "covers" : "does not cover"} ${JSON.stringify(host)}`, () => {
    assert.is(matchesName(["other.example", name], host), expected);
  });
}

test("the root of a chain is its last certificate, and only if it signed itself", () => {
  const { cert: leaf, root } = shared;
  assert.is(rootOfChain(leaf + root), root);
  assert.is(rootOfChain(root), root);
  assert.is(rootOfChain(leaf), undefined);
  assert.is(rootOfChain(root + leaf), undefined);
});

test("a chain is shown without its root, unless that is all there is", () => {
  const { cert: leaf, root } = shared;
  assert.is(withoutRoot(leaf + root), leaf);
  assert.is(withoutRoot(leaf + leaf + root), leaf + leaf);
  assert.is(withoutRoot(leaf), leaf);
  assert.is(withoutRoot(root), root);
  assert.is(withoutRoot(root + leaf), root + leaf);
});

test("a certificate that names itself as its issuer, but was signed by another, is no root", async () => {
  const { issueRoot } = await import("./issue.ts");
  const [a, b] = [await issueRoot(NOW), await issueRoot(NOW)];
  const x509 = await import("@peculiar/x509");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const signer = x509.PemConverter.decodeFirst(b.key);
  const subject = new x509.X509Certificate(a.cert);
  const impostor = await x509.X509CertificateGenerator.create({
    subject: subject.subject,
    issuer: subject.subject,
    publicKey: await subject.publicKey.export(),
    signingKey: await crypto.subtle.importKey("pkcs8", signer, algorithm, false, ["sign"]),
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  assert.is(rootOfChain(a.cert), a.cert);
  assert.is(rootOfChain(`${impostor.toString("pem")}\n`), undefined);
});

test("what is no certificate is refused", async () => {
  const garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  for (const read of [certificateNames, rootOfChain, expiry]) {
    for (const pem of ["", "hello", garbage, shared.cert.slice(0, 300)]) {
      assert.is((await failure(() => read(pem))).code, "usage");
    }
  }
});

for (const hostname of ["localhost", "127.0.0.1"]) {
  test(`TLS by ${hostname} is trusted through the root`, async () => {
    assert.is(await overTls(hostname, shared.root), "hi");
  });
  test(`QUIC by ${hostname} is trusted through the root`, async () => {
    assert.is(await overQuic(hostname, shared.root), "hi");
  });
}

test("neither TLS nor QUIC trusts it through another root", async () => {
  const other = await developmentCertificate(newDir(), { names });
  for (const over of [overTls, overQuic]) {
    const result = await over("localhost", other.root).catch((error) => error);
    assert.instance(result, Error);
    assert.match(result.message, /certificate|signature|UnknownIssuer|BadSignature/i);
  }
});

/** Connects by TLS, trusting that root alone beside the platform's, and reads what is sent. */
async function overTls(hostname: string, root: string): Promise<string> {
  const { cert, key } = shared;
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const serving = (async () => {
    try {
      using connection = await listener.accept();
      await connection.write(new TextEncoder().encode("hi"));
    } catch {
      // The client did not trust this end; it tells the test so.
    }
  })();
  const { port } = listener.addr as Deno.NetAddr;
  try {
    const connecting = Deno.connectTls({ hostname, port, caCerts: [root] });
    using connection = await bounded("the TLS connection", connecting);
    const buffer = new Uint8Array(8);
    const length = await bounded("the TLS greeting", connection.read(buffer));
    return new TextDecoder().decode(buffer.subarray(0, length ?? 0));
  } finally {
    await bounded("the TLS server", serving);
  }
}

/** The same by QUIC. */
async function overQuic(hostname: string, root: string): Promise<string> {
  const { cert, key } = shared;
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const alpnProtocols = ["test"];
  const listener = endpoint.listen({ cert, key, alpnProtocols });
  const serving = (async () => {
    try {
      const incoming = await listener.incoming();
      const connection = await incoming.accept();
      const stream = await connection.createUnidirectionalStream();
      const writer = stream.getWriter();
      await writer.write(new TextEncoder().encode("hi"));
      await writer.close();
      await connection.closed;
    } catch {
      // The client did not trust this end; it tells the test so.
    }
  })();
  try {
    const options = { hostname, port: endpoint.addr.port, alpnProtocols, caCerts: [root] };
    const connection = await bounded(
      "the QUIC connection",
      Promise.resolve(Deno.connectQuic(options)),
    );
    const streams = connection.incomingUnidirectionalStreams.getReader();
    const { value: stream } = await bounded("the QUIC stream", streams.read());
    const text = await bounded("the QUIC greeting", new Response(stream!).text());
    connection.close();
    return text;
  } finally {
    await bounded("the QUIC server", serving);
    listener.stop();
    endpoint.close();
  }
}

test.run();
