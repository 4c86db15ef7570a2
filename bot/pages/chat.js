/** The guest's chat: joins the connection, the log, the cards and the foot into one page. */

import { applyAccent } from "/accent.js";
import { createAnnouncer } from "/announcer.js";
import { Attention } from "/attention.js";
import { ChatDock } from "/chat-dock.js";
import { bookingBar, headerTitle } from "/chat-header.js";
import { ChatLog } from "/chat-log.js";
import { ChatNow } from "/chat-now.js";
import { Connection } from "/connection.js";
import { Conversation } from "/conversation.js";
import { h, replaceChildren } from "/dom.js";
import { GuestMessages } from "/guest-messages.js";
import { Host } from "/host.js";
import { refusalOf } from "/http.js";
import { icon } from "/icons.js";
import { GuestIdentity } from "/identity.js";
import { onChangeElsewhere } from "/keep.js";
import { changeLocale, connectionBadge, localeSwitch, openPage } from "/page.js";
import { problemLine } from "/problems.js";
import { rungsOf } from "/rungs.js";
import { prefill } from "/service-form.js";
import { currentLocale, isLocaleKey, preferredLocale, t } from "/words.js";

class GuestChat {
  #conversation = new Conversation();
  #identity = new GuestIdentity();
  #announce = createAnnouncer();
  #attention;
  #header = h("div", { class: "header-place" });
  #bar = h("div", { class: "bar-place" });
  #settings;
  #connection;
  #host;
  /** @type {ChatLog} */
  #log;
  /** @type {ChatNow} */
  #now;
  /** @type {ChatDock} */
  #dock;
  #messages;
  #badge;
  /** @type {"reconnecting"|"connected"|"offline"} */
  #status = "reconnecting";
  /** @type {string|null} */
  #rung = null;
  #hasSession = false;
  #barKey = "";
  #presence = null;

