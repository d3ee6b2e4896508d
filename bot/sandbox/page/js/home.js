// The app's Home tab: the view the bot published for this persona.

import { blocks } from "./blocks.js";
import { $, fill, h } from "./dom.js";
import { selected, values } from "./elements.js";
import { confirm } from "./modal.js";
import { act, slack, ui } from "./store.js";

export function showHome(root) {
  const given = slack().homes?.[ui.user];
  const view = given && { ...(given.body ?? given.view ?? given), id: given.id };
  if (!view?.blocks) {
    fill(root, [h("p.empty", { key: "empty" }, "The bot has not published a home for this person yet. It is asked each time Home is opened.")]);
    return;
  }
  const ctx = {
    scope: `home-${ui.user}`, confirm,
    act: (block, el, value) => act("press_view", { view_id: view.id, user: ui.user, action_id: el.action_id, block_id: block.block_id, selected: selected(el, value), values: values($("#messages .home")) }),
  };
  fill(root, [h("div.home", { key: `home-${ui.user}` }, blocks(view.blocks, ctx))]);
}
