// The world around the bot: what burns, what is broken, how it does, and whether the bot lives.

import { $, h } from "../dom.js";
import { act, channelOf, choose, render, store, tell, ui } from "../store.js";
import { since, tag } from "./parts.js";

const NAMES = { slack: "Slack", pagerduty: "PagerDuty", jira: "Jira", kubernetes: "Kubernetes", prometheus: "Prometheus", alertmanager: "Alertmanager", heartbeat: "Heartbeat", services: "Services" };
const MODES = [
  ["500", "500", "answers with an error"], ["429", "429", "asks to wait (Retry-After)"],
  ["hang", "Hang", "takes the call and never answers"], ["reset", "Reset", "acts, then drops the connection"],
];
const FOR = [["10", "10 s"], ["30", "30 s"], ["120", "2 min"], ["", "until mended"]];

export function world() {
  const w = store.state.world ?? {};
  return [burns(w), deploys(w), troubles(w), faults(w), botCard(store.state.bot ?? {}), metrics(w), delivery()];
}

function burns(w) {
  const alerts = (store.state.alertmanager?.alerts ?? []).filter((a) => stateOf(a) !== "resolved");
  return h("section.card", { key: "burn", "aria-labelledby": "w-burn" }, h("h3", { id: "w-burn" }, "Error budget"),
    (w.services ?? []).map((name) => {
      const mine = alerts.filter((a) => a.labels?.service === name);
      return h("div.turn", { key: name }, h("div.turn-name", {}, h("strong", {}, name), mine.map((a) => tag(`${a.labels?.burn ?? a.labels?.alertname ?? "alert"} burn`, "bad")),
          mine.length ? undo("End", `End the burn of ${name}`, () => act("calm", { service: name })) : null),
        h("div.row", {}, h("button.danger.small", { type: "button", onclick: () => burn(name, "fast") }, "Fast burn"),
          h("button.plain.small", { type: "button", onclick: () => burn(name, "slow") }, "Slow burn")));
    }));
}

// Whoever looks at another channel is told where the answer will be.
async function burn(service, kind) {
  const away = ui.home || channelOf(ui.channel)?.name !== service;
  if (await act("burn", { service, kind }) && away && channelOf(service)) tell(`${service} burns. Watch #${service}.`);
}

function deploys(w) {
  return h("section.card", { key: "deploys", "aria-labelledby": "w-deploys" }, h("h3", { id: "w-deploys" }, "Deploys"),
    (w.services ?? []).map((name) => h("div.turn", { key: name },
      h("div.turn-name", {}, h("strong", {}, name), ...versionOf(name)),
      h("div.row", { role: "group", "aria-label": `Deploy ${name}` }, h("button.plain.small", { type: "button", onclick: () => deploy(name, false) }, "Deploy"),
        h("button.danger.small", { type: "button", title: `${name} answers with errors from then on`, onclick: () => deploy(name, true) }, "Bad deploy")))));
}

/** The version that the cluster runs, and whether it is there. */
function versionOf(name) {
  const found = (store.state.kubernetes?.objects ?? []).find((o) => o.kind === "Deployment" && o.namespace === "prod" && o.name === name);
  if (!found) return [h("span.muted", {}, "not in the cluster")];
  const version = found.spec?.template?.spec?.containers?.[0]?.image?.split(":").pop() ?? "?";
  const { updatedReplicas = 0, replicas = 0 } = found.status ?? {};
  return [h("code", {}, version), updatedReplicas < replicas || replicas < (found.spec?.replicas ?? 1) ? tag("rolling out", "warn") : null];
}

async function deploy(service, bad) {
  const away = ui.home || channelOf(ui.channel)?.name !== service;
  const done = await act("deploy", { service, bad });
  if (done && away) tell(`${service} ${done.version} is being rolled out. Watch #${service}.`);
}

const stateOf = (a) => a.status?.state ?? a.status ?? a.state ?? "";

function faults(w) {
  return h("section.card", { key: "faults", "aria-labelledby": "w-faults" },
    h("div.card-title", {}, h("h3", { id: "w-faults" }, "Break something"),
      h("label", {}, "for ", h("select", { "aria-label": "For how long", onchange() { choose({ duration: this.value }); } }, FOR.map(([v, l]) => h("option", { value: v, selected: v === ui.duration }, l))))),
    Object.keys(NAMES).filter((n) => n in (w.faults ?? {})).map((name) => broken(name, w.faults[name])));
}

function broken(name, rows) {
  const length = ui.duration ? Number(ui.duration) : null;
  return h("div.turn", { key: name }, h("div.turn-name", {}, h("strong", {}, NAMES[name]), name === "heartbeat" ? beats() : null, rows.map((f) => h("span.tag", { "data-tone": "bad", key: `${f.mode}${f.only}` }, f.mode, " ",
    h("span", { "data-until": f.seconds_left === null ? null : String(store.at / 1000 + f.seconds_left) }, left(f)), f.only ? ` ${f.only}` : "")),
  rows.length ? undo("Mend", `Mend ${NAMES[name]}`, () => act("mend", { service: name })) : null),
  h("div.row", { role: "group", "aria-label": `Break ${NAMES[name]}` },
    MODES.map(([mode, label, title]) => h("button.plain.small", { type: "button", title: `${NAMES[name]} ${title}`, "aria-label": `${NAMES[name]} ${label}: ${title}`,
      onclick: () => act("break", { service: name, mode, seconds: length }) }, label))));
}

// The switch outside that would alarm somebody: the bot stops calling it while a page is stuck.
function beats() {
  const { last } = store.state.heartbeat ?? {};
  return h("span.muted", {}, last ? ["beat ", since(last)] : "no beat yet");
}

