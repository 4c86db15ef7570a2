/** The bubbles of messages that the server has not told us of yet, below those it has. */

import { h } from "/parts/dom.js";
import { bubble, markBubble } from "/parts/messages.js";
import { retryLine } from "/parts/problems.js";
import { t } from "/parts/words.js";

/** @typedef {import("/connection/outbox.js").Waiting} Waiting */

export class PendingMessages {
  /** @type {Map<string, HTMLElement>} */
  #bubbles = new Map();
  #list;
  #reader;
  #does;

  /**
   * @param {HTMLElement} list where they stand
   * @param {"guest"|"therapist"} reader
   * @param {{tryAgain: (client_id: string) => void, discard: (client_id: string) => void}} does with one that was refused
   */
  constructor(list, reader, does) {
    this.#list = list;
    this.#reader = reader;
    this.#does = does;
  }

  /**
   * Shows what waits; what no longer waits was sent, and stays until its entry comes, or was given up.
   * @param {Waiting[]} waiting
   */
  show(waiting) {
    const ids = new Set(waiting.map((item) => item.client_id));
    for (const [id, element] of this.#bubbles) {
      if (ids.has(id)) continue;
      if (element.dataset.state === "refused") this.drop(id);
      else this.#mark(element, "sent");
    }
    for (const item of waiting) this.#showOne(item);
  }

  /**
   * The entry is in the log now.
   * @param {string} client_id
   */
  drop(client_id) {
    this.#bubbles.get(client_id)?.remove();
    this.#bubbles.delete(client_id);
  }

  /** @param {Waiting} item */
  #showOne(item) {
    const element = this.#bubbles.get(item.client_id) ?? this.#add(item);
    const shown = JSON.stringify(item.trouble ?? null);
    if (element.dataset.trouble === shown) return;
    element.dataset.trouble = shown;
    this.#mark(element, item.trouble?.isFinal ? "refused" : "waiting", item);
  }

  /** @param {Waiting} item */
  #add(item) {
    const { payload, written_at } = item;
    const element = bubble({ from: this.#reader, reader: this.#reader, text: payload.text, at: written_at });
    element.dataset.writtenAt = String(written_at);
    this.#bubbles.set(item.client_id, element);
    this.#list.append(element);
    return element;
  }

  /** @param {HTMLElement} element @param {"waiting"|"sent"|"refused"} state @param {Waiting} [item] */
  #mark(element, state, item) {
    markBubble(element, state, Number(element.dataset.writtenAt));
    element.querySelector(".bubble-trouble")?.remove();
    if (item?.trouble) element.append(this.#troubleOf(/** @type {Required<Waiting>} */ (item)));
  }

  /** @param {Required<Waiting>} item */
  #troubleOf({ client_id, trouble: { message, retry_after_s, isFinal } }) {
    const { tryAgain, discard } = this.#does;
    const place = h("div", { class: "bubble-trouble", role: "alert", testid: "problem" }, h("p", {}, message));
    if (retry_after_s) place.append(retryLine(retry_after_s));
    if (isFinal)
      place.append(
        h(
          "div",
          { class: "actions" },
          button(t("Try again"), "try-again", () => tryAgain(client_id)),
          button(t("Discard"), "discard", () => discard(client_id)),
        ),
      );
    return place;
  }
}

/** @param {string} label @param {string} testid @param {() => void} onPress */
function button(label, testid, onPress) {
  return h("button", { class: "btn btn-small btn-secondary", type: "button", testid, on: { click: onPress } }, label);
}
