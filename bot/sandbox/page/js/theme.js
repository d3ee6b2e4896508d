// Runs before the first paint, so that a reader who chose a theme never sees the other one flash by.
"use strict";
try {
  const chosen = JSON.parse(localStorage.getItem("captain") || "{}").theme;
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Nothing is remembered: the system's own setting holds.
}
