import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CookieJar } from "./cookies.ts";

const test = suite("cookies of a device's page");

test("cookies go to the paths that they are for, longer paths first", () => {
  const jar = new CookieJar();
  jar.set("a=1; Path=/", "/x/y");
  jar.set("b=2", "/x/y");
  jar.set("c=3; Path=/x/y", "/");
  assert.is(jar.get("/x/y"), "c=3; b=2; a=1");
  assert.is(jar.get("/x/other"), "b=2; a=1");
  assert.is(jar.get("/xy"), "a=1");
});

test("one of the same name and path takes the place of the one before", () => {
  const jar = new CookieJar();
  jar.set("a=1; Path=/", "/");
  jar.set("a=2; Path=/", "/");
  assert.is(jar.get("/"), "a=2");
});

test("they end by age, by date, and at once", () => {
  let now = 1_000_000_000_000;
  const jar = new CookieJar(() => now);
  jar.set("a=1; Max-Age=10", "/");
  jar.set(`b=2; Expires=${new Date(now + 20_000).toUTCString()}`, "/");
  jar.set("c=3", "/");
  jar.set("d=4; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "/");
  assert.is(jar.get("/"), "a=1; b=2; c=3; d=4");
  now += 15_000;
  assert.is(jar.get("/"), "b=2; c=3");
  now += 15_000;
  jar.set("c=; Max-Age=0", "/");
  assert.is(jar.get("/"), "");
});

test("scripts neither see nor make nor change those that are not for them", () => {
  const jar = new CookieJar();
  jar.set("session=secret; HttpOnly; Path=/", "/");
  jar.set("session=forged; Path=/", "/", { fromScript: true });
  jar.set("other=1; HttpOnly", "/", { fromScript: true });
  jar.set("theme=dark", "/", { fromScript: true });
  assert.is(jar.get("/", { forScript: true }), "theme=dark");
  assert.is(jar.get("/"), "session=secret; theme=dark");
});

test("what is none, or too long, is passed over; the oldest of too many goes", () => {
  const jar = new CookieJar();
  for (const text of ["", "=1", "novalue", "a=\r\nSet-Cookie: b=1", `a=${"x".repeat(5_000)}`]) {
    jar.set(text, "/");
  }
  assert.is(jar.get("/"), "");
  for (let i = 0; i < 60; i++) jar.set(`n${i}=1`, "/");
  assert.is(jar.get("/").split("; ").length, 50);
  assert.not.match(jar.get("/"), /n9=/);
});

test.run();
