/** The command line: which commands there are, and what becomes of their errors. */

import { type CAC, cac } from "cac";
import { exitCode, quote, redact, toTunnelError, TunnelError } from "../core/errors.ts";
import { approvals, approve, deny } from "./approvals.ts";
import { protectValues, readOptions } from "./argv.ts";
import { audit } from "./audit.ts";
import { authority } from "./authority.ts";
import { bench } from "./bench.ts";
import { connect } from "./connect.ts";
import { type Context, makeContext, VERSION } from "./context.ts";
import { device } from "./device.ts";
import { devices } from "./devices.ts";
import { doctor } from "./doctor.ts";
import { grant } from "./grant.ts";
import { grants } from "./grants.ts";
import { invite } from "./invite.ts";
import type { Level } from "./log.ts";
import { operators } from "./operators.ts";
import { relay } from "./relay.ts";
import { request } from "./request.ts";
import { revoke } from "./revoke.ts";
import { rights } from "./rights.ts";
import { rotate } from "./rotate.ts";
import { ssh } from "./ssh.ts";

type Action = (context: Context, ...args: string[]) => Promise<void>;

/** Runs a command line; the result is the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const cli = cac("tunnel");
  let chosen: (() => Promise<void>) | undefined;
  let debug = false;
  define(cli, (level, action) => (...args: unknown[]) => {
    const parsed = args.at(-1) as Record<string, unknown>;
    chosen = async () => {
      const options = readOptions(parsed, (name) => Deno.env.get(name));
      debug = options.text("logLevel") === "debug";
      await action(makeContext(options, level), ...args.slice(0, -1) as string[]);
    };
  });
  try {
    cli.parse(["", "", ...protectValues(argv, [cli.globalCommand, ...cli.commands])], {
      run: false,
    });
    if (cli.options.help || cli.options.version) return 0;
    if (!cli.matchedCommand) throw unknownCommand(argv);
    await cli.runMatchedCommand();
    await chosen?.();
    return 0;
  } catch (cause) {
    return report(cause, debug);
  }
}

function define(cli: CAC, wrap: (level: Level, action: Action) => (...args: unknown[]) => void) {
  const reach = (command: ReturnType<CAC["command"]>) =>
    command
      .option("--transport <name>", "auto, quic, webtransport or websocket (default: auto)")
      .option("--proxy <url>", "HTTP CONNECT proxy (default: HTTPS_PROXY, NO_PROXY)");
  const join = "--join <string>";
  const joinHelp = "join string or signed string, @FILE that holds one, or - for stdin";
  const administered = (command: ReturnType<CAC["command"]>) =>
    reach(command)
      .option("--remote", "over the operator's session, though this home has a relay")
      .option(join, joinHelp);
  const until = "--until <time>";
  const untilHelp = "when the grants end: 8h, or an instant in ISO 8601 (default: when revoked)";
  const adminHelp = "may change who reaches what, and read the audit trail";
  const approverHelp = "may decide about dials that devices ask about";
  const window = "--resume-window <duration>";
  const windowHelp = "how long connections outlive the path under them (default: 5m)";
  const reason = "--reason <text>";
  const reasonHelp = "what it is for, told to relay and device, 200 characters at most";

  cli.command("relay", "Run the meeting point of devices and operators")
    .option("--listen <address>", "HOST:PORT, UDP and TCP (default: 0.0.0.0:443, else 4433)")
    .option("--public <url>", "tunnel://HOST:PORT as others reach it, for join strings")
    .option("--cert <file>", "certificate chain, PEM (default: a development one is made)")
    .option("--key <file>", "its private key, PEM")
    .option("--limit <name=value>", "a limit, repeatable; --limits lists them with their defaults")
    .option("--limits", "list what can be limited")
    .option("--metrics <address>", "serve metrics on HOST:PORT by plain HTTP (default: off)")
    .option("--allow-origin <origin>", "web pages that may connect, repeatable (default: its own)")
    .option("--no-console", "serve no page for operators' browsers")
    .option("--authority <key>", "public key (JWK, or a file) of an authority elsewhere")
    .option("--device-validity <duration>", "life of devices' new credentials (default: 30d)")
    .option("--operator-validity <duration>", "life of operators' new credentials (default: 12h)")
    .option("--audit-retention <duration>", "forget older rows of the audit trail (default: never)")
    .example(
      "tunnel relay --public tunnel://relay.example.com --cert fullchain.pem --key privkey.pem",
    )
    .action(wrap("info", relay));
  administered(
    cli.command("invite <role> <name>", "Make a join string for a device or an operator"),
  )
    .option("--ttl <duration>", "how long it is good for: 30m, 1h, 7d (default: 1h)")
    .option("--uses <count>", "how many may join with it (default: 1)")
    .option("--validity <duration>", "life of the credentials (default: as the relay says)")
    .option("--grant <scope>", "DEVICES:TARGETS that an operator may reach, repeatable")
    .option(until, untilHelp)
    .option("--admin", adminHelp)
    .option("--approver", approverHelp)
    .option("--public <url>", "the relay as the new member reaches it (default: as the relay says)")
    .example("tunnel invite device x --ttl 24h")
    .example("tunnel invite operator anna --grant 'line3-*:22,443' --until 8h")
    .action(wrap("warn", invite));
  administered(cli.command("grant <operator> <...scopes>", "Let an operator reach DEVICES:TARGETS"))
    .option(until, untilHelp)
    .example("tunnel grant anna 'line3-*:22,443' x:192.168.0.5:3389 --until 8h")
    .action(
      wrap("warn", (context, operator, scopes) => grant(context, operator!, [scopes!].flat())),
    );
  administered(cli.command("revoke <what> <name>", "End an operator, a device, or one grant"))
    .option("--unseen", "also a name that was never here, as one that an offline authority signed")
    .example("tunnel revoke operator anna")
    .example("tunnel revoke grant k3vq5zma")
    .action(wrap("warn", revoke));
  administered(cli.command("rights <operator>", "Say what an operator may do beside dialling"))
    .option("--admin", adminHelp)
    .option("--approver", approverHelp)
    .example("tunnel rights anna --approver")
    .action(wrap("warn", rights));
  administered(cli.command("operators", "List operators, their rights, and who is revoked"))
    .option("--json", "as JSON")
    .example("tunnel operators --json")
    .action(wrap("warn", operators));
  administered(cli.command("grants", "List who may reach what, and until when"))
    .option("--operator <name>", "of this operator alone")
    .option("--json", "as JSON")
    .example("tunnel grants --operator anna")
    .action(wrap("warn", grants));
  administered(cli.command("audit [action]", "Show the audit trail, or verify it"))
    .option("--since <time>", "from then on: 24h, or an instant in ISO 8601")
    .option("--device <id>", "about this device, or by it")
    .option("--operator <name>", "about this operator, or by it")
    .option("--limit <count>", "the newest so many (default: 100, or all that --since has)")
    .option("--follow", "go on with what is new, until Ctrl-C")
    .option("--expect <seq:hash>", "for verify: a head that was printed earlier is still there")
    .option("--json", "as JSON, one row a line")
    .example("tunnel audit --since 24h --operator anna")
    .example("tunnel audit verify")
    .action(wrap("warn", audit));
  cli.command("authority <action> [...requests]", "Keep a fleet's authority apart: init, sign")
    .option(
      "--validity <duration>",
      "life of the credentials (default: 30d devices, 12h operators)",
    )
    .option("--relay <url>", "tunnel://HOST:PORT, for who knows no relay yet")
    .option("--root <file>", "root of the relay's certificate, PEM, if it is not a public one")
    .example("tunnel authority init > authority.pub")
    .example("tunnel authority sign @x.request --relay tunnel://relay.example.com > x.signed")
    .action(
      wrap("warn", (context, action, requests) => authority(context, action!, [requests!].flat())),
    );
  cli.command("request <role> <name>", "Ask for a credential of an authority that is elsewhere")
    .option("--authority <key>", "public key (JWK, or a file) that is to sign it")
    .option("--rotate-keys", "for new keys, where this home has some for that name")
    .example("tunnel request device x > x.request")
    .action(wrap("warn", request));
  cli.command("rotate <role> [name]", "Make new keys for a device or the operator of this home")
    .example("tunnel rotate device x")
    .action(wrap("warn", rotate));
  reach(cli.command("device", "Make ports of this machine reachable by its ID"))
    .option("--id <id>", "the device's ID")
    .option(join, joinHelp)
    .option("--allow <target>", "PORT, HOST:PORT or bench, repeatable (default: 127.0.0.1:22)")
    .option("--approve", "have an operator who may decide about every new dial")
    .option("--approve-command <command>", "have a command decide: JSON on stdin, exit 0 accepts")
    .option(
      "--approve-timeout <duration>",
      "how long a decision may take, at most 5m (default: 2m)",
    )
    .option(window, windowHelp)
    .example("tunnel device --id x --allow 22 --allow 192.168.0.5:3389")
    .example('tunnel device --id x --approve-command "jq -e .reason"')
    .action(wrap("info", device));
  reach(cli.command("connect <device> <target>", "Reach a port of a device, or a host beside it"))
    .option("--listen <address>", "local PORT or HOST:PORT (default: a free port on 127.0.0.1)")
    .option("--stdio", "carry stdin and stdout, for ssh's ProxyCommand")
    .option("--verbose", "show the device's key on stderr")
    .option("--pin", "hold the device to the key it has the first time")
    .option(reason, reasonHelp)
    .option(window, windowHelp)
    .option(join, joinHelp)
    .example("tunnel connect x 22 --listen 2222")
    .example('tunnel connect x 22 --reason "ticket 4711"')
    .action(wrap("warn", connect));
  reach(
    cli.command("ssh <destination>", "Log in to a device: [USER@]ID, then -- and ssh's arguments"),
  )
    .option("--port <port>", "the device's SSH port (default: 22)")
    .option(reason, reasonHelp)
    .example("tunnel ssh root@x -- uname -a")
    .action(
      wrap(
        "warn",
        (context, destination) => ssh(context, destination, (cli.options["--"] as string[]) ?? []),
      ),
    );
  reach(cli.command("devices", "List devices: online since when, by what, from where"))
    .option("--json", "as JSON")
    .example("tunnel devices --json")
    .action(wrap("warn", devices));
  reach(cli.command("approvals", "List the dials that wait for your decision"))
    .option("--json", "as JSON")
    .example("tunnel approvals --json")
    .action(wrap("warn", approvals));
  reach(cli.command("approve <id>", "Let a dial in that waits for your decision"))
    .example("tunnel approve 3f9a0c12b4d87e65")
    .action(wrap("warn", approve));
  reach(cli.command("deny <id>", "Turn a dial away that waits for your decision"))
    .example("tunnel deny 3f9a0c12b4d87e65")
    .action(wrap("warn", deny));
  reach(cli.command("bench <device>", "Say how fast the path to a device is (--allow bench there)"))
    .option("--seconds <count>", "how long each of six parts takes, 1 to 60 (default: 3)")
    .option("--json", "as JSON: bits per second, milliseconds")
    .option(reason, reasonHelp)
    .option(join, joinHelp)
    .example("tunnel bench x")
    .example("tunnel bench x --transport websocket --json")
    .action(wrap("warn", bench));
  reach(cli.command("doctor", "Say what of UDP, TCP, proxy and certificate works"))
    .option("--relay <url>", "the relay to test (default: the one this home knows)")
    .example("tunnel doctor --relay tunnel://relay.example.com")
    .action(wrap("warn", doctor));
  cli
    .option("--home <dir>", "where state is kept (default: ~/.tunnel)")
    .option("--log-level <level>", "debug, info, warn or error");
  cli.help();
  cli.version(VERSION);
}

/** One line on stderr; the whole story only when it was asked for. */
function report(cause: unknown, debug: boolean): number {
  const error = cause instanceof Error && cause.name === "CACError"
    ? new TunnelError("usage", {
      action: "read the command line",
      // It may repeat words that were in the wrong place.
      state: redact(cause.message),
      remedy: "see tunnel --help",
    })
    : toTunnelError(cause, "tunnel", "internal");
  // The signal that ended it was the user's own.
  if (error.code === "aborted") return 0;
  console.error(error.message);
  if (debug) console.error(error);
  return exitCode(error);
}

function unknownCommand(argv: readonly string[]): TunnelError {
  return new TunnelError("usage", {
    action: "read the command line",
    state: argv[0] ? `there is no command ${quote(argv[0])}` : "there is no command",
    remedy: "see tunnel --help",
  });
}
