/** Light or dark: what the system says, unless this browser was told otherwise. */

const KEY = "hewston.theme";
const CHANGED = "hewston:theme";

/** @returns {"light" | "dark"} */
export function theme() {
  const isDark = globalThis.matchMedia("(prefers-color-scheme: dark)").matches;
  const told = localStorage.getItem(KEY);
  return told === "light" || told === "dark" ? told : isDark ? "dark" : "light";
}

export function applyTheme() {
  document.documentElement.dataset["theme"] = theme();
  document.dispatchEvent(new Event(CHANGED));
}

export function toggleTheme() {
  localStorage.setItem(KEY, theme() === "dark" ? "light" : "dark");
  applyTheme();
}

/** @param {() => void} listener @returns {() => void} stops listening */
export function onTheme(listener) {
  document.addEventListener(CHANGED, listener);
  return () => document.removeEventListener(CHANGED, listener);
}

export function watchSystemTheme() {
  globalThis.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
}
