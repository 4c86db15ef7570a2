/** The demo shop: three ways to begin a booking, as any website could have them, each opening the chat of the widget. */

import { avatar } from "/parts/avatar.js";
import { chips, languageNames, rating } from "/chat/chat-cards.js";
import { h, replaceChildren } from "/parts/dom.js";
import { getJson, refusalOf } from "/connection/http.js";
import { localeSwitch, openPage } from "/parts/page.js";
import { problemLine } from "/parts/problems.js";
import { KNOWN_LOCALES, currentLocale, preferredLocale, rememberLocale, t } from "/parts/words.js";

const REFRESH_MS = 60000;
const SKELETONS = 3;

/** @typedef {{source: "profile"|"menu"|"price", therapist_id?: string, service?: string, duration?: number}} Wish */
/** @typedef {{therapists: ShownTherapist[]}} Therapists */
/** @typedef {{services: MenuService[]}} Menu */

/**
 * Opens the chat with a wish; without the widget (blocked, or still on its way) the chat's own page does.
 * @param {Wish} wish
 */
function book(wish) {
  if (window.Janji) window.Janji.book(wish);
  else window.location.assign("/chat");
}

/**
 * @param {string} label
 * @param {Wish} wish
 * @param {string} what said after the label to those who hear it: the page has many such buttons
 * @param {string} [style]
 */
function bookButton(label, wish, what, style = "btn-secondary btn-small") {
  const spoken = { label: `${label}: ${what}` };
  return h(
    "button",
    { class: `btn ${style}`, type: "button", testid: "book", aria: spoken, on: { click: () => book(wish) } },
    label,
  );
}

/** @param {ClientSettings} settings */
function header(settings) {
  /** @param {string} target @param {string} label */
  const link = (target, label) => h("a", { href: `#${target}` }, label);
  const language = localeSwitch(settings.locales, (locale) => {
    rememberLocale(locale);
    window.location.reload();
  });
  return h(
    "header",
    { class: "shop-header" },
    h("a", { class: "brand", href: "/" }, h("img", { src: "/icon.svg", alt: "", width: 36, height: 36 }), "Janji"),
    h(
      "nav",
      { aria: { label: t("Sections") } },
      link("therapists", t("Therapists")),
      link("menu", t("Treatments")),
      link("prices", t("Prices")),
    ),
    language,
  );
}

function hero() {
  return h(
    "section",
    { class: "hero" },
    h(
      "div",
      { class: "hero-words" },
      h("p", { class: "eyebrow" }, t("Massage at your place")),
      h("h1", {}, t("A quiet hour, wherever you are")),
      h(
        "p",
        { class: "hero-text" },
        t(
          "A trained therapist comes to your home, villa or hotel. Choose one you like, or let us ask everyone nearby: you have an answer in about a minute.",
        ),
      ),
      h(
        "div",
        { class: "hero-actions" },
        h(
          "button",
          { class: "btn btn-primary", type: "button", on: { click: () => book({ source: "menu" }) } },
          t("Book now"),
        ),
        h("a", { class: "btn btn-quiet", href: "#therapists" }, t("Meet the therapists")),
      ),
    ),
    h("img", { class: "hero-art", src: "/shop/hero.svg", alt: "", width: 560, height: 480 }),
  );
}

/** @param {string} id @param {string} title @param {string} text @param {HTMLElement} place */
function section(id, title, text, place) {
  return h(
    "section",
    { class: "shop-section", id, aria: { labelledby: `${id}-title` } },
    h("h2", { id: `${id}-title` }, title),
    h("p", { class: "section-text" }, text),
    place,
  );
}

/** @param {ShownTherapist} therapist */
function therapistCard(therapist) {
  const { id, name, available, distance_text, languages, specialties } = therapist;
  return h(
    "li",
    { class: "therapist", testid: "therapist-card", data: { therapistId: id, available } },
    h(
      "div",
      { class: "therapist-top" },
      avatar(name, therapist.photo, "large"),
      h(
        "div",
        {},
        h("h3", {}, name),
        rating(therapist),
        h(
          "p",
          { class: available ? "presence presence-on" : "presence" },
          available ? t("Available now") : t("Not available now"),
        ),
      ),
    ),
    chips(specialties),
    h(
      "p",
      { class: "therapist-facts" },
      [distance_text, languages?.length ? languageNames(languages) : ""].filter(Boolean).join(" · "),
    ),
    bookButton(
      t("Book now"),
      { therapist_id: id, source: "profile" },
      name,
      available ? "btn-primary btn-wide" : "btn-secondary btn-wide",
    ),
  );
}

/** @param {MenuService} service */
function serviceRow(service) {
  const first = service.durations[0];
  return h(
    "li",
    { class: "service", testid: "service-row", data: { serviceId: service.id } },
    h("div", { class: "service-words" }, h("h3", {}, service.name), h("p", {}, service.description)),
    h("p", { class: "service-from" }, first ? t("from {price}", { price: first.price_text }) : ""),
    bookButton(t("Book"), { service: service.id, source: "menu" }, service.name),
  );
}

/** @param {MenuService[]} services */
function priceTable(services) {
  const lengths = [...new Set(services.flatMap((service) => service.durations.map((one) => one.minutes)))].sort(
    (one, other) => one - other,
  );
  const columns = [t("Treatment"), ...lengths.map((minutes) => t("{minutes} min", { minutes }))];
  const head = h(
    "tr",
    { role: "row" },
    columns.map((column) => h("th", { scope: "col", role: "columnheader" }, column)),
  );
  const rows = services.map((service) =>
    h(
      "tr",
      { role: "row" },
      h("th", { scope: "row", role: "rowheader" }, service.name),
      lengths.map((minutes) => priceCell(service, minutes)),
    ),
  );
  // The roles are written out because a narrow screen shows the rows as blocks, and a table laid out so forgets that it is one.
  return h(
    "table",
    { class: "prices", role: "table" },
    h("thead", { role: "rowgroup" }, head),
    h("tbody", { role: "rowgroup" }, rows),
  );
}

