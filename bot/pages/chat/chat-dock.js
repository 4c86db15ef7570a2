/** The foot of the guest's chat: what can be done now that no card offers, as booking, or writing a message. */

import { actionBar } from "/parts/actions.js";
import { h } from "/parts/dom.js";
import { composer } from "/parts/messages.js";
import { t } from "/parts/words.js";

export class ChatDock {
  element = h("footer", { class: "dock", hidden: true });
  #composer;
  #perform;
  #shown = "";

  /**
   * @param {object} does
   * @param {(action: any) => Promise<any>} does.perform
   * @param {(text: string) => void} does.write
   * @param {(on: boolean) => void} does.showTyping
   */
  constructor({ perform, write, showTyping }) {
    this.#perform = perform;
    this.#composer = composer({ onSend: write, onTyping: showTyping, label: t("Write a message") });
  }

  get input() {
    return this.#composer.input;
  }

  /** @param {import("/chat/conversation.js").Conversation} conversation */
  show(conversation) {
    const actions = dockActions(conversation);
    const shown = JSON.stringify([conversation.isWritable, actions]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const content = conversation.isWritable ? this.#composer.element : actionBar(actions, this.#perform);
    this.element.replaceChildren(content);
    this.element.hidden = !conversation.isWritable && actions.length === 0;
  }
}

/** @param {import("/chat/conversation.js").Conversation} conversation */
function dockActions(conversation) {
  if (conversation.isWritable || conversation.state === "searching") return [];
  const actions = conversation.actionsBesideCards();
  if (conversation.isOpenToBook && !actions.some((action) => action.command === "book"))
    actions.unshift({ command: "book", label: t("Book now") });
  return actions.map((action) => (action.command === "book" ? bookAction(action) : action));
}

/** @param {import("/parts/actions.js").Action} action */
function bookAction(action) {
  return { ...action, style: action.style ?? "primary", payload: { kind: "now", source: "menu", ...action.payload } };
}
