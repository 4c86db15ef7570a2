/** The live side of one conversation: who is there and writes, what has arrived, and what was read, in both directions. */

import { Forward } from "/connection/forward.js";
import { Receipts } from "/connection/receipts.js";

/** @typedef {import("/connection/receipts.js").Party} Party */
/** @typedef {"online"|"away"|"offline"} Presence */

/**
 * @typedef {object} Standing
 * @property {Record<Party, {delivered: number, read: number}>} [receipts]
 * @property {Partial<Record<Party, Presence>>|null} [presence]
 * @property {{by: Party, on: boolean}|null} [typing]
 */

export class Correspondence {
  receipts;
  /** Whether the other side is there, where that is known. @type {Presence|null} */
  presence = null;
  /** Whether the other side is writing. */
  isTyping = false;
  #me;
  /** @type {Party} */
  #other;
  #does;
  #delivered;
  #read;

  /**
   * @param {Party} me
   * @param {object} does
   * @param {(name: string, data: any) => void} does.signal tells the server, if it can be reached
   * @param {() => boolean} does.isSeen whether the person sees the newest message now
   * @param {() => void} does.onChange something of this is to be shown anew
   */
  constructor(me, does) {
    this.#me = me;
    this.#other = me === "guest" ? "therapist" : "guest";
    this.#does = does;
    this.receipts = new Receipts(me);
    this.#delivered = new Forward((seq) => does.signal("delivered", { seq }));
    this.#read = new Forward((seq) => does.signal("read", { seq }));
  }

  /** Everything begins anew: another conversation, or the same one in another language. */
  clear() {
    this.receipts = new Receipts(this.#me);
    this.#delivered.forget();
    this.#read.forget();
    this.pause();
  }

  /**
   * What a snapshot says, after its entries; a server that keeps no receipts leaves nothing unread.
   * @param {Standing} standing
   */
  begin({ receipts, presence, typing }) {
    const known = receipts ?? { [this.#me]: { delivered: 0, read: this.receipts.lastOfTheirs } };
    for (const [by, { delivered, read }] of Object.entries(known)) {
      this.receipts.mark("delivered", /** @type {Party} */ (by), delivered);
      this.receipts.mark("read", /** @type {Party} */ (by), read);
    }
    this.#delivered.begin(known[this.#me].delivered);
    this.#read.begin(known[this.#me].read);
    this.presence = presence?.[this.#other] ?? null;
    this.isTyping = typing?.by === this.#other && typing.on;
    this.look();
    this.#does.onChange();
  }

  /** Without a connection nobody can say whether the other side still writes or is there. */
  pause() {
    this.presence = null;
    this.isTyping = false;
    this.#does.onChange();
  }

  /** @param {import("/connection/feeds.js").Entry} entry */
  hear({ type, seq, data }) {
    if (type === "message" && data.from === this.#other) {
      this.isTyping = false;
      this.receipts.heard(seq);
      this.#delivered.want(seq);
    } else if (type === "read") this.receipts.mark("read", data.by, data.seq);
  }

  /** @param {string} name @param {any} data */
  sense(name, data) {
    if (name === "typing" && data.by === this.#other) this.isTyping = data.on;
    else if (name === "delivered") this.receipts.mark("delivered", data.by, data.seq);
    else if (name === "presence") this.presence = data[this.#other] ?? this.presence;
    else return;
    this.#does.onChange();
  }

  /** Whenever the person may have begun to see what is new. */
  look() {
    if (this.receipts.isRead || !this.#does.isSeen()) return;
    const last = this.receipts.lastOfTheirs;
    this.receipts.mark("read", this.#me, last);
    this.#read.want(last);
    this.#does.onChange();
  }

  /**
   * The person writes, or has stopped.
   * @param {boolean} on
   */
  write(on) {
    this.#does.signal("typing", { on });
  }
}
