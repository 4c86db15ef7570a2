/** The console of a therapist who has signed in: joins the connection, the switch, the offers, the bookings and the rooms. */

import { askForSound } from "/device/audio.js";
import { AvailabilitySwitch } from "/therapist/availability.js";
import { avatar } from "/parts/avatar.js";
import { onWorkerMessage, rememberBearer } from "/device/background.js";
import { isOpen, isWritable, showBookings } from "/therapist/bookings.js";
import { Connection } from "/connection/connection.js";
import { h, isTyping, replaceChildren } from "/parts/dom.js";
import { muteSwitch, soundHint } from "/device/mute-switch.js";
import { OfferList } from "/therapist/offers.js";
import { changeLocale, connectionBadge, localeSwitch } from "/parts/page.js";
import { problemLine } from "/parts/problems.js";
import { renewPush } from "/device/push.js";
import { PushOffer } from "/device/push-offer.js";
import { Rooms } from "/therapist/rooms.js";
import { rungsOf } from "/connection/rungs.js";
import { hearNotification, play, seen } from "/device/sounds.js";
import { TabPresence } from "/device/tab-presence.js";
import { showNews } from "/device/tab-title.js";
import { currentLocale, t } from "/parts/words.js";

const NOTICE_SHOWN_MS = 8000;

export class Console {
  #place;
  #settings;
  #token;
  #announce;
  #onSignOut;
  #connection;
  #tab;
  #rooms;
  /** @type {PersonInBooking|null} */
  #therapist = null;
  #isAvailable = false;
  /** @type {OpenOffer[]} */
  #offersNow = [];
  /** @type {Map<string, BookingOfTherapist>} */
  #bookings = new Map();
  #badge = connectionBadge();
  /** @type {import("/connection/connection.js").Status} */
  #status = "reconnecting";
  /** @type {string|null} */
  #rung = null;
  #notices = h("div", { class: "notices", role: "status" });
  /** Refused messages that a notice tells of. @type {Set<string>} */
  #unsent = new Set();
  #listPlace = h("section", { class: "booking-place" });
  #isOver = false;
  /** @type {Map<string, string>} from when on each open offer could be answered: its entry says it, a snapshot does not */
  #askedAt = new Map();
  #offers = /** @type {OfferList} */ (/** @type {unknown} */ (null)); // built before anything else
  #switch = /** @type {AvailabilitySwitch} */ (/** @type {unknown} */ (null)); // built before anything else

