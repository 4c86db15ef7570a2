/** The guest's chat: joins the connection, the log, the cards and the foot into one page. */

import { applyAccent } from "/chat/accent.js";
import { createAnnouncer } from "/parts/announcer.js";
import { AppPrompt } from "/device/app-offer.js";
import { Attention } from "/chat/attention.js";
import { allowSound } from "/device/audio.js";
import { onWorkerMessage, registerWorker } from "/device/background.js";
import { ChatDock } from "/chat/chat-dock.js";
import { ChatHeader } from "/chat/chat-header.js";
import { ChatLog } from "/chat/chat-log.js";
import { ChatNow } from "/chat/chat-now.js";
import { Connection } from "/connection/connection.js";
import { Conversation } from "/chat/conversation.js";
import { Correspondence } from "/connection/correspondence.js";
import { h, replaceChildren } from "/parts/dom.js";
import { GuestMessages } from "/chat/guest-messages.js";
import { Host } from "/chat/host.js";
import { refusalOf } from "/connection/http.js";
import { GuestIdentity } from "/chat/identity.js";
import { keepInstallation } from "/device/installation.js";
import { onChangeElsewhere } from "/device/storage.js";
import { soundHint } from "/device/mute-switch.js";
import { changeLocale, openPage } from "/parts/page.js";
import { problemLine } from "/parts/problems.js";
import { renewPush } from "/device/push.js";
import { PushOffer } from "/device/push-offer.js";
import { rungsOf } from "/connection/rungs.js";
import { prefill } from "/chat/service-form.js";
import { hearNotification, listenForPerson, loadSounds } from "/device/sounds.js";
import { TabPresence } from "/device/tab-presence.js";
import { currentLocale, isLocaleKey, preferredLocale, t } from "/parts/words.js";

const SOUNDS = ["customer-reminder", "booking-success", "app-download"];

class GuestChat {
  #conversation = new Conversation();
  #identity = new GuestIdentity();
  #announce = createAnnouncer();
  #attention;
  #settings;
  #connection;
  #host;
  #header = /** @type {ChatHeader} */ (/** @type {unknown} */ (null)); // built before anything else
  #log = /** @type {ChatLog} */ (/** @type {unknown} */ (null)); // built before anything else
  #now = /** @type {ChatNow} */ (/** @type {unknown} */ (null)); // built before anything else
  #dock = /** @type {ChatDock} */ (/** @type {unknown} */ (null)); // built before anything else
  #messages;
  #pushOffer;
  #appPrompt;
  /** @type {"reconnecting"|"connected"|"offline"} */
  #status = "reconnecting";
  /** @type {string|null} */
  #rung = null;
  #hasSession = false;
  /** @type {HTMLElement|null} */
  #refusedAtTheDoor = null;
  #correspondence;
  #tab;

