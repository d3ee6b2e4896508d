// Modals the bot opened, and the page's own "are you sure": both are <dialog>, so focus stays inside by itself.

import { blocks } from "./blocks.js";
import { $, fill, h } from "./dom.js";
import { plain, selected, text, values } from "./elements.js";
import { act, slack, store, tell, ui } from "./store.js";

let wrong = { view: null, errors: {} };
let sending = false;

/** Show the newest view of this persona, or none. */
export function showModal() {
  const root = $("#dialogs");
  const stack = (slack().views ?? []).filter((v) => v.user === ui.user || v.user_id === ui.user);
  const row = stack.at(-1);
  const view = row && { ...(row.body ?? row.view ?? row), id: row.id };
  const old = $("dialog.view", root);
  if (!view) { old?.close(); old?.remove(); return; }
  if (wrong.view !== view.id) wrong = { view: view.id, errors: {} };
  const fresh = draw(view);
  if (old && old.__key !== fresh.__key) { old.close(); old.remove(); }
  fill(root, [fresh]);
  const dialog = $("dialog.view", root);
  if (!dialog.open) {
    dialog.showModal();
    $(".modal-body input, .modal-body select, .modal-body textarea", dialog)?.focus();
  }
}

function draw(view) {
  const ctx = {
    scope: view.id, errors: wrong.errors, confirm,
    act: (block, el, value) => act("press_view", { view_id: view.id, user: ui.user, action_id: el.action_id, block_id: block.block_id, selected: selected(el, value), values: values($("dialog.view .modal-body")) }),
  };
  return h("dialog.view", {
    key: `view-${view.id}`, "aria-labelledby": "modal-title",
    oncancel: (event) => { event.preventDefault(); close(view); },
  },
  h("form.modal", { novalidate: true, onsubmit: (event) => { event.preventDefault(); submit(view); } },
    h("header", {}, h("h2", { id: "modal-title" }, text(view.title)), h("button.tool", { type: "button", "aria-label": "Close", onclick: () => close(view) }, "✕")),
    h("div.modal-body", {}, blocks(view.blocks, ctx)),
    h("footer", {},
      h("button.plain", { type: "button", onclick: () => close(view) }, view.close ? text(view.close) : "Cancel"),
      view.submit ? h("button.primary", { type: "submit", disabled: sending }, text(view.submit)) : null)));
}

function missing(view, given) {
  const out = {};
  for (const block of view.blocks ?? []) {
    if (block.type !== "input" || block.optional) continue;
    const held = Object.entries(given[block.block_id]?.[block.element.action_id] ?? {}).filter(([name]) => name !== "type");
    const empty = held.every(([, v]) => v === null || v === "" || (Array.isArray(v) && !v.length));
    if (empty) out[block.block_id] = "Please fill this in.";
  }
  return out;
}

async function submit(view) {
  if (sending) return;
  const given = values($("dialog.view .modal-body"));
  let errors = missing(view, given);
  if (!Object.keys(errors).length) {
    sending = true;
    showModal();
    const said = await act("submit_view", { view_id: view.id, user: ui.user, values: given });
    sending = false;
    errors = said?.errors ?? {};
  }
  wrong = { view: view.id, errors };
  showModal();
  $("dialog.view [aria-invalid]")?.focus();
}

async function close(view) {
  if (await act("close_view", { view_id: view.id, user: ui.user })) {
    store.state.slack.views = slack().views.filter((v) => v.id !== view.id);
    showModal();
  }
}

/** Ask before `go()`, with the words of a Block Kit confirm object. */
export function confirm(asked, go) {
  const before = document.activeElement;
  const done = (yes) => {
    dialog.close();
    dialog.remove();
    before?.focus?.();
    if (yes) Promise.resolve(go()).catch((e) => tell(String(e)));
  };
  const dialog = h("dialog.confirm", { "aria-labelledby": "confirm-title", oncancel: (event) => { event.preventDefault(); done(false); } },
    h("div.modal", {}, h("header", {}, h("h2", { id: "confirm-title" }, plain(asked.title?.text ?? "Are you sure?"))),
      h("div.modal-body", {}, text(asked.text)),
      h("footer", {}, h("button.plain", { type: "button", onclick: () => done(false) }, plain(asked.deny?.text ?? "Cancel")),
        h("button", { class: asked.style === "danger" ? "danger" : "primary", type: "button", onclick: () => done(true) }, plain(asked.confirm?.text ?? "Yes")))));
  document.body.append(dialog);
  dialog.showModal();
}
