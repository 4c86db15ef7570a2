/** The therapists' page: asks who it is, shows the console, and lets go again. */

import { createAnnouncer } from "/parts/announcer.js";
import { allowSound } from "/device/audio.js";
import { forgetBearer, registerWorker } from "/device/background.js";
import { Console } from "/therapist/console.js";
import { h, replaceChildren } from "/parts/dom.js";
import { forget, onChangeElsewhere, read, write } from "/device/storage.js";
import { changeLocale, localeSwitch, openPage } from "/parts/page.js";
import { turnPushOff } from "/device/push.js";
import { listenForPerson, loadSounds } from "/device/sounds.js";
import { showNews } from "/device/tab-title.js";
import { signInCard } from "/therapist/therapist-sign-in.js";
import { isLocaleKey, preferredLocale } from "/parts/words.js";

const TOKEN_KEY = "janji.therapist";
const REMINDERS = ["reminder-5h", "reminder-4h", "reminder-3h", "reminder-2h", "reminder-1h"];
const SOUNDS = ["urgent-booking", "therapist-alert", "booking-success", ...REMINDERS];

async function open() {
  const settings = await openPage();
  allowSound();
  listenForPerson();
  loadSounds(SOUNDS);
  registerWorker();
  const announce = createAnnouncer();
  const place = /** @type {HTMLElement} */ (document.getElementById("desk"));
  /** @type {Console|null} */
  let workplace = null;

  /** @param {string} [reason] why the therapist is asked again */
  function showSignIn(reason) {
    /** @param {import("/therapist/therapist-sign-in.js").SignedIn} signedIn */
    const onSignedIn = ({ token }) => {
      write(TOKEN_KEY, token);
      showDesk(token);
    };
    const language = localeSwitch(settings.locales, async (locale) => {
      await changeLocale(locale);
      showSignIn(reason);
    });
    const header = h("header", { class: "desk-header desk-header-bare" }, language);
    replaceChildren(place, header, h("main", { class: "sign-in-place" }, signInCard({ settings, reason, onSignedIn })));
  }

  /** @param {string} token */
  function showDesk(token) {
    /** @param {string} [reason] */
    const onSignOut = (reason) => {
      workplace?.stop();
      workplace = null;
      forget(TOKEN_KEY);
      forgetBearer("therapist");
      turnPushOff(token);
      showNews(0);
      showSignIn(reason);
    };
    workplace = new Console({ place, settings, token, announce, onSignOut });
    workplace.start();
  }

  onChangeElsewhere((key) => isLocaleKey(key) && workplace?.switchLocale(preferredLocale(settings)));
  const token = read(TOKEN_KEY);
  if (token) showDesk(token);
  else showSignIn();
}

open();
