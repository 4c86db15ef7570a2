/** The rooms of a therapist's bookings: what was said in each, which one is open, and where there is something unread. */

import { isOpen, isWritable } from "/therapist/bookings.js";
import { chime } from "/device/chime.js";
import { Correspondence } from "/connection/correspondence.js";
import { h, replaceChildren } from "/parts/dom.js";
import { Outbox } from "/connection/outbox.js";
import { Room } from "/therapist/room.js";
import { t } from "/parts/words.js";

export class Rooms {
  element = h("div", { class: "room-place" });
  /** The id of the booking whose room is open. @type {string|null} */
  chosen = null;
  #does;
  #owner = "";
  #outbox = /** @type {Outbox} */ (/** @type {unknown} */ (null)); // built before anything else
  /** Conversation entries by feed. @type {Map<string, import("/connection/feeds.js").Entry[]>} */
  #said = new Map();
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  /** The live side of each booking. @type {Map<string, Correspondence>} */
  #live = new Map();
  /** @type {Map<string, BookingOfTherapist>} */
  #bookings = new Map();

  /**
   * @param {object} does
   * @param {(command: string, payload: any) => Promise<any>} does.send
   * @param {(name: string, data: any) => void} does.signal
   * @param {(sentence: string) => void} does.announce
   * @param {() => void} does.onNews the number of unread messages may have changed
   * @param {(isOpen: boolean) => void} does.onChoose a room was opened or left
   * @param {(item: import("/connection/outbox.js").Waiting, discard: () => void) => void} does.showUnsent a message was refused
   *   that has no room here any more
   */
  constructor(does) {
    this.#does = does;
    document.addEventListener("visibilitychange", () => this.#look());
  }

  /** Messages not looked at, by booking. @returns {Map<string, number>} */
  get unread() {
    const counts = [...this.#live].map(([id, { receipts }]) => /** @type {[string, number]} */ ([id, receipts.unread]));
    return new Map(counts.filter(([id, count]) => count && this.#bookings.has(id)));
  }

  /**
   * Begins anew, as after a change of language, with the same room open if its booking is still there.
   * @param {string} owner
   * @param {Map<string, BookingOfTherapist>} bookings
   */
  reset(owner, bookings) {
    if (this.#owner !== owner) this.#openOutbox(owner);
    this.#said.clear();
    this.#rooms.clear();
    this.#live.clear();
    this.#bookings = bookings;
    if (this.chosen && bookings.has(this.chosen)) this.choose(this.chosen);
    else this.leave();
  }

  /** @param {Map<string, BookingOfTherapist>} bookings */
  show(bookings) {
    this.#bookings = bookings;
    for (const [id, room] of this.#rooms)
      if (bookings.has(id)) room.show(/** @type {BookingOfTherapist} */ (bookings.get(id)));
  }

  /**
   * After a snapshot and its entries: takes up what it says of each booking under way, and sends what was left waiting
   * while there was no connection, for rooms that are not open too.
   * @param {BookingWithGuest[]} underWay
   */
  resume(underWay) {
    for (const booking of underWay) this.#liveOf(booking.id).begin(booking);
    this.#showWaiting(this.#outbox.waiting());
    this.#outbox.deliver();
  }

  /**
   * Keeps an entry for the rooms of its conversation, whether or not they are open.
   * @param {import("/connection/feeds.js").Entry} entry
   */
  keep(entry) {
    this.#said.set(entry.feed, [...(this.#said.get(entry.feed) ?? []), entry]);
    if (entry.type === "message" && entry.data.from === "therapist") this.#outbox.done(entry.data.client_id);
    const booking = this.#bookingOf(entry);
    if (!booking) return;
    const live = this.#liveOf(booking.id);
    live.hear(entry);
    this.#rooms.get(booking.id)?.add(entry);
    this.#showLive(booking.id);
    live.look();
  }

  /**
   * A signal about one booking.
   * @param {string} name
   * @param {Parameters<Correspondence["sense"]>[1] & {booking_id: string}} data
   */
  sense(name, data) {
    if (this.#bookings.has(data?.booking_id)) this.#liveOf(data.booking_id).sense(name, data);
  }

  /** There is no connection. */
  pause() {
    for (const live of this.#live.values()) live.pause();
  }

  /**
   * Tells of a message that has come just now.
   * @param {import("/connection/feeds.js").Entry} entry
   */
  notice(entry) {
    const { type, data } = entry;
    if (type !== "message" || data.from !== "guest") return;
    const booking = this.#bookingOf(entry);
    if (!booking || !isWritable(booking)) return;
    this.#does.announce(`${booking.guest.name}: ${data.text}`);
    if (booking.id !== this.chosen || document.hidden || !document.hasFocus()) chime();
  }

  /** @param {string|null|undefined} id */
  choose(id) {
    const booking = this.#bookings.get(id ?? "");
    if (!booking) return;
    this.chosen = booking.id;
    const room = this.#rooms.get(booking.id) ?? this.#open(booking);
    this.element.replaceChildren(room.element);
    this.#does.onChoose(true);
    room.scrollToEnd();
    this.#look();
    if (isOpen(booking) && window.matchMedia("(pointer: fine)").matches) room.input.focus({ preventScroll: true });
  }

  /** With a single visit under way there is nothing to choose, at least where list and room stand side by side. */
  chooseOnly() {
    const open = [...this.#bookings.values()].filter(isWritable);
    if (open.length === 1 && window.matchMedia("(min-width: 60rem)").matches) this.choose(open[0].id);
  }

  leave() {
    this.chosen = null;
    const picture = h("img", { src: "/icon.svg", alt: "", width: 64, height: 64 });
    const words = h("p", {}, t("Choose a booking to see its details and chat."));
    replaceChildren(this.element, h("div", { class: "room room-none" }, picture, words));
    this.#does.onChoose(false);
  }

  /**
   * A guest who comes again has the same conversation: an entry belongs to the newest booking made before it.
   * @param {import("/connection/feeds.js").Entry} entry
   * @returns {BookingOfTherapist|undefined}
   */
  #bookingOf({ feed, at }) {
    const bookings = /** @type {(BookingOfTherapist & {created_at: string})[]} */ (
      [...this.#bookings.values()].filter((one) => one.feed === feed && one.created_at !== null && one.created_at <= at)
    );
    return bookings.sort((one, other) => (one.created_at < other.created_at ? 1 : -1))[0];
  }

  /** @param {BookingOfTherapist} booking */
  #open(booking) {
    const room = new Room({
      booking,
      send: this.#does.send,
      outbox: this.#outbox,
      onTyping: (on) => this.#liveOf(booking.id).write(on),
      onSeen: () => this.#look(),
      onBack: () => this.leave(),
    });
    this.#rooms.set(booking.id, room);
    for (const entry of this.#said.get(booking.feed) ?? []) if (this.#bookingOf(entry) === booking) room.add(entry);
    room.showWaiting(this.#outbox.waiting().filter(isOf(booking.id)));
    room.showLive(this.#liveOf(booking.id));
    return room;
  }

  /** @param {string} id */
  #liveOf(id) {
    const known = this.#live.get(id);
    if (known) return known;
    const live = new Correspondence("therapist", {
      signal: (name, data) => this.#does.signal(name, { booking_id: id, ...data }),
      isSeen: () => this.chosen === id && !document.hidden && (this.#rooms.get(id)?.isAtEnd ?? false),
      onChange: () => this.#showLive(id),
    });
    this.#live.set(id, live);
    return live;
  }

  /** @param {string} id */
  #showLive(id) {
    this.#rooms.get(id)?.showLive(this.#liveOf(id));
    this.#does.onNews();
  }

  /** The therapist may see what is new in the room that is open. */
  #look() {
    if (this.chosen) this.#liveOf(this.chosen).look();
  }

  /** @param {string} owner */
  #openOutbox(owner) {
    this.#owner = owner;
    this.#outbox = new Outbox({
      audience: "therapist",
      owner,
      send: (payload) => this.#does.send("message", payload),
      onChange: (waiting) => this.#showWaiting(waiting),
    });
  }

  /** @param {import("/connection/outbox.js").Waiting[]} waiting */
  #showWaiting(waiting) {
    for (const [id, room] of this.#rooms) room.showWaiting(waiting.filter(isOf(id)));
    for (const item of waiting) {
      const hasRoom = this.#bookings.has(item.payload.booking_id);
      if (item.trouble?.isFinal && !hasRoom) this.#does.showUnsent(item, () => this.#outbox.done(item.client_id));
    }
  }
}

/** @param {string} booking_id @returns {(item: import("/connection/outbox.js").Waiting) => boolean} */
function isOf(booking_id) {
  return ({ payload }) => payload.booking_id === booking_id;
}
