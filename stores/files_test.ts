import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/conformance.ts";
import { failure } from "../tests/failure.ts";
import {
  ensureDir,
  MAX_PRIVATE_FILE,
  parentOf,
  readPrivate,
  removeIfThere,
  writePrivate,
} from "./files.ts";
import { withFileLock } from "./file_lock.ts";

const test = suite("private files");
const hasModes = Deno.build.os !== "windows";

const dir = Deno.makeTempDirSync();
globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
let folders = 0;
const newDir = () => `${dir}/${++folders}`;
const mode = (path: string) => Deno.statSync(path).mode! & 0o777;

test("a file comes back as it was written, and so does its successor", async () => {
  const path = `${newDir()}/a/b/key.json`;
  assert.is(await readPrivate(path), undefined);
  for (const text of ["first", "", "é\n".repeat(100_000)]) {
    await writePrivate(path, text);
    assert.equal(await readPrivate(path), { text });
  }
});

test("writing leaves no other file behind, whether it works or not", async () => {
  const base = newDir();
  await writePrivate(`${base}/file`, "x");
  await ensureDir(`${base}/folder`);
  // A folder cannot be replaced by a file.
  const error = await failure(() => writePrivate(`${base}/folder`, "x"));
  assert.is(error.code, "unavailable");
  const names = [...Deno.readDirSync(base)].map(({ name }) => name).sort();
  assert.equal(names, ["file", "folder"]);
});

test("a reader at any time sees one whole text", async () => {
  const path = `${newDir()}/file`;
  const texts = ["a".repeat(300_000), "b".repeat(200_000)];
  await writePrivate(path, texts[0]!);
  const writing = (async () => {
    for (let i = 0; i < 20; i++) await writePrivate(path, texts[i % 2]!);
  })();
  for (let i = 0; i < 50; i++) assert.ok(texts.includes((await readPrivate(path))!.text));
  await writing;
});

if (hasModes) {
  test("files are 0600 and folders 0700, whatever the umask", async () => {
    const before = Deno.umask(0);
    try {
      const base = newDir();
      await writePrivate(`${base}/a/file`, "x");
      assert.equal([mode(base), mode(`${base}/a`), mode(`${base}/a/file`)], [0o700, 0o700, 0o600]);
    } finally {
      Deno.umask(before);
    }
  });

  test("a file that others can read is read with a warning, and rewriting it closes it", async () => {
    const path = `${newDir()}/file`;
    await writePrivate(path, "x");
    for (const open of [0o640, 0o604, 0o620, 0o644, 0o777]) {
      await Deno.chmod(path, open);
      const file = (await readPrivate(path))!;
      assert.is(file.text, "x");
      assert.match(file.warning!, `chmod 600 ${path}`);
    }
    await writePrivate(path, "y");
    assert.equal(await readPrivate(path), { text: "y" });
  });

  test("a folder that exists keeps its mode", async () => {
    const base = newDir();
    Deno.mkdirSync(base, { mode: 0o755 });
    await ensureDir(base);
    assert.is(mode(base), 0o755);
  });

  test("a link is replaced, not followed", async () => {
    const base = newDir();
    await writePrivate(`${base}/target`, "untouched");
    Deno.symlinkSync(`${base}/target`, `${base}/link`);
    await writePrivate(`${base}/link`, "new");
    assert.is((await readPrivate(`${base}/target`))?.text, "untouched");
  });
}

test("what is no text file of reasonable size is refused", async () => {
  const base = newDir();
  await ensureDir(`${base}/folder`);
  Deno.writeFileSync(`${base}/binary`, new Uint8Array([0xff, 0xfe]));
  Deno.writeFileSync(`${base}/large`, new Uint8Array(MAX_PRIVATE_FILE + 1));
  for (const name of ["folder", "binary", "large"]) {
    assert.is((await failure(() => readPrivate(`${base}/${name}`))).code, "unavailable", name);
  }
});

test("a file in the place of a folder is reported", async () => {
  const base = newDir();
  await writePrivate(base, "x");
  const error = await failure(() => ensureDir(`${base}/below`));
  assert.is(error.code, "unavailable");
  assert.is(error.message, `make the folder ${base}/below: not a directory`);
});

test("removing is done or need not be", async () => {
  const path = `${newDir()}/file`;
  await writePrivate(path, "x");
  await removeIfThere(path);
  await removeIfThere(path);
  assert.is(await readPrivate(path), undefined);
});

test("the holders of a lock follow one another", async () => {
  const path = `${newDir()}/lock`;
  let inside = 0;
  let most = 0;
  const work = () =>
    withFileLock(path, async () => {
      most = Math.max(most, ++inside);
      await writePrivate(`${path}.work`, "x");
      inside--;
    });
  await bounded("ten holders", Promise.all(Array.from({ length: 10 }, work)));
  assert.is(most, 1);
});

test("a lock is free again after a failure, which passes through", async () => {
  const path = `${newDir()}/lock`;
  const boom = new Error("boom");
  try {
    await withFileLock(path, () => Promise.reject(boom));
    assert.unreachable();
  } catch (error) {
    assert.is(error, boom);
  }
  assert.is(await bounded("the lock", withFileLock(path, () => Promise.resolve(1))), 1);
});

test("the folder of a path", () => {
  for (
    const [path, parent] of [["a", "."], ["/a", "/"], ["/a/b", "/a"], ["a/b/c", "a/b"]] as const
  ) {
    assert.is(parentOf(path), parent);
  }
});

test.run();
