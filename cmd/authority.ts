/** `tunnel authority`: a fleet's authority on a machine of its own, without a network. */

import { TunnelError } from "../core/errors.ts";
import type { Authority } from "../core/identity/credential.ts";
import { type CredentialRequest, keysFingerprint, readRequest } from "../core/identity/request.ts";
import { encodeSigned } from "../core/identity/signed.ts";
import { parseDuration } from "../core/names.ts";
import type { Context } from "./context.ts";
import { readText } from "./input.ts";
import { print } from "./process.ts";

export async function authority(
  context: Context,
  action: string,
  requests: readonly string[],
): Promise<void> {
  if (action === "init" && requests.length === 0) return await init(context);
  if (action === "sign") return await sign(context, requests);
  throw new TunnelError("usage", {
    action: "use the authority",
    state: `${JSON.stringify([action, ...requests].join(" "))} is neither init nor sign REQUEST`,
    remedy: "use `tunnel authority init` or `tunnel authority sign`",
  });
}

/** Makes the key, where there is none yet, and prints its public half. */
async function init({ home }: Context): Promise<void> {
  const authority = await home.makeAuthority();
  console.error(`authority ${authority.thumbprint}`);
  print(JSON.stringify(authority.publicJwk));
}

async function sign({ options, home }: Context, given: readonly string[]): Promise<void> {
  const validity = options.text("validity");
  const ttl = validity === undefined ? undefined : parseDuration(validity);
  const rootFile = options.text("root");
  const where = {
    relay: options.text("relay"),
    root: rootFile && await readText(`@${rootFile}`, "root certificate", "--root FILE"),
  };
  const authority = await home.authority();
  if (!authority) {
    throw new TunnelError("refused", {
      action: "sign a request",
      state: `${home.path} has no authority`,
      remedy: "run this where `tunnel authority init` was run, with its --home",
    });
  }
  // All of them are read before any is signed.
  const requests = await readRequests(given);
  for (const request of requests) {
    const { role, name, key, agreement } = request;
    const { token, principal } = await issue(authority, request, ttl);
    const until = new Date(principal.expiresAt).toISOString();
    console.error(`${role} ${name} until ${until}, keys ${await keysFingerprint(key, agreement)}`);
    print(encodeSigned({ credential: token, authority: authority.publicJwk, ...where }));
  }
}

function issue(
  authority: Authority,
  { role, name, key: holder, agreement }: CredentialRequest,
  ttl: number | undefined,
) {
  return authority.issue({ role, name, holder, agreement, ttl });
}

/** The requests in texts, files and stdin, several in each where they stand apart. */
async function readRequests(given: readonly string[]): Promise<CredentialRequest[]> {
  const how = "tunnel authority sign @FILE";
  const texts: string[] = [];
  for (const one of given.length > 0 ? given : ["-"]) {
    texts.push(...(await readText(one, "request", how)).split(/\s+/).filter((word) => word !== ""));
  }
  if (texts.length === 0) {
    throw new TunnelError("usage", {
      action: "sign a request",
      state: "there is none",
      remedy: "give it as an argument, as @FILE or on stdin",
    });
  }
  return await Promise.all(texts.map((text) => readRequest(text)));
}
