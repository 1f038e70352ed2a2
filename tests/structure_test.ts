/** The rule of layers: cmd → transports, stores → core, never back; and core needs no runtime. */

import { suite } from "uvu";
import * as assert from "uvu/assert";

const ROOT = new URL("../", import.meta.url);
/** What each layer may import of the project beside itself. */
const MAY_IMPORT: Record<string, string[]> = {
  core: [],
  transports: ["core"],
  stores: ["core"],
  // Nobody imports web/ but a bundler: cmd/console_build.ts names its entries.
  web: ["core", "transports", "stores"],
  cmd: ["core", "transports", "stores"],
};

const test = suite("structure");

for (const [layer, allowed] of Object.entries(MAY_IMPORT)) {
  test(`${layer}/ imports ${allowed.join(", ") || "nothing"} of the other layers`, async () => {
    const wrong: string[] = [];
    let files = 0;
    for await (const [path, source] of sources(layer)) {
      files++;
      for (const specifier of imports(source)) {
        if (!specifier.startsWith(".")) continue;
        const target = new URL(specifier, new URL(path, ROOT)).pathname.slice(ROOT.pathname.length);
        const folder = target.split("/")[0]!;
        if (folder !== layer && !allowed.includes(folder)) wrong.push(`${path} imports ${target}`);
      }
    }
    assert.ok(files > 0);
    assert.equal(wrong, []);
  });
}

for (const layer of ["core", "web"]) {
  test(`${layer}/ uses web-platform APIs alone`, async () => {
    const wrong: string[] = [];
    for await (const [path, source] of sources(layer)) {
      const foreign = imports(source).filter((name) => name.startsWith("node:"));
      if (foreign.length > 0 || /\bDeno\./.test(source)) wrong.push(path);
    }
    assert.equal(wrong, []);
  });
}

test("what browsers run of transports/ names no runtime, nor does what it imports", async () => {
  const pending = ["platform.ts", "well_known.ts"].map((name) => `transports/webtransport/${name}`);
  const seen = new Set(pending);
  const wrong: string[] = [];
  for (let path; (path = pending.pop());) {
    const source = await Deno.readTextFile(new URL(path, ROOT));
    const specifiers = imports(source);
    if (specifiers.some((name) => name.startsWith("node:")) || /\bDeno\./.test(source)) {
      wrong.push(path);
    }
    for (const specifier of specifiers.filter((name) => name.startsWith("."))) {
      const { pathname } = new URL(specifier, new URL(path, ROOT));
      const next = pathname.slice(ROOT.pathname.length);
      if (!seen.has(next)) pending.push(next);
      seen.add(next);
    }
  }
  assert.ok(seen.size > 5);
  assert.equal(wrong, []);
});

test("the dependencies are pinned", async () => {
  const { dependencies, devDependencies } = JSON.parse(
    await Deno.readTextFile(new URL("package.json", ROOT)),
  );
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    assert.match(version as string, /^\d+\.\d+\.\d+$/, name);
  }
});

test.run();

/** Every source of a folder but its tests and their helpers. */
async function* sources(folder: string): AsyncGenerator<[path: string, source: string]> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    const path = `${folder}/${name}`;
    if (isDirectory) yield* sources(path);
    else if (/\.tsx?$/.test(name) && !/_test\.ts$|^test_/.test(name)) {
      yield [path, await Deno.readTextFile(new URL(path, ROOT))];
    }
  }
}

function imports(source: string): string[] {
  return [...source.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, name]) => name!);
}
