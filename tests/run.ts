/**
 * Runs every `*_test.ts`, each in a process of its own, and closes with the one line
 * `N passed, N failed, N skipped`. Arguments select files by a part of their path.
 *
 * A file that ends without uvu's totals, or with none, is a failure: a test that did not run did not
 * pass.
 */

const ROOT = new URL("../", import.meta.url);
/** Those with the longest tests first: at the end every worker has something to do. */
const FOLDERS = ["tests", "core", "transports", "stores", "web", "cmd", "bench"];
/** Milliseconds for one file. */
const TIMEOUT = 300_000;
/** Files at once: much of a test is waiting. */
const WORKERS = Math.min(3, navigator.hardwareConcurrency + 1);

interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

async function main(wanted: string[]): Promise<void> {
  const files = (await Promise.all(FOLDERS.map(async (folder) => (await testFiles(folder)).sort())))
    .flat()
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)));
  if (files.length === 0) {
    console.error(`no test file matches ${wanted.join(", ")}`);
    Deno.exit(1);
  }
  const sum: Totals = { passed: 0, failed: 0, skipped: 0 };
  const failures: string[] = [];
  const queue = [...files];
  const work = async () => {
    for (let file; (file = queue.shift());) {
      const totals = await runFile(file);
      sum.passed += totals.passed;
      sum.failed += totals.failed;
      sum.skipped += totals.skipped;
      if (totals.failed > 0) failures.push(file);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
  for (const file of failures) console.log(`failed: ${file}`);
  console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
  Deno.exit(sum.failed > 0 ? 1 : 0);
}

async function testFiles(folder: string): Promise<string[]> {
  const files: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
      const path = `${folder}/${name}`;
      if (isDirectory) files.push(...await testFiles(path));
      else if (name.endsWith("_test.ts")) files.push(path);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files;
}

async function runFile(file: string): Promise<Totals> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--v8-flags=--expose-gc", file],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const began = performance.now();
  const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT);
  const { code, signal, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const output = new TextDecoder().decode(stdout);
  const totals = parse(output);
  const trouble = code !== 0 || totals.passed + totals.failed + totals.skipped === 0;
  if (trouble && totals.failed === 0) totals.failed = 1;
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  console.log(`${trouble ? "FAIL" : "ok  "} ${file}  ${totals.passed} passed, ${seconds} s`);
  for (const line of output.split("\n")) {
    if (line.startsWith("skipped: ")) console.log(`     ${line}`);
  }
  if (trouble) {
    console.log(output);
    console.log(new TextDecoder().decode(stderr));
    if (signal) console.log(`ended by ${signal}; a file may take ${TIMEOUT / 1000} s`);
  }
  return totals;
}

/** uvu's closing lines. */
function parse(output: string): Totals {
  const number = (label: string) =>
    Number(output.match(new RegExp(`^  ${label}: +(\\d+)$`, "m"))?.[1] ?? 0);
  const passed = number("Passed");
  return { passed, failed: number("Total") - passed, skipped: number("Skipped") };
}

await main(Deno.args);
