/** What every page does first: learns the place's settings and its own language, and offers to change the language. */

import { h } from "/parts/dom.js";
import { clientSettings } from "/parts/settings.js";
import { currentLocale, preferredLocale, rememberLocale, speak, t } from "/parts/words.js";

/** @returns {Promise<any>} the settings; the page's words are loaded then */
export async function openPage() {
  const settings = await clientSettings();
  await speak(preferredLocale(settings));
  document.getElementById("opening")?.remove();
  return settings;
}

/**
 * Switches this page, and by what is remembered every other one, to a language.
 * @param {string} locale
 */
export async function changeLocale(locale) {
  rememberLocale(locale);
  await speak(locale);
}

/**
 * One button that shows all languages, marks the present one and goes to the next.
 * @param {string[]} locales
 * @param {(locale: string) => void} onSwitch
 */
export function localeSwitch(locales, onSwitch) {
  const current = currentLocale();
  const next = locales[(locales.indexOf(current) + 1) % locales.length];
  /** @param {string} locale */
  const name = (locale) => new Intl.DisplayNames([locale], { type: "language" }).of(locale) ?? locale;
  const labels = locales.map((locale) =>
    h("span", { class: locale === current ? "locale locale-current" : "locale" }, locale.toUpperCase()),
  );
  return h(
    "button",
    {
      class: "locale-switch",
      type: "button",
      testid: "locale-switch",
      title: name(next),
      on: { click: () => onSwitch(next) },
    },
    labels,
    h(
      "span",
      { class: "visually-hidden" },
      t("Language: {current}. Change to {next}.", { current: name(current), next: name(next) }),
    ),
  );
}

/**
 * The sign that tells how the connection is; `rung` is the transport that carries it.
 * @returns {{element: HTMLElement, show: (status: string, rung: string|null) => void}}
 */
export function connectionBadge() {
  const label = h("span", { class: "connection-label" });
  const element = h(
    "span",
    { class: "connection", testid: "connection", role: "status" },
    h("span", { class: "connection-dot" }),
    label,
  );
  /** @param {string} status @param {string|null} rung */
  const show = (status, rung) => {
    element.dataset.state = status;
    element.dataset.rung = rung ?? "";
    const text = statusText(status, rung);
    if (label.textContent !== text) label.textContent = text;
  };
  show("reconnecting", null);
  return { element, show };
}

/**
 * Only on the last rung is there something to notice: others read the same messages a moment later.
 * @param {string} status
 * @param {string|null} rung
 */
function statusText(status, rung) {
  if (status === "connected") return rung === "poll" ? t("Connected, slowly") : t("Connected");
  if (status === "offline") return t("Offline");
  return t("Reconnecting…");
}