// The way back, beside what it takes back; it goes once it has worked, so the focus moves to its neighbour.
function undo(label, title, go) {
  return h("button.mend.small", { key: "undo", type: "button", "aria-label": title, async onclick() {
    const turn = this.closest(".turn");
    if (await go()) $(".row button", turn)?.focus();
  } }, label);
}

const left = (f) => (f.seconds_left === null ? (f.calls_left === null ? "until mended" : `${f.calls_left} calls`) : `${Math.max(0, Math.ceil(f.seconds_left))} s`);

// What a shipped runbook would find. Those that are on stand below, each with its way back.
function troubles(w) {
  const rows = w.troubles ?? [], on = rows.filter((t) => t.on), groups = [...new Set(rows.map((t) => t.runbook))];
  const make = (event) => {
    event.preventDefault();
    const name = event.currentTarget.elements.trouble.value;
    if (name) act("trouble", { name });
  };
  return h("section.card", { key: "troubles", "aria-labelledby": "w-troubles" }, h("h3", { id: "w-troubles" }, "Trouble for a runbook"),
    h("form.inline.troubles", { onsubmit: make },
      h("select", { name: "trouble", "aria-label": "Which trouble" }, groups.map((runbook) => h("optgroup", { label: runbook, key: runbook },
        rows.filter((t) => t.runbook === runbook).map((t) => h("option", { value: t.name, disabled: t.on }, t.about))))),
      h("button.danger.small", { type: "submit" }, "Make it")),
    on.map((t) => h("div.turn", { key: t.name }, h("div.turn-name", {}, tag(t.about, "bad"), h("button.mend.small", { type: "button", "aria-label": `End: ${t.about}`, async onclick() {
      const card = this.closest(".card");
      if (await act("trouble", { name: t.name, over: true })) $("form button", card)?.focus();
    } }, "End")))));
}

function botCard(bot) {
  return h("section.card", { key: "bot", "aria-labelledby": "w-bot" }, h("h3", { id: "w-bot" }, "The bot"),
    h("p.bot-line", {}, tag(bot.state ?? "?", { ready: "good", starting: "warn" }[bot.state] ?? "bad"), bot.pid ? h("span", {}, "pid ", h("code", {}, String(bot.pid))) : null,
      h("span", {}, "since ", since(bot.since)), h("span", {}, bot.restarts === 1 ? "1 restart" : `${bot.restarts ?? 0} restarts`), bot.last_exit ? h("span.muted", {}, `last: ${bot.last_exit}`) : null),
    h("div.row", {}, h("button.danger.small", { type: "button", disabled: !bot.pid, onclick: () => act("kill", {}) }, "kill -9"),
      h("button.plain.small", { type: "button", disabled: !bot.pid, onclick: () => act("kill", { seconds: 10 }) }, "kill -9, down 10 s"),
      h("button.plain.small", { type: "button", disabled: !bot.pid, onclick: () => act("restart", {}) }, "Restart")),
    bot.log && bot.state !== "ready" ? h("details", {}, h("summary", {}, "Its last words"), h("pre.code", { tabindex: "0" }, bot.log)) : null);
}

const FIELDS = [["errors", "Errors %", 100, "0.1"], ["rps", "Req/s", 1, "1"], ["p95_ms", "p95 ms", 1, "10"], ["tls_failures", "TLS err/s", 1, "0.1"]];

function metrics(w) {
  const services = store.state.prometheus?.services ?? {};
  return h("section.card", { key: "metrics", "aria-labelledby": "w-metrics" }, h("h3", { id: "w-metrics" }, "How services do"),
    Object.entries(services).map(([name, now]) => h("form.turn", { key: name, onsubmit: (event) => set(event, name) }, h("div.turn-name", {}, h("strong", {}, name)),
      h("div.knobs", {}, FIELDS.filter(([f]) => f in now).map(([f, label, times, step]) => h("label", {}, h("span", {}, label),
        h("input", { type: "number", name: f, min: "0", step: "any", "data-step": step, value: String(Number((now[f] * times).toPrecision(6))) }))),
      h("button.plain.small", { type: "submit" }, "Set")))),
    Object.keys(services).length ? null : h("p.muted", {}, (w.services ?? []).length ? "Prometheus tells nothing." : "No services."));
}

function set(event, service) {
  event.preventDefault();
  const body = { service };
  for (const [f, , times] of FIELDS) {
    const field = event.currentTarget.elements[f];
    if (field && field.value !== "") body[f] = Number(field.value) / times;
  }
  act("metrics", body);
}

function delivery() {
  const send = async (event) => {
    event.preventDefault();
    const field = $("textarea", event.currentTarget);
    let body;
    try { body = JSON.parse(field.value); } catch (e) { tell(`This is not JSON: ${e.message}`); return; }
    const said = await act("send", { body });
    if (said) tell(`The bot answered ${said.status}.`);
  };
  const pick = async (event) => {
    const file = event.target.files[0];
    if (file) { $("textarea", event.target.closest("form")).value = await file.text(); render(); }
  };
  return h("section.card", { key: "send" }, h("details", {}, h("summary", {}, h("h3.as-summary", {}, "Post an Alertmanager body")),
    h("form", { onsubmit: send }, h("textarea", { rows: "6", "aria-label": "Alertmanager webhook body", placeholder: '{"version": "4", "status": "firing", "alerts": [ … ]}', spellcheck: "false" }),
      h("div.row", {}, h("input", { type: "file", accept: ".json,application/json", "aria-label": "Take the body from a file", onchange: pick }), h("button.primary.small", { type: "submit" }, "Send to the bot")))));
}
