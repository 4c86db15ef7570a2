/** Who the guest is to the server: one token for all tabs of this browser. */

import { rememberBearer } from "/device/background.js";
import { onChangeElsewhere, read, write } from "/device/storage.js";

const KEY = "janji.guest";

export class GuestIdentity {
  #used = null;
  /** @type {string|null} */
  #conversation = null;

  /** The token to connect with, or undefined for somebody new. */
  token() {
    this.#used = read(KEY)?.token ?? undefined;
    return this.#used;
  }

  /** The token that came last, in whichever tab. @returns {string|undefined} */
  newest() {
    return read(KEY)?.token ?? undefined;
  }

  /**
   * Keeps the token of a snapshot.
   * @returns {boolean} false when another tab has become a guest at the same time: connect again, as that one
   * @param {{token: string, conversation_id: string}} session
   */
  accept({ token, conversation_id }) {
    const kept = read(KEY);
    this.#conversation = conversation_id;
    if (kept && kept.conversation_id !== conversation_id && kept.token !== this.#used) return false;
    // Each answer brings a new token. What another tab has kept since we asked is at least as new as ours.
    if (!kept || kept.token === this.#used || kept.conversation_id !== conversation_id) {
      write(KEY, { token, conversation_id });
      rememberBearer("guest", conversation_id, token);
    }
    return true;
  }

  /** Calls back when another tab has become another guest. @param {() => void} callback */
  onChange(callback) {
    onChangeElsewhere((key) => {
      const kept = key === KEY ? read(KEY) : null;
      if (kept && this.#conversation && kept.conversation_id !== this.#conversation) callback();
    });
  }
}
