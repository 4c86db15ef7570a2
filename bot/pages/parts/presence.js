/** Says in words whether the other side of a conversation is there. */

import { t } from "/parts/words.js";

/** @param {import("/connection/correspondence.js").Presence|null} presence @returns {string|null} */
export function presenceText(presence) {
  if (presence === "online") return t("Online");
  if (presence === "away") return t("Away for a moment");
  if (presence === "offline") return t("Offline, will see your messages later");
  return null;
}
