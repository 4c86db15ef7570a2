/** Carries a connection over server-sent events, with commands over HTTP: for networks that let no WebSocket through. */

import { eventsOf } from "/connection/event-stream.js";
import { answerOf } from "/connection/http-caller.js";
import { httpTransport } from "/connection/http-transport.js";

/** A proxy that keeps the answer back until it is complete shows itself by this silence. */
const START_TIMEOUT_MS = 2500;
/** The server says every 15 s that it is still there. */
const SILENCE_MS = 40000;

/** @param {"guest"|"therapist"} audience */
export function sseTransport(audience) {
  return httpTransport(audience, readStream);
}

/** @type {import("/connection/http-transport.js").Read} */
function readStream({ caller, cursor, opened, heard }) {
  return caller.read("/api/sse/bookings", cursor, START_TIMEOUT_MS, async (response, extend) => {
    if (!response.ok || !response.body) return void (await answerOf(response));
    let sign = () => {};
    for await (const { event, data } of eventsOf(response.body, () => sign())) {
      if (event === "start") {
        sign = () => extend(SILENCE_MS);
        sign();
        opened();
      } else if (event === "end") return;
      else if (event === "resync") throw new Error("the cursor is not the server's any more");
      else heard(event === "message" ? "entry" : event, data);
    }
    throw new Error("the stream was cut");
  });
}