  constructor(settings) {
    this.#settings = settings;
    this.#host = new Host({ onBook: (wish) => this.#book(wish), onVisibility: (isOpen) => isOpen && this.#seen(true) });
    this.#attention = new Attention(this.#host, this.#announce);
    this.#connection = new Connection({
      rungs: rungsOf("guest"),
      fallback_after_s: settings.fallback_after_s,
      auth: (feeds) => this.#auth(feeds),
      headsOf: ({ feed, last_seq }) => ({ [feed]: last_seq }),
      onSession: (session, news) => this.#resume(session, news),
      onEntry: (entry) => this.#hear(entry),
      onStatus: (status, rung) => this.#showStatus(status, rung),
      onSignal: (name, data) => this.#sense(name, data),
      onRefused: (refusal) => {
        this.#showRefusal(refusal);
        return false;
      },
    });
    this.#messages = new GuestMessages((payload) => this.#connection.send("message", payload));
    this.#identity.onChange(() => this.#connection.restart({ fresh: true }));
    onChangeElsewhere((key) => isLocaleKey(key) && this.#switchLocale(preferredLocale(settings)));
    document.addEventListener("visibilitychange", () => !document.hidden && this.#seen(false));
    document.addEventListener("keydown", ({ key, defaultPrevented }) => {
      if (key === "Escape" && !defaultPrevented) this.#host.close();
    });
    this.#build();
  }

  start() {
    this.#connection.start();
    this.#host.ready();
  }

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
      send: (action, fields) => this.#send(action, fields),
      perform: (action) => this.#perform(action),
      showRefusal: (refusal) => this.#showRefusal(refusal),
      clock: this.#connection.clock,
    };
    this.#log = new ChatLog(does);
    this.#messages.standIn(this.#log.pending);
    this.#now = new ChatNow(this.#log, { ...does, announce: this.#announce });
    this.#dock = new ChatDock({ perform: does.perform, write: (text) => this.#write(text) });
    this.#dock.input.value = draft;
    this.#badge = connectionBadge();
    this.#badge.show(this.#status, this.#rung);
    this.#barKey = "";
    const main = h(
      "main",
      { class: "chat-main", aria: { label: t("Chat") } },
      this.#bar,
      this.#log.element,
      this.#dock.element,
    );
    replaceChildren(
      document.getElementById("chat"),
      h("header", { class: "chat-header" }, this.#header, this.#tools()),
      main,
    );
    this.#update();
    if (focused === "locale-switch") /** @type {any} */ (document.querySelector("[data-testid=locale-switch]")).focus();
  }

  #tools() {
    const close = h(
      "button",
      {
        class: "icon-button",
        type: "button",
        testid: "close-chat",
        aria: { label: t("Close chat") },
        on: { click: () => this.#host.close() },
      },
      icon("close"),
    );
    const language = localeSwitch(this.#settings.locales, (locale) => this.#switchLocale(locale));
    return h("div", { class: "header-tools" }, this.#badge.element, language, this.#host.isEmbedded ? close : null);
  }

  /** Brings everything around the log up to date with the conversation. @returns {HTMLElement|null} what has opened */
  #update() {
    const { booking, actions, isWritable } = this.#conversation;
    replaceChildren(this.#header, headerTitle(this.#conversation, isWritable ? this.#presence : null));
    const barKey = JSON.stringify([isWritable, booking, actions]);
    if (barKey !== this.#barKey) {
      this.#barKey = barKey;
      replaceChildren(
        this.#bar,
        isWritable && booking ? bookingBar(booking, actions, (action) => this.#perform(action)) : null,
      );
    }
    const opened = this.#log.refreshCards((entry) => this.#conversation.isLive(entry));
    if (!this.#hasSession) {
      this.#now.showOpening(this.#status);
      return null;
    }
    this.#dock.show(this.#conversation);
    return this.#now.show(this.#conversation) ?? (opened ? this.#log.openCard() : null);
  }

  #showStatus(status, rung) {
    this.#status = status;
    this.#rung = rung;
    this.#badge?.show(status, rung);
    if (!this.#hasSession) this.#now?.showOpening(status);
  }

  // What the server says

  #resume(session, news) {
    if (!this.#identity.accept(session)) {
      this.#connection.restart({ fresh: true });
      return;
    }
    const isFirst = !this.#hasSession;
    this.#hasSession = true;
    this.#conversation.adopt(session, news);
    if (news.fresh) this.#build();
    for (const entry of news.entries) this.#place(entry);
    const opened = this.#update();
    this.#messages.open(session.conversation_id);
    if (!news.fresh) this.#attention.notice(news.entries, this.#conversation.partner);
    this.#attend(opened ?? this.#log.openCard(), isFirst || news.fresh);
  }

  #hear(entry) {
    this.#conversation.add(entry);
    const opensCard = entry.type === "card" && this.#conversation.isLive(entry);
    this.#place(entry);
    const opened = this.#update() ?? (opensCard ? this.#log.openCard() : null);
    this.#attention.notice([entry], this.#conversation.partner);
    this.#attend(opened, false);
  }

  #place(entry) {
    if (entry.type === "message" && entry.data.from === "guest") this.#messages.arrived(entry.data.client_id);
    else if (entry.type === "message") this.#showTyping(false);
    this.#log.add(entry, this.#conversation.isLive(entry));
  }

  #sense(name, data) {
    if (name === "typing" && data.by === "therapist") this.#showTyping(data.on);
    if (name === "presence") {
      this.#presence = data.therapist ?? null;
      this.#update();
    }
  }

  #showTyping(isTyping) {
    if (this.#conversation.isWritable) this.#now.showTyping(this.#conversation.partner, isTyping);
  }

  // What the guest does

  async #send(action, fields = {}) {
    const ack = await this.#connection.send(action.command, { ...action.payload, ...fields });
    this.#log.clearLocal();
    return ack;
  }

  async #perform(action) {
    try {
      return await this.#send(action);
    } catch (error) {
      const refusal = refusalOf(error);
      this.#showRefusal(refusal);
      throw refusal;
    }
  }

  #showRefusal(refusal) {
    this.#log.addLocal(problemLine({ ...refusal, message: refusal.message }));
  }

  /** A wish from one of the website's booking areas. */
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

  #write(text) {
    this.#messages.write(text);
    this.#log.scrollToEnd();
  }

  /** The words come first and then the server's text in the same language, so that nothing is shown half in each. */
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

  #seen(andFocus) {
    this.#attention.seen();
    const wanted = this.#log.openCard() ?? document.querySelector(".card-search, .dock .btn, .composer-input");
    if (andFocus) this.#attention.focus(wanted);
  }

  /** Brings what is new into sight, and the focus to it unless the guest has only just arrived. */
  #attend(opened, isArrival) {
    if (opened) this.#log.reveal(opened);
    else this.#log.follow();
    if (isArrival) return;
    if (opened) this.#attention.focus(opened);
    else if (this.#conversation.isWritable && document.activeElement === document.body)
      this.#attention.focus(this.#dock.input);
  }
}

applyAccent(new URLSearchParams(window.location.search).get("color"));
const settings = await openPage();
new GuestChat(settings).start();
