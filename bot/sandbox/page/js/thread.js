// The thread beside the conversation.

import { composer } from "./composer.js";
import { $, fill, h } from "./dom.js";
import { showReplies } from "./messages.js";
import { channelOf, choose, isReply, ui, visible } from "./store.js";

export function showThread(root) {
  const shown = Boolean(ui.thread) && !ui.home;
  root.hidden = !shown;
  document.body.toggleAttribute("data-thread", shown);
  if (!shown) { root.replaceChildren(); return; }
  const seen = visible(ui.channel);
  const parent = seen.find((m) => m.ts === ui.thread);
  if (!parent) { root.hidden = true; root.replaceChildren(); document.body.removeAttribute("data-thread"); return; }
  const replies = seen.filter((m) => m.thread_ts === ui.thread && isReply(m));
  if (!$(".replies", root)) {
    fill(root, [h("header", { key: "head" }), h("div.replies", { key: "replies", role: "log", "aria-live": "off", "aria-label": "Replies" }), h("form.composer", { key: "form", "aria-label": "Reply" })]);
  }
  fill($("header", root), [h("h2", {}, "Thread", h("span.muted", {}, ` #${channelOf(ui.channel)?.name ?? ""}`)),
    h("button.tool", { type: "button", "aria-label": "Close the thread", title: "Close (Esc)", onclick: closeThread }, "✕")]);
  const list = $(".replies", root);
  list.dataset.scope = ui.thread;
  // The box first: it takes its height from the list, and the list then ends where the reader looks.
  composer($("form", root), "thread-box", ui.thread);
  showReplies(list, parent, replies);
}

export function closeThread() {
  const from = ui.thread;
  choose({ thread: null });
  requestAnimationFrame(() => ($(`#messages > .message[data-ts="${from}"]`) ?? $("#box"))?.focus());
}
