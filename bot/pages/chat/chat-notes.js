/** What stands in the guest's log while nothing else does: the welcome, the wait for a connection, somebody writing. */

import { h } from "/parts/dom.js";
import { icon } from "/parts/icons.js";
import { t } from "/parts/words.js";

export function welcomeNote() {
  return h(
    "section",
    { class: "welcome" },
    h("img", { class: "welcome-mark", src: "/icon.svg", alt: "", width: 72, height: 72 }),
    h("h2", {}, t("A quiet hour, wherever you are")),
    h(
      "p",
      {},
      t("Tell us where and how long. We ask the therapists near you, and you have an answer in about a minute."),
    ),
  );
}

/** @param {import("/connection/connection.js").Status} status */
export function openingNote(status) {
  const isOffline = status === "offline";
  const text = isOffline ? t("There is no connection. We keep trying; you need not do anything.") : t("Connecting…");
  return h(
    "div",
    { class: "note-opening", role: "status" },
    isOffline ? icon("alert") : h("span", { class: "spinner" }),
    h("p", {}, text),
  );
}

/** @param {string} name */
export function typingNote(name) {
  const dots = h("span", { class: "dots", aria: { hidden: true } }, h("i"), h("i"), h("i"));
  return h("p", { class: "note-typing", testid: "typing" }, dots, t("{name} is writing…", { name }));
}
