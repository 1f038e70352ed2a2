/** HTTP that a device's program answers, over dials of a fleet in this process. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { echoTarget, startFleet } from "../../tests/fleet.ts";
import { invite, runtimeOf, whereabouts } from "../../tests/library.ts";
import { bytes } from "../../tests/text.ts";
import type { LogFields } from "../../core/log.ts";
import { SILENT } from "../../core/log.ts";
import { memoryStore } from "../../core/member/memory_store.ts";
import { openDevice, openFleet } from "../../core/member/open.ts";
import type { Fleet, FleetStream } from "../../core/member/fleet.ts";
import { type HttpHandler, httpHandler } from "./http.ts";

const test = suite("httpHandler");

test("a request is answered, with who asks and under which name", async () => {
  await using ground = await start((request, { operator }) =>
    Response.json({
      url: request.url,
      operator,
      method: request.method,
      a: request.headers.get("a"),
    })
  );
  const answer = await ground.ask(
    "GET /path?q=1 HTTP/1.1\r\nHost: x.internal\r\nA: b\r\nConnection: close\r\n\r\n",
  );
  assert.match(answer, /^HTTP\/1\.1 200 /);
  const body = JSON.parse(answer.slice(answer.indexOf("{"), answer.lastIndexOf("}") + 1));
  const url = "http://x.internal/path?q=1";
  assert.equal(body, { url, operator: "anna", method: "GET", a: "b" });
});

test("bodies go both ways, and requests of one connection follow one another", async () => {
  await using ground = await start(async (request) => new Response(await request.text()));
  const post = (body: string, close = "") =>
    `POST / HTTP/1.1\r\nHost: x\r\n${close}Content-Length: ${body.length}\r\n\r\n${body}`;
  const answer = await ground.ask(post("first") + post("second", "Connection: close\r\n"));
  assert.ok(answer.indexOf("first") < answer.indexOf("second"), answer);
});

test("a response flows: what is there is sent before the rest is", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  await using ground = await start(() => new Response(readable));
  const stream = await ground.fleet.dial("x", 80);
  await send(stream, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false);
  const writer = writable.getWriter();
  const writing = writer.write(bytes("early"));
  const reader = stream.readable.pipeThrough(new TextDecoderStream()).getReader();
  let got = "";
  while (!got.includes("early")) got += (await bounded("the beginning", reader.read())).value;
  await writing;
  await writer.close();
  for (let part; !(part = await bounded("the end", reader.read())).done;) got += part.value;
  assert.match(got, /early/);
});

test("status, headers and cookies pass; HEAD has no body", async () => {
  await using ground = await start(() => {
    const headers = new Headers({ "x-a": "1" });
    for (const cookie of ["a=1", "b=2"]) headers.append("set-cookie", cookie);
    return new Response("body", { status: 418, headers });
  });
  const answer = await ground.ask("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 418 /);
  assert.match(answer, /x-a: 1\r\n/i);
  assert.match(answer, /set-cookie: a=1\r\nset-cookie: b=2\r\n/i);
  assert.match(answer, /\r\n\r\n$/);
});

test("a handler that fails is answered for by 500, without a word of why; the log has it", async () => {
  await using ground = await start(() => {
    throw new Error("the password is 1234");
  });
  const answer = await ground.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 500 /);
  assert.not.match(answer, /1234/);
  assert.match(JSON.stringify(ground.logged), /1234/);
});

test("what is no request of HTTP is refused, and the next dial is served", async () => {
  await using ground = await start(() => new Response("fine"));
  assert.match(await ground.ask("nonsense\r\n\r\n"), /^(HTTP\/1\.1 400 |$)/);
  const answer = await ground.ask("GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 400 /);
  assert.match(await ground.ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), /fine/);
});

test.run();

async function start(handler: HttpHandler) {
  const ground = await startFleet();
  const logged: LogFields[] = [];
  const log = {
    ...SILENT,
    warn: (_: string, fields?: LogFields) => void logged.push(fields ?? {}),
  };
  const runtime = runtimeOf(ground, echoTarget);
  const page = httpHandler(handler, { log });
  const device = await openDevice(runtime, {
    id: "x",
    store: memoryStore(),
    join: await invite(whereabouts(ground), "device", "x"),
    accept: () => page,
  });
  const fleet: Fleet = await openFleet(runtime, {
    store: memoryStore(),
    join: await invite(whereabouts(ground), "operator", "anna"),
  });
  return {
    fleet,
    logged,
    /** Sends all of it on a connection of its own, and gives all that comes back. */
    async ask(request: string): Promise<string> {
      const stream = await fleet.dial("x", 80);
      await send(stream, request, true);
      return await bounded("the answer", new Response(stream.readable).text());
    },
    async [Symbol.asyncDispose]() {
      await fleet.close();
      await device.close();
      await ground[Symbol.asyncDispose]();
    },
  };
}

async function send(stream: FleetStream, request: string, ends: boolean): Promise<void> {
  const writer = stream.writable.getWriter();
  await writer.write(bytes(request));
  if (ends) await writer.close();
}