/** @param {MenuService} service @param {number} minutes */
function priceCell(service, minutes) {
  const price = service.durations.find((one) => one.minutes === minutes);
  const label = t("{minutes} min", { minutes });
  if (!price) return h("td", { role: "cell", data: { label } }, "–");
  const what = `${service.name}, ${label}, ${price.price_text}`;
  return h(
    "td",
    { testid: "price-cell", role: "cell", data: { minutes, label } },
    h("span", { class: "price" }, price.price_text),
    bookButton(t("Book"), { service: service.id, source: "price", duration: minutes }, what),
  );
}

/** @param {string} kind */
function skeletons(kind) {
  return h(
    "ul",
    { class: `${kind} is-loading`, aria: { hidden: true } },
    Array.from({ length: SKELETONS }, () => h("li", { class: "skeleton" })),
  );
}

/**
 * Fills a place with what the server has; a failure stands there with a button to try again.
 * @template Answer
 * @param {HTMLElement} place
 * @param {() => Promise<Answer>} load
 * @param {(answer: Answer) => HTMLElement} draw
 */
async function fill(place, load, draw) {
  try {
    replaceChildren(place, draw(await load()));
  } catch (error) {
    const again = h(
      "button",
      { class: "btn btn-secondary btn-small", type: "button", on: { click: () => fill(place, load, draw) } },
      t("Try again"),
    );
    replaceChildren(place, problemLine({ message: refusalOf(error).message, dismissible: false }, again));
  }
}

/** A first handful, and the others when somebody asks for them. */
const SHOWN_AT_FIRST = 6;
let showsAll = false;

/** @param {Therapists} answer */
function therapistList({ therapists }) {
  const nobody = h(
    "p",
    { class: "empty" },
    t("No therapist is listed yet. You can still book: we ask everyone nearby."),
  );
  if (!therapists.length) return nobody;
  const place = h("div", {});
  const show = () => {
    const shown = showsAll ? therapists : therapists.slice(0, SHOWN_AT_FIRST);
    const more = h("button", { class: "btn btn-quiet therapists-more", type: "button" }, t("Show more therapists"));
    more.addEventListener("click", () => {
      showsAll = true;
      show();
      place.querySelectorAll("li")[SHOWN_AT_FIRST]?.querySelector("button")?.focus();
    });
    const list = h("ul", { class: "therapists" }, shown.map(therapistCard));
    replaceChildren(place, ...(shown.length < therapists.length ? [list, more] : [list]));
  };
  show();
  return place;
}

function footer() {
  return h(
    "footer",
    { class: "shop-footer" },
    h("p", {}, t("Janji is the Indonesian word for a promise, and for an appointment.")),
    h("a", { href: "/therapist" }, t("For therapists")),
  );
}

/**
 * Keeps the therapists' availability true while somebody looks, without moving anything else.
 * @param {HTMLElement} place
 * @param {() => Promise<Therapists>} load
 */
function keepFresh(place, load) {
  const refresh = async () => {
    if (document.hidden || place.contains(document.activeElement)) return;
    const answer = await load().catch(() => null);
    if (answer) replaceChildren(place, therapistList(answer));
  };
  setInterval(refresh, REFRESH_MS);
  document.addEventListener("visibilitychange", refresh);
}

/**
 * One answer for all who ask; after a failure the next one asks anew.
 * @template Answer
 * @param {() => Promise<Answer>} load
 * @returns {() => Promise<Answer>}
 */
function once(load) {
  /** @type {Promise<Answer>|null} */
  let answer = null;
  return () => {
    answer ??= load().catch((error) => {
      answer = null;
      throw error;
    });
    return answer;
  };
}

async function showShop() {
  const settings = await openPage();
  document.title = t("Janji – massage at your place");
  const profiles = h("div", { class: "place" }, skeletons("therapists"));
  const menu = h("div", { class: "place" }, skeletons("services"));
  const prices = h("div", { class: "place" }, skeletons("services"));
  const query = `?locale=${encodeURIComponent(currentLocale())}`;
  /** @type {() => Promise<Therapists>} */
  const therapists = () => getJson(`/api/therapists${query}`);
  /** @type {() => Promise<Menu>} */
  const services = once(() => getJson(`/api/services${query}`));
  replaceChildren(
    /** @type {HTMLElement} */ (document.getElementById("shop")),
    h("a", { class: "skip", href: "#therapists" }, t("To the therapists")),
    header(settings),
    h(
      "main",
      {},
      hero(),
      section(
        "therapists",
        t("Therapists"),
        t("Book someone you like. If they cannot come, we ask others near you."),
        profiles,
      ),
      section("menu", t("Treatments"), t("Pick a treatment; we find the therapist."), menu),
      section("prices", t("Prices"), t("All prices are for one visit, in Indonesian rupiah."), prices),
    ),
    footer(),
  );
  await Promise.all([
    fill(profiles, therapists, therapistList),
    fill(menu, services, (answer) => h("ul", { class: "services" }, answer.services.map(serviceRow))),
    fill(prices, services, (answer) => priceTable(answer.services)),
  ]);
  keepFresh(profiles, therapists);
}

// At once, since the widget that follows reads the page's language.
document.documentElement.lang = preferredLocale({ locales: KNOWN_LOCALES, locale_default: KNOWN_LOCALES[0] });
showShop();
