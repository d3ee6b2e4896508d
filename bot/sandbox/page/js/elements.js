// Block Kit's interactive elements as native controls, and what they hold, in the shape of Slack's `state.values`.

import { h } from "./dom.js";
import { emoji } from "./emoji.js";
import { people, slack } from "./store.js";
import { inline, unescape } from "./mrkdwn.js";

/** A text object, `plain_text` or `mrkdwn`, as children for h(). */
export function text(object) {
  if (!object) return [];
  if (typeof object === "string") return [object];
  return object.type === "mrkdwn" ? inline(object.text ?? "") : [plain(object.text ?? "")];
}

export const plain = (words) => unescape(words).replace(/:([a-z0-9_+'-]+):/g, (all, name) => emoji(name) ?? all);

const marks = (block, element) => ({
  "data-block": block.block_id, "data-action": element.action_id, "data-kind": element.type,
  key: `${block.block_id}/${element.action_id}`,
});

/** One element. `ctx.act(block, element, value)` is called when it acts at once; `ctx.form` when it only holds a value. */
export function element(el, block, ctx, label) {
  const draw = DRAW[el.type] ?? (el.type in CHOOSERS ? chooser : null);
  if (!draw) return h("span.unknown", {}, `This page cannot show a ${el.type}.`);
  return draw(el, block, ctx, label ?? el.accessibility_label ?? el.placeholder?.text ?? el.action_id);
}

// Acting at once is what elements outside of input blocks do; those inside wait for the form.
const acting = (ctx, block, el, value) => {
  if (block.type === "input" && !block.dispatch_action) return undefined;
  return (event) => confirmed(ctx, el, () => ctx.act(block, el, value(event.currentTarget)));
};

function confirmed(ctx, el, go) {
  return el.confirm ? ctx.confirm(el.confirm, go) : go();
}

function button(el, block, ctx) {
  const kind = el.style === "primary" ? "primary" : el.style === "danger" ? "danger" : "plain";
  if (el.url && /^https?:/i.test(el.url)) {
    return h(`a.button.${kind}`, { ...marks(block, el), href: el.url, target: "_blank", rel: "noopener noreferrer",
      onclick: () => ctx.act(block, el, { value: el.value }) }, text(el.text));
  }
  return h(`button.${kind}`, { ...marks(block, el), type: "button", "aria-label": el.accessibility_label, disabled: ctx.frozen,
    onclick: () => confirmed(ctx, el, () => ctx.act(block, el, { value: el.value })) }, text(el.text));
}

const groups = (el) => el.option_groups ?? [{ options: el.options ?? [] }];
const option = (value, label) => ({ text: { type: "plain_text", text: label }, value });

// Selects whose options Slack itself supplies: [what is offered, the name of the chosen thing, of several].
const CHOOSERS = {
  static_select: [(el) => groups(el), "selected_option", "selected_options"],
  users_select: [() => [{ options: people().map((u) => option(u.id, u.real_name || u.name)) }], "selected_user", "selected_users"],
  channels_select: [rooms, "selected_channel", "selected_channels"],
  conversations_select: [rooms, "selected_conversation", "selected_conversations"],
};
for (const name of Object.keys(CHOOSERS)) CHOOSERS[`multi_${name}`] = CHOOSERS[name];

function rooms() {
  return [{ options: slack().channels.filter((c) => !c.is_archived).map((c) => option(c.id, `#${c.name}`)) }];
}

function chooser(el, block, ctx, label) {
  const [offered, one, many] = CHOOSERS[el.type];
  if (el.type.startsWith("multi_")) return several(el, block, ctx, label, offered(el), many);
  const first = el[`initial_${one.slice(9)}`];
  const chosen = first?.value ?? first;
  const drawn = ({ options }) => options.map((o) =>
    h("option", { value: o.value, "data-option": JSON.stringify(o), selected: o.value === chosen }, plain(o.text.text)));
  const onchange = acting(ctx, block, el, (node) => chosenOf(node, one));
  return h("select", { ...marks(block, el), "aria-label": label, "data-one": one, onchange: onchange && function change(event) {
    if (this.value) onchange(event);
  } },
  h("option", { value: "" }, el.placeholder?.text ?? "Choose…"),
  offered(el).map((g) => (g.label ? h("optgroup", { label: g.label.text }, drawn(g)) : drawn(g))));
}

function chosenOf(node, one) {
  const raw = node.selectedOptions[0]?.dataset.option;
  const picked = raw ? JSON.parse(raw) : null;
  return { [one]: one === "selected_option" ? picked : picked?.value ?? null };
}

function several(el, block, ctx, label, offered, many) {
  const initial = (el[`initial_${many.slice(9)}`] ?? []).map((o) => o.value ?? o);
  const all = offered.flatMap((g) => g.options);
  const onchange = acting(ctx, block, el, (node) => read(node.closest("[data-kind]")));
  return h("details.multi", { ...marks(block, el), "data-many": many },
    h("summary", {}, el.placeholder?.text ?? label ?? "Choose…"),
    h("div.choices", { role: "group", "aria-label": label }, all.map((o) => h("label", {},
      h("input", { type: "checkbox", "data-option": JSON.stringify(o), checked: initial.includes(o.value), onchange }), " ", text(o.text)))));
}

function boxes(type, one) {
  return (el, block, ctx, label) => {
    const initial = [el.initial_option, ...(el.initial_options ?? [])].filter(Boolean).map((o) => o.value);
    const onchange = acting(ctx, block, el, (node) => read(node.closest("[data-kind]")));
    const name = `${ctx.scope}/${block.block_id}/${el.action_id}`;
    return h("div.choices", { ...marks(block, el), role: type === "radio" ? "radiogroup" : "group", "aria-label": label, "data-picks": one },
      (el.options ?? []).map((o) => h("label", {},
        h("input", { type, name, "data-option": JSON.stringify(o), checked: initial.includes(o.value), onchange }),
        h("span", {}, text(o.text), o.description ? h("small", {}, text(o.description)) : null))));
  };
}

function overflow(el, block, ctx, label) {
  return h("details.overflow", { ...marks(block, el) },
    h("summary", { "aria-label": label === el.action_id ? "More" : label }, "⋯"),
    h("div.menu", {}, (el.options ?? []).map((o) => h("button.quiet", { type: "button", onclick(event) {
      event.currentTarget.closest("details").open = false;
      confirmed(ctx, el, () => ctx.act(block, el, { selected_option: o }));
    } }, text(o.text)))));
}

function field(type, given, taken) {
  return (el, block, ctx, label) => h("input", {
    ...marks(block, el), type, "aria-label": label, value: el[given] ?? "", placeholder: el.placeholder?.text, "data-taken": taken,
    maxlength: el.max_length, minlength: el.min_length, min: el.min_value, max: el.max_value, step: el.is_decimal_allowed ? "any" : undefined,
    onchange: acting(ctx, block, el, (node) => read(node)),
  });
}

function words(el, block, ctx, label) {
  if (!el.multiline) return field("text", "initial_value", "value")(el, block, ctx, label);
  return h("textarea", { ...marks(block, el), rows: "4", "aria-label": label, placeholder: el.placeholder?.text, maxlength: el.max_length,
    value: el.initial_value ?? "", "data-taken": "value" });
}

function moment(el, block, ctx, label) {
  const first = el.initial_date_time ? new Date(el.initial_date_time * 1000 - new Date().getTimezoneOffset() * 60000).toISOString().slice(0, 16) : "";
  return h("input", { ...marks(block, el), type: "datetime-local", "aria-label": label, value: first, "data-taken": "selected_date_time",
    onchange: acting(ctx, block, el, (node) => read(node)) });
}

const DRAW = {
  button, overflow, plain_text_input: words, datetimepicker: moment,
  rich_text_input: (el, ...rest) => words({ ...el, multiline: true, initial_value: "" }, ...rest),
  workflow_button: (el) => h("button.plain", { type: "button", disabled: true, title: "Workflows are not part of the sandbox." }, text(el.text)),
  file_input: () => h("span.unknown", {}, "Files cannot be chosen in the sandbox."),
  external_select: () => h("span.unknown", {}, "This page cannot ask the bot for options."),
  checkboxes: boxes("checkbox", "selected_options"),
  radio_buttons: boxes("radio", "selected_option"),
  datepicker: field("date", "initial_date", "selected_date"),
  timepicker: field("time", "initial_time", "selected_time"),
  email_text_input: field("email", "initial_value", "value"),
  url_text_input: field("url", "initial_value", "value"),
  number_input: field("number", "initial_value", "value"),
};

/** What one element holds now, without its type. */
function read(node) {
  if (node.dataset.one) return chosenOf(node, node.dataset.one);
  const checked = () => [...node.querySelectorAll("input:checked")].map((i) => JSON.parse(i.dataset.option));
  if (node.dataset.many) {
    const options = checked();
    return { [node.dataset.many]: node.dataset.many === "selected_options" ? options : options.map((o) => o.value) };
  }
  if (node.dataset.picks === "selected_options") return { selected_options: checked() };
  if (node.dataset.picks === "selected_option") return { selected_option: checked()[0] ?? null };
  if (node.dataset.kind === "datetimepicker") return { selected_date_time: node.value ? new Date(node.value).getTime() / 1000 : null };
  if (node.dataset.kind === "rich_text_input") return { rich_text_value: node.value ? rich(node.value) : null };
  return { [node.dataset.taken]: node.value === "" ? null : node.value };
}

const rich = (words_) => ({ type: "rich_text", elements: [{ type: "rich_text_section", elements: [{ type: "text", text: words_ }] }] });

/** What was chosen, as the sandbox wants it; nothing for a button, which is only pressed. */
export const selected = (el, value) => (el.type === "button" ? undefined : { type: el.type, ...value });

/** Slack's `state.values` of everything below `root`: {block_id: {action_id: {type, …}}}. */
export function values(root) {
  const out = {};
  for (const node of root.querySelectorAll("[data-kind]")) {
    const { block, action, kind } = node.dataset;
    if (["button", "overflow"].includes(kind)) continue;
    (out[block] ??= {})[action] = { type: kind, ...read(node) };
  }
  return out;
}
