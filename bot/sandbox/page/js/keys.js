// Keys that work everywhere: "/" goes to the message box, Esc closes what is open, Alt+↑/↓ changes the channel.

import { $ } from "./dom.js";
import { enter } from "./frame.js";
import { choose, ui } from "./store.js";
import { closeThread } from "./thread.js";

const typing = (el) => el?.matches?.("input, textarea, select, [contenteditable]");

export function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (event.key === "/" && !typing(event.target) && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      if (ui.home) return;
      choose({ place: "chat" });
      document.body.dataset.place = "chat"; // at once, so that what is typed next already goes into the box
      const box = $("#box");
      box?.focus();
      if (box && !box.value) { box.value = "/"; box.dispatchEvent(new Event("input", { bubbles: true })); }
    } else if (event.key === "Escape" && ui.thread) {
      event.preventDefault();
      closeThread();
    } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      const all = [...document.querySelectorAll("#rail button.channel")];
      const now = all.findIndex((b) => b.getAttribute("aria-current"));
      const next = all[now + (event.key === "ArrowDown" ? 1 : -1)];
      if (next) { event.preventDefault(); enter(next.__key === "home" ? null : next.__key); }
    }
  });
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.overflow[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
}
