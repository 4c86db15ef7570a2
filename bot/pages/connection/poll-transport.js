/** Carries a connection over long polls, with commands over HTTP: for networks that let nothing else through. */

import { answerOf } from "/connection/http-caller.js";
import { httpTransport } from "/connection/http-transport.js";

/** The server answers after 20 s at the latest, with nothing if there is nothing. */
const ANSWER_TIMEOUT_MS = 35000;
/** Live signals come often, and a server that is leaving answers at once with nothing: neither is any reason to hurry. */
const LEAST_PAUSE_MS = 1000;

/** @param {"guest"|"therapist"} audience */
export function pollTransport(audience) {
  return httpTransport(audience, readByAsking);
}

/**
 * @typedef {object} Page
 * @property {import("/connection/feeds.js").Entry[]} entries
 * @property {number} last_seq
 * @property {Array<{signal: string, data: any}>} [signals]
 * @property {string} [signals_cursor]
 * @property {boolean} resync
 * @property {boolean} over
 */

/** @type {import("/connection/http-transport.js").Read} */
async function readByAsking({ caller, cursor, opened, heard }) {
  opened();
  for (let since = cursor.since, signals; ;) {
    const asked_at = Date.now();
    /** @type {Page} */
    const answer = await caller.read("/api/poll/bookings", { ...cursor, since, signals }, ANSWER_TIMEOUT_MS, answerOf);
    if (answer.resync) throw new Error("the cursor is not the server's any more");
    for (const entry of answer.entries) heard("entry", entry);
    for (const { signal, data } of answer.signals ?? []) heard(signal, data);
    if (answer.over) return;
    if (!answer.entries.length) await until(asked_at + LEAST_PAUSE_MS);
    since = answer.last_seq;
    signals = answer.signals_cursor;
  }
}

/** @param {number} moment_ms */
function until(moment_ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.max(0, moment_ms - Date.now()));
  });
}
