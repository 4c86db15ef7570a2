/** The transports of a page, the best first: each is used while none before it works. */

import { pollTransport } from "/poll-transport.js";
import { socketTransport } from "/socket-transport.js";
import { sseTransport } from "/sse-transport.js";

/**
 * @param {"guest"|"therapist"} audience
 * @returns {import("/connection.js").Rung[]}
 */
export function rungsOf(audience) {
  return [
    { name: "socket", transport: socketTransport(`/${audience}`) },
    { name: "stream", transport: sseTransport(audience) },
    { name: "poll", transport: pollTransport(audience) },
  ];
}
