/** The sockets of Node under the contract of transports, as far as Deno has them; see tests/npm_test.ts. */

import { conformance } from "../../tests/conformance.ts";
import { networkFixture } from "../../tests/network_fixture.ts";
import { websocket as node } from "./node.ts";
import { websocket } from "./transport.ts";

conformance(networkFixture({ ...node, listen: websocket.listen }));
