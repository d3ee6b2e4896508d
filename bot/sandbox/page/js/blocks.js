// Block Kit to elements: one function per block type, by the shapes Slack documents.

import { h } from "./dom.js";
import { element, plain, text } from "./elements.js";
import { emoji } from "./emoji.js";
import { formatDate, link, mention, mrkdwn } from "./mrkdwn.js";
import { channelOf } from "./store.js";

/** All blocks of a message, modal or home. `ctx`: {scope, act, confirm, errors, frozen}. */
export function blocks(list, ctx) {
  return (list ?? []).map((given, i) => {
    const block = given.block_id ? given : { ...given, block_id: `b${i}` };
    const draw = BLOCKS[block.type];
    const node = draw ? draw(block, ctx) : unknown(block);
    node.__key = `${ctx.scope}/${block.block_id}/${block.type}`;
    return node;
  });
}

const body = (object) => (object?.type === "mrkdwn" ? mrkdwn(object.text) : text(object));

function section(block, ctx) {
  return h("div.block.section", {},
    h("div.section-main", {},
      block.text ? h("div.words", {}, body(block.text)) : null,
      block.fields ? h("div.fields", {}, block.fields.map((f) => h("div.words", {}, body(f)))) : null),
    block.accessory ? h("div.accessory", {}, block.accessory.type === "image" ? picture(block.accessory, "thumb") : element(block.accessory, block, ctx)) : null);
}

function picture(image, kind) {
  const address = image.image_url ?? image.slack_file?.url ?? "";
  const alt = image.alt_text ?? "";
  if (!/^(https?:|data:image\/)/i.test(address)) return h("span.no-image", {}, alt || "image");
  return h(`img.${kind}`, { src: address, alt, loading: "lazy", onerror() {
    this.replaceWith(h("span.no-image", { title: address }, alt || "image"));
  } });
}

function context(block) {
  return h("div.block.context", {}, (block.elements ?? []).map((e) =>
    (e.type === "image" ? picture(e, "tiny") : h("span", {}, body(e)))));
}

function input(block, ctx) {
  const wrong = ctx.errors?.[block.block_id];
  const label = plain(block.label?.text ?? "");
  const el = element(block.element, block, ctx, label);
  const id = `e-${ctx.scope}-${block.block_id}`;
  if (wrong) { el.setAttribute("aria-invalid", "true"); el.setAttribute("aria-describedby", id); }
  return h("div.block.input", { class: wrong ? "wrong" : undefined },
    h("div.label", {}, label, block.optional ? h("span.optional", {}, " (optional)") : null),
    el,
    wrong ? h("p.error", { id, role: "alert" }, wrong) : null,
    block.hint ? h("p.hint", {}, plain(block.hint.text)) : null);
}

function table(block) {
  const align = (i) => ({ style: { "text-align": block.column_settings?.[i]?.align ?? "left" } });
  const cell = (c) => (c?.type === "rich_text" ? richParts(c) : [plain(String(c?.text ?? ""))]);
  const [head, ...rows] = block.rows ?? [];
  return h("div.block.scroll", { tabindex: "0", role: "group", "aria-label": "table" }, h("table", {},
    head ? h("thead", {}, h("tr", {}, head.map((c, i) => h("th", { scope: "col", ...align(i) }, cell(c))))) : null,
    h("tbody", {}, rows.map((r) => h("tr", {}, r.map((c, i) => h("td", align(i), cell(c))))))));
}

// rich_text: what Slack's own composer writes.
function richParts(block) {
  const out = [];
  for (const part of block.elements ?? []) {
    if (part.type === "rich_text_list") list(out, part);
    else if (part.type === "rich_text_quote") out.push(h("blockquote", {}, pieces(part)));
    else if (part.type === "rich_text_preformatted") out.push(h("pre.code", {}, pieces(part)));
    else out.push(h("div.words", {}, pieces(part)));
  }
  return out;
}

function list(out, part) {
  const node = h(part.style === "ordered" ? "ol" : "ul", { start: part.offset ? part.offset + 1 : undefined, style: { "--indent": String(part.indent ?? 0) } },
    (part.elements ?? []).map((item) => h("li", {}, pieces(item))));
  out.push(node);
}

const pieces = (part) => (part.elements ?? []).map((p) => styled(piece(p), p.style)).flat();

function piece(p) {
  switch (p.type) {
    case "text": return lines(p.text ?? "");
    case "link": return [link(p.url ?? "", p.text || undefined)];
    case "emoji": return [emoji(p.name) ?? `:${p.name}:`];
    case "user": return [mention(p.user_id)];
    case "usergroup": return [h("span.mention", {}, `@${p.usergroup_id}`)];
    case "channel": return [h("span.mention", {}, `#${channelOf(p.channel_id)?.name ?? p.channel_id}`)];
    case "broadcast": return [h("span.mention.broadcast", {}, `@${p.range}`)];
    case "date": return [h("time", {}, formatDate(p.timestamp, p.format ?? "{date_num}", p.fallback))];
    case "color": return [h("code", {}, h("span.swatch", { style: { background: p.value } }), p.value)];
    default: return [p.text ?? ""];
  }
}

const lines = (words) => words.split("\n").flatMap((line, i) => (i ? [h("br"), line] : [line]));

function styled(nodes, style) {
  let out = nodes;
  for (const [name, tag] of [["code", "code"], ["bold", "strong"], ["italic", "em"], ["strike", "s"]]) {
    if (style?.[name]) out = [h(tag, {}, out)];
  }
  return out;
}

// The `markdown` block takes ordinary Markdown; what this bot's kind of text uses of it is headings, bold, code and links.
function markdown(block) {
  const slackish = (block.text ?? "").replace(/^#+ +(.*)$/gm, "*$1*").replace(/\*\*([^*\n]+)\*\*/g, "*$1*")
    .replace(/\[([^\]\n]+)\]\(([^)\s]+)\)/g, "<$2|$1>").replace(/^[-*] +/gm, "• ");
  return h("div.block.words", {}, mrkdwn(slackish));
}

function unknown(block) {
  return h("details.block.unknown", {}, h("summary", {}, `This page cannot show a ${block.type} block.`),
    h("pre.code", {}, JSON.stringify(block, null, 2)));
}

const BLOCKS = {
  section, context, input, table, markdown,
  header: (block) => h("h3.block.header", {}, text(block.text)),
  divider: () => h("hr.block", {}),
  actions: (block, ctx) => h("div.block.actions", {}, (block.elements ?? []).map((e) => element(e, block, ctx))),
  image: (block) => h("figure.block", {}, block.title ? h("figcaption", {}, text(block.title)) : null, picture(block, "wide")),
  rich_text: (block) => h("div.block.rich", {}, richParts(block)),
  video: (block) => h("div.block.words", {}, link(block.title_url ?? block.video_url ?? "", plain(block.title?.text ?? "video"))),
  file: (block) => h("div.block.words", {}, `File ${block.external_id ?? ""}`),
};
