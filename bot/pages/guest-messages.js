/** The guest's own messages between the field and the log: kept, sent, shown while they wait, explained when refused. */

import { Outbox } from "/outbox.js";
import { PendingMessages } from "/pending.js";
import { problemLine } from "/problems.js";

export class GuestMessages {
  #does;
  /** @type {PendingMessages|null} */
  #pending = null;
  /** @type {Outbox|null} */
  #outbox = null;
  #conversationId = "";
  /** Refusals of messages that will be tried again by themselves. @type {Map<string, HTMLElement>} */
  #problems = new Map();

  /**
   * @param {object} does
   * @param {(payload: any) => Promise<any>} does.send
   * @param {(line: HTMLElement) => void} does.showProblem
   * @param {(text: string) => void} does.giveBack the text of a message that was refused for good
   */
  constructor(does) {
    this.#does = does;
  }

  /** @param {HTMLElement} list where waiting messages stand from now on */
  standIn(list) {
    this.#pending = new PendingMessages(list, "guest");
    this.#pending.show(this.#outbox?.waiting() ?? []);
  }

  /** Takes up the messages of a conversation, with those that were left from before. */
  open(conversationId) {
    if (this.#conversationId !== conversationId) {
      this.#conversationId = conversationId;
      this.#outbox = new Outbox({
        owner: conversationId,
        send: this.#does.send,
        onChange: (waiting) => this.#conversationId === conversationId && this.#pending?.show(waiting),
        onRefused: (item, refusal, again) => this.#refused(item, refusal, again),
      });
    }
    this.#pending?.show(this.#outbox?.waiting() ?? []);
    this.#outbox?.deliver();
  }

  write(text) {
    this.#outbox?.add({ text });
  }

  /** The log has it. */
  arrived(client_id) {
    this.#pending?.drop(client_id);
    this.#outbox?.done(client_id);
    this.#forgetProblem(client_id);
  }

  #refused({ client_id, payload }, refusal, again) {
    this.#forgetProblem(client_id);
    const line = problemLine({ ...refusal, message: refusal.message, quote: again ? "" : payload.text });
    this.#does.showProblem(line);
    if (again) {
      this.#problems.set(client_id, line);
      return;
    }
    this.#pending?.drop(client_id);
    this.#does.giveBack(payload.text);
  }

  #forgetProblem(client_id) {
    this.#problems.get(client_id)?.closest("li")?.remove();
    this.#problems.delete(client_id);
  }
}
