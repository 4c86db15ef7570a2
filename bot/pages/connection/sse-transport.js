/** Carries a connection over server-sent events, with commands over HTTP: for networks that let no WebSocket through. */

import { eventsOf } from "/connection/event-stream.js";
import { answerOf } from "/connection/http-caller.js";
import { httpTransport } from "/connection/http-transport.js";

/**
 * @param {"guest"|"therapist"} audience
 * @param {Patience} patience
 */
export function sseTransport(audience, patience) {
  return httpTransport(audience, (following) => readStream(following, patience));
}

/**
 * @param {import("/connection/http-transport.js").Following} following
 * @param {Patience} patience
 */
function readStream({ caller, cursor, opened, heard }, patience) {
  return caller.read("/api/sse/bookings", cursor, patience.stream_starts_s * 1000, async (response, extend) => {
    if (!response.ok || !response.body) return void (await answerOf(response));
    let sign = () => {};
    for await (const { event, data } of eventsOf(response.body, () => sign())) {
      if (event === "start") {
        sign = () => extend(patience.stream_silent_s * 1000);
        sign();
        opened();
      } else if (event === "end") return;
      else if (event === "resync") throw new Error("the cursor is not the server's any more");
      else heard(event === "message" ? "entry" : event, data);
    }
    throw new Error("the stream was cut");
  });
}
