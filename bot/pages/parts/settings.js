/** What the server tells every page about this place: its languages, where the map begins, whether it is a demo. */

import { getJson } from "/connection/http.js";
import { KNOWN_LOCALES } from "/parts/words.js";

const UNKNOWN = {
  locale_default: "en",
  locales: KNOWN_LOCALES,
  demo: false,
  demo_therapist_phone: null,
  fallback_after_s: 6,
  patience: {
    command_s: 10,
    signal_s: 4,
    session_s: 12,
    offline_after_s: 15,
    stream_starts_s: 2.5,
    stream_silent_s: 40,
    probe_every_s: 15,
  },
  map_default: null,
};

let known = null;

/** The settings, asked for once; where they cannot be had, the next caller asks again. `map_default` may be null then. */
export async function clientSettings() {
  known ??= await getJson("/api/client-settings").catch(() => null);
  return { ...UNKNOWN, ...known };
}
