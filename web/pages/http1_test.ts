import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failureOf } from "../../tests/failure.ts";
import { exchange, type HttpRequest } from "./http1.ts";

const test = suite("HTTP/1.1 of a device's page");
const GET: HttpRequest = { method: "GET", path: "/a?b", headers: [["Host", "x"]] };

test("a request is written as it is to be", async () => {
  const { sent } = await answerOf("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  assert.is(sent(), "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n");
  const body = new TextEncoder().encode("körper");
  const post = await answerOf("HTTP/1.1 204 No Content\r\n\r\n", { ...GET, method: "POST", body });
  assert.is(post.sent(), "POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nkörper");
});

for (
  const [name, text, body] of [
    ["by its length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more", "hello"],
    ["up to the end", "HTTP/1.0 200 OK\r\n\r\nhello", "hello"],
    [
      "by chunks",
      "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: 1\r\n\r\n",
      "hello",
    ],
    [
      "behind interim answers",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello",
      "hello",
    ],
    ["of a 304, which has none", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", ""],
  ] as const
) {
  for (const portion of [1, 2, 7, 1_000]) {
    test(`a body is read ${name}, in portions of ${portion}`, async () => {
      const { answer } = await answerOf(text, GET, { portion });
      assert.is(new TextDecoder().decode(answer.body), body);
    });
  }
}

test("a body that comes compressed unasked is unpacked, within the bound", async () => {
  const stream = new Blob(["a".repeat(100_000)]).stream().pipeThrough(
    new CompressionStream("gzip"),
  );
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  const head =
    `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${packed.length}\r\n\r\n`;
  const { answer } = await answerOf([new TextEncoder().encode(head), packed]);
  assert.is(answer.body.length, 100_000);
  assert.is(answer.headers.get("content-encoding"), null);
  const failure = await failureOf(
    answerOf([new TextEncoder().encode(head), packed], GET, { maxBody: 50_000 }),
  );
  assert.is(failure.code, "limit");
});

for (
  const [name, text, code] of [
    ["no answer", "220 mail.example ESMTP\r\n\r\n", "protocol"],
    ["a head that is cut off", "HTTP/1.1 200 OK\r\nA: b", "reset"],
    ["a body that is cut off", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "reset"],
    [
      "chunks that are cut off",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
      "reset",
    ],
    [
      "a chunk of no size",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
      "protocol",
    ],
    [
      "a chunk longer than it says",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
      "protocol",
    ],
    ["a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "protocol"],
    [
      "two lengths",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
      "protocol",
    ],
    ["a body longer than allowed", "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", "limit"],
    [
      "chunks longer than allowed",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
      "limit",
    ],
    ["an end longer than allowed", `HTTP/1.1 200 OK\r\n\r\n${"x".repeat(1_500)}`, "limit"],
    [
      "an unknown coding",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      "protocol",
    ],
    ["a head without an end", `HTTP/1.1 200 OK\r\nA: ${"x".repeat(20_000)}`, "protocol"],
    [
      "a chunk's line without an end",
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;${"x".repeat(20_000)}`,
      "protocol",
    ],
    ["interim answers without an end", "HTTP/1.1 100 Continue\r\n\r\n".repeat(20), "protocol"],
    ["another protocol", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "protocol"],
  ] as const
) {
  test(`${name}: ${code}`, async () => {
    assert.is((await failureOf(answerOf(text, GET, { maxBody: 1_000 }))).code, code);
  });
}

test("a request that would be two is refused", async () => {
  const wrong: Partial<HttpRequest>[] = [
    { method: "GET / HTTP/1.1\r\nX" },
    { path: "/a b" },
    { path: "/a\r\nX: y" },
    { path: "no-slash" },
    { headers: [["X\r\nY", "z"]] },
    { headers: [["X", "y\r\nZ: z"]] },
  ];
  for (const part of wrong) {
    const failure = await failureOf(answerOf("HTTP/1.1 200 OK\r\n\r\n", { ...GET, ...part }));
    assert.is(failure.code, "usage", JSON.stringify(part));
  }
});

test.run();

async function answerOf(
  answer: string | Uint8Array[],
  request: HttpRequest = GET,
  { portion = 1_000_000, maxBody }: { portion?: number; maxBody?: number } = {},
) {
  const parts = typeof answer === "string" ? portions(answer, portion) : answer;
  const written: Uint8Array[] = [];
  const streams = {
    readable: new ReadableStream<Uint8Array>({
      start(controller) {
        for (const part of parts) controller.enqueue(part);
        controller.close();
      },
    }),
    writable: new WritableStream<Uint8Array>({ write: (bytes) => void written.push(bytes) }),
  };
  const result = await exchange(streams, request, { maxBody });
  const sent = () => written.map((bytes) => new TextDecoder().decode(bytes)).join("");
  return { answer: result, sent };
}

function portions(text: string, size: number): Uint8Array[] {
  const bytes = new TextEncoder().encode(text);
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}
