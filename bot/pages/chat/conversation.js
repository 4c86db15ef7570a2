/** What the guest's page knows of its conversation: the log so far, and where it stands now. */

/** @typedef {import("/connection/feeds.js").Entry} Entry */
/**
 * Where a conversation stands, as a snapshot or an entry says it.
 * @typedef {Partial<Pick<Conversation, "state"|"revision"|"header"|"booking"|"countdown"|"actions">>} Standing
 */

const WRITABLE = new Set(["active", "confirmed"]);
const ENDED = new Set(["idle", "completed", "cancelled", "expired"]);

export class Conversation {
  /** @type {Entry[]} */
  entries = [];
  state = "idle";
  revision = 0;
  /** @type {{title: string, subtitle?: string, photo?: string|null, locked?: boolean}} */
  header = { title: "Janji", subtitle: "", photo: null, locked: false };
  /** @type {any} */
  booking = null;
  /** @type {{attempt: number, max_attempts: number, deadline_at: string}|null} */
  countdown = null;
  /** @type {import("/parts/actions.js").Action[]} */
  actions = [];

  /** @type {Map<number, string>} the newest card of each revision: who pressed an old one gets the present one again */
  #cards = new Map();

  /**
   * Takes a snapshot; its own fields are newer than any entry it brings.
   * @param {Standing} session
   * @param {{entries: Entry[], fresh: boolean}} news
   */
  adopt(session, { entries, fresh }) {
    if (fresh) {
      this.entries = [];
      this.#cards.clear();
    }
    for (const entry of entries) this.#keep(entry);
    this.#stand(session);
  }

  /** @param {Entry} entry one older than the snapshot, which can still follow it, does not turn the state back */
  add(entry) {
    this.#keep(entry);
    if (entry.type === "state" && entry.data.revision >= this.revision) this.#stand(entry.data);
  }

  /** @param {Entry} entry */
  #keep(entry) {
    this.entries.push(entry);
    if (entry.type === "card" && entry.data.card !== "problem") this.#cards.set(entry.data.revision, entry.id);
  }

  /** @param {Standing} standing */
  #stand({ state, revision, header, booking, countdown, actions }) {
    this.state = state ?? this.state;
    this.revision = revision ?? this.revision;
    this.header = header ?? this.header;
    this.booking = booking ?? null;
    this.countdown = countdown ?? null;
    this.actions = actions ?? [];
  }

  /** A card can be answered only while nothing has happened since. @param {Entry} entry */
  isLive({ type, id, data }) {
    if (type !== "card" || data.revision !== this.revision) return false;
    return data.card === "problem" || this.#cards.get(data.revision) === id;
  }

  /** Whether the app is offered while things stand as they do. */
  get offersApp() {
    return this.entries.some((entry) => entry.data.card === "app_download" && this.isLive(entry));
  }

  /** The state that a card has led to, null while it is the newest word. @param {Entry} card */
  outcomeOf(card) {
    const next = this.entries.find(({ type, data }) => type === "state" && data.revision > card.data.revision);
    return next?.data.state ?? null;
  }

  get isWritable() {
    return WRITABLE.has(this.state);
  }

  get isOpenToBook() {
    return ENDED.has(this.state);
  }

  /** The name of the person on the other side, where there is one. */
  get partner() {
    return this.booking?.therapist?.name ?? this.header.title;
  }

  /** The state's actions that no live card offers already. */
  actionsBesideCards() {
    const onCards = new Set();
    for (const entry of this.entries) {
      if (this.isLive(entry)) for (const action of entry.data.actions ?? []) onCards.add(action.command);
    }
    return this.actions.filter((action) => !onCards.has(action.command));
  }
}
