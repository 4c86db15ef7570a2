/** Shows the seconds left until a moment of the server's: always reckoned from the moment, never by counting ticks. */

import { h, svg } from "/parts/dom.js";
import { t } from "/parts/words.js";

const REFRESH_MS = 200;
const RADIUS = 54;
const LENGTH = 2 * Math.PI * RADIUS;
/** The seconds at which a screen reader is told, once each. */
const SPOKEN_AT_S = [120, 60, 30, 10];

/**
 * Calls back with the seconds left, at once and then until the element has left the page.
 * @param {Element} element
 * @param {import("/parts/time.js").Clock} clock
 * @param {string} deadlineAt
 * @param {(seconds: number, exact: number) => void} show whole seconds rounded up, and the exact rest
 */
export function countDown(element, clock, deadlineAt, show) {
  let wasOnPage = false;
  const refresh = () => {
    wasOnPage ||= element.isConnected;
    const exact = clock.secondsUntil(deadlineAt);
    show(Math.ceil(exact), exact);
    if ((wasOnPage && !element.isConnected) || exact === 0) clearInterval(timer);
  };
  const timer = setInterval(refresh, REFRESH_MS);
  refresh();
}

/**
 * The ring with the seconds in it.
 * @param {object} options
 * @param {import("/parts/time.js").Clock} options.clock
 * @param {string} options.deadlineAt
 * @param {number} options.whole_s the seconds of a full ring
 * @param {string} [options.testid] of the number
 * @param {(sentence: string) => void} [options.announce]
 * @param {boolean} [options.small]
 */
export function countdownRing({ clock, deadlineAt, whole_s, testid, announce, small = false }) {
  const number = h("span", { class: "ring-seconds", testid });
  const unit = h("span", { class: "ring-unit" });
  const rest = svg("circle", { class: "ring-rest", cx: 60, cy: 60, r: RADIUS, "stroke-dasharray": LENGTH });
  const ring = h(
    "div",
    { class: small ? "ring ring-small" : "ring", role: "timer", aria: { live: "off" } },
    svg(
      "svg",
      { viewBox: "0 0 120 120", aria: { hidden: true }, focusable: "false" },
      svg("circle", { class: "ring-track", cx: 60, cy: 60, r: RADIUS }),
      rest,
    ),
    h("span", { class: "ring-text" }, number, unit),
  );
  const full_s = Math.max(whole_s, clock.secondsUntil(deadlineAt));
  let spoken_s = Math.ceil(clock.secondsUntil(deadlineAt));
  countDown(ring, clock, deadlineAt, (seconds, exact) => {
    if (number.textContent !== String(seconds)) {
      number.textContent = String(seconds);
      unit.textContent = seconds === 1 ? t("second") : t("seconds");
    }
    rest.setAttribute("stroke-dashoffset", String(LENGTH * (1 - exact / full_s)));
    if (SPOKEN_AT_S.some((moment_s) => seconds <= moment_s && spoken_s > moment_s))
      announce?.(seconds === 1 ? t("1 second left") : t("{seconds} seconds left", { seconds }));
    spoken_s = Math.min(spoken_s, seconds);
  });
  return ring;
}
