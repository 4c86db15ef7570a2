/** Message bubbles and the field to write one, the same on both sides of a conversation. */

import { h, newId, replaceChildren } from "/parts/dom.js";
import { icon } from "/parts/icons.js";
import { formatTime } from "/parts/time.js";
import { Typing } from "/parts/typing.js";
import { t } from "/parts/words.js";

const LONGEST_MESSAGE = 4000;

/**
 * @param {object} message
 * @param {"guest"|"therapist"} message.from
 * @param {string} message.text
 * @param {string|number} message.at a moment
 * @param {"guest"|"therapist"} message.reader who looks at it
 */
export function bubble({ from, text, at, reader }) {
  const mine = from === reader;
  const foot = h("span", { class: "bubble-foot" });
  const element = h(
    "li",
    { class: mine ? "bubble bubble-mine" : "bubble", testid: "message", data: { from } },
    mine ? h("span", { class: "visually-hidden" }, t("You:")) : null,
    h("span", { class: "bubble-text" }, text),
    foot,
  );
  markBubble(element, "sent", at);
  return element;
}

/** @param {HTMLElement} element @param {"waiting"|"sent"|"refused"} state @param {string|number} at */
export function markBubble(element, state, at) {
  element.dataset.state = state;
  const foot = element.querySelector(".bubble-foot");
  const time = h("time", { datetime: new Date(at).toISOString() }, formatTime(at));
  if (state === "sent") replaceChildren(foot, time);
  else if (state === "waiting") replaceChildren(foot, icon("clock"), t("Waiting"));
  else replaceChildren(foot, icon("alert"), t("Not sent"));
}

/** @param {string} text */
export function systemLine(text) {
  return h("li", { class: "system-line", testid: "system-line" }, text);
}

/**
 * What a person is told of their booking, in their own log.
 * @param {{title: string, body: string, urgency: string}} notification
 */
export function noticeLine({ title, body, urgency }) {
  const words = h("div", {}, h("b", {}, title), body ? h("p", {}, body) : null);
  return h("li", { class: "notice-line", testid: "notification", data: { urgency } }, icon("bell"), words);
}

/**
 * @param {object} options
 * @param {(text: string) => void} options.onSend
 * @param {(on: boolean) => void} options.onTyping
 * @param {string} options.label
 * @returns {{element: HTMLFormElement, input: HTMLTextAreaElement}}
 */
export function composer({ onSend, onTyping, label }) {
  /** @type {HTMLTextAreaElement} */
  const input = h("textarea", {
    class: "composer-input",
    testid: "message-input",
    rows: 1,
    placeholder: label,
    enterkeyhint: "send",
    autocomplete: "off",
    aria: { label },
  });
  const button = h(
    "button",
    { class: "send", type: "submit", testid: "send", aria: { label: t("Send") } },
    icon("send"),
  );
  /** @type {HTMLFormElement} */
  const tooLong = h("p", { class: "composer-problem", id: newId("too-long"), testid: "too-long", role: "alert" });
  const element = h("form", { class: "composer", novalidate: true }, tooLong, input, button);
  const measure = () => {
    const over = [...input.value.trim()].length - LONGEST_MESSAGE;
    tooLong.hidden = over <= 0;
    tooLong.textContent = over > 0 ? t("Too long by {count} characters: nothing is cut off.", { count: over }) : "";
    if (over > 0) input.setAttribute("aria-describedby", tooLong.id);
    else input.removeAttribute("aria-describedby");
    return over <= 0;
  };
  measure();
  const typing = new Typing(onTyping);
  typing.watch(input);
  const submit = () => {
    const text = input.value.trim();
    input.focus();
    if (!text || !measure()) return;
    input.value = "";
    grow(input);
    typing.stop();
    onSend(text);
  };
  input.addEventListener("input", () => {
    grow(input);
    measure();
  });
  input.addEventListener("keydown", /** @param {KeyboardEvent} event */ (event) => {
    // Safari ends a composition before its Enter, which then says 229 for "somebody else has used it".
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  });
  element.addEventListener("submit", /** @param {Event} event */ (event) => {
    event.preventDefault();
    submit();
  });
  return { element, input };
}

/** @param {HTMLTextAreaElement} input */
function grow(input) {
  input.style.height = "auto";
  input.style.height = `${input.scrollHeight}px`;
}
