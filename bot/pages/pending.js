/** The bubbles of messages that the server has not told us of yet, below those it has. */

import { bubble, markBubble } from "/messages.js";

export class PendingMessages {
  /** @type {Map<string, HTMLElement>} */
  #bubbles = new Map();
  #list;
  #reader;

  /**
   * @param {HTMLElement} list where they stand
   * @param {"guest"|"therapist"} reader
   */
  constructor(list, reader) {
    this.#list = list;
    this.#reader = reader;
  }

  /**
   * Shows what waits; what no longer waits was sent, and stays until its entry comes.
   * @param {import("/outbox.js").Waiting[]} waiting
   */
  show(waiting) {
    for (const item of waiting) if (!this.#bubbles.has(item.client_id)) this.#add(item);
    const ids = new Set(waiting.map((item) => item.client_id));
    for (const [id, element] of this.#bubbles)
      if (!ids.has(id)) markBubble(element, "sent", Number(element.dataset.writtenAt));
  }

  /** The entry is in the log now, or the message was refused. */
  drop(client_id) {
    this.#bubbles.get(client_id)?.remove();
    this.#bubbles.delete(client_id);
  }

  clear() {
    for (const id of [...this.#bubbles.keys()]) this.drop(id);
  }

  #add(item) {
    const element = bubble({
      from: this.#reader,
      reader: this.#reader,
      text: item.payload.text,
      at: item.written_at,
      state: "waiting",
    });
    element.dataset.writtenAt = String(item.written_at);
    this.#bubbles.set(item.client_id, element);
    this.#list.append(element);
  }
}
