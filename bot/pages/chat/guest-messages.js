/** The guest's own messages between the field and the log: kept, sent, and shown while they wait or when refused. */

import { Outbox } from "/connection/outbox.js";
import { PendingMessages } from "/parts/pending.js";

export class GuestMessages {
  #send;
  /** @type {PendingMessages|null} */
  #pending = null;
  /** @type {Outbox|null} */
  #outbox = null;
  #conversationId = "";

  /** @param {(payload: any) => Promise<any>} send */
  constructor(send) {
    this.#send = send;
  }

  /** @param {HTMLElement} list where waiting messages stand from now on */
  standIn(list) {
    this.#pending = new PendingMessages(list, "guest", {
      tryAgain: (client_id) => this.#outbox?.tryAgain(client_id),
      discard: (client_id) => this.#outbox?.done(client_id),
    });
    this.#pending.show(this.#outbox?.waiting() ?? []);
  }

  /** Takes up the messages of a conversation, with those that were left from before. @param {string} conversationId */
  open(conversationId) {
    if (this.#conversationId === conversationId) return;
    this.#conversationId = conversationId;
    this.#outbox = new Outbox({
      audience: "guest",
      owner: conversationId,
      send: this.#send,
      onChange: (waiting) => this.#conversationId === conversationId && this.#pending?.show(waiting),
    });
  }

  /** Sends what the log does not have: the service worker may have been faster, or an earlier page. */
  deliver() {
    this.#pending?.show(this.#outbox?.waiting() ?? []);
    this.#outbox?.deliver();
  }

  /** @param {string} text */
  write(text) {
    this.#outbox?.add({ text });
  }

  /** The log has it. @param {string} client_id */
  arrived(client_id) {
    this.#pending?.drop(client_id);
    this.#outbox?.done(client_id);
  }
}
