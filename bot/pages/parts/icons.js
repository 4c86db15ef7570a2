/** The line icons of all pages, drawn with the current text colour and hidden from screen readers. */

import { svg } from "/parts/dom.js";

const PATHS = {
  arrow_back: "M15 5l-7 7 7 7",
  arrow_down: "M12 5v13M6 13l6 6 6-6",
  bell: "M6 16.5c1.2-1.2 1.5-2.8 1.5-5.5a4.5 4.5 0 019 0c0 2.7.3 4.3 1.5 5.5zM10.5 19a1.6 1.6 0 003 0",
  bell_off: "M6 16.5c1.2-1.2 1.5-2.8 1.5-5.5a4.5 4.5 0 019 0c0 2.7.3 4.3 1.5 5.5zM10.5 19a1.6 1.6 0 003 0M4.5 4.5l15 15",
  check: "M5 12.5l4.5 4.5L19 7.5",
  checks: "M2.5 12.5l4.5 4.5 9.5-9.5M11.5 16l1 1L22 7.5",
  clock: "M12 4a8 8 0 100 16 8 8 0 000-16zM12 8v4.5l3 2",
  close: "M6 6l12 12M18 6L6 18",
  alert: "M12 4a8 8 0 100 16 8 8 0 000-16zM12 8v5M12 15.8v.2",
  lock: "M7 11h10v8H7zM9 11V8.5a3 3 0 016 0V11",
  pin: "M12 20.5c4-4.5 6-7.6 6-10.5a6 6 0 10-12 0c0 2.9 2 6 6 10.5zM12 8a2.2 2.2 0 110 4.4A2.2 2.2 0 0112 8z",
  locate: "M12 6.5a5.5 5.5 0 110 11 5.5 5.5 0 010-11zM12 3v3.5M12 17.5V21M3 12h3.5M17.5 12H21",
  person: "M12 4.5a3.5 3.5 0 110 7 3.5 3.5 0 010-7zM5.5 20c.5-4 3-6 6.5-6s6 2 6.5 6",
  share: "M12 14.5V4M8.5 7.5L12 4l3.5 3.5M8 11H6v9h12v-9h-2",
  send: "M5 12l14-7-4.5 14-3-5.5zM11.5 13.5L19 5",
  star: "M12 4.5l2.3 4.8 5.2.7-3.8 3.6.9 5.2-4.6-2.5-4.6 2.5.9-5.2L4.5 10l5.2-.7z",
};

/**
 * @param {keyof typeof PATHS} name
 * @returns {SVGElement}
 */
export function icon(name) {
  return svg(
    "svg",
    {
      class: `icon icon-${name}`,
      viewBox: "0 0 24 24",
      width: 24,
      height: 24,
      aria: { hidden: true },
      focusable: "false",
    },
    svg("path", { d: PATHS[name] }),
  );
}
