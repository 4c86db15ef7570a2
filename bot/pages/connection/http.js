/** Asks the HTTP side of the server and turns every way of failing into one kind of refusal. */

import { currentLocale, t } from "/parts/words.js";

const ANSWER_TIMEOUT_MS = 10000;

/** Why something was not done: `message` is ready to show, `fields` names what to mend, `retry_after_s` when to come again. */
export class Refusal extends Error {
  /** @param {{code?: string, message?: string, fields?: Record<string, string>, retry_after_s?: number|null}} [body] */
  constructor({ code = "unavailable", message = "", fields = {}, retry_after_s = null } = {}) {
    super(message || t("Something went wrong. Please try again."));
    this.code = code;
    this.fields = fields ?? {};
    this.retry_after_s = retry_after_s ?? null;
  }
}

/**
 * The refusal behind whatever was thrown.
 * @param {unknown} error
 */
export function refusalOf(error) {
  if (error instanceof Refusal) return error;
  return new Refusal({ message: t("The server cannot be reached. Check your connection and try again.") });
}

/** @param {string} path @returns {Promise<any>} */
export function getJson(path) {
  return request(path, {});
}

/** @param {string} path @param {object} body @returns {Promise<any>} */
export function postJson(path, body) {
  return sendJson("POST", path, body);
}

/**
 * As the bearer of a token.
 * @param {"POST"|"DELETE"} method
 * @param {string} path
 * @param {object} body
 * @param {string} [token]
 * @returns {Promise<any>}
 */
export function sendJson(method, path, body, token) {
  /** @type {Record<string, string>} */
  const bearer = token ? { Authorization: `Bearer ${token}` } : {};
  return request(path, { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...bearer } });
}

/** @param {string} path @param {{method?: string, body?: string, headers?: Record<string, string>}} options */
async function request(path, { headers = {}, ...options }) {
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...headers, "Accept-Language": currentLocale() }, signal });
  } catch (error) {
    throw refusalOf(error);
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  throw new Refusal(body?.error ?? { message: t("The server cannot answer just now. Please try again in a moment.") });
}
