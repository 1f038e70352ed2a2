import { conformance } from "../../tests/conformance.ts";
import { networkFixture } from "../../tests/network_fixture.ts";
import { websocket } from "./transport.ts";

conformance(networkFixture(websocket));