  /**
   * @param {object} options
   * @param {HTMLElement} options.place
   * @param {ClientSettings} options.settings
   * @param {string} options.token
   * @param {(sentence: string) => void} options.announce
   * @param {(reason?: string) => void} options.onSignOut
   */
  constructor({ place, settings, token, announce, onSignOut }) {
    this.#place = place;
    this.#settings = settings;
    this.#token = token;
    this.#announce = announce;
    this.#onSignOut = onSignOut;
    this.#connection = new Connection({
      rungs: rungsOf("therapist", settings.patience),
      fallback_after_s: settings.fallback_after_s,
      patience: settings.patience,
      auth: (feeds) => ({ token, ...feeds.numbering(), since: feeds.all(), locale: currentLocale() }),
      headsOf: (session) => session.feeds ?? {},
      onSession: (session, news) => this.#resume(session, news),
      onEntry: (entry) => this.#hear(entry),
      onStatus: (status, rung) => this.#showStatus(status, rung),
      onSignal: (name, data) => this.#rooms.sense(name, data),
      onRefused: (refusal) => this.#turnedAway(refusal),
    });
    this.#tab = new TabPresence(this.#connection);
    this.#rooms = new Rooms({
      send: (command, payload) => this.#connection.send(command, payload),
      signal: (name, data) => this.#connection.signal(name, data),
      announce,
      onNews: () => this.#showNews(),
      onChoose: (isInRoom) => this.#moved(isInRoom),
      showUnsent: (item, discard) => this.#showUnsent(item, discard),
    });
    const waiting = h("p", {}, t("Connecting…"));
    replaceChildren(
      place,
      h("div", { class: "note-opening", role: "status" }, h("span", { class: "spinner" }), waiting),
    );
  }

  start() {
    askForSound();
    onWorkerMessage(({ type, data }) => this.#heardFromWorker(type, data));
    this.#connection.start();
  }

  stop() {
    this.#isOver = true;
    this.#connection.stop();
    this.#rooms.leave();
    this.#place.classList.remove("desk-in-room");
  }

  /** @param {string} locale */
  async switchLocale(locale) {
    if (locale === currentLocale()) return;
    await changeLocale(locale);
    this.#connection.restart({ fresh: true });
  }

  // What the server says

  /**
   * @param {TherapistSession} session
   * @param {{entries: import("/connection/feeds.js").Entry[], fresh: boolean}} news
   */
  #resume(session, { entries, fresh }) {
    const isFirst = this.#therapist === null;
    this.#therapist = session.therapist;
    this.#isAvailable = session.available;
    this.#offersNow = session.offers ?? [];
    this.#bookings = bookingsAfter(fresh ? [] : [...this.#bookings.values()], entries, session.bookings ?? []);
    if (fresh) this.#build();
    for (const entry of entries) this.#keep(entry);
    if (!fresh) for (const entry of entries) this.#react(entry, true);
    this.#offers.show(this.#offersNow);
    this.#update();
    this.#rooms.resume(session.bookings ?? []);
    this.#tab.begin(this.#rung);
    if (isFirst) this.#begin();
  }

  #begin() {
    rememberBearer("therapist", /** @type {PersonInBooking} */ (this.#therapist).id, this.#token);
    renewPush(this.#token);
    this.#rooms.chooseOnly();
    this.#rooms.choose(new URLSearchParams(window.location.search).get("booking"));
  }

  /**
   * A push says that there is news: the connection should be there to read it. A press on one wants to see it.
   * @param {"push"|"open"} type
   * @param {{booking_id?: string}} [data]
   */
  #heardFromWorker(type, data) {
    if (this.#isOver) return;
    if (!this.#connection.isReady) this.#connection.restart();
    if (type === "open") this.#rooms.choose(data?.booking_id);
  }

  /** @param {import("/connection/feeds.js").Entry} entry */
  #hear(entry) {
    this.#keep(entry);
    this.#react(entry, false);
    this.#update();
  }

  /** @param {import("/connection/feeds.js").Entry} entry */
  #keep(entry) {
    if (entry.feed.startsWith("conversation:")) this.#rooms.keep(entry);
  }

  /**
   * @param {import("/connection/feeds.js").Entry} entry
   * @param {boolean} isPast the snapshot already tells what came of it
   */
  #react(entry, isPast) {
    const { type, data, feed } = entry;
    if (type === "offer") this.#askedAt.set(data.offer_id, entry.at);
    if (feed.startsWith("conversation:")) this.#rooms.notice(entry);
    else if (type === "notification") this.#notice(entry, isPast);
    else if (type === "offer_closed") this.#closeOffer(data);
    else if (type === "offer_waiting") this.#waitForGuest(data);
    else if (isPast) return;
    else if (type === "offer") this.#openOffer(data);
    else if (type === "booking") this.#changeBooking(data.booking);
    else if (type === "state") this.#isAvailable = data.available;
  }

  /** @param {OpenOffer} offer */
  #openOffer(offer) {
    play("urgent-booking", "urgent");
    this.#offersNow = [...this.#offersNow.filter((one) => one.offer_id !== offer.offer_id), offer];
    this.#offers.add(offer);
  }

  /** @param {{offer_id: string, why: import("/therapist/offers.js").Why}} closed */
  #closeOffer({ offer_id, why }) {
    this.#offersNow = this.#offersNow.filter((one) => one.offer_id !== offer_id);
    this.#askedAt.delete(offer_id);
    this.#offers.close(offer_id, why);
    if (!this.#offersNow.length) seen();
  }

  /** @param {{offer_id: string, until: string}} waiting */
  #waitForGuest({ offer_id, until }) {
    this.#offersNow = this.#offersNow.map((one) => (one.offer_id === offer_id ? { ...one, waiting_until: until } : one));
    this.#offers.wait(offer_id, until);
    seen();
  }

  /** @param {BookingOfTherapist} booking */
  #changeBooking(booking) {
    const before = this.#bookings.get(booking.id);
    this.#bookings.set(booking.id, booking);
    this.#rooms.show(this.#bookings);
    const begins = isWritable(booking) && !(before && isWritable(before));
    if (begins && !isTyping()) this.#rooms.choose(booking.id);
  }

  /** @param {import("/connection/http.js").Refusal} refusal */
  #turnedAway(refusal) {
    if (refusal.code !== "unauthorized" && refusal.code !== "forbidden") return false;
    this.#onSignOut(t("Please sign in again."));
    return true;
  }

  // What is on the page

  #build() {
    this.#offers = new OfferList({
      askedAt: (offer_id) => this.#askedAt.get(offer_id),
      clock: this.#connection.clock,
      announce: this.#announce,
      answer: (command, offer_id) => this.#connection.send(command, { offer_id }),
    });
    this.#switch = new AvailabilitySwitch({
      send: (payload) => this.#setAvailable(payload),
      onRefused: (refusal) => this.#notices.append(problemLine({ ...refusal, message: refusal.message })),
    });
    this.#badge = connectionBadge();
    this.#badge.show(this.#status, this.#rung);
    const pushOffer = new PushOffer({
      token: () => this.#token,
      audience: "therapist",
      reason: () => t("Hear of offers and visits while this page is closed."),
    });
    pushOffer.show();
    const nudges = [soundHint(), pushOffer.element];
    const list = h("div", { class: "desk-list" }, this.#switch.element, nudges, this.#offers.element, this.#listPlace);
    const main = h("main", { class: "desk-main" }, list, this.#rooms.element);
    replaceChildren(this.#place, this.#header(), this.#notices, main);
    this.#rooms.reset(/** @type {PersonInBooking} */ (this.#therapist).id, this.#bookings);
  }

  #header() {
    const { name, photo } = /** @type {PersonInBooking} */ (this.#therapist);
    const title = h("h1", { class: "header-title" }, h("span", {}, name));
    const names = h(
      "div",
      { class: "header-names" },
      title,
      h("p", { class: "header-subtitle" }, t("Therapist at Janji")),
    );
    const language = localeSwitch(this.#settings.locales, (locale) => this.switchLocale(locale));
    const button = { class: "btn btn-quiet btn-small", type: "button", testid: "sign-out" };
    const leave = h("button", { ...button, on: { click: () => this.#onSignOut() } }, t("Sign out"));
    const tools = h("div", { class: "header-tools" }, this.#badge.element, muteSwitch(), language, leave);
    return h("header", { class: "desk-header" }, h("div", { class: "header-who" }, avatar(name, photo), names), tools);
  }

  #update() {
    this.#rooms.show(this.#bookings);
    this.#switch.show(this.#isAvailable);
    this.#showNews();
  }

  /** What waits for the therapist: offers to answer and messages to read. */
  #showNews() {
    const { unread } = this.#rooms;
    this.#showList();
    showNews([...unread.values()].reduce((sum, count) => sum + count, this.#offers.count));
  }

  #showList() {
    const { chosen, unread } = this.#rooms;
    /** @param {string} id */
    const onChoose = (id) => this.#rooms.choose(id);
    showBookings(this.#listPlace, [...this.#bookings.values()], { chosen, unread, onChoose });
  }

  /** @param {boolean} isInRoom */
  #moved(isInRoom) {
    this.#place.classList.toggle("desk-in-room", isInRoom);
    this.#showList();
  }

  /** @param {import("/connection/connection.js").Status} status @param {string|null} rung */
  #showStatus(status, rung) {
    this.#status = status;
    this.#rung = rung;
    this.#badge.show(status, rung);
    if (status !== "connected") this.#rooms.pause();
  }

  /** @param {import("/therapist/availability.js").Availability} payload */
  async #setAvailable(payload) {
    await this.#connection.send("availability", payload, { named: false });
    this.#isAvailable = payload.available;
  }

  /**
   * What is urgent stays until somebody says that they have seen it.
   * @param {import("/connection/feeds.js").Entry} entry
   * @param {boolean} isPast
   */
  #notice(entry, isPast) {
    const { title, body, urgency } = entry.data;
    if (!isPast) hearNotification(entry, this.#connection.clock);
    const isUrgent = urgency === "urgent";
    const got = { class: "btn btn-small btn-primary", type: "button", testid: "got-it" };
    const notice = h(
      "div",
      { class: "notice", testid: "notification", data: { urgency } },
      h("div", {}, h("b", {}, title), h("p", {}, body)),
      isUrgent ? h("button", { ...got, on: { click: () => notice.remove() } }, t("Got it")) : null,
    );
    this.#notices.append(notice);
    if (!isUrgent) setTimeout(() => notice.remove(), NOTICE_SHOWN_MS);
  }

  /**
   * A message for a booking that is not in the list any more: its writer must know that it never arrived.
   * @param {import("/connection/outbox.js").Waiting} item
   * @param {() => void} discard
   */
  #showUnsent({ client_id, payload, trouble }, discard) {
    if (!trouble || this.#unsent.has(client_id)) return;
    const { message, retry_after_s } = trouble;
    this.#unsent.add(client_id);
    this.#notices.append(problemLine({ message, retry_after_s, quote: payload.text, onDismiss: discard }));
  }
}

/**
 * The bookings after a pause: a snapshot has those under way, the entries what became of the others.
 * @param {BookingOfTherapist[]} before
 * @param {import("/connection/feeds.js").Entry[]} entries
 * @param {BookingWithGuest[]} underWay
 */
function bookingsAfter(before, entries, underWay) {
  const known = new Map(before.filter((booking) => !isOpen(booking)).map((booking) => [booking.id, booking]));
  for (const { type, data } of entries) if (type === "booking") known.set(data.booking.id, data.booking);
  for (const booking of underWay) known.set(booking.id, booking);
  return known;
}
