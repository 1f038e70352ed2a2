/** What people type and machines are configured with: names, targets, URLs, options, variables. */

import { type CAC, cac } from "cac";
import { protectValues, readOptions } from "../../../cmd/argv.ts";
import { parseCount, parseListen } from "../../../cmd/parse.ts";
import { allowedAddress, formatTarget } from "../../../core/allow.ts";
import {
  canonicalHost,
  MAX_DURATION,
  parseDeviceId,
  parseDuration,
  parseOperatorName,
  parsePort,
  parseRelayUrl,
  parseTarget,
} from "../../../core/names.ts";
import { matchesNoProxy } from "../../../transports/no_proxy.ts";
import { proxyFor } from "../../../transports/proxy.ts";
import { attempt, must, same, shows } from "../expect.ts";
import { mutateText } from "../mutate_text.ts";
import { fromText, type Target, toText } from "../target.ts";

/** Stands for a password, and for a join string's secret. */
const SECRET = "q8Xv2LkZr0TjWm5HcYb1NsGd7PfUe3Ai9KoRxEtQwzM";
const JOIN = `tj1.eyJ1IjoidHVubmVsOi8vYSIsInMiOiJ${SECRET}`;

const WORDS = [
  "pi-7",
  "22",
  "10.0.0.5:80",
  "printer.local:9100",
  "[::1]:22",
  "[fe80::1:2:3]:65535",
  "90s",
  "3650d",
  "tunnel://relay.example.com",
  "tunnel://[2001:db8::1]:4433/",
  `tunnel://night:${SECRET}@relay.example.com`,
  `http://night:${SECRET}@proxy:3128`,
  JOIN,
  "0.0.0.0:443",
  "1",
];

const words: Target = {
  name: "words",
  iterations: 3_000,
  make: (random) => fromText(mutateText(random.pick(WORDS), random, WORDS)),
  async check(input) {
    const text = toText(input);
    const parse = async <T>(work: () => T, check: (value: T) => void) => {
      const result = await attempt(work, ["usage"], secretsIn(text));
      if ("value" in result) check(result.value);
    };
    const isItself = (value: string) => same(value, text, "a name");
    await parse(() => parseDeviceId(text), isItself);
    await parse(() => parseOperatorName(text), isItself);
    await parse(() => parsePort(text), (port) => same(String(port), text, "a port"));
    await parse(() => parseDuration(text), (ms) => must(ms > 0 && ms <= MAX_DURATION, `${ms} ms`));
    await parse(() => parseCount(text, 1, 1_000), (count) => same(count, Number(text), "a count"));
    await parse(() => parseTarget(text), (target) => {
      same(parseTarget(formatTarget(target)), target, "a target as it is written");
      allowedAddress([target], target);
    });
    await parse(() => parseRelayUrl(text), (url) => {
      same(parseRelayUrl(url.href).href, url.href, "a URL as it is written");
      same([url.username, url.password, url.search, url.hash], ["", "", "", ""], "the rest");
    });
    await parse(() => parseListen(text, "127.0.0.1"), ({ hostname, port }) => {
      must(
        canonicalHost(hostname) === hostname && port >= 0 && port <= 65_535,
        `${hostname} ${port}`,
      );
    });
  },
};

/** A secret is known as one by what it stands in; alone it is a word like any other. */
function secretsIn(text: string): string[] {
  const wholes = [JOIN, `//night:${SECRET}@`].filter((whole) => text.includes(whole));
  const rest = wholes.reduce((rest, whole) => rest.replaceAll(whole, "\n"), text);
  return wholes.length > 0 && !shows(rest, SECRET) ? [SECRET] : [];
}

const HOSTS = ["relay.example.com", "10.1.2.3", "2001:db8::1", "::ffff:10.1.2.3", "localhost"];
const LISTS = [
  "*",
  "example.com,.example.org *.example.net",
  "10.0.0.0/8, 2001:db8::/32",
  "relay.example.com:443,[2001:db8::1]:443",
];

/** A list of exceptions, a line feed, a host. */
const noProxy: Target = {
  name: "no_proxy",
  iterations: 2_000,
  make: (random) =>
    fromText(`${mutateText(random.pick(LISTS), random, LISTS)}\n${random.pick(HOSTS)}`),
  check(input) {
    const text = toText(input);
    const at = text.lastIndexOf("\n");
    const [list, host] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)];
    const matched = matchesNoProxy(list, host, 443);
    must(typeof matched === "boolean", "yes or no");
    if (!matched) return;
    if (host === "localhost") return;
    // One entry must be the reason, and it alone is reason enough.
    const entries = list.split(/[\s,]+/);
    const reasons = entries.filter((entry) => matchesNoProxy(entry, host, 443));
    must(reasons.length > 0, "no entry covers the host");
    const odd = reasons.find((entry) => !/^[-\w.*:/[\]]*$/i.test(entry) && !isWord(entry, host));
    must(odd === undefined, `${odd} covers the host`);
  },
};

/** A name may have any characters, as long as they are those of the host. */
function isWord(entry: string, host: string): boolean {
  return host.endsWith(entry.toLowerCase().replace(/:\d+$/, "").replace(/^\*?\./, ""));
}

const PROXIES = WORDS.filter((word) => word.includes(SECRET) && word.includes("@"))
  .concat(`night:${SECRET}@proxy:3128`);

const proxy: Target = {
  name: "proxy",
  iterations: 1_000,
  make: (random) => fromText(mutateText(random.pick(PROXIES), random, PROXIES)),
  async check(input) {
    const text = toText(input);
    const env = (name: string) => name === "HTTPS_PROXY" ? text : undefined;
    const target = new URL("tunnel://relay.example.com");
    for (const options of [{ proxy: text }, { env }]) {
      const result = await attempt(() => proxyFor(target, options), ["usage"], [SECRET]);
      if ("value" in result && result.value) same(result.value.protocol, "http:", "its kind");
    }
  },
};

/** The values of the options `--id`, twice `--allow`, and `--home`, by line feeds. */
const argv: Target = {
  name: "argv",
  iterations: 1_000,
  make: (random) =>
    fromText(
      Array.from({ length: 4 }, () => mutateText(random.pick(WORDS), random, WORDS).slice(0, 200))
        .join("\n"),
    ),
  check(input) {
    const [id = "", a = "", b = "", home = ""] = toText(input).split("\n");
    const cli = options();
    // A word that begins with a dash is an option to every program, unless it is bound by "=".
    const given = [
      "run",
      `--id=${id}`,
      `--allow=${a}`,
      ...apart("--allow", b),
      ...apart("--home", home),
    ];
    const protectedValues = protectValues(given, [cli.globalCommand, ...cli.commands]);
    const { options: parsed } = cli.parse(["", "", ...protectedValues], { run: false });
    const read = readOptions(parsed, () => undefined);
    same(read.text("id"), id, "--id");
    same(read.list("allow"), [a, b], "--allow");
    same(read.text("home"), home, "--home");
    must(Object.keys(Object.prototype).length === 0, "the prototype of every object was changed");
  },
};

function apart(option: string, value: string): string[] {
  return value.startsWith("-") && value !== "-" ? [`${option}=${value}`] : [option, value];
}

function options(): CAC {
  const cli = cac("fuzz");
  cli.command("run", "").option("--id <id>", "").option("--allow <target>", "").action(() => {});
  cli.option("--home <dir>", "");
  return cli;
}

export const wordTargets: Target[] = [words, noProxy, proxy, argv];
