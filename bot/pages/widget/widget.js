/**
 * Puts Janji's chat on any website by one script tag:
 * <script src="https://…/widget.js" data-locale="id" data-color="#7a4b2a" data-label="Book a massage" async></script>
 * All three attributes may be left out. The website can then call window.Janji.open(), .close() and
 * .book({therapist_id, service, source: "profile"|"menu"|"price"}).
 */
(() => {
  "use strict";
  if (window.Janji) return;

  const script = /** @type {HTMLScriptElement} */ (
    document.currentScript ?? document.querySelector('script[src*="/widget.js"]')
  );
  const BASE = new URL(".", script.src);
  const MARK = "janji";
  const LOCALES = ["en", "id"];
  const USED_KEY = "janji.used";
  const KEPT_KEY = "janji.kept";
  const SLOW_AFTER_MS = 10000;
  const FULL_SCREEN = window.matchMedia("(max-width: 479.98px)");

  const STYLE = `
:host { --accent: #2f6152; --on-accent: #fff; --paper: #fffdf9; --ink: #2a2521; --quiet: #5d544b; --line: #e4d9cb;
  font: 500 16px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; color: var(--ink); }
@media (prefers-color-scheme: dark) { :host { --paper: #1f1c19; --ink: #f3ede4; --quiet: #b9aea1; --line: #37322d; --accent: #8cc3ad; --on-accent: #0f211a; } }
* { box-sizing: border-box; }
button { font: inherit; color: inherit; cursor: pointer; border: 0; background: none; }
:focus-visible { outline: 3px solid var(--ink); outline-offset: 3px; }
.launcher { position: fixed; z-index: 2147483000; inset-block-end: calc(20px + env(safe-area-inset-bottom)); inset-inline-end: calc(20px + env(safe-area-inset-right));
  display: flex; align-items: center; gap: 10px; min-height: 56px; padding: 0 22px 0 18px; border-radius: 28px; background: var(--accent); color: var(--on-accent);
  font-weight: 600; letter-spacing: .01em; box-shadow: 0 1px 2px rgb(42 30 20 / .18), 0 10px 28px rgb(42 30 20 / .22); transition: transform .18s ease, box-shadow .18s ease; }
.launcher:hover { transform: translateY(-2px); box-shadow: 0 2px 4px rgb(42 30 20 / .2), 0 14px 34px rgb(42 30 20 / .26); }
.launcher svg { width: 26px; height: 26px; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
.dot { position: absolute; inset-block-start: -3px; inset-inline-end: 4px; width: 18px; height: 18px; border-radius: 50%; background: #c2452f; border: 3px solid var(--paper); }
.dot[hidden], .panel[hidden] { display: none; }
.panel { position: fixed; z-index: 2147483001; inset-block-end: calc(92px + env(safe-area-inset-bottom)); inset-inline-end: calc(20px + env(safe-area-inset-right));
  width: min(412px, calc(100vw - 40px)); height: min(720px, calc(100dvh - 116px)); border-radius: 22px; overflow: hidden; background: var(--paper);
  box-shadow: 0 0 0 1px var(--line), 0 24px 70px rgb(42 30 20 / .28); visibility: hidden; opacity: 0; transform: translateY(14px) scale(.985); transform-origin: 100% 100%;
  transition: opacity .18s ease, transform .18s ease, visibility 0s .18s; }
.panel.open { visibility: visible; opacity: 1; transform: none; transition: opacity .2s ease, transform .2s ease; }
iframe { display: block; position: absolute; inset: 0; width: 100%; height: 100%; border: 0; background: transparent; color-scheme: light dark; }
.wait { position: absolute; inset: 0; display: grid; place-content: center; justify-items: center; gap: 16px; padding: 32px; text-align: center; color: var(--quiet); }
.wait p { margin: 0; max-width: 26ch; }
.wait button { min-height: 48px; padding: 0 22px; border-radius: 24px; }
.again { background: var(--accent); color: var(--on-accent); font-weight: 600; }
.edge { position: absolute; width: 1px; height: 1px; overflow: hidden; }
@media (max-width: 479.98px) {
  .panel { inset: 0; width: 100vw; height: 100dvh; border-radius: 0; box-shadow: none; }
  .launcher.covered { visibility: hidden; }
}
@media (prefers-reduced-motion: reduce) { .launcher, .panel, .panel.open { transition: none; } .launcher:hover { transform: none; } }
`;

  /** @type {Record<string, string>} */
  let words = {};
  /** @param {string} msgid */
  const t = (msgid) => words[msgid] || msgid;
  const locale = pickLocale();

  /** @param {string} tag @param {Record<string, string>} [attributes] @param {...(Node|string)} children */
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  // A tag of our own, which no theme's rule for a div meets; and an inline !important, which no other rule outdoes.
  const host = make("janji-widget", { "data-janji": "" });
  const SHOWN = {
    all: "initial",
    display: "block",
    position: "fixed",
    inset: "0 auto auto 0",
    width: "0",
    height: "0",
    overflow: "visible",
    "z-index": "2147483001",
  };
  for (const [name, value] of Object.entries(SHOWN)) host.style.setProperty(name, value, "important");
  const root = host.attachShadow({ mode: "open" });
  dress();

  /** Safari before 16.4 has no style sheets that are made by a script. */
  function dress() {
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
    } catch {
      const style = make("style");
      style.textContent = STYLE;
      root.append(style);
    }
  }

  const label = make("span");
  const dot = make("span", { class: "dot", hidden: "" });
  const launcher = make(
    "button",
    { class: "launcher", type: "button", "data-testid": "janji-launcher", "aria-expanded": "false" },
    chatIcon(),
    label,
    dot,
  );
  const wait = make("div", { class: "wait", role: "status" });
  const edges = [make("div", { class: "edge" }), make("div", { class: "edge" })];
  const panel = make("div", { class: "panel", role: "dialog" }, edges[0], wait, edges[1]);
  root.append(launcher, panel);

  /** @type {any} */
  let frame = null;
  let isOpen = false;
  let isReady = false;
  let unread = 0;
  /** @type {object|null} */
  let wish = null;
  /** @type {Element|null} */
  let returnTo = null;
  let slowTimer = 0;
  let hostOverflow = "";

  function pickLocale() {
    const wishes = [script.dataset.locale, document.documentElement.lang, ...(navigator.languages ?? [])];
    const languages = wishes.map(
      (one) =>
        String(one ?? "")
          .toLowerCase()
          .split(/[-_]/)[0],
    );
    return languages.find((one) => LOCALES.includes(one)) ?? LOCALES[0];
  }

  function chatIcon() {
    const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    picture.setAttribute("viewBox", "0 0 24 24");
    picture.setAttribute("aria-hidden", "true");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute(
      "d",
      "M5 6.5a2 2 0 012-2h10a2 2 0 012 2v7a2 2 0 01-2 2h-5.5L7.5 19v-3.5H7a2 2 0 01-2-2zM9 8.8h6M9 11.6h4",
    );
    picture.append(line);
    return picture;
  }

  function showLabels() {
    const name = script.dataset.label || t("Book a massage");
    label.textContent = isOpen ? t("Close chat") : name;
    launcher.setAttribute("aria-expanded", String(isOpen));
    launcher.setAttribute("aria-label", unread && !isOpen ? `${name} – ${t("new messages")}` : label.textContent);
    panel.setAttribute("aria-label", t("Chat"));
    dot.hidden = isOpen || unread === 0;
  }

  function frameAddress() {
    const address = new URL("chat", BASE);
    address.searchParams.set("locale", locale);
    if (script.dataset.color) address.searchParams.set("color", script.dataset.color);
    address.hash = new URLSearchParams({ host: window.location.origin }).toString();
    return address.href;
  }

  function load() {
    frame?.remove();
    isReady = false;
    frame = make("iframe", {
      src: frameAddress(),
      title: t("Chat"),
      allow: "autoplay; geolocation; clipboard-write",
      "data-testid": "janji-frame",
    });
    edges[1].before(frame);
    showWait(t("Opening the chat…"));
    clearTimeout(slowTimer);
    slowTimer = setTimeout(() => {
      if (isReady) return;
      frame.hidden = true;
      showWait(t("The chat could not be opened. Check your connection."), true);
    }, SLOW_AFTER_MS);
  }

  /** @param {string} text @param {boolean} [again] */
  function showWait(text, again = false) {
    const line = make("p");
    line.textContent = text;
    const closing = make("button", { type: "button" });
    closing.textContent = t("Close chat");
    closing.addEventListener("click", close);
    wait.replaceChildren(line, closing);
    if (!again) return;
    const retry = make("button", { type: "button", class: "again" });
    retry.textContent = t("Try again");
    retry.addEventListener("click", load);
    line.after(retry);
  }

  /** @param {object} message */
  function say(message) {
    frame?.contentWindow?.postMessage({ [MARK]: 1, ...message }, BASE.origin);
  }

  function tellFrame() {
    if (!isReady) return;
    say({ type: "visibility", open: isOpen });
    if (wish) say({ type: "book", wish });
    wish = null;
  }

  function open() {
    attach();
    if (!frame) load();
    remember();
    if (!isOpen) {
      isOpen = true;
      returnTo = document.activeElement === host ? launcher : document.activeElement;
      panel.classList.add("open");
      launcher.classList.add("covered");
      lockPage(FULL_SCREEN.matches);
      frame.focus();
    }
    unread = 0;
    showLabels();
    tellFrame();
  }

  function close() {
    attach();
    if (!isOpen) return;
    isOpen = false;
    panel.classList.remove("open");
    launcher.classList.remove("covered");
    lockPage(false);
    showLabels();
    tellFrame();
    const target =
      returnTo instanceof HTMLElement && returnTo.isConnected && returnTo !== document.body ? returnTo : launcher;
    target.focus({ preventScroll: true });
  }

  /**
   * On a small screen the chat covers the page: the page must neither scroll behind it nor take the focus.
   * @param {boolean} isLocked
   */
  function lockPage(isLocked) {
    const style = document.documentElement.style;
    if (isLocked) {
      hostOverflow = style.overflow;
      style.overflow = "hidden";
    } else if (style.overflow === "hidden") style.overflow = hostOverflow;
    for (const edge of edges) {
      if (isLocked) edge.tabIndex = 0;
      else edge.removeAttribute("tabindex");
    }
  }

  /** A visitor who has used the chat gets it loaded with the page, so that the launcher can tell of news. */
  function remember() {
    try {
      window.localStorage.setItem(USED_KEY, "1");
    } catch {
      // A site without storage loads the chat when it is opened.
    }
  }

  function wasUsed() {
    try {
      return window.localStorage.getItem(USED_KEY) === "1";
    } catch {
      return false;
    }
  }

  /**
   * What the browser does not keep for our frame on this website, this website keeps for it.
   * @param {unknown} values
   */
  function keep(values) {
    try {
      window.localStorage.setItem(KEPT_KEY, JSON.stringify(values));
    } catch {
      // Full or forbidden: the chat lasts as long as this page.
    }
  }

  function kept() {
    try {
      return JSON.parse(window.localStorage.getItem(KEPT_KEY) ?? "null");
    } catch {
      return null;
    }
  }

  /** @param {Wish} [detail] */
  function book(detail = {}) {
    const { therapist_id, service, source, duration } = detail;
    wish = { therapist_id, service, source, duration };
    open();
  }

  /** @param {MessageEvent} event */
  function heard(event) {
    if (event.origin !== BASE.origin || !frame || event.source !== frame.contentWindow || event.data?.[MARK] !== 1)
      return;
    const { type, count } = event.data;
    if (type === "ready") {
      isReady = true;
      frame.hidden = false;
      wait.replaceChildren();
      tellFrame();
    } else if (type === "close") {
      close();
    } else if (type === "recall") {
      say({ type: "recalled", values: kept() });
    } else if (type === "keep") {
      keep(event.data.values);
    } else if (type === "unread") {
      unread = isOpen ? 0 : Number(count) || 0;
      showLabels();
    }
  }

  async function loadWords() {
    if (locale === "en") return;
    try {
      const response = await fetch(new URL(`words/${locale}.json`, BASE));
      if (response.ok) words = await response.json();
    } catch {
      // English it is: a site's own policy may keep the words away.
    }
    showLabels();
  }

  function colour() {
    const wanted = script.dataset.color;
    if (!wanted || !CSS.supports("color", wanted)) return;
    host.style.setProperty("--accent", wanted);
    const probe = document.createElement("canvas").getContext("2d");
    if (!probe) return;
    probe.fillStyle = wanted;
    probe.fillRect(0, 0, 1, 1);
    const [red, green, blue] = probe.getImageData(0, 0, 1, 1).data;
    const luminance = [red, green, blue].map((part) => (part / 255) ** 2.2);
    const brightness = 0.2126 * luminance[0] + 0.7152 * luminance[1] + 0.0722 * luminance[2];
    host.style.setProperty("--on-accent", brightness > 0.18 ? "#14110f" : "#ffffff");
  }

  /** Beside the body and not in it: websites that go from page to page by themselves put another one in its place. */
  function attach() {
    if (!host.isConnected) document.documentElement.append(host);
  }

  function begin() {
    attach();
    new MutationObserver(attach).observe(document, { childList: true });
    new MutationObserver(attach).observe(document.documentElement, { childList: true });
    colour();
    showLabels();
    loadWords();
    if (wasUsed()) load();
  }

  launcher.addEventListener("click", () => (isOpen ? close() : open()));
  for (const edge of edges) edge.addEventListener("focus", () => frame?.focus());
  FULL_SCREEN.addEventListener("change", () => isOpen && lockPage(FULL_SCREEN.matches));
  window.addEventListener("message", heard);
  window.addEventListener("keydown", (event) => event.key === "Escape" && !event.defaultPrevented && close());
  if (document.body) begin();
  else document.addEventListener("DOMContentLoaded", begin);

  window.Janji = Object.freeze({ open, close, book });
})();
