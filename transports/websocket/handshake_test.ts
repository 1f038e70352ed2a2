import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TunnelError } from "../../core/errors.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { acceptFor, answerRequest, checkResponse, newNonce, upgradeRequest } from "./handshake.ts";
import {
  formatResponse,
  hasToken,
  MAX_HEAD,
  parseRequest,
  parseResponse,
  readHead,
} from "./http.ts";

const test = suite("WebSocket handshake");
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

test("acceptFor gives the answer of RFC 6455, section 1.3", async () => {
  assert.is(await acceptFor(KEY), ACCEPT);
});

test("a nonce is 16 bytes in base64, and never the same", () => {
  const nonces = Array.from({ length: 100 }, newNonce);
  for (const nonce of nonces) assert.is(atob(nonce).length, 16);
  assert.is(new Set(nonces).size, 100);
});

test("our request is answered, and our answer is accepted", async () => {
  const request = upgradeRequest("relay.example:8443", KEY);
  const answer = await answerRequest(parseRequest(request));
  assert.type(answer, "string");
  await checkResponse(answer as string, KEY);
});

test("a browser's request is answered", async () => {
  const answer = await answer101({
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "WebSocket",
    "Sec-WebSocket-Protocol": "other, tunnel.1",
    "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
  });
  assert.match(answer, /^HTTP\/1\.1 101 /);
  assert.ok(answer.includes(`Sec-WebSocket-Accept: ${ACCEPT}\r\n`));
  assert.ok(answer.includes("Sec-WebSocket-Protocol: tunnel.1\r\n"));
  assert.not.match(answer, /Extensions/i);
});

for (
  const [name, status, fields, line] of [
    ["another path", 404, {}, "GET /other HTTP/1.1"],
    ["another method", 405, {}, "POST /tunnel HTTP/1.1"],
    ["another version", 426, { "Sec-WebSocket-Version": "8" }],
    ["no version", 426, { "Sec-WebSocket-Version": "" }],
    ["a short key", 400, { "Sec-WebSocket-Key": "c2hvcnQ=" }],
    ["two keys", 400, { "Sec-WebSocket-Key": `${KEY}, ${KEY}` }],
    ["no subprotocol of ours", 400, { "Sec-WebSocket-Protocol": "chat" }],
    ["no Connection: Upgrade", 400, { "Connection": "close" }],
  ] as const
) {
  test(`a request with ${name} is turned away with ${status}`, async () => {
    const answer = await answerRequest(parseRequest(requestWith(fields, line)));
    assert.ok(typeof answer === "object", String(answer));
    assert.is(answer.status, status);
  });
}

test("a request that asks for no upgrade is left to others", async () => {
  assert.is(await answerRequest(parseRequest("GET / HTTP/1.1\r\nHost: x\r\n\r\n")), undefined);
});

for (
  const [name, change] of [
    ["a status of 200", ["101 Switching Protocols", "200 OK"]],
    ["the answer to another key", [ACCEPT, "AAAAAAAAAAAAAAAAAAAAAAAAAAA="]],
    ["no Upgrade", ["Upgrade: websocket\r\n", ""]],
    ["another subprotocol", ["tunnel.1", "chat"]],
    ["an extension", ["Upgrade: websocket", "Upgrade: websocket\r\nSec-WebSocket-Extensions: x"]],
  ] as const
) {
  test(`a response with ${name} is refused`, async () => {
    const answer = (await answer101({})).replace(change[0], change[1]);
    const error = await checkResponse(answer, KEY).catch((error) => error);
    assert.ok(error instanceof TunnelError && error.code === "unreachable", String(error));
  });
}

for (const end of ["\n", "\r", "\n\n"]) {
  test(`a header with ${JSON.stringify(end)} in it is malformed, at the ends of its value too`, () => {
    for (const value of [`a${end}b`, `${end}a`, `a${end}`]) {
      const head = `GET / HTTP/1.1\r\nHost: x\r\nUpgrade:${value}\r\n\r\n`;
      assert.throws(() => parseRequest(head), /malformed/);
    }
  });
}

test("readHead finds the end wherever the pieces are cut, and keeps what is behind it", async () => {
  const whole = "GET / HTTP/1.1\r\nHost: x\r\n\r\nrest";
  for (let piece = 1; piece <= whole.length; piece++) {
    const { text, rest } = await readHead(source(new TextEncoder().encode(whole), piece));
    assert.is(text, whole.slice(0, -4));
    assert.ok("rest".startsWith(new TextDecoder().decode(rest)));
  }
});

test("readHead takes no more than its limit, and says when it was cut off", async () => {
  const endless = new Uint8Array(MAX_HEAD + 1).fill(97);
  assert.is(await readHead(source(endless, 1_000)).catch((error) => error.code), "protocol");
  assert.is(await readHead(source(endless.subarray(1_000), 7)).catch((e) => e.code), "reset");
});

test("parsing heads throws nothing but a protocol error, whatever comes", () => {
  const random = new Random(newSeed());
  const parts = ["GET ", "/ ", "HTTP/1.1", "\r\n", ":", "a", " ", "\0", "\x80", "200 ", "Host: x"];
  for (let round = 0; round < 20_000; round++) {
    let text = random.pick(["", "GET / HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n"]);
    for (let i = random.below(12); i > 0; i--) text += random.pick(parts);
    for (const parse of [parseRequest, parseResponse]) {
      try {
        parse(`${text}\r\n\r\n`);
      } catch (error) {
        assert.ok(error instanceof TunnelError && error.code === "protocol", `${error}`);
      }
    }
  }
});

test("hasToken looks at whole tokens", () => {
  const headers = new Headers({ connection: "keep-alive,  UPGRADE" });
  assert.ok(hasToken(headers, "connection", "upgrade"));
  assert.not.ok(hasToken(headers, "connection", "up"));
  assert.not.ok(hasToken(headers, "upgrade", "websocket"));
});

test("formatResponse states the length in bytes and ends the connection", () => {
  const text = new TextDecoder().decode(formatResponse({ status: 404, body: "née\n" }));
  assert.match(text, /^HTTP\/1\.1 404 \r\n/);
  assert.match(text, /\r\ncontent-length: 5\r\n/);
  assert.match(text, /\r\nconnection: close\r\n/);
  assert.ok(text.endsWith("\r\n\r\nnée\n"));
});

function requestWith(fields: Record<string, string>, line = "GET /tunnel HTTP/1.1"): string {
  const all = {
    "Host": "relay.example",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "tunnel.1",
    ...fields,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return [line, ...lines, "", ""].join("\r\n");
}

async function answer101(fields: Record<string, string>): Promise<string> {
  const answer = await answerRequest(parseRequest(requestWith(fields)));
  assert.type(answer, "string");
  return answer as string;
}

function source(bytes: Uint8Array, piece: number) {
  let at = 0;
  return {
    read(target: Uint8Array): Promise<number | null> {
      if (at === bytes.length) return Promise.resolve(null);
      const part = bytes.subarray(at, at + Math.min(piece, target.length));
      target.set(part);
      at += part.length;
      return Promise.resolve(part.length);
    },
  };
}

test.run();
