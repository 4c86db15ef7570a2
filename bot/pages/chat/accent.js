/** Takes a website's own colour as the accent, and derives from it what stays readable on it and beside it. */

const READABLE = 4.5;
const MIX_STEPS = 20;

/**
 * Sets the accent for light and dark; a colour that the browser does not know changes nothing.
 * @param {string|null} colour
 */
export function applyAccent(colour) {
  const accent = rgbOf(colour);
  if (!accent) return;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const paper = dark.matches ? [31, 28, 25] : [255, 253, 249];
    const style = document.documentElement.style;
    style.setProperty("--accent", cssOf(accent));
    style.setProperty("--on-accent", contrast(accent, [255, 255, 255]) >= READABLE ? "#ffffff" : "#14110f");
    style.setProperty("--accent-ink", cssOf(readableOn(paper, accent)));
  };
  dark.addEventListener("change", apply);
  apply();
}

/** @returns {number[]|null} red, green, blue of any colour that CSS can name @param {string|null} colour */
function rgbOf(colour) {
  if (!colour || !CSS.supports("color", colour)) return null;
  const canvas = document.createElement("canvas");
  canvas.width = 1;
  canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  if (!pen) return null;
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  return Array.from(pen.getImageData(0, 0, 1, 1).data.slice(0, 3));
}

/**
 * The colour itself, or as much of black or white in it as makes it readable on the paper.
 * @param {number[]} paper
 * @param {number[]} colour
 */
function readableOn(paper, colour) {
  const end = luminance(paper) > 0.5 ? 0 : 255;
  for (let step = 0; step <= MIX_STEPS; step += 1) {
    const mixed = colour.map((part) => Math.round(part + ((end - part) * step) / MIX_STEPS));
    if (contrast(mixed, paper) >= READABLE) return mixed;
  }
  return [end, end, end];
}

/** Contrast ratio as WCAG 2 defines it. @param {number[]} one @param {number[]} other */
function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** @param {number[]} rgb */
function luminance(rgb) {
  const linear = rgb.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

/** @param {number[]} rgb */
function cssOf(rgb) {
  return `rgb(${rgb.join(" ")})`;
}
