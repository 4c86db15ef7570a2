/** Moments as the server gives them, read by the server's clock and written the reader's way. */

import { currentLocale } from "/parts/words.js";

/** The server's clock, known by its offset to ours: a countdown is right on a phone whose clock is not. */
export class Clock {
  #offset_ms = 0;

  /** @param {string} serverTime the moment a snapshot was made */
  set(serverTime) {
    const moment_ms = Date.parse(serverTime);
    if (Number.isFinite(moment_ms)) this.#offset_ms = moment_ms - Date.now();
  }

  now() {
    return Date.now() + this.#offset_ms;
  }

  /** @param {string} moment @returns {number} seconds until the moment, never below zero */
  secondsUntil(moment) {
    return Math.max(0, (Date.parse(moment) - this.now()) / 1000);
  }
}

/** The page's language as it is written where the reader lives, if their browser says: 14:05 or 2:05 PM. */
function writingLocale() {
  const language = currentLocale();
  return navigator.languages?.find((one) => one === language || one.startsWith(`${language}-`)) ?? language;
}

/**
 * "14:05"
 * @param {string|number} moment
 */
export function formatTime(moment) {
  return new Intl.DateTimeFormat(writingLocale(), { hour: "2-digit", minute: "2-digit" }).format(new Date(moment));
}

/**
 * "Tue 1 Dec, 14:05"
 * @param {string} moment
 */
export function formatDayAndTime(moment) {
  const parts = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  return new Intl.DateTimeFormat(writingLocale(), /** @type {any} */ (parts)).format(new Date(moment));
}

/**
 * "4.9" or "4,9"
 * @param {number} rating
 */
export function formatRating(rating) {
  return new Intl.NumberFormat(currentLocale(), { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(rating);
}

/**
 * "12,345" or "12.345"
 * @param {number} count
 */
export function formatCount(count) {
  return new Intl.NumberFormat(currentLocale()).format(count);
}
