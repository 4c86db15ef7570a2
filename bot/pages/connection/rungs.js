/** The transports of a page, the best first: each is used while none before it works. */

import { pollTransport } from "/connection/poll-transport.js";
import { socketTransport } from "/connection/socket-transport.js";
import { sseTransport } from "/connection/sse-transport.js";

/**
 * @param {"guest"|"therapist"} audience
 * @param {Patience} patience
 * @returns {import("/connection/connection.js").Rung[]}
 */
export function rungsOf(audience, patience) {
  return [
    { name: "socket", transport: socketTransport(`/${audience}`) },
    { name: "stream", transport: sseTransport(audience, patience) },
    { name: "poll", transport: pollTransport(audience) },
  ];
}
