/**
 * Joins stdin and stdout with a port of this machine, as `tunnel connect --stdio` does with one of a
 * device: what a cold start takes of a program of this runtime that has no tunnel to open.
 *
 *     pipe.ts PORT
 */

using conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(Deno.args[0]) });
conn.setNoDelay(true);
await Promise.all([
  Deno.stdin.readable.pipeTo(conn.writable),
  conn.readable.pipeTo(Deno.stdout.writable),
]);
