/** WebTransport in Node, where the program has installed `@fails-components/webtransport`. */

import { get } from "node:https";
import { rootCertificates } from "node:tls";
import { TunnelError } from "../../core/errors.ts";
import type { Transport } from "../../core/transport.ts";
import { type PlatformConstructor, webtransport } from "../webtransport/platform.ts";
import { type SmallFetch, wellKnownHashes } from "../webtransport/well_known.ts";

/** An optional peer: a name that no bundler looks up. */
const MODULE = "@fails-components/webtransport";
/** Asked for first: without it the module only complains, on stderr and at every connect. */
const ADD_ON = "@fails-components/webtransport-transport-http3-quiche";
/** Bytes of an answer that are taken. */
const MAX_ANSWER = 64 * 1024;

/** @param root PEM; undefined when the module, or its HTTP/3 add-on, is not there */
export async function nodeWebTransport(root: string | undefined): Promise<Transport | undefined> {
  let WebTransport: PlatformConstructor;
  try {
    await import(ADD_ON);
    const module = await import(MODULE);
    await module.quicheLoaded;
    WebTransport = module.WebTransport;
  } catch {
    // It is optional, and so is the platform that its add-on is built for.
    return undefined;
  }
  return webtransport({ WebTransport, certificateHashes: wellKnownHashes(trusting(root)) });
}

/** A `fetch` that trusts a root beside the platform's. */
function trusting(root: string | undefined): SmallFetch {
  const ca = [...rootCertificates, ...(root ? [root] : [])];
  return (url, { signal }) =>
    new Promise((resolve, reject) => {
      get(url, { ca, signal, agent: false }, (response) => {
        const chunks: Uint8Array[] = [];
        let length = 0;
        response.on("data", (chunk: Uint8Array) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length > MAX_ANSWER) response.destroy(tooLong(url));
        });
        response.on("error", reject);
        response.on("end", () => {
          const { statusCode: status = 0 } = response;
          const text = () => new Response(new Blob(chunks as BlobPart[])).text();
          resolve({ ok: status === 200, status, text });
        });
      }).on("error", reject);
    });
}

function tooLong(url: string): TunnelError {
  const state = `more than ${MAX_ANSWER} bytes came`;
  return new TunnelError("protocol", { action: `ask ${new URL(url).host}`, state });
}
