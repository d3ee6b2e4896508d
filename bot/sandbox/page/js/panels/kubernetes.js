// What the cluster holds, by kind; each object in full when opened.

import { h, lazy } from "../dom.js";
import { render, store } from "../store.js";
import { nothing, tag } from "./parts.js";

let wanted = "";

export function kubernetes() {
  const all = store.state.kubernetes?.objects ?? [];
  const rows = all.filter((o) => label(o).toLowerCase().includes(wanted.toLowerCase()));
  const kinds = [...new Set(rows.map((o) => o.kind))].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  return [
    h("div.row", { key: "filter" }, h("input", { type: "search", "aria-label": "Filter objects", placeholder: "Filter by kind, namespace or name", oninput() { wanted = this.value; render(); } })),
    rows.length ? null : nothing(all.length ? "Nothing matches." : "The cluster is empty."),
    kinds.map((kind) => [h("h3.kind", { key: kind }, kind),
      rows.filter((o) => o.kind === kind).map((o) => lazy(label(o), JSON.stringify(o), () => object(o)))]),
  ];
}

// Flags, meshes and workloads first: they are what the bot changes.
const ORDER = ["ConfigMap", "PeerAuthentication", "AuthorizationPolicy", "DestinationRule", "VirtualService", "Deployment", "Pod", "Job"];
const rank = (kind) => (ORDER.includes(kind) ? ORDER.indexOf(kind) : ORDER.length);

const label = (o) => `${o.kind} ${o.namespace ?? ""}/${o.name}`;

function object(o) {
  return h("details.object", {}, h("summary", {}, h("span.name", {}, o.name), o.namespace ? tag(o.namespace) : null, ...glance(o)),
    h("pre.code", { tabindex: "0" }, yaml(o).trimEnd()));
}

/** The one thing about an object that a person looks for first. */
function glance(o) {
  if (o.kind === "ConfigMap") return flags(o).map(([name, until]) => tag(`${name} on until ${until}`, "warn"));
  if (o.kind === "PeerAuthentication") return [tag(o.spec?.mtls?.mode ?? "UNSET", o.spec?.mtls?.mode === "STRICT" ? "good" : "warn")];
  if (o.kind === "AuthorizationPolicy") return [tag(o.spec?.action ?? "ALLOW")];
  if (o.kind === "DestinationRule") return [tag(o.spec?.trafficPolicy?.tls?.mode ?? "no TLS policy")];
  if (o.kind === "Deployment" || o.kind === "StatefulSet") {
    const [ready, asked] = [o.status?.readyReplicas ?? o.status?.availableReplicas ?? 0, o.spec?.replicas ?? 1];
    return [tag(`${ready}/${asked}`, ready >= asked ? "good" : "bad")];
  }
  if (o.kind === "VirtualService") {
    const fault = (o.spec?.http ?? []).some((r) => r.fault);
    return fault ? [tag("fault injected", "bad")] : [];
  }
  return o.status?.phase ? [tag(o.status.phase, ["Running", "Active", "Succeeded"].includes(o.status.phase) ? "good" : "warn")] : [];
}

const MARK = "release-captain/flag.";

/** [flag, when it goes off] for each mark of the bot on the object. */
function flags(o) {
  return Object.entries(o.annotations ?? {}).filter(([key]) => key.startsWith(MARK)).map(([key, text]) => {
    const until = /"until": "([^"]+)"/.exec(text);
    return [key.slice(MARK.length), until ? new Date(until[1]).toLocaleTimeString() : "?"];
  });
}

function yaml(value, pad = "") {
  if (Array.isArray(value)) {
    return value.map((v) => (typeof v === "object" && v !== null && Object.keys(v).length ? `${pad}- ${yaml(v, `${pad}  `).trimStart()}` : `${pad}- ${scalar(v)}\n`)).join("");
  }
  return Object.entries(value).filter(([, v]) => v !== undefined).map(([k, v]) => {
    if (typeof v !== "object" || v === null || !Object.keys(v).length) return `${pad}${k}: ${scalar(v)}\n`;
    return `${pad}${k}:\n${yaml(v, Array.isArray(v) ? pad : `${pad}  `)}`;
  }).join("");
}

const scalar = (v) => (typeof v === "string" && /^[\w./@-]+$/.test(v) && !/^(true|false|null|\d+)$/.test(v) ? v : JSON.stringify(v));
