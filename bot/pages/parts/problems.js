/** Shows a refusal where the person looks: what was refused, why, and when or how to go on. */

import { h } from "/parts/dom.js";
import { icon } from "/parts/icons.js";
import { t } from "/parts/words.js";

/**
 * @param {object} problem
 * @param {string} problem.message
 * @param {string} [problem.code]
 * @param {number|null} [problem.retry_after_s]
 * @param {string} [problem.quote] what the person had written
 * @param {boolean} [problem.dismissible]
 * @param {() => void} [problem.onDismiss]
 * @param {...Node} more further content, as buttons
 * @returns {HTMLElement}
 */
export function problemLine({ message, code, retry_after_s, quote, dismissible = true, onDismiss }, ...more) {
  const line = h(
    "div",
    { class: "problem", role: "alert", testid: "problem", data: code ? { code } : {} },
    icon("alert"),
    h(
      "div",
      { class: "problem-words" },
      h("p", {}, message),
      quote ? h("p", { class: "problem-quote" }, quote) : null,
      retry_after_s ? retryLine(retry_after_s) : null,
      more,
    ),
  );
  if (dismissible) line.append(dismissButton(line, onDismiss));
  return line;
}

/** @param {HTMLElement} line @param {() => void} [onDismiss] */
function dismissButton(line, onDismiss) {
  const attributes = { class: "icon-button", type: "button", aria: { label: t("Dismiss") } };
  const dismiss = () => {
    (line.closest("li") ?? line).remove();
    onDismiss?.();
  };
  return h("button", { ...attributes, on: { click: dismiss } }, icon("close"));
}

/**
 * Counts the wait down and then says that it is over.
 * @param {number} retry_after_s
 */
export function retryLine(retry_after_s) {
  const again_at_ms = Date.now() + retry_after_s * 1000;
  const line = h("p", { class: "problem-retry", testid: "retry-after" });
  const refresh = () => {
    const seconds = Math.ceil((again_at_ms - Date.now()) / 1000);
    line.textContent = retryText(seconds);
    if (seconds <= 0) clearInterval(timer);
  };
  const timer = setInterval(refresh, 1000);
  refresh();
  return line;
}

/** @param {number} seconds */
function retryText(seconds) {
  if (seconds <= 0) return t("You can try again now.");
  if (seconds === 1) return t("You can try again in 1 second.");
  return t("You can try again in {seconds} seconds.", { seconds });
}
