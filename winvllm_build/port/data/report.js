"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const read = (id) => JSON.parse($(id).textContent);
  const data = read("data"), details = read("details"), signs = read("signs");
  const tags = data.tags.map((column) => column.tag);
  const table = $("matrix"), body = table.tBodies[0], heads = [...table.tHead.rows[0].cells].slice(1);
  const panel = $("panel"), tip = $("tip");
  const controls = { q: $("q"), topic: $("topic"), layer: $("layer"), sort: $("sort"), broken: $("broken"), fold: $("fold") };
  const chips = [...document.querySelectorAll(".chip")];
  const rows = data.patches.map((patch, at) => ({
    patch, at, row: body.rows[at], cells: [...body.rows[at].cells].slice(1),
    key: `${patch.layer}/${patch.path}`,
    text: [patch.path, patch.subject, patch.layer, ...patch.topics, ...new Set(Object.values(patch.verdicts)
      .flatMap((verdict) => [verdict.kind, verdict.to || "", ...(verdict.evidence || [])]))].join("\n").toLowerCase(),
    kinds: new Set(Object.values(patch.verdicts).map((verdict) => verdict.kind)),
    broke: patch.breaks.length ? tags.indexOf(patch.breaks[0]) : Infinity,
    changed: tags.findIndex((tag) => patch.verdicts[tag] && !["identical", "new file"].includes(patch.verdicts[tag].kind)),
  }));
  rows.forEach((entry) => entry.cells.forEach((cell, column) => { cell.entry = entry; cell.column = column; cell.tabIndex = -1; }));
  let state = { kinds: new Set(), patch: "", tag: "" }, active = null, open = null;

  /* what turns writing around, or moves it, is written out */
  const plain = (text) => text.replace(/[\0-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (found) => {
    const code = found.charCodeAt(0);
    return code < 32 ? `^${String.fromCharCode(code + 64)}` : `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
  });
  const make = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
      else if (key === "class") made.className = value;
      else made.setAttribute(key, plain(value));
    }
    made.append(...children.filter((child) => child !== null).map((child) => typeof child === "string" ? plain(child) : child));
    return made;
  };
  const badge = (kind) => make("i", { class: `k k-${signs[kind].slug}` }, signs[kind].letter);
  const visible = () => rows.filter((entry) => !entry.row.hidden).sort((a, b) => a.row.rowIndex - b.row.rowIndex);
  const shownColumns = () => tags.map((_, at) => at).filter((at) => !heads[at].hidden);

  /* filters */
  const bySort = {
    path: (a, b) => a.at - b.at,
    broke: (a, b) => a.broke - b.broke || (a.changed < 0) - (b.changed < 0) || a.changed - b.changed || a.at - b.at,
  };
  function apply() {
    const words = controls.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const entry of rows) {
      const hidden = !(words.every((word) => entry.text.includes(word))
        && (!controls.topic.value || entry.patch.topics.map(plain).includes(controls.topic.value))
        && (!controls.layer || !controls.layer.value || plain(entry.patch.layer) === controls.layer.value)
        && (!controls.broken.checked || entry.patch.breaks.length)
        && (!state.kinds.size || [...state.kinds].some((kind) => entry.kinds.has(kind))));
      entry.row.hidden = hidden;
      count += !hidden;
    }
    const order = rows.slice().sort(bySort[controls.sort.value] || bySort.broke);
    body.append(...order.map((entry) => entry.row));
    heads.forEach((head, at) => {
      const hidden = controls.fold.checked && head.classList.contains("same");
      head.hidden = hidden;
      for (const entry of rows) entry.cells[at].hidden = hidden;
    });
    chips.forEach((chip) => chip.setAttribute("aria-pressed", state.kinds.has(chip.dataset.kind)));
    $("empty").hidden = count > 0;
    $("shown").textContent = count < rows.length ? `${count} of ${rows.length} shown.` : "";
    const stops = visible();
    if (active && (active.entry.row.hidden || active.hidden)) active = null;
    if (!active && stops.length && shownColumns().length) focusable(stops[0].cells[shownColumns()[0]]);
  }
  function focusable(cell) {
    if (active) active.tabIndex = -1;
    active = cell;
    cell.tabIndex = 0;
  }

  /* the address: what is shown can be sent to someone */
  function address() {
    const made = new URLSearchParams();
    if (state.patch) { made.set("patch", state.patch); made.set("tag", state.tag); }
    if (controls.q.value) made.set("q", controls.q.value);
    for (const name of ["topic", "layer"]) if (controls[name] && controls[name].value) made.set(name, controls[name].value);
    if (controls.sort.value !== "broke") made.set("sort", controls.sort.value);
    for (const name of ["broken", "fold"]) if (controls[name].checked) made.set(name, "1");
    for (const kind of state.kinds) made.append("kind", kind);
    return `#${made}`;
  }
  const write = () => { try { history.replaceState(null, "", address()); } catch { location.replace(address()); } };
  function restore() {
    const asked = new URLSearchParams(location.hash.slice(1));
    controls.q.value = asked.get("q") || "";
    for (const name of ["topic", "layer"]) if (controls[name]) controls[name].value = asked.get(name) || "";
    controls.sort.value = asked.get("sort") === "path" ? "path" : "broke";
    for (const name of ["broken", "fold"]) controls[name].checked = asked.get(name) === "1";
    state.kinds = new Set(asked.getAll("kind").filter((kind) => signs[kind]));
    apply();
    const entry = rows.find((one) => one.key === asked.get("patch") || one.patch.path === asked.get("patch"));
    const column = tags.indexOf(asked.get("tag"));
    if (entry && column >= 0) show(entry.cells[column], false);
    else close(false);
  }
  const changed = () => { apply(); write(); };

  /* the panel */
  function runsOf(entry) {
    const runs = [];
    tags.forEach((tag, at) => {
      const verdict = entry.patch.verdicts[tag];
      if (!verdict) return;
      const last = runs[runs.length - 1];
      if (last && last.kind === verdict.kind && last.to === verdict.to) last.end = at;
      else runs.push({ kind: verdict.kind, to: verdict.to, start: at, end: at });
    });
    return runs;
  }
  function runs(entry, column) {
    return make("ol", { class: "runs", "aria-label": "What it was on each release" }, ...runsOf(entry).map((run) => {
      const broke = entry.patch.breaks.includes(tags[run.start]);
      const here = run.start <= column && column <= run.end;
      const span = run.start === run.end ? tags[run.start] : `${tags[run.start]} – ${tags[run.end]}`;
      return make("li", {}, make("button", {
        type: "button", title: `${run.kind}${run.to ? `: ${run.to}` : ""}`, class: `${broke ? "first " : ""}${here ? "here" : ""}`,
        on: { click: () => show(entry.cells[run.start], true) },
      }, badge(run.kind), span, broke ? make("small", {}, "broke") : null));
    }));
  }
  function block([title, lines]) {
    const classes = { "+": "plus", "-": "minus", "~": "cut" };
    return [make("h4", {}, title), make("pre", {}, ...lines.map((line) => make("span", { class: classes[line[0]] || "" },
      line[0] === "~" ? `… ${line.slice(1)}` : line)))];
  }
  function facts(entry, verdict) {
    const pairs = [["layer", entry.patch.layer], ["topics", entry.patch.topics.join(", ")]];
    if (verdict.to !== undefined) pairs.push(["now at", verdict.to === null ? "nowhere" : verdict.to]);
    if (verdict.conflicts) pairs.push(["conflict", verdict.conflicts.join(", ")]);
    return make("dl", {}, ...pairs.filter((pair) => pair[1]).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  }
  function show(cell, byHand) {
    const { entry, column } = cell, tag = tags[column], verdict = entry.patch.verdicts[tag];
    if (!verdict) return;
    if (open) { open.classList.remove("open"); open.entry.row.classList.remove("on"); heads[open.column].classList.remove("on"); }
    open = cell;
    open.classList.add("open");
    entry.row.classList.add("on");
    heads[column].classList.add("on");
    focusable(cell);
    const near = (step) => { let at = column + step; while (at >= 0 && at < tags.length && !entry.patch.verdicts[tags[at]]) at += step; return entry.cells[at]; };
    const step = (sign, words, by) => make("button", { type: "button", "aria-label": words, ...(near(by) ? {} : { disabled: "" }),
      on: { click: () => near(by) && show(near(by), true) } }, sign);
    const number = (details.cells[entry.key] || {})[tag];
    panel.replaceChildren(
      make("div", { class: "bar" }, make("b", {}, tag), step("‹", "release before", -1), step("›", "next release", 1),
        make("button", { type: "button", id: "close", "aria-label": "close", on: { click: () => close(true) } }, "✕")),
      make("h2", {}, entry.patch.path), make("p", { class: "sub" }, entry.patch.subject),
      runs(entry, column),
      make("div", { class: "verdict" }, badge(verdict.kind), verdict.kind),
      make("ul", { class: "evidence" }, ...(verdict.evidence || []).map((words) => make("li", {}, words))),
      facts(entry, verdict),
      ...(number === undefined ? [] : details.texts[number].flatMap(block)),
      ...(signs[verdict.kind].open ? [make("h4", {}, "Which change of upstream broke it"),
        make("code", {}, `winvllm-build port ${tag} --from ${data.from} --explain ${entry.patch.path}`)] : []));
    panel.hidden = false;
    document.body.classList.add("split");
    panel.scrollTop = 0;
    tip.hidden = true;
    state.patch = entry.key;
    state.tag = tag;
    write();
    cell.scrollIntoView({ block: byHand ? "nearest" : "center", inline: byHand ? "nearest" : "center" });
    if (byHand) panel.focus({ preventScroll: true });
  }
  function close(byHand) {
    if (open) { open.classList.remove("open"); open.entry.row.classList.remove("on"); heads[open.column].classList.remove("on"); }
    panel.hidden = true;
    document.body.classList.remove("split");
    state.patch = state.tag = "";
    if (byHand) { write(); if (open) open.focus(); }
    open = null;
  }

  /* hover and focus */
  function hint(cell) {
    const verdict = cell.entry.patch.verdicts[tags[cell.column]];
    const reason = verdict ? (verdict.evidence || [])[0] || signs[verdict.kind].words
      : data.tags[cell.column].missing || "not tried";
    const name = cell.entry.patch.path.split("/").pop();
    tip.replaceChildren(make("b", {}, `${tags[cell.column]} · ${verdict ? verdict.kind : "no verdict"}`), make("div", {}, name),
      make("div", {}, reason), ...(verdict && verdict.to ? [make("div", {}, `→ ${verdict.to}`)] : []));
    tip.hidden = false;
    const box = cell.getBoundingClientRect(), size = tip.getBoundingClientRect();
    const end = $("frame").getBoundingClientRect().right;
    const left = Math.max(8, Math.min(box.left + box.width / 2 - size.width / 2, end - size.width - 8));
    const top = box.bottom + size.height + 14 < innerHeight ? box.bottom + 8 : box.top - size.height - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${Math.max(8, top)}px`;
  }
  const cellOf = (event) => { const found = event.target.closest && event.target.closest("tbody td"); return found && found.entry ? found : null; };
  table.addEventListener("mouseover", (event) => { const cell = cellOf(event); if (cell) hint(cell); else tip.hidden = true; });
  table.addEventListener("mouseleave", () => { tip.hidden = true; });
  table.addEventListener("focusin", (event) => { const cell = cellOf(event); if (cell) { focusable(cell); hint(cell); } });
  table.addEventListener("focusout", () => { tip.hidden = true; });
  $("frame").addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  table.addEventListener("click", (event) => { const cell = cellOf(event); if (cell) show(cell, true); });
  table.addEventListener("keydown", (event) => {
    const cell = cellOf(event);
    if (!cell) return;
    const lines = visible(), columns = shownColumns();
    let line = lines.indexOf(cell.entry), column = columns.indexOf(cell.column);
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
      Home: [0, -columns.length], End: [0, columns.length], PageUp: [-10, 0], PageDown: [10, 0] };
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); show(cell, true); return; }
    if (!moves[event.key]) return;
    event.preventDefault();
    line = Math.min(Math.max(0, line + moves[event.key][0]), lines.length - 1);
    column = Math.min(Math.max(0, column + moves[event.key][1]), columns.length - 1);
    lines[line].cells[columns[column]].focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !panel.hidden) close(true);
    if (event.key === "/" && !/^(input|select|textarea)$/i.test(event.target.tagName)) { event.preventDefault(); controls.q.focus(); }
    if (panel.hidden || !panel.contains(event.target)) return;
    const steps = { ArrowLeft: 1, ArrowRight: 2 }[event.key];
    if (steps) panel.querySelectorAll(".bar button")[steps - 1].click();
  });

  /* the story below */
  for (const item of document.querySelectorAll(".story [data-patch]")) {
    item.tabIndex = 0;
    const go = () => { const entry = rows.find((one) => plain(one.key) === item.dataset.patch || one.key === item.dataset.patch); if (entry) show(entry.cells[tags.indexOf(item.dataset.tag)], true); };
    item.addEventListener("click", go);
    item.addEventListener("keydown", (event) => { if (event.key === "Enter") go(); });
  }

  /* light and dark */
  const theme = $("theme"), root = document.documentElement;
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const label = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; label(); });
  label();
  theme.hidden = false;

  /* start */
  const newest = [...data.tags].reverse().find((column) => column.patches);
  chips.forEach((chip) => {
    const count = newest ? newest.counts[chip.dataset.kind] || 0 : 0;
    chip.classList.toggle("unused", !rows.some((entry) => entry.kinds.has(chip.dataset.kind)));
    if (count) chip.append(make("small", { title: `on ${newest.tag}` }, String(count)));
    chip.addEventListener("click", () => {
      const kind = chip.dataset.kind;
      if (!state.kinds.delete(kind)) state.kinds.add(kind);
      changed();
    });
  });
  for (const name of ["topic", "layer", "sort", "broken", "fold"]) if (controls[name]) controls[name].addEventListener("change", changed);
  controls.q.addEventListener("input", changed);
  $("reset").addEventListener("click", () => {
    controls.q.value = "";
    for (const name of ["topic", "layer"]) if (controls[name]) controls[name].value = "";
    controls.sort.value = "broke";
    controls.broken.checked = controls.fold.checked = false;
    state.kinds.clear();
    changed();
  });
  $("tools").hidden = false;
  addEventListener("hashchange", () => { if (location.hash !== address()) restore(); });
  restore();
})();
