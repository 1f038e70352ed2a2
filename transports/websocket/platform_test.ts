/** The platform's WebSocket under the contract of transports; here that is Deno's. */

import { conformance } from "../../tests/conformance.ts";
import { networkFixture, testGround } from "../../tests/network_fixture.ts";
import { platformWebSocket } from "./platform.ts";
import { websocket } from "./transport.ts";

const { root } = await testGround();
const client = Deno.createHttpClient({ caCerts: [root] });

/** Deno's, made to trust the test's root as a browser is by its user. */
class TrustingWebSocket extends WebSocket {
  constructor(url: string, protocols: string) {
    super(url, { protocols: [protocols], client } as unknown as string[]);
  }
}

const { listen } = websocket;
conformance(networkFixture({ ...platformWebSocket(TrustingWebSocket), listen }));
