/** The words of the pages: English is written in the code, other languages come from /words/{locale}.json. */

import { read, write } from "/device/storage.js";

const LOCALE_KEY = "janji.locale";
/** Used until (or where) the server does not say which languages it speaks. */
export const KNOWN_LOCALES = ["en", "id"];
const LOAD_TIMEOUT_MS = 8000;

/** @type {Record<string, string>} */
let words = {};
let locale = "en";

/** @returns {string} the language the page speaks now */
export function currentLocale() {
  return locale;
}

/**
 * The translation of an English sentence. Call it with a literal, so that the extractor of the translations finds it.
 * @param {string} msgid
 * @param {Record<string, string|number>} [params] fill `{name}` in the sentence
 */
export function t(msgid, params = {}) {
  const text = words[msgid] || msgid;
  return text.replace(/[{](\w+)[}]/g, (whole, name) => (name in params ? String(params[name]) : whole));
}

/**
 * The language chosen before, else the one asked for in the address, else the browser's, else the server's own.
 * @param {{locales: string[], locale_default: string}} settings
 */
export function preferredLocale({ locales, locale_default }) {
  const asked = new URLSearchParams(window.location.search).get("locale");
  const wishes = [read(LOCALE_KEY), asked, ...(navigator.languages ?? [navigator.language])];
  for (const wish of wishes) {
    const language = String(wish ?? "")
      .toLowerCase()
      .split(/[-_]/)[0];
    if (locales.includes(language)) return language;
  }
  return locale_default;
}

/**
 * Loads a language and makes it the page's. Where its words cannot be had, the page speaks English and still works.
 * @param {string} wanted
 */
export async function speak(wanted) {
  words = await fetchWords(wanted);
  locale = wanted;
  document.documentElement.lang = wanted;
}

/**
 * Remembers what the person chose, for all pages and tabs of this site.
 * @param {string} chosen
 */
export function rememberLocale(chosen) {
  write(LOCALE_KEY, chosen);
}

/** @param {string} key */
export function isLocaleKey(key) {
  return key === LOCALE_KEY;
}

/** @param {string} wanted @returns {Promise<Record<string, string>>} */
async function fetchWords(wanted) {
  try {
    const response = await fetch(`/words/${encodeURIComponent(wanted)}.json`, {
      signal: AbortSignal.timeout(LOAD_TIMEOUT_MS),
    });
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}
