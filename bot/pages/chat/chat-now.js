/** What goes on at the end of the guest's log: the wait for a connection, the welcome, the countdown, somebody writing. */

import { openingNote, typingNote, welcomeNote } from "/chat/chat-notes.js";
import { searchCard } from "/chat/search-card.js";

export class ChatNow {
  #log;
  #does;
  #shown = "";
  #isTyping = false;

  /**
   * @param {import("/chat/chat-log.js").ChatLog} log
   * @param {object} does
   * @param {(action: any) => Promise<any>} does.perform
   * @param {import("/parts/time.js").Clock} does.clock
   * @param {(sentence: string) => void} does.announce
   */
  constructor(log, does) {
    this.#log = log;
    this.#does = does;
  }

  /** There is no conversation yet, only the wait for it. @param {import("/connection/connection.js").Status} status */
  showOpening(status) {
    if (this.#isNew(["opening", status])) this.#log.showNow(openingNote(status));
  }

  /**
   * @param {import("/chat/conversation.js").Conversation} conversation
   * @returns {HTMLElement|null} the countdown, when it has just begun
   */
  show(conversation) {
    const { state, countdown, revision } = conversation;
    const isSearching = state === "searching";
    const isWelcome = state === "idle" && this.#log.isEmpty;
    if (!this.#isNew([state, isWelcome, isSearching && [countdown, revision]])) return null;
    this.#isTyping = false;
    const card = isSearching ? searchCard(conversation, this.#does) : null;
    this.#log.showNow(card ?? (isWelcome ? welcomeNote() : null));
    return card;
  }

  /** The server says when it is over. @param {string} name @param {boolean} isTyping */
  showTyping(name, isTyping) {
    if (isTyping === this.#isTyping) return;
    this.#isTyping = isTyping;
    this.#log.showNow(isTyping ? typingNote(name) : null);
    if (isTyping && this.#log.isAtEnd) this.#log.scrollToEnd();
  }

  /** @param {unknown} key */
  #isNew(key) {
    const before = this.#shown;
    this.#shown = JSON.stringify(key);
    return this.#shown !== before;
  }
}
