/** The card of the search under way: a large countdown, which attempt it is, and a way out. */

import { actionBar } from "/parts/actions.js";
import { countdownRing } from "/parts/countdown.js";
import { h, newId } from "/parts/dom.js";
import { t } from "/parts/words.js";

const ATTEMPT_S = 60;
const FIRST_ASKED_S = 300;

/**
 * @param {import("/chat/conversation.js").Conversation} conversation in the state of searching
 * @param {object} does
 * @param {(action: any) => Promise<any>} does.perform
 * @param {import("/parts/time.js").Clock} does.clock
 * @param {(sentence: string) => void} does.announce
 * @returns {HTMLElement}
 */
export function searchCard(conversation, { perform, clock, announce }) {
  const { countdown } = conversation;
  const asksOne = countdown?.attempt === 0;
  const title = h(
    "h2",
    { class: "card-title", id: newId("search") },
    asksOne ? askingTitle(conversation) : t("Asking therapists near you"),
  );
  const cancel = conversation.actions.find((action) => action.command === "cancel") ?? {
    command: "cancel",
    label: t("Cancel"),
    style: "quiet",
  };
  const ring = countdown
    ? countdownRing({
        clock,
        announce,
        deadlineAt: countdown.deadline_at,
        whole_s: asksOne ? FIRST_ASKED_S : ATTEMPT_S,
        testid: "countdown-seconds",
      })
    : h("div", { class: "ring ring-waiting" });
  return h(
    "section",
    { class: "card card-search", testid: "countdown", tabindex: -1, aria: { labelledby: title.id } },
    ring,
    title,
    h("p", { class: "card-note", testid: "attempt" }, attemptText(countdown)),
    actionBar([cancel], perform),
  );
}

/** @param {import("/chat/conversation.js").Conversation} conversation */
function askingTitle({ booking }) {
  const name = booking?.therapist?.name;
  return name ? t("Asking {name} first", { name }) : t("Asking your therapist first");
}

/** @param {import("/chat/conversation.js").Conversation["countdown"]} countdown */
function attemptText(countdown) {
  if (!countdown) return t("One moment…");
  if (countdown.attempt === 0) return t("If there is no answer, we ask others near you.");
  return t("Attempt {attempt} of {max_attempts}", countdown);
}
