/** How far each side of a conversation has received and read it: receipts only ever go forward. */

/** @typedef {"guest"|"therapist"} Party */

export class Receipts {
  #reader;
  #marks = { guest: { delivered: 0, read: 0 }, therapist: { delivered: 0, read: 0 } };
  /** The numbers of the other side's messages, rising. @type {number[]} */
  #theirs = [];

  /** @param {Party} reader */
  constructor(reader) {
    this.#reader = reader;
  }

  /** The last message of the other side, 0 where there is none. */
  get lastOfTheirs() {
    return this.#theirs.at(-1) ?? 0;
  }

  get unread() {
    const { read } = this.#marks[this.#reader];
    return this.#theirs.filter((seq) => seq > read).length;
  }

  get isRead() {
    return this.lastOfTheirs <= this.#marks[this.#reader].read;
  }

  /**
   * A message of the other side.
   * @param {number} seq
   */
  heard(seq) {
    if (seq > this.lastOfTheirs) this.#theirs.push(seq);
  }

  /**
   * @param {"delivered"|"read"} what
   * @param {Party} by
   * @param {number} seq
   */
  mark(what, by, seq) {
    const marks = this.#marks[by];
    if (!marks) return;
    marks[what] = Math.max(marks[what], seq);
    marks.delivered = Math.max(marks.delivered, marks.read);
  }

  /**
   * What became of one's own message.
   * @param {number} seq
   * @returns {"sent"|"delivered"|"read"}
   */
  ofOwn(seq) {
    const { delivered, read } = this.#marks[this.#reader === "guest" ? "therapist" : "guest"];
    if (seq <= read) return "read";
    return seq <= delivered ? "delivered" : "sent";
  }
}