  /** @param {ClientSettings} settings */
  constructor(settings) {
    this.#settings = settings;
    this.#host = new Host({ onBook: (wish) => this.#book(wish), onVisibility: (isOpen) => isOpen && this.#seen(true) });
    this.#attention = new Attention(this.#host, this.#announce);
    this.#connection = new Connection({
      rungs: rungsOf("guest", settings.patience),
      fallback_after_s: settings.fallback_after_s,
      patience: settings.patience,
      auth: (feeds) => this.#auth(feeds),
      headsOf: ({ feed, last_seq }) => ({ [feed]: last_seq }),
      onSession: (session, news) => this.#resume(session, news),
      onEntry: (entry) => this.#hear(entry),
      onStatus: (status, rung) => this.#showStatus(status, rung),
      onSignal: (name, data) => this.#correspondence.sense(name, data),
      onRefused: (refusal) => this.#turnedAway(refusal),
    });
    this.#tab = new TabPresence(this.#connection);
    this.#correspondence = new Correspondence("guest", {
      signal: (name, data) => this.#connection.signal(name, data),
      isSeen: () => this.#attention.isVisible && this.#log.isAtEnd,
      onChange: () => this.#showLive(),
    });
    this.#pushOffer = new PushOffer({
      token: () => this.#identity.newest(),
      audience: "guest",
      reason: () => t("Shall we tell you about your booking while this page is closed?"),
    });
    this.#appPrompt = new AppPrompt({
      settings,
      clock: this.#connection.clock,
      focus: (element) => this.#attention.focus(element),
    });
    this.#messages = new GuestMessages((payload) => this.#connection.send("message", payload));
    onWorkerMessage(({ type }) => this.#heardFromWorker(type));
    this.#identity.onChange(() => this.#connection.restart({ fresh: true }));
    onChangeElsewhere((key) => isLocaleKey(key) && this.#switchLocale(preferredLocale(settings)));
    document.addEventListener("visibilitychange", () => !document.hidden && this.#seen(false));
    document.addEventListener("keydown", ({ key, defaultPrevented }) => {
      if (key === "Escape" && !defaultPrevented) this.#host.close();
    });
    this.#build();
  }

  async start() {
    await this.#host.remember();
    this.#connection.start();
    this.#host.ready();
  }

  /** @param {import("/connection/feeds.js").Feeds} feeds */
  #auth(feeds) {
    const token = this.#identity.token();
    const since = Math.max(0, ...Object.values(feeds.all()));
    const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    return { ...(token ? { token } : {}), ...feeds.numbering(), since, locale: currentLocale(), timezone };
  }

  // What is on the page

  #build() {
    const draft = this.#dock?.input.value ?? "";
    const focused = /** @type {HTMLElement|null} */ (document.activeElement)?.dataset.testid;
    const does = {
      /** @param {import("/parts/actions.js").Action} action @param {object} [fields] */
      send: (action, fields) => this.#send(action, fields),
      /** @param {import("/parts/actions.js").Action} action */
      perform: (action) => this.#perform(action),
      /** @param {import("/connection/http.js").Refusal} refusal */
      showRefusal: (refusal) => this.#showRefusal(refusal),
      offerApp: () => this.#offerApp({ isAsked: true }),
      /** @param {import("/connection/feeds.js").Entry} entry */
      outcomeOf: (entry) => this.#conversation.outcomeOf(entry),
      look: () => this.#correspondence.look(),
      clock: this.#connection.clock,
      settings: this.#settings,
    };
    this.#log = new ChatLog(does);
    this.#messages.standIn(this.#log.pending);
    this.#now = new ChatNow(this.#log, { ...does, announce: this.#announce });
    this.#dock = new ChatDock({
      perform: does.perform,
      write: (text) => this.#write(text),
      showTyping: (on) => this.#correspondence.write(on),
    });
    this.#dock.input.value = draft;
    this.#header = new ChatHeader({
      perform: does.perform,
      host: this.#host,
      locales: this.#settings.locales,
      switchLocale: (locale) => this.#switchLocale(locale),
    });
    this.#header.showStatus(this.#status, this.#rung);
    this.#pushOffer.hide();
    this.#appPrompt.speakAgain();
    const main = h(
      "main",
      { class: "chat-main", aria: { label: t("Chat") } },
      this.#header.bar,
      soundHint(),
      this.#pushOffer.element,
      this.#log.element,
      this.#appPrompt.element,
      this.#dock.element,
    );
    replaceChildren(document.getElementById("chat"), this.#header.element, main);
    this.#update();
    if (focused === "locale-switch") /** @type {any} */ (document.querySelector("[data-testid=locale-switch]")).focus();
  }

  /** Brings everything around the log up to date with the conversation. @returns {HTMLElement|null} what has opened */
  #update() {
    this.#showLive();
    const opened = this.#log.refreshCards((entry) => this.#conversation.isLive(entry));
    if (!this.#hasSession) {
      this.#now.showOpening(this.#status);
      return null;
    }
    this.#dock.show(this.#conversation);
    if (this.#conversation.isWritable) this.#pushOffer.show();
    else this.#pushOffer.hide();
    return this.#now.show(this.#conversation) ?? (opened ? this.#log.openCard() : null);
  }

  /** Who is there and writes, and what has arrived: it changes without any entry. */
  #showLive() {
    const { isWritable, partner } = this.#conversation;
    const { presence, isTyping, receipts } = this.#correspondence;
    this.#header.show(this.#conversation, presence);
    if (isWritable) this.#now.showTyping(partner, isTyping);
    this.#log.showReceipts(receipts);
  }

  /** @param {import("/connection/connection.js").Status} status @param {string|null} rung */
  #showStatus(status, rung) {
    this.#status = status;
    this.#rung = rung;
    this.#header.showStatus(status, rung);
    if (status !== "connected") this.#correspondence.pause();
    if (!this.#hasSession) this.#now.showOpening(status);
  }

  // What the server says

  /**
   * It may say at each try that it does not let us in: one line of it is enough.
   * @param {import("/connection/http.js").Refusal} refusal
   */
  #turnedAway(refusal) {
    this.#refusedAtTheDoor?.closest("li")?.remove();
    this.#refusedAtTheDoor = this.#showRefusal(refusal);
    return false;
  }

  /** @param {any} session @param {{entries: import("/connection/feeds.js").Entry[], fresh: boolean}} news */
  #resume(session, news) {
    if (!this.#identity.accept(session)) {
      this.#connection.restart({ fresh: true });
      return;
    }
    const isFirst = !this.#hasSession;
    this.#hasSession = true;
    this.#refusedAtTheDoor?.closest("li")?.remove();
    this.#conversation.adopt(session, news);
    if (news.fresh) {
      this.#correspondence.clear();
      this.#build();
    }
    this.#messages.open(session.conversation_id);
    for (const entry of news.entries) this.#place(entry);
    const opened = this.#update();
    this.#messages.deliver();
    if (isFirst) {
      this.#attention.missed(session.unread ?? 0);
      renewPush(this.#identity.newest());
    }
    if (!news.fresh) this.#attention.notice(news.entries, this.#conversation.partner);
    if (isFirst && this.#conversation.offersApp) this.#offerApp();
    if (news.fresh || news.entries.length) this.#attend(opened ?? this.#log.openCard(), isFirst || news.fresh);
    this.#correspondence.begin(session);
    this.#tab.begin(this.#rung);
  }

  /** @param {import("/connection/feeds.js").Entry} entry */
  #hear(entry) {
    this.#conversation.add(entry);
    const opensCard = entry.type === "card" && this.#conversation.isLive(entry);
    this.#place(entry);
    const opened = this.#update() ?? (opensCard ? this.#log.openCard() : null);
    this.#attention.notice([entry], this.#conversation.partner);
    if (entry.type === "notification") hearNotification(entry, this.#connection.clock);
    if (entry.data.card === "app_download" && this.#conversation.isLive(entry)) this.#offerApp();
    this.#attend(opened, false);
    this.#correspondence.look();
    if (this.#wasReadElsewhere(entry)) this.#attention.seen();
  }

  /**
   * In another tab, or on another device of the guest.
   * @param {import("/connection/feeds.js").Entry} entry
   */
  #wasReadElsewhere({ type, data }) {
    return type === "read" && data.by === "guest" && this.#correspondence.receipts.isRead;
  }

  /** @param {{isAsked?: boolean}} [why] whether the guest wants to see it, however lately it was closed */
  #offerApp(why) {
    const { booking } = this.#conversation;
    this.#appPrompt.show(booking?.starts_at ?? booking?.arrives_by ?? null, why);
  }

  /**
   * A push says that there is news: the connection should be there to read it. A press on one wants to see it.
   * @param {"push"|"open"} type
   */
  #heardFromWorker(type) {
    if (!this.#connection.isReady) this.#connection.restart();
    if (type === "open") this.#seen(true);
  }

  /** @param {import("/connection/feeds.js").Entry} entry */
  #place(entry) {
    if (entry.type === "message" && entry.data.from === "guest") this.#messages.arrived(entry.data.client_id);
    this.#correspondence.hear(entry);
    this.#log.add(entry, this.#conversation.isLive(entry));
  }

  // What the guest does

  /** @param {import("/parts/actions.js").Action} action @param {object} [fields] */
  async #send(action, fields = {}) {
    const ack = await this.#connection.send(action.command, { ...action.payload, ...fields });
    this.#log.clearLocal();
    return ack;
  }

  /** @param {import("/parts/actions.js").Action} action */
  async #perform(action) {
    try {
      return await this.#send(action);
    } catch (error) {
      const refusal = refusalOf(error);
      this.#showRefusal(refusal);
      throw refusal;
    }
  }

  /** @param {import("/connection/http.js").Refusal} refusal */
  #showRefusal(refusal) {
    const line = problemLine({ ...refusal, message: refusal.message });
    this.#log.addLocal(line);
    return line;
  }

  /** A wish from one of the website's booking areas. @param {Wish} wish */
  #book({ therapist_id, service, source, duration }) {
    if (Number.isFinite(duration)) prefill({ duration });
    const payload = {
      kind: "now",
      source: source ?? "menu",
      ...(therapist_id ? { therapist_id } : {}),
      ...(service ? { service } : {}),
    };
    this.#perform({ command: "book", label: "", payload }).catch(() => {});
  }

  /** @param {string} text */
  #write(text) {
    this.#messages.write(text);
    this.#log.scrollToEnd();
  }

  /**
   * The words come first and then the server's text in the same language, so that nothing is shown half in each.
   * @param {string} locale
   */
  async #switchLocale(locale) {
    if (locale === currentLocale()) return;
    const isConnected = this.#connection.isReady;
    await changeLocale(locale);
    if (!isConnected) this.#retranslate();
    this.#connection.restart({ fresh: true });
  }

  /** Without a connection the frame changes its language at once and the log follows later. */
  #retranslate() {
    this.#build();
    for (const entry of this.#conversation.entries) this.#log.add(entry, this.#conversation.isLive(entry));
    this.#update();
  }

  // Where the guest looks

  /** @param {boolean} andFocus */
  #seen(andFocus) {
    this.#attention.seen();
    this.#correspondence.look();
    const wanted = this.#log.openCard() ?? document.querySelector(".card-search, .dock .btn, .composer-input");
    if (andFocus) this.#attention.focus(wanted);
  }

  /**
   * Brings what is new into sight, and the focus to it unless the guest has only just arrived.
   * @param {HTMLElement|null} opened
   * @param {boolean} isArrival
   */
  #attend(opened, isArrival) {
    if (opened) this.#log.reveal(opened);
    else this.#log.follow();
    if (isArrival) return;
    if (opened) this.#attention.focus(opened);
    else if (this.#conversation.isWritable && document.activeElement === document.body)
      this.#attention.focus(this.#dock.input);
  }
}

/** No `await` stands outside of a function: Safari before 27 runs modules that share others in the wrong order then. */
async function open() {
  applyAccent(new URLSearchParams(window.location.search).get("color"));
  keepInstallation();
  const settings = await openPage();
  allowSound();
  listenForPerson();
  loadSounds(SOUNDS);
  registerWorker();
  await new GuestChat(settings).start();
}

open();
